"""Which service calls which is learned from what passes through: by traces, else by addresses."""
import contextlib
import http.client
import pathlib
import secrets
import sqlite3
import subprocess
import threading

import pytest

from lib.ports import free_port
from lib.shops import HEAD
from lib.tidegate import wait_until

LIB = pathlib.Path(__file__).parent / "lib"
SERVICES = HEAD + """workers: 2
demand: { step: 1s, seasons: [1m, 10m] }
services:
  front:
    FRONT
  back:
    fleet: process
    command: [node, "LIB/app.js", --port, $PORT]
    instances: { min: 1, max: 8, capacity: 100/s }
  other:
    fleet: process
    command: [node, "LIB/app.js", --port, $PORT]
    instances: { min: 1, max: 8, capacity: 100/s }
routes:
  - { path: /back, service: back }
  - { path: /other, service: other }
  - { path: /, service: front }
"""
PROCESS = """fleet: process
    command: [node, "LIB/calling.js", --port, $PORT, --to, "http://127.0.0.1:{port}/back", --times, "2"]
    instances: { min: 1, max: 2, capacity: 200/s }"""
VISITOR = ("127.0.0.2", 0)   # no instance is there


class Visitors:
    """`rps` visits a second. While one is under way, the same visitor asks for /other with its trace, which is the
    visitor's own; without `traced` there is none, and no such question."""

    def __init__(self, port, rps, traced=True):
        self.port, self.rps, self.traced, self.stopping = port, rps, traced, threading.Event()
        self.threads = [threading.Thread(target=self.visit, daemon=True) for _ in range(8)]
        for thread in self.threads:
            thread.start()

    def visit(self):
        while not self.stopping.is_set():
            front, other = (http.client.HTTPConnection("127.0.0.1", self.port, timeout=30, source_address=VISITOR)
                            for _ in range(2))
            try:
                while not self.stopping.wait(len(self.threads) / self.rps):
                    self.ask(front, other)
            except (OSError, http.client.HTTPException):
                pass   # on a busy machine; the next ones count
            finally:
                front.close()
                other.close()

    def ask(self, front, other):
        if not self.traced:
            front.request("GET", "/")
            front.getresponse().read()
            return
        headers = {"traceparent": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"}
        front.request("GET", "/", headers=headers)
        other.request("GET", "/other", headers=headers)
        other.getresponse().read()
        front.getresponse().read()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(40)


def calls_of(one, name):
    service = next(s for s in one.status()["services"] if s["name"] == name)
    return {call["service"]: call for call in service["calls"]}


def planned(one, called):
    call = calls_of(one, "front").get(called)
    return call if call and call["planned"] else None


def wanted(one, name):
    return next(s for s in one.status()["services"] if s["name"] == name)["instances_wanted"]


def test_traces_say_how_often_and_a_campaign_scales_what_is_called(tidegate):
    one = tidegate(SERVICES.replace("FRONT", PROCESS).replace("LIB", str(LIB)), wait="up")
    for name in ("front", "back", "other"):
        one.wait_serving(1, name)
    visitors = Visitors(one.port, 40)
    try:
        call = wait_until(lambda: planned(one, "back"), 180, "a ratio")
        assert call["source"] == "traces"
        assert call["learned_low"] <= call["ratio"] <= call["learned_high"]
        assert 1.9 <= call["ratio"] <= 2.1
        assert "other" not in calls_of(one, "front"), "a visitor with the trace of another request is no caller"
        assert not calls_of(one, "back") and not calls_of(one, "other")
        assert [d["service"] for d in one.decisions() if d["action"] == "learn_calls"] == ["back"]
        usual = wanted(one, "back")
        wait_until(lambda: next(s for s in one.status()["services"] if s["name"] == "front")["forecast_rps"],
                   60, "a forecast")
        one.announce(30, multiplier=8)
        # The crowd never comes: 2 calls for each of 8 times 40 visits are more than 5 instances carry.
        wait_until(lambda: wanted(one, "back") >= usual + 3, 120, "instances for the calls of the crowd")
    finally:
        visitors.stop()


@pytest.fixture(name="elsewhere")
def fixture_elsewhere(tidegate):
    """A front at an address of its own."""
    started = []

    def start(port, to, *more):
        started.append(subprocess.Popen(
            ["node", str(LIB / "calling.js"), "--host", "127.0.0.3", "--port", str(port),
             "--to", f"http://127.0.0.1:{to}/back", "--times", "1", *more]))
    yield start
    for process in started:
        process.kill()
        process.wait()


def test_without_traces_the_address_says_it(tidegate, elsewhere):
    port = free_port()
    static = f"fleet: static\n    health: {{ path: /healthz }}\n    endpoints: [\"127.0.0.3:{port}\"]"
    one = tidegate(SERVICES.replace("FRONT", static).replace("LIB", str(LIB)), wait="up")
    elsewhere(port, one.port, "--trace", "0")
    for name in ("front", "back", "other"):
        one.wait_serving(1, name)
    visitors = Visitors(one.port, 40)
    try:
        call = wait_until(lambda: planned(one, "back"), 180, "a ratio")
        assert call["source"] == "addresses"
        assert 0.8 <= call["ratio"] <= 1.2
    finally:
        visitors.stop()


def test_a_trace_of_ours_says_it_from_behind_another_address(tidegate, elsewhere):
    """As a container calls through a bridge: no instance is where its calls come from."""
    port = free_port()
    static = f"fleet: static\n    health: {{ path: /healthz }}\n    endpoints: [\"127.0.0.3:{port}\"]"
    one = tidegate(SERVICES.replace("FRONT", static).replace("LIB", str(LIB)), wait="up")
    elsewhere(port, one.port, "--from", "127.0.0.9")
    for name in ("front", "back", "other"):
        one.wait_serving(1, name)
    visitors = Visitors(one.port, 40, traced=False)
    try:
        call = wait_until(lambda: planned(one, "back"), 180, "a ratio")
        assert call["source"] == "traces"
        assert 0.9 <= call["ratio"] <= 1.1
    finally:
        visitors.stop()


def store_of(one):
    return sqlite3.connect(one.folder / "var" / "tidegate.db")


@contextlib.contextmanager
def restart(one):
    assert one.stop() == 0
    with contextlib.closing(store_of(one)) as store, store:
        yield store   # changed while nobody runs
    one.start()
    for name in ("front", "back", "other"):
        one.wait_serving(1, name)


def known(one, name="front"):
    call = calls_of(one, name).get("back")
    return call if call and call["planned"] and call["requests"] else None


def learned_decisions(one):
    return [d["service"] for d in one.decisions() if d["action"] == "learn_calls"]


def test_what_was_learned_outlives_restarts_and_what_is_broken_is_refused(tidegate):
    one = tidegate(SERVICES.replace("FRONT", PROCESS).replace("LIB", str(LIB)), wait="up")
    for name in ("front", "back", "other"):
        one.wait_serving(1, name)
    visitors = Visitors(one.port, 40)
    try:
        wait_until(lambda: planned(one, "back"), 180, "a ratio")
    finally:
        visitors.stop()
    one.kill_controller()   # nobody asks any more: what it knows now, it knew before
    after = wait_until(lambda: known(one), 30, "what was noted")
    assert after["source"] == "traces" and 1.9 <= after["ratio"] <= 2.1
    assert "calls_restored service=front from=notebook called=1" in one.log()
    with restart(one):
        pass
    again = wait_until(lambda: known(one), 30, "what was kept")
    assert again["ratio"] == after["ratio"] and again["requests"] == after["requests"]
    assert "calls_restored service=front from=store called=1" in one.log()
    assert learned_decisions(one) == ["back"], "told once"
    # One that is broken costs what was learned of that caller, and nothing else.
    before = len(one.decisions())
    with restart(one) as store:
        store.execute("INSERT INTO calls SELECT 'other', time_ms, evidence FROM calls")
        store.execute("UPDATE calls SET evidence = x'00112233' WHERE service = 'front'")
    wait_until(lambda: known(one, "other"), 30, "the row that is whole")
    assert not calls_of(one, "front")
    assert "WARN controller calls_not_restored service=front error=\"what was kept is not as we write it\"" in one.log()
    assert len(one.decisions()) >= before and one.get("/other").status == 200
    # So does one that is old.
    with restart(one) as store:
        store.execute("UPDATE calls SET time_ms = time_ms - 45 * 86400000 WHERE service = 'other'")
    assert not calls_of(one, "other")
    assert "calls_not_restored service=other error=\"it was kept 45 days ago\"" in one.log()
    # What is learned anew takes its place.
    visitors = Visitors(one.port, 40)
    try:
        wait_until(lambda: planned(one, "back"), 180, "a ratio")
    finally:
        visitors.stop()
    with restart(one) as store:
        assert store.execute("SELECT length(evidence) FROM calls WHERE service = 'front'").fetchone() == (128,)
    wait_until(lambda: known(one), 30, "what was kept")
    # Or there is no such table: no reason not to start.
    with restart(one) as store:
        store.execute("DROP TABLE calls")
    assert "WARN controller calls_not_read service=front" in one.log()
    assert one.get("/other").status == 200
