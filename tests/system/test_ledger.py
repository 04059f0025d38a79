"""The counterfactual ledger of the real binary: what a trace cost and dropped, and would have with
others at the helm; kept over a restart, a killed controller and a killed Tidegate."""
import os
import signal
import sqlite3

import pytest

from lib.shops import APP, app_shop
from lib.tidegate import run_cli, wait_until

CONFIG = app_shop("instances: { min: 1, max: 3, spares: 1, capacity: 20/s }", "health: { path: /healthz, interval: 1s }",
                  "objective: { latency: 250ms, share: 99% }", "unit: { price: 0.36 EUR }",
                  more="demand: { margin: 0.002 EUR, step: 1s, seasons: [10s] }")
POLICIES = ["tidegate", "reactive", "hpa", "static_peak", "oracle"]


def ledger(one, query="service=storefront"):
    return one.api(f"/api/v1/ledger?{query}")


def judged(one, seconds, patience=60):
    """The ledger when so many seconds are in it; the store has them a few seconds later."""
    return wait_until(lambda: (found := ledger(one))["seconds"] >= seconds and found, patience,
                      f"{seconds} s are judged: {ledger(one)}")


def visit(one, folder, seconds):
    """A second of the replay is a minute of the trace."""
    path = folder / "trace.csv"
    path.write_text("time,requests\n" + "".join(f"{60 * i},{25 if i % 10 < 8 else 5}\n" for i in range(seconds)))
    done = run_cli("replay", path, "--to", f"http://127.0.0.1:{one.port}", "--speed", 60, "--json")
    assert done.returncode == 0, done.stderr


def account(found, policy):
    return next(each for each in found["policies"] if each["policy"] == policy)


def test_a_trace_is_judged_and_outlives_restarts(tidegate, tmp_path):
    one = tidegate(CONFIG)
    one.wait_serving(1)
    visit(one, tmp_path, 20)
    found = judged(one, 20)
    assert [each["policy"] for each in found["policies"]] == POLICIES
    assert found["currency"] == "EUR" and found["prediction"]["verdict"] == "too_early"
    assert 100 < found["requests"] < 600
    for each in found["policies"]:
        assert each["cost"] == pytest.approx(each["instance_hours"] * 0.36), each
        assert each["instance_hours"] > 0 and each["instances_max"] >= 1
    oracle, peak = account(found, "oracle"), account(found, "static_peak")
    assert oracle["instance_hours"] <= peak["instance_hours"] + 1e-6
    assert peak["instance_hours"] * 3600 == pytest.approx(peak["instances_max"] * found["seconds"], rel=0.5)
    # One serves and one is spare, at least.
    assert account(found, "tidegate")["instance_hours"] * 3600 >= 1.5 * found["seconds"]
    assert sum(hour["seconds"] for hour in found["hours"]) == pytest.approx(found["seconds"])
    assert ledger(one, "")["seconds"] == pytest.approx(ledger(one)["seconds"], abs=30)

    assert one.stop() == 0
    with sqlite3.connect(tmp_path / "var" / "tidegate.db") as database:
        kept = dict(database.execute("SELECT policy, sum(instance_hours) FROM ledger GROUP BY policy").fetchall())
        before = database.execute("SELECT sum(seconds), sum(requests) FROM ledger WHERE policy = 'hpa'").fetchone()
    assert set(kept) == set(POLICIES) and before[0] >= found["seconds"], "what was seen was written at the end"

    one.start()
    one.wait_serving(1)
    again = judged(one, before[0] + 5)
    assert again["requests"] >= before[1] - 0.01
    for policy, hours in kept.items():
        assert account(again, policy)["instance_hours"] >= hours - 1e-6, policy

    os.kill(one.status()["controller"], signal.SIGKILL)
    wait_until(lambda: one.wait_api(), 20, "another controller")
    assert judged(one, again["seconds"] + 5)["requests"] >= again["requests"] - 0.01


def test_the_forecast_is_proved_beside_it(tidegate, tmp_path):
    one = tidegate(CONFIG)
    one.wait_serving(1)
    visit(one, tmp_path, 30)

    def proved():
        accuracy = one.api("/api/v1/forecast?service=storefront")["accuracy"]
        return accuracy if accuracy["steps"] >= 10 and accuracy["mase"] is not None else None
    accuracy = wait_until(proved, 60, "ten steps have come that were forecast")
    assert accuracy["since"] is not None and accuracy["ahead_ms"] >= 1000
    assert accuracy["mase"] >= 0 and accuracy["wape"] >= 0
    assert 0 <= accuracy["coverage_q0.1_q0.9"] <= 1 and 0 <= accuracy["coverage_q0.95"] <= 1


def test_a_fleet_that_is_not_ours_has_no_ledger(tidegate, backend):
    served = backend()
    one = tidegate(CONFIG.replace("fleet: process", f'fleet: static\n    endpoints: ["{served.address}"]')
                   .replace(f'    command: [node, {APP}, --port, "$PORT"]\n', "")
                   .replace("    health: { path: /healthz, interval: 1s }\n", ""))
    one.wait_serving(1)
    wait_until(lambda: one.api("/api/v1/demand")["times_ms"][3:], 20, "some seconds are over")
    assert ledger(one)["seconds"] == 0 and ledger(one)["policies"] == []
