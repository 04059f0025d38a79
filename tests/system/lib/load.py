"""Open-loop load on a fixed schedule, for tests that count failures while something is broken.

A process of its own would be more exact; a few hundred requests a second from threads are enough to
count failures, which is all it is used for. Latency is counted from the intended time."""
import http.client
import queue
import threading
import time


class Load:
    """`rps` requests a second of `method path` against 127.0.0.1:`port`, from start() to stop()."""

    def __init__(self, port, rps, path="/", threads=32, method="GET", timeout=10):
        self.port, self.rps, self.path, self.method = port, rps, path, method
        self.timeout = timeout
        self.results = []   # (intended time, latency s, status or the error's text)
        self.schedule, self.stopping = queue.Queue(), threading.Event()
        self.threads = [threading.Thread(target=self.visit, daemon=True) for _ in range(threads)]
        self.pacer = threading.Thread(target=self.pace, daemon=True)

    def pace(self):
        start, sent = time.monotonic(), 0
        while not self.stopping.is_set():
            due = int((time.monotonic() - start) * self.rps)
            for number in range(sent, due):
                self.schedule.put(start + number / self.rps)
            sent = due
            time.sleep(0.002)

    def fields(self):
        return {}

    def visit(self):
        connection = None
        while True:
            intended = self.schedule.get()
            if intended is None:
                return
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
            try:
                connection.request(self.method, self.path, headers=self.fields())
                answer = connection.getresponse()
                answer.read()
                outcome = answer.status
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                outcome = repr(error)
                connection.close()
                connection = None
            self.results.append((intended, time.monotonic() - intended, outcome))

    def start(self):
        for thread in (*self.threads, self.pacer):
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.pacer.join()
        for _ in self.threads:
            self.schedule.put(None)
        for thread in self.threads:
            thread.join(30)
        return self

    def failures(self):
        return [each for each in self.results if each[2] != 200]
