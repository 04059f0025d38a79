"""One worker whose memory, descriptors and buffers are out, whose calls are interrupted and cut short, whose
clock jumps: each kind by itself and all together, under load, every answer checked byte for byte.

An answer that is whole is right; a fault that costs nobody anything (BENIGN) costs nobody an answer; nothing
crashes, nothing hangs, nothing leaks, and when the faults end everything is as before. The whole Tidegate and
longer runs: test_faults.py, docs/faults.md."""
import functools
import os
import pathlib
import tempfile
import time

import pytest

from lib.faults import LIBRARY, SECONDS, SEEDS, Faults
from lib.proxy import REAL, Proxy, harness_path
from lib.visits import Services, Visits

pytestmark = pytest.mark.skipif(REAL, reason="only the harness can do this")

BLOCKS_MORE = 8     # than without faults: what libc makes once, when it first needs it
EPOLL = os.environ.get("TIDEGATE_IO") == "epoll"

# One in so many calls. What only epoll's system calls can have is struck there only (lib/faults.c).
BENIGN = {"short": {"short": 3}, "again": {"again": 5}, "interrupt": {"interrupt": 4}, "clock": {"clock": 20},
          "submit": {"submit": 5}, "pause": {"pause": 10}}
ONLY_EPOLL = ("short", "again", "reset", "buffers", "watch")
ONLY_URING = ("submit",)
# And how many more of its kind go with it.
HARMFUL = {
    "memory": ({"memory": 300}, {}),
    "memory for a while": ({"memory": 300}, {"memory": 15}),
    "reset": ({"reset": 200}, {}),
    "buffers": ({"buffers": 60}, {}),
    "descriptors": ({"descriptors": 3}, {"descriptors": 2}),
    "watch": ({"watch": 5}, {}),
    "all": ({"memory": 300, "short": 5, "again": 9, "interrupt": 9, "reset": 900, "buffers": 500,
             "descriptors": 20, "clock": 50, "watch": 50, "submit": 20}, {"memory": 5}),
}


def applies(name):
    return name not in (ONLY_URING if EPOLL else ONLY_EPOLL)


class Struck(Proxy):
    """One worker with faults inside, before two services of which both are always there."""

    def __init__(self, folder, port, h2=False):
        super().__init__(port, port, limits={"pool_idle_ms": 300, "protocol": int(h2)}, start=False)
        self.faults = Faults(folder, LIBRARY, harness_path())
        self.arguments = ["env", *(f"{name}={value}" for name, value in self.faults.environment.items()), *self.arguments]
        self.start()
        self.descriptors_idle = self.descriptors_settled()

    def descriptors(self):
        return sorted(os.readlink(path) for path in pathlib.Path(f"/proc/{self.worker_pid}/fd").iterdir())

    def descriptors_settled(self):
        """Once they are the same for a while: a start opens and closes some."""
        before, now = [], self.descriptors()
        while before != now:
            time.sleep(0.1)
            before, now = now, self.descriptors()
        return now

    def check_idle(self):
        """Everybody has left: nothing of them is left either."""
        vitals = self.wait(lambda v: v["open"] == v["in_flight"] == v["waiting"] == v["upstream_open"] == 0, 10)
        assert all(each["in_flight"] == each["awaiting"] == 0 for each in vitals["endpoints"])
        assert vitals["offered"] >= vitals["served"] + vitals["refused"] + vitals["failed"]
        kept = 2    # one pipe, from the first body that is moved inside the kernel on (loop_move.c)
        descriptors = self.descriptors_settled()
        assert set(self.descriptors_idle) <= set(descriptors), (self.descriptors_idle, descriptors)
        assert len(descriptors) - len(self.descriptors_idle) <= kept, (self.descriptors_idle, descriptors)


@functools.cache
def blocks_of_libraries():
    """What a worker that nothing befell has not freed at its end: libraries keep it for their whole life."""
    with tempfile.TemporaryDirectory() as folder, Services() as services, Struck(folder, services.h1.port) as proxy:
        Visits(proxy.port, 1).run(0.3).verify(benign=True)
        assert proxy.stop() == 0
        return proxy.faults.blocks(proxy.worker_pid)


def strike_worker(tmp_path, seed, kinds, bursts, benign, h2=False):
    with Services() as services, Struck(tmp_path, (services.h2 if h2 else services.h1).port, h2) as proxy:
        proxy.faults.strike(seed, bursts, **kinds)
        visits = Visits(proxy.port, seed).run(SECONDS)
        proxy.faults.heal()
        assert sum(proxy.faults.struck().values()) > 0
        visits.verify(benign)
        Visits(proxy.port, seed + 1000).run(0.3).verify(benign=True)
        proxy.check_idle()
        assert max(services.posts.values(), default=1) == 1, "a POST is executed once"
        assert services.misread == []
        assert proxy.stop() == 0
        assert proxy.faults.blocks(proxy.worker_pid) <= blocks_of_libraries() + BLOCKS_MORE, "what was allocated was freed"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [each for each in BENIGN if applies(each)])
def test_what_costs_nobody_an_answer(tmp_path, kind, seed):
    strike_worker(tmp_path, seed, BENIGN[kind], {}, benign=True)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [each for each in HARMFUL if applies(each)])
def test_what_costs_answers_but_nothing_else(tmp_path, kind, seed):
    strike_worker(tmp_path, seed, *HARMFUL[kind], benign=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_services_that_speak_http2(tmp_path, seed):
    strike_worker(tmp_path, seed, *HARMFUL["all"], benign=False, h2=True)
