"""The proxy under test and the scripted services behind it.

By default workers without a controller (tests/system/worker_harness.c, in the folder of the binary
that TIDEGATE names, or WORKER_HARNESS). With PROXY_UNDER_TEST=tidegate the real `tidegate run --to`;
tests that set limits, change the plan or look at the vitals are then skipped."""
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from .ports import free_port
from .raw import Closed, Raw

TLS = False  # set by tests that want every Proxy to speak TLS, and every connection to it
REAL = os.environ.get("PROXY_UNDER_TEST") == "tidegate"
ROOT = pathlib.Path(__file__).resolve().parents[3]


def harness_path():
    named = os.environ.get("WORKER_HARNESS")
    if named:
        return named
    binary = pathlib.Path(os.environ.get("TIDEGATE", ROOT / "build" / "tidegate"))
    return str(binary.parent / "tests" / "system" / "worker_harness")


class Proxy:
    """One worker or several. `endpoints` are ports or "ADDRESS,STATE" texts."""

    def __init__(self, *endpoints, limits=None, routes=(), customers=(), workers=1, start=True,
                 tls=None, trusted=(), proxy_protocol=False):
        """`tls`: (chain, key) paths, one or a list; None: what lib.proxy.TLS says."""
        if tls is None and TLS:
            from . import certificates
            tls = certificates.shared().pair
        self.tls = [tls] if isinstance(tls, tuple) else tls
        if REAL:
            if self.tls or trusted or proxy_protocol:
                pytest.skip("only the harness can do this")
            if limits or routes or customers or workers > 1 or not endpoints or not all(isinstance(e, int) for e in endpoints):
                pytest.skip("only the harness can do this")
            self.start_real(endpoints)
            return
        self.arguments = [harness_path(), "--listen", "127.0.0.1:0"]
        for name, value in (limits or {}).items():
            self.arguments += ["--limit", f"{name}={value}"]
        for route in routes:
            self.arguments += ["--route", route]
        for chain, key in self.tls or ():
            self.arguments += ["--tls", f"{chain},{key}"]
        for network in trusted:
            self.arguments += ["--trusted", network]
        if proxy_protocol:
            self.arguments.append("--proxy-protocol")
        self.arguments += ["--workers", str(workers)]
        for customer in customers:
            self.arguments += ["--customer", customer]
        for endpoint in endpoints:
            text = f"127.0.0.1:{endpoint}" if isinstance(endpoint, int) else endpoint
            self.arguments += ["--endpoint", text]
        if start:
            self.start()

    def start(self):
        self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().split()[1])
        self.wait(lambda v: v["plan"] >= 1)
        self.worker_pid = self.vitals()["pid"]

    def start_real(self, ports):
        self.port = free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="tidegate-proxy-")
        binary = os.environ.get("TIDEGATE", str(ROOT / "build" / "tidegate"))
        self.process = subprocess.Popen(
            [binary, "run", "--to", *(f"127.0.0.1:{port}" for port in ports),
             "--listen", f"127.0.0.1:{self.port}"],
            cwd=self.folder.name, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.get("/")
                return
            except (OSError, Closed):
                assert time.monotonic() < deadline, "tidegate did not start"
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        status = self.stop()
        if kind is None:
            assert status == 0, f"the worker ended with {status}"

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            if REAL:
                self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        return self.process.returncode

    def command(self, line):
        if REAL:
            pytest.skip("only the harness can do this")
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the harness ended"
        return answer.strip()

    def publish(self, *lines):
        """Changes the plan and waits until the worker uses it."""
        for line in lines:
            self.command(line)
        before = self.vitals()["plan"]
        self.command("publish")
        self.wait(lambda v: v["plan"] > before)

    def vitals(self):
        return json.loads(self.command("vitals"))

    def records(self):
        return json.loads(self.command("records"))

    def events(self):
        """What the workers have told since it was last asked."""
        return json.loads(self.command("events"))

    def wait(self, condition, seconds=20.0):
        """Waits until condition(vitals) holds; returns the vitals."""
        deadline = time.monotonic() + seconds
        while True:
            vitals = self.vitals()
            if condition(vitals):
                return vitals
            assert time.monotonic() < deadline, f"not within {seconds} s: {vitals}"
            time.sleep(0.005)

    def connect(self, **options):
        if self.tls:
            from .certificates import Secure
            return Secure(self.port, **options)
        return Raw(self.port, **options)

    def get(self, path="/", fields=""):
        with self.connect() as client:
            return client.get(path, fields)

    def rss_bytes(self):
        if REAL:
            pytest.skip("only the harness can do this")
        status = pathlib.Path(f"/proc/{self.worker_pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024


class Request:
    """What a scripted service received."""

    def __init__(self, line, fields, body, trailers, connection):
        self.method, self.target, self.version = line.decode("latin-1").split(" ")
        self.fields, self.body, self.trailers = fields, body, trailers
        self.connection = connection

    def field(self, name):
        values = [value for key, value in self.fields if key == name]
        assert len(values) <= 1, f"{name} is repeated: {values}"
        return values[0] if values else None


class ServiceConnection:
    """One connection that the proxy opened; reads requests strictly, writes what it is told."""

    def __init__(self, accepted, number):
        self.raw = Raw.__new__(Raw)
        self.raw.socket, self.raw.buffer = accepted, b""
        accepted.settimeout(20)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = number

    def read_head(self):
        return self.raw.read_line(), self.raw.read_fields()

    def read_body(self, fields):
        names = dict(fields)
        assert not ("content-length" in names and "transfer-encoding" in names)
        body, trailers = b"", []
        if names.get("transfer-encoding") == "chunked":
            while chunk := self.raw.read_chunk():
                body += chunk
            trailers = self.raw.read_fields()
        elif "content-length" in names:
            body = self.raw.read_exactly(int(names["content-length"]))
        return body, trailers

    def read_request(self):
        line, fields = self.read_head()
        body, trailers = self.read_body(fields)
        return Request(line, fields, body, trailers, self)

    def send(self, data):
        self.raw.send(data)

    def answer(self, body=b"ok", status="200 OK", fields=""):
        body = body.encode() if isinstance(body, str) else body
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)

    def close(self):
        self.raw.close()

    def reset(self):
        import struct
        self.raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.raw.close()


class Service:
    """A service of one port. `script(connection)` serves one connection; by default every request is
    answered by what was received."""

    def __init__(self, script=None, port=0):
        self.script = script or self.echo
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.open = []
        self.stopping = False
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.stop()

    def stop(self):
        self.stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)    # wakes who accepts
        except OSError:
            pass
        self.acceptor.join(10)  # before somebody else's socket gets the listener's number, and none is left open
        self.listener.close()
        for one in list(self.open):
            try:
                one.raw.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.raw.close()

    def accept(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            one = ServiceConnection(accepted, self.connections)
            self.connections += 1
            self.open.append(one)
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one):
        try:
            self.script(one)
        except (Closed, OSError):
            pass
        finally:
            one.close()

    def echo(self, one):
        while True:
            request = one.read_request()
            self.requests.append(request)
            one.answer(request.body or request.target.encode())


class Gated(Service):
    """Reads each request, counts it, and answers once the gate is open."""

    def __init__(self, body="ok"):
        self.gate, self.body = threading.Event(), body
        super().__init__(self.hold)

    def hold(self, one):
        while True:
            self.requests.append(one.read_request())
            self.gate.wait(20)
            one.answer(self.body)


def spread(proxy, count):
    """Connections, opened so that every worker gets some."""
    clients = [proxy.connect() for _ in range(count)]
    proxy.wait(lambda v: v["accepted"] >= count)
    return clients


def until_asked(service, ask):
    """Ten times, and on until the service was chosen too. In one of 170 runs it is none of the first ten, by chance."""
    for count in range(1, 300):
        ask()
        if count >= 10 and service.requests:
            return
    raise AssertionError("it was never chosen")
