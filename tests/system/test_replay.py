"""tidegate replay on the real binary: open-loop visitors, and what their report says."""
import gzip
import itertools
import json
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest

from lib.shop import Shop
from lib.tidegate import BINARY, free_port, run_cli, wait_until

FIELDS = {"requests", "served", "refused", "failed", "latency_ms", "statuses", "orders", "seconds",
          "late_ms_p99", "errors", "failures", "reconnects"}


def trace(path, counts):
    """One minute an interval: with --speed 60 a second each."""
    rows = "".join(f"{60 * i},{count}\n" for i, count in enumerate(counts))
    path.write_text("time,requests\n" + rows)
    return path


def replay(path, address, *arguments, speed=60):
    result = run_cli("replay", path, "--to", f"http://{address}", "--speed", speed, "--json",
                     *arguments)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert FIELDS <= set(report)
    assert report["served"] + report["refused"] + report["failed"] == report["requests"]
    return report


def column(report, name):
    return [second[name] for second in report["seconds"]]


class Wire:
    """A server as a function of one connection, each in a thread; for what no HTTP server does."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.opened, self.serve = 0, serve
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.opened += 1
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        with connection:
            try:
                self.serve(connection)
            except OSError:
                pass

    def stop(self):
        self.listener.close()


@pytest.fixture
def wire():
    running = []

    def start(serve):
        running.append(Wire(serve))
        return running[-1]

    yield start
    for one in running:
        one.stop()


def answer_each(connection, text=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", before=None):
    while connection.recv(65536):
        if before is not None:
            before()
        connection.sendall(text)


def test_the_offered_rate_follows_the_trace(tmp_path, wire):
    counts = [50, 200, 0, 120]
    report = replay(trace(tmp_path / "t.csv", counts), wire(answer_each).address)
    assert column(report, "offered") == counts
    assert column(report, "served") == counts
    assert report["statuses"] == {"200": 370}
    assert report["latency_ms"]["browse"]["p50"] < 1000
    assert report["errors"] == {} and report["failures"] == []


def test_scale_multiplies(tmp_path, wire):
    path = trace(tmp_path / "t.csv", [10, 41])
    report = replay(path, wire(answer_each).address, "--scale", "2.5")
    assert column(report, "offered") == [25, 102]


def test_a_stalled_server_is_not_spared(tmp_path, wire):
    """It stands still for a second: who came meanwhile has waited, and is counted as waiting."""
    seen = itertools.count(1)

    def stall():
        if next(seen) == 100:
            time.sleep(1)

    server = wire(lambda c: answer_each(c, before=stall))
    path = trace(tmp_path / "t.csv", [100, 100, 100])
    report = replay(path, server.address, "--connections", "1")
    assert column(report, "offered") == [100, 100, 100]
    assert report["failed"] == 0 and server.opened == 1
    # A third came during that second and waited for half of it in the mean; a closed loop would
    # have shown a single slow request.
    assert 500 < report["latency_ms"]["browse"]["p95"] < 5000


def test_refused_and_failed_are_told_apart(tmp_path, wire):
    refusing = wire(lambda c: answer_each(
        c, b"HTTP/1.1 503 No\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"))
    failing = wire(lambda c: answer_each(c, b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"))
    path = trace(tmp_path / "t.csv", [20, 20])
    report = replay(path, refusing.address, speed=240)
    assert (report["refused"], report["failed"]) == (40, 0)
    report = replay(path, failing.address, speed=240)
    assert (report["refused"], report["failed"]) == (0, 40)
    assert report["errors"] == {"status_503": 40}
    first = report["failures"][0]
    assert first["status"] == 503 and first["path"] == "/" and first["method"] == "GET"
    assert first["stage"] == "browse" and first["time"].startswith("20")


def test_cut_answers_and_silence_are_failures(tmp_path, wire):
    path = trace(tmp_path / "t.csv", [20, 20])
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi"
    cutting = wire(lambda c: (c.recv(65536), c.sendall(half)))
    assert replay(path, cutting.address, speed=240)["errors"] == {"cut": 40}
    silent = wire(lambda c: (c.recv(65536), time.sleep(5)))
    report = replay(path, silent.address, "--timeout", "300ms", speed=240)
    assert report["errors"] == {"timeout": 40}
    nobody = f"127.0.0.1:{free_port()}"
    assert replay(path, nobody, speed=240)["errors"] == {"connect_refused": 40}


def test_connections_that_the_server_closes_are_opened_again(tmp_path, wire):
    """It closes each connection after its second request, without an answer and without a word."""
    def serve(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
        connection.recv(65536)

    report = replay(trace(tmp_path / "t.csv", [50, 50]), wire(serve).address)
    assert report["served"] == 100
    assert report["reconnects"] > 10


def log_line(second, request):
    return f'h - - [11/Mar/2015:20:57:{second:02d} +0000] "{request}" 200 5 "-" "agent"\n'


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress])
def test_an_access_log_is_asked_for_again(tmp_path, backend, pack):
    path = tmp_path / "access.log"
    path.write_bytes(pack((log_line(1, "GET /search?q=tent HTTP/1.1") + log_line(1, "-") +
                           log_line(2, "POST /cart HTTP/1.1")).encode()))
    server = backend()
    result = run_cli("replay", path, "--to", f"http://{server.address}", "--json")
    report = json.loads(result.stdout)
    assert [(r[0], r[1]) for r in server.requests] == [("GET", "/search?q=tent"), ("POST", "/cart")]
    assert column(report, "offered") == [1, 1]
    assert set(report["latency_ms"]) == {"search", "cart"}
    assert "1 lines are passed over" in result.stderr


@pytest.fixture
def shop(tmp_path):
    one = Shop(tmp_path).wait_ready()
    yield one
    one.stop()


def test_sessions_walk_the_shop_and_order(tmp_path, shop):
    counts = [40, 60, 60, 60, 60, 30]
    report = replay(trace(tmp_path / "t.csv", counts), f"127.0.0.1:{shop.port}", "--sessions",
                    "--think", "200ms")
    assert column(report, "offered") == counts
    assert report["failed"] == 0
    assert set(report["latency_ms"]) == {"browse", "search", "product", "cart", "checkout"}
    orders = shop.orders()
    assert report["orders"] == len(orders) > 0
    assert len({order["token"] for order in orders}) == len(orders)
    assert 310 > report["visitors"] > len(orders)


def test_signed_in_visitors_are_told_by_their_cookie(tmp_path, backend):
    server = backend()
    replay(trace(tmp_path / "t.csv", [60, 60]), server.address, "--sessions", "--customers", "3")
    cookies = {r[2]["Cookie"] for r in server.requests}
    assert cookies == {None, "customer_id=C1001", "customer_id=C1002", "customer_id=C1003"}


def test_the_same_seed_asks_the_same(tmp_path, backend):
    """The paths of first steps depend on nothing but the seed: thinking takes longer than this."""
    path = trace(tmp_path / "t.csv", [30, 30])

    def asked(seed):
        server = backend()
        replay(path, server.address, "--sessions", "--think", "1h", "--seed", str(seed), speed=240)
        return sorted(r[1] for r in server.requests)

    assert asked(5) == asked(5) != asked(6)


def connected(port):
    """Whether anybody is, to this port."""
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(line[3] == "01" and int(line[2].split(":")[1], 16) == port for line in lines)


def test_a_killed_server_is_a_failure(tmp_path, shop):
    """Fifty a second; killed in the middle."""
    path = trace(tmp_path / "t.csv", [50] * 8)
    report_path = tmp_path / "report.json"
    replaying = subprocess.Popen(
        [BINARY, "replay", path, "--to", f"http://127.0.0.1:{shop.port}", "--speed", "60",
         "--sessions", "--report", report_path], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: connected(shop.port), 60, "it has begun")
    time.sleep(2)
    shop.process.kill()
    _, said = replaying.communicate(timeout=30)
    report = json.loads(report_path.read_text())
    assert replaying.returncode == 0
    assert sum(column(report, "failed")[2:]) >= 200
    assert column(report, "failed")[0] == 0
    assert report["errors"]["connect_refused"] >= 50
    assert "connect_refused" in said


def test_an_interrupt_ends_it_with_a_report(tmp_path, wire):
    path = trace(tmp_path / "t.csv", [50] * 60)
    server = wire(answer_each)
    report_path = tmp_path / "report.json"
    replaying = subprocess.Popen(
        [BINARY, "replay", path, "--to", f"http://{server.address}", "--speed", "60", "--report",
         report_path], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: server.opened > 0, 20, "it has begun")
    time.sleep(0.5)
    replaying.send_signal(signal.SIGINT)
    _, said = replaying.communicate(timeout=30)
    assert replaying.returncode == 3 and "interrupted" in said
    report = json.loads(report_path.read_text())
    assert report["interrupted"] and 0 < report["requests"] < 3000


@pytest.mark.parametrize("arguments, said", [
    ([], "expected one TRACE"),
    (["{trace}"], "expected --to"),
    (["{trace}", "--to", "https://x"], "expected http://HOST[:PORT]"),
    (["{trace}", "--to", "{url}", "--speed", "0"], "--speed: expected a number above 0"),
    (["{trace}", "--to", "{url}", "--scale", "nan"], "--scale: expected a number above 0"),
    (["{trace}", "--to", "{url}", "--timeout", "5"], "--timeout: expected a duration"),
    (["{trace}", "--to", "{url}", "--connections", "0"], "--connections: expected a number from 1"),
    (["{trace}", "--to", "{url}", "--column", "absent"], "absent"),
    (["{trace}", "--to", "{url}", "--loud"], "'--loud' is not an option"),
    (["{bad}", "--to", "{url}", "--column", "requests"], "bad.csv:3:4"),
    (["{badlog}", "--to", "{url}"], "bad.log:2:8: expected host"),
    (["{absent}", "--to", "{url}"], "absent.csv"),
])
def test_bad_usage_and_input_are_status_2(tmp_path, arguments, said):
    (tmp_path / "bad.csv").write_text("time,requests\n0,1\n60,x\n120,3\n")
    (tmp_path / "bad.log").write_text(log_line(1, "GET / HTTP/1.1") + "rubbish\n")
    names = {"trace": trace(tmp_path / "t.csv", [1, 1]), "bad": tmp_path / "bad.csv",
             "badlog": tmp_path / "bad.log", "absent": tmp_path / "absent.csv",
             "url": f"http://127.0.0.1:{free_port()}"}
    result = run_cli("replay", *[a.format(**names) for a in arguments])
    assert result.returncode == 2
    assert said in result.stderr


def test_help():
    result = run_cli("replay", "--help")
    assert result.returncode == 0 and "--sessions" in result.stdout and result.stderr == ""
