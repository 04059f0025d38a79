"""What the workers decided by themselves is a decision with its evidence: in the API, the log and the audit chain."""
import json
import os
import signal
import time

import pytest

from lib.load import Load
from lib.origin import Origin
from lib.shops import app_shop
from lib.tidegate import run_cli, wait_until

STATIC = """
listen:
  - {{ address: "127.0.0.1:{{port}}" }}
store: sqlite:var/tidegate.db
workers: 2
services:
  storefront:
    fleet: static
    endpoints: [{endpoints}]
routes:
  - {{ path: /, service: storefront }}
"""
FLEET = app_shop("instances: { min: 3, max: 4, spares: 1 }", "health: { path: /healthz, interval: 30s, timeout: 30s }",
                 "objective: { latency: 250ms, share: 99% }")
PATIENCE_S = 30


@pytest.fixture(name="origins")
def fixture_origins():
    origins = [Origin(delay_ms=10) for _ in range(3)]
    yield origins
    for one in origins:
        one.stop()


@pytest.fixture(name="one")
def fixture_one(tidegate, origins):
    addresses = ", ".join(f'"127.0.0.1:{one.port}"' for one in origins)
    one = tidegate(STATIC.format(endpoints=addresses).replace("{{", "{").replace("}}", "}"))
    one.wait_serving(3)
    return one


def told(one, action, subject=None):
    return [each for each in one.decisions() if each["kind"] == "balance" and each["action"] == action
            and subject in (None, each["subject"])]


def wait_told(one, action, subject=None):
    return wait_until(lambda: told(one, action, subject), PATIENCE_S, f"{action} {subject}\n{one.log()}")


def state_of(one, address):
    return next(each["state"] for each in one.instances() if each["address"] == address)


def test_a_hang_and_its_end_are_decisions_with_their_evidence(one, origins):
    address = f"127.0.0.1:{origins[1].port}"
    load = Load(one.port, 120, timeout=20).start()
    wait_until(lambda: len(load.results) > 100, PATIENCE_S, "the load runs")
    origins[1].signal(signal.SIGSTOP)
    ejected = wait_told(one, "eject", address)[0]
    wait_until(lambda: state_of(one, address) == "ejected", PATIENCE_S, "status says so")
    origins[1].signal(signal.SIGCONT)
    returned = wait_told(one, "return", address)[0]
    wait_until(lambda: state_of(one, address) == "serving", PATIENCE_S, "it serves again")
    load.stop()
    assert load.failures() == []
    evidence = ejected["evidence"] if isinstance(ejected["evidence"], dict) else json.loads(ejected["evidence"])
    assert evidence["cause"] == "hung" and evidence["silent_ms"] >= 200 and evidence["awaiting"] >= 2
    assert evidence["total"] == 3 and evidence["peers_answers"] > 0
    assert ejected["noticed_ms"] >= 200 and "hangs" in ejected["reason"]
    assert "trials in a row were good" in returned["reason"]
    assert "kind=balance" in one.log()
    # A static instance is nobody's to replace: the controller leaves it to the workers.
    assert [each for each in one.decisions() if each["kind"] == "heal" and each["action"] == "eject"] == []
    listed = run_cli("audit", "list", "--kind", "balance", cwd=one.folder)
    assert listed.returncode == 0 and address in listed.stdout, listed.stdout + listed.stderr


def test_a_panic_is_a_decision(one, origins):
    load = Load(one.port, 120, timeout=20).start()
    wait_until(lambda: len(load.results) > 60, PATIENCE_S, "the load runs")
    for each in origins:
        each.signal(signal.SIGUSR1)
    panic = wait_told(one, "panic", "storefront")[0]
    for each in origins:
        each.signal(signal.SIGUSR1)
    wait_told(one, "calm", "storefront")
    load.stop()
    assert panic["service"] == "storefront" and "of 3 endpoints are out" in panic["reason"]


def test_one_that_flaps_does_not_flood_the_audit(one, origins):
    address = f"127.0.0.1:{origins[1].port}"
    load = Load(one.port, 120, timeout=20).start()
    wait_until(lambda: len(load.results) > 60, PATIENCE_S, "the load runs")
    began = time.monotonic()
    for _ in range(6):
        origins[1].signal(signal.SIGSTOP)
        wait_until(lambda: state_of(one, address) == "ejected", PATIENCE_S, "it is out")
        origins[1].signal(signal.SIGCONT)
        wait_until(lambda: state_of(one, address) == "serving", PATIENCE_S, "it is back")
    load.stop()
    seconds = time.monotonic() - began
    count = len(told(one, "eject", address)) + len(told(one, "return", address))
    assert 2 <= count <= 4 + seconds / 10 + 1, (count, seconds)


def test_the_controller_replaces_what_hangs(tidegate):
    """Workers leave it alone and keep trying; that nothing comes of it is the controller's evidence. Its probes are
    too slow here to be that."""
    one = tidegate(FLEET)
    one.wait_serving(3)
    load = Load(one.port, 120, timeout=20).start()
    wait_until(lambda: len(load.results) > 100, PATIENCE_S, "the load runs")
    victim = next(each for each in one.instances() if each["state"] == "serving")
    os.kill(victim["pid"], signal.SIGSTOP)
    healed = wait_until(lambda: [each for each in one.decisions() if each["kind"] == "heal" and
                                 each["action"] == "eject" and each["subject"] == victim["id"]],
                        PATIENCE_S, "the controller replaces it")[0]
    wait_until(lambda: victim["id"] not in [each["id"] for each in one.instances() if each["state"] == "serving"],
               PATIENCE_S, "it is gone")
    one.wait_serving(3)
    load.stop()
    assert "hangs" in healed["reason"], healed
    assert load.failures() == []
