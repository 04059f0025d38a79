"""Visitors on a fixed schedule: each asks at its time, whatever became of those before. Latency counts from that time."""
import asyncio
import math
import resource
import time


class Visit:
    """When it was due and done (s), its status; 0: no answer."""
    __slots__ = ("due", "done", "status")

    def __init__(self, due, done, status):
        self.due, self.done, self.status = due, done, status

    @property
    def ms(self):
        return 1000 * (self.done - self.due)


class Visitors:
    def __init__(self, port, method="GET"):
        self.port, self.method = port, method
        self.idle, self.visits, self.number = [], [], 0

    def request(self):
        self.number += 1
        order = f"Content-Length: 0\r\nX-Request-Id: order-{self.number}\r\n" if self.method == "POST" else ""
        return f"{self.method} /b/64 HTTP/1.1\r\nHost: shop.test\r\n{order}\r\n".encode()

    async def exchange(self, due):
        status = 0
        try:
            stream = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
            reader, writer = stream
            writer.write(self.request())
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            await reader.readexactly(int(fields.get(b"content-length", 0)))
            status = int(head[9:12])
            if fields.get(b"connection") == b"close":
                writer.close()
            else:
                self.idle.append(stream)
        except (OSError, asyncio.IncompleteReadError):
            pass
        self.visits.append(Visit(due, time.monotonic(), status))

    async def run(self, rps, seconds, events):
        """`events`: (second, function) each, called in a thread. Returns their times."""
        start, tasks, times = time.monotonic(), [], []

        async def happen(second, function):
            await asyncio.sleep(start + second - time.monotonic())
            times.append(time.monotonic())
            await asyncio.to_thread(function)

        happenings = [asyncio.create_task(happen(*event)) for event in events]
        for number in range(int(rps * seconds)):
            due = start + number / rps
            if (ahead := due - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            tasks.append(asyncio.create_task(self.exchange(due)))
        await asyncio.gather(*happenings)
        await asyncio.wait(tasks, timeout=15)
        late = [task for task in tasks if not task.done()]
        for task in late:   # never answered
            task.cancel()
            self.visits.append(Visit(time.monotonic() - 15, time.monotonic(), 0))
        for _, writer in self.idle:
            writer.close()
        return times


def visit(port, rps, seconds, events=(), method="GET"):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    visitors = Visitors(port, method)
    times = asyncio.run(visitors.run(rps, seconds, events))
    return visitors.visits, times


def percentile_ms(visits, share):
    ordered = sorted(one.ms for one in visits)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
