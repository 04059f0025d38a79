"""A service's instance as a process of its own, so that it can be killed and stopped by signals.

Origin starts it; run as a program it is the server: every request is answered after its delay. SIGUSR1 lets it
fail at once, SIGUSR2 makes it ten times as slow, each once more ends that. A line in the log for each request that
begins and ends, with its X-Id; the log of a killed one can be read."""
import argparse
import asyncio
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

if __name__ != "__main__":
    from .ports import free_port


class Origin:
    def __init__(self, port=None, delay_ms=5, log=None, **options):
        """Options of main(): cold=N, fail_ratio=R."""
        self.port = port or free_port()
        self.folder = None
        if log is None:
            self.folder = tempfile.TemporaryDirectory(prefix="tidegate-origin-")
            log = pathlib.Path(self.folder.name) / "log"
        self.log = pathlib.Path(log)
        self.arguments = [sys.executable, str(pathlib.Path(__file__).resolve()), "--port", str(self.port),
                          "--delay-ms", str(delay_ms), "--log", str(self.log)]
        for name, value in options.items():
            self.arguments += [f"--{name.replace('_', '-')}", str(value)]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def lines(self, word):
        """Ids of the requests that began, ended, or came ("begin", "end"), or connections ("open")."""
        words = [line.split() for line in self.log.read_text().splitlines()]
        return [one[1] for one in words if len(one) == 2 and one[0] == word]

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()
        if self.folder:
            self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()


class Server:
    def __init__(self, options):
        self.options = options
        self.failing = self.slow = False
        self.answered = 0
        self.log = os.open(options.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def note(self, word, what):
        os.write(self.log, f"{word} {what}\n".encode())

    def toggle(self, name):
        setattr(self, name, not getattr(self, name))

    def delay_s(self, target):
        if target.startswith("/sleep/"):
            return int(target.split("/")[2]) / 1000
        cold = self.answered < self.options.cold
        return self.options.delay_ms / 1000 * (10 if self.slow or cold else 1)

    async def answer(self, writer, target, ident):
        self.note("begin", ident)
        failing = self.failing or (self.options.fail_ratio > 0 and
                                   (self.answered * 0.6180339887) % 1 < self.options.fail_ratio)
        if not failing:
            await asyncio.sleep(self.delay_s(target))
        self.answered += 1
        self.note("end", ident)
        status = "500 Internal Server Error" if failing else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok".encode())
        await writer.drain()

    async def serve(self, reader, writer):
        self.note("open", time.monotonic())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
                await reader.readexactly(int(fields.get("content-length", 0)))
                await self.answer(writer, head.split(" ")[1], fields.get("x-id", "-"))
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--log")
    parser.add_argument("--delay-ms", type=float, default=5)
    parser.add_argument("--cold", type=int, default=0, help="its first requests take ten times as long")
    parser.add_argument("--fail-ratio", type=float, default=0)
    one = Server(parser.parse_args())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, one.toggle, "failing")
    loop.add_signal_handler(signal.SIGUSR2, one.toggle, "slow")
    server = await asyncio.start_server(one.serve, "127.0.0.1", one.options.port, backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
