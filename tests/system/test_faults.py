"""The whole Tidegate with faults inside, and killed at random: under load, all answers checked byte for byte.

Nobody crashes, nothing leaks, what the API has told of the past stays true, and when the faults end everything
is as before. TIDEGATE_FAULT_SEEDS=50 runs each with fifty seeds instead of one, TIDEGATE_FAULT_SECONDS is how
long each lasts (lib/faults.py). One worker alone and each kind by itself: test_proxy_faults.py."""
import os
import pathlib
import random
import signal
import sqlite3
import time

import pytest

from lib.faults import LIBRARY, SECONDS, SEEDS, Faults
from lib.tidegate import BINARY, Tidegate, alive, run_cli, wait_until
from lib.visits import Services, Visits

APP = pathlib.Path(__file__).parent / "lib" / "app.js"

CONFIG = f"""
listen:
  - {{{{ address: "127.0.0.1:{{{{port}}}}" }}}}
admin: {{{{ address: "127.0.0.1:{{{{admin}}}}" }}}}
store: sqlite:var/tidegate.db
workers: 2
access_log: {{{{ file: access.log }}}}
services:
  pages:
    fleet: static
    endpoints: ["127.0.0.1:{{service}}"]
  app:
    fleet: process
    command: [node, {APP}, --port, "$PORT"]
    instances: {{{{ min: 1, max: 2 }}}}
    health: {{{{ path: /healthz, interval: 1s }}}}
routes:
  - {{{{ path: /app, service: app }}}}
  - {{{{ path: /, service: pages }}}}
"""
# Everything that can be, in every process. The disk is as good as full.
EVERYWHERE = {
    "memory": ({"memory": 60}, {"memory": 5}),
    "descriptors": ({"descriptors": 4}, {}),
    "disk": ({"disk": 2}, {}),
    "clock": ({"clock": 200}, {}),
    "interrupt": ({"interrupt": 5}, {}),
}


@pytest.fixture
def whole(tmp_path):
    """Tidegate with faults inside and both services serving; `.services` are those of /."""
    running = []
    with Services() as services:
        def start(**environment):
            faults = running[0].faults if running else Faults(tmp_path, LIBRARY, BINARY)
            one = Tidegate(tmp_path, config=CONFIG.format(service=services.h1.port), environment={**faults.environment, **environment})
            one.faults, one.services = faults, services
            running.append(one)
            one.start()
            one.wait_serving(1, "pages")
            one.wait_serving(1, "app")
            return one
        yield start
        for one in running:
            if one.process is not None:
                one.kill_everything()


def crashes(one):
    """Children that ended by a signal which no test has sent."""
    return [line for line in one.log().splitlines() if "child_died" in line and "signal=" in line and "signal=9" not in line]


def check_store(one):
    """The database is whole, and every decision is as it was written."""
    store = one.folder / "var" / "tidegate.db"
    with sqlite3.connect(store) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    verified = run_cli("audit", "verify", "--store", f"sqlite:{store}")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def check_serves(one, seed):
    one.wait_serving(1, "pages")
    one.wait_serving(1, "app")
    Visits(one.port, seed).run(0.5).verify(benign=True)
    assert one.get("/app").status == 200
    wait_until(lambda: sum(i["in_flight"] for i in one.instances()) == 0, 10, "nothing is in flight")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", EVERYWHERE)
def test_faults_in_every_process(whole, kind, seed):
    one = whole()
    kinds, bursts = EVERYWHERE[kind]
    one.faults.strike(seed, bursts, **kinds)
    visits = Visits(one.port, seed).run(2 * SECONDS)
    one.faults.heal()
    assert set(one.faults.struck()) >= set(kinds)
    assert one.process.poll() is None, one.log()
    assert crashes(one) == []
    visits.verify(benign=kind in ("clock", "disk", "interrupt"))
    check_serves(one, seed + 1000)
    assert one.stop() == 0
    check_store(one)


def kill_one(dice, pids):
    """None may be there: each was killed before and could not be forked yet."""
    pids = [pid for pid in pids if pid and alive(pid)]
    if pids:
        os.kill(dice.choice(pids), signal.SIGKILL)


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_and_instances_that_cannot_be_forked(whole, seed):
    one = whole()
    one.faults.strike(seed, {"fork": 2}, fork=2)
    dice = random.Random(seed)
    visits = Visits(one.port, seed).start()
    for _ in range(4):
        victims = one.status()["workers"] + [i["pid"] for i in one.instances("app")]
        kill_one(dice, victims)
        time.sleep(0.3)
    one.faults.heal()
    visits.stop()
    assert one.faults.struck().get("fork", 0) > 0
    assert one.process.poll() is None and crashes(one) == [], one.log()
    visits.verify()
    check_serves(one, seed + 1000)
    assert one.stop() == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random(whole, seed):
    """Whoever is killed, in whatever it does: answers that are whole are right, and what the API has told of
    the past is still true after it."""
    one, dice = whole(), random.Random(seed)
    known = {}
    visits = Visits(one.port, seed).start()
    for victim in dice.sample(["worker", "controller", "supervisor", "instance", "controller", "worker"], 6):
        time.sleep(dice.uniform(0.05, 0.6))
        try:
            status = one.status()
            known.update({each["id"]: each for each in one.decisions()})
        except OSError:
            continue
        instances = [i["pid"] for s in status["services"] for i in s["instances"]]
        pids = {"worker": status["workers"], "controller": [status["controller"]], "supervisor": [one.process.pid],
                "instance": instances}[victim]
        kill_one(dice, pids)
        if victim == "supervisor":
            one.process.wait()
            one.start()
    visits.stop()
    assert visits.wrong == [] and crashes(one) == []
    check_serves(one, seed + 1000)
    still = {each["id"]: each for each in one.decisions()}
    assert [each for each in known.values() if still.get(each["id"]) != each] == []
    assert max(one.services.posts.values(), default=1) == 1
    assert one.stop() == 0
    check_store(one)


def test_a_controller_that_ends_late_looks_at_nothing_that_is_freed(whole):
    """Its supervisor is gone, and each turn of its loop takes longer than its ticks (at most a second) are apart."""
    one = whole(FAULTS_PAUSE_US="1050000", MALLOC_PERTURB_="165")   # what is freed can be told, also without ASan
    controller = one.status()["controller"]
    one.faults.strike(1, pause=1)
    one.process.kill()
    one.process.wait()
    wait_until(lambda: not alive(controller), 30, "the controller ends")
    one.faults.heal()
    assert "AddressSanitizer" not in one.log(), one.log()
    assert not (one.folder / "var" / "tidegate.db-wal").exists(), "the store was closed"
