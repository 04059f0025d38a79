"""Capacity of one instance, learned and kept; and plans that scale what a service calls."""
import sqlite3

from lib.load import Load
from lib.shops import APP, HEAD, static_shop
from lib.tidegate import run_cli, wait_until

FRONT_AND_BACK = HEAD + """workers: 1
demand: { step: 1s, seasons: [1m, 10m] }
services:
  front:
    fleet: static
    endpoints: ["ENDPOINT"]
    calls: { back: 1.5 }
  back:
    fleet: process
    command: [node, "APP", --port, $PORT]
    instances: { min: 1, max: 8, capacity: 30/s }
  alone:
    fleet: process
    command: [node, "APP", --port, $PORT]
    instances: { min: 1, max: 8, capacity: 30/s }
routes:
  - { path: /, service: front }
""".replace("APP", str(APP))


def learned(one):
    capacity = one.service()["instance_capacity"]
    return capacity if capacity["source"] == "learned" and capacity["lambda_rps"] else None


def test_capacity_is_learned_with_bounds_and_kept_over_a_restart(tidegate, checked):
    text = static_shop(checked(), keys=["version: VERSION"])
    one = tidegate(text.replace("VERSION", "v1"))
    assert one.service()["instance_capacity"]["source"] == "default", "nobody loaded it yet"
    assert "capacity_not_read" not in one.log(), "a first start has no past, and that is no trouble"
    load = Load(one.port, 40).start()
    try:
        before = wait_until(lambda: learned(one), 60, "a capacity")
        assert one.service()["instance_capacity_rps"] >= 10
        assert before["low_rps"] <= before["likely_rps"] <= before["high_rps"]
    finally:
        load.stop()
    before = learned(one)
    assert one.stop() == 0
    with sqlite3.connect(one.folder / "var" / "tidegate.db") as store:
        assert store.execute("SELECT service, version FROM capacities").fetchall() == [("shop", "v1")]
    one.start()
    after = wait_until(lambda: learned(one), 30, "what was known")
    assert 0.5 * before["low_rps"] < after["low_rps"] < 2 * before["low_rps"]
    # Another version is not known, but for its predecessor.
    one.write_config(text.replace("VERSION", "v2"))
    assert run_cli("reload", cwd=one.folder).returncode == 0
    inherited = wait_until(lambda: one.service()["instance_capacity"]["source"] == "inherited" and
                           one.service()["instance_capacity"], 20, "another version")
    assert inherited["low_rps"] <= 1.01 * after["low_rps"]
    # What is in the store may be broken: it is learned anew, and said so.
    assert one.stop() == 0
    with sqlite3.connect(one.folder / "var" / "tidegate.db") as store:
        store.execute("UPDATE capacities SET evidence = x'00112233'")
    one.start()
    assert one.service()["instance_capacity"]["source"] in ("default", "inherited")
    assert "capacity_not_restored" in one.log()
    # Or out of reach: the same.
    assert one.stop() == 0
    with sqlite3.connect(one.folder / "var" / "tidegate.db") as store:
        store.execute("DROP TABLE capacities")
    one.start()
    assert "WARN controller capacity_not_read service=shop" in one.log()
    assert one.service()["instance_capacity"]["source"] in ("default", "inherited")


def test_a_campaign_announced_for_the_front_scales_the_back_before_the_crowd(tidegate, checked):
    one = tidegate(FRONT_AND_BACK.replace("ENDPOINT", checked().address), wait="up")
    one.wait_serving(1, "back")
    one.wait_serving(1, "alone")
    load = Load(one.port, 20).start()
    try:
        wait_until(lambda: (one.service("back")["called_rps"] or 0) > 20, 60, "calls")
        wait_until(lambda: (one.service("back")["forecast_rps"] or 0) > 20, 60, "a forecast of them")
        assert one.service("front")["called_rps"] is None
        usual = one.service("back")["instances_wanted"]
        assert usual <= 3
        one.announce(60, multiplier=6)
        # The crowd never comes: what scales is what was announced.
        wait_until(lambda: one.service("back")["instances_wanted"] >= usual + 3, 90, "instances for the crowd")
        assert one.service("alone")["instances_wanted"] == 1
        assert one.service("back")["demand_rps"] == 0, "Tidegate sees none of its requests"
    finally:
        load.stop()


def test_a_cycle_is_refused(tidegate, checked, tmp_path):
    text = FRONT_AND_BACK.replace("ENDPOINT", checked().address).replace("{port}", "0").replace("{admin}", "0")
    text = text.replace("instances: { min: 1, max: 8, capacity: 30/s }",
                        "instances: { min: 1, max: 8 }\n    calls: { front: 1 }", 1)
    (tmp_path / "cycle.yaml").write_text(text)
    done = run_cli("check", "cycle.yaml", cwd=tmp_path)
    assert done.returncode == 1 and "front -> back -> front" in done.stdout + done.stderr
