"""The rehearsal (examples/shop/rehearse.py): its arithmetic and its manners. The real thing, short, is in
test_rehearsal_real.py."""
import datetime
import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"
sys.path.insert(0, str(SHOP))

from lib.rehearse import FIELDS, PRETEND, QUICK_S, rehearse      # noqa: E402, F401
from lib.tidegate import BINARY, run_cli, wait_until             # noqa: E402
from rehearsal import report, timeline                           # noqa: E402


def shipped(name):
    return timeline.read_trace((SHOP / "traffic" / name).read_text(), name)


# ---- the trace ----

def test_shipped_trace_is_the_real_day():
    day, past = shipped("amazon_mentions.csv"), shipped("history.csv")
    assert len(day) == 180 and len(past) == 7 * 180
    assert day[0] == ("2015-03-11T11:17:53Z", 27)
    assert day[timeline.SPIKE_STEP] == ("2015-03-11T20:57:53Z", 1673)
    assert past[0][0] == "2015-03-04T11:17:53Z" and past[-1][0] == "2015-03-11T02:12:53Z"
    assert "MIT" in (SHOP / "traffic" / "LICENSE.NAB").read_text()


@pytest.mark.parametrize("text, said", [
    ("", "x.csv:1:1: expected the header"), ("time,requests\n", "x.csv:1:1: expected the header"),
    ("timestamp,requests\n2015-03-11T11:17:53Z,1\n2015-03-11T11:22:53Z,-1\n", "x.csv:3:1: expected"),
    ("timestamp,requests\n2015-03-11 11:17:53,1\n", "x.csv:2:1: expected a time such as"),
    ("timestamp,requests\n2015-03-11T11:17:53Z,1,2\n", "x.csv:2:1: expected")])
def test_bad_trace_says_where(text, said):
    with pytest.raises(timeline.BadInput, match=re.escape(said)):
        timeline.read_trace(text, "x.csv")


# ---- the timeline ----

@pytest.mark.parametrize("duration", [40, 60, 90, 180])
def test_events_keep_their_order_and_room(duration):
    times = timeline.Timeline(duration)
    start, end = times.campaign
    assert 0 < times.kill < start - 3 and start + 5 < end
    assert end + 5 < times.spike < times.hang < duration - 4
    day = times.cut(shipped("amazon_mentions.csv"))
    assert len(day) == duration and day[times.spike][1] == 1673


@pytest.mark.parametrize("duration", [39, 181, 0])
def test_other_durations_are_refused(duration):
    with pytest.raises(timeline.BadInput, match="--duration: expected 40 to 180"):
        timeline.Timeline(duration)


def test_campaign_multiplies_its_span_only():
    times = timeline.Timeline(180)
    rows = [(str(i), 10) for i in range(180)]
    start, end = times.campaign
    counts = [count for _, count in times.with_campaign(rows)]
    assert counts == [10] * start + [40] * (end - start) + [10] * (180 - end)


def test_history_is_the_same_hours_of_each_day():
    times = timeline.Timeline(60)
    past = times.cut_history(shipped("history.csv"))
    assert len(past) == 7 * 60
    hours = [time[11:] for time, _ in past]
    assert hours[:60] == hours[60:120] == [time[11:] for time, _ in times.cut(
        shipped("amazon_mentions.csv"))]


def test_seconds_csv_counts_from_its_start():
    assert timeline.seconds_csv([2, 3], 1795520000, 1.5).splitlines() == [
        "timestamp,requests", "2026-11-24T11:33:20Z,3", "2026-11-24T11:33:21Z,4"]


def test_calendar_is_the_campaign_in_rehearsal_time():
    text = timeline.calendar_ics(timeline.Timeline(180), 1795520000)
    assert "\r\nDTSTART:20261124T113405Z\r\nDTEND:20261124T113435Z\r\n" in text
    assert "\r\nX-TIDEGATE-MULTIPLIER:4\r\n" in text
    assert text.count("\n") == text.count("\r\n") == 13


PLACES = timeline.Places(1111, 2222, "/s/server.js", "/o/orders.jsonl", "/c/customers.csv", 40)


def test_config_is_shop_yaml_elsewhere():
    text = timeline.derive_config((SHOP / "shop.yaml").read_text(), PLACES)
    for part in ('address: "127.0.0.1:1111"', 'admin: { address: "127.0.0.1:2222" }',
                 '[node, "/s/server.js", --port, "$PORT", --orders, "/o/orders.jsonl"]',
                 "history: history.csv, step: 1s, seasons: [40s], margin:",
                 'lifetime: "/c/customers.csv"', "min: 2, max: 10, spares: 1"):
        assert part in text, part
    assert ":8080" not in text and ":9900" not in text


def test_config_of_another_shape_is_refused():
    text = (SHOP / "shop.yaml").read_text().replace("lifetime: customers.csv", "lifetime: other.csv")
    with pytest.raises(timeline.BadInput, match="shop.yaml: expected one place like"):
        timeline.derive_config(text, PLACES)


def test_price_is_that_of_shop_yaml():
    assert timeline.unit_price((SHOP / "shop.yaml").read_text()) == (0.10, "EUR")
    with pytest.raises(timeline.BadInput, match="unit.price"):
        timeline.unit_price("unit: { cpu: 1 }")


# ---- the report ----

def second(time, serving=2, warm=0, offered=100.0, capacity=200.0, refused=0.0, failed=0.0):
    return report.Second(time, offered, 0.0, capacity, refused, failed, 50.0,
                         {"serving": serving, "warm": warm}, 100.0, 2500.0)


def decision(number, at, subject, action="eject", noticed_ms=None, healed_ms=None):
    moment = datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat()
    return {"id": number, "time": moment.replace("+00:00", "Z"), "kind": "heal", "subject": subject,
            "action": action, "noticed_ms": noticed_ms, "healed_ms": healed_ms}


def test_second_takes_what_is_known():
    read = report.Second.of(5.0, {
        "demand_rps": 12.5, "forecast_rps": None, "capacity_rps": 200, "refused_rps": 1,
        "latency_ms": {"p95": None}, "instances": [{"state": "serving"}, {"state": "serving"},
                                                   {"state": "warm"}, {"state": "stopped"}]})
    assert (read.offered_rps, read.forecast_rps, read.p95_ms, read.failed_rps) == (12.5, 0, 0, 0)
    assert read.states == {"serving": 2, "warm": 1, "stopped": 1} and read.paid == 3


def test_instance_hours_are_paid_instances_over_time():
    assert report.instance_hours([second(0), second(3600, warm=1)]) == 2.5
    assert report.instance_hours([second(0)]) == 0


def test_status_line():
    line = report.status_line(65, second(0, serving=4, warm=1, failed=2), 12, 3, ["killed instance a"])
    assert line.split() == ["1:05", "100/s", "0/s", "200/s", "4+1+0", "50", "ms", "12", "3", "killed",
                            "instance", "a"]


def test_fault_counts_from_our_signal():
    fault = {"kind": "hang", "at": 1000.0, "instance": "storefront-2"}
    decisions = [   # as the API has them: newest first
        decision(5, 1001.55, "storefront-4", "promote", 1500.0, 1530.0),
        decision(4, 1001.5, "storefront-2", noticed_ms=1500.0),
        decision(3, 999.0, "storefront-2", noticed_ms=1.0, healed_ms=2.0)]
    seconds = [second(1000.5, failed=1), second(1009, failed=2), second(1011, failed=4)]
    assert report.fault_entry(fault, decisions, seconds) == {
        "kind": "hang", "at": "1970-01-01T00:16:40.000Z", "noticed_ms": 1500.0, "healed_ms": 1530.0,
        "failed": 3}


def test_fault_that_nobody_noticed_or_healed():
    fault = {"kind": "kill", "at": 1000.0, "instance": "storefront-2"}
    nothing = report.fault_entry(fault, [decision(3, 1001.0, "storefront-1", healed_ms=3.0)], [])
    assert (nothing["noticed_ms"], nothing["healed_ms"]) == (None, None)
    assert "nobody noticed" in report.fault_line(nothing)
    noticed = report.fault_entry(fault, [decision(3, 1001.0, "storefront-2")], [])
    assert (noticed["noticed_ms"], noticed["healed_ms"]) == (1000.0, None)
    assert "not healed" in report.fault_line(noticed)


def test_failures_of_the_spike_are_set_aside():
    seconds = [second(100, failed=1), second(101, failed=10), second(105, failed=100),
               second(106, failed=1000)]
    assert report.failed_outside_spike(seconds, 100) == 1001


def test_campaign_is_met_by_what_was_warm_as_it_began():
    seconds = [second(9, capacity=200), second(10, capacity=500, serving=5),
               second(11, offered=300, capacity=600), second(12, offered=400, capacity=100)]
    met = report.campaign_entry(seconds, 10, 12)
    assert met["capacity_rps_at_start"] == 500 and met["offered_rps_max"] == 400
    assert "already warm" in report.campaign_line(met)
    late = report.campaign_entry(seconds, 9, 12)
    assert "too few instances" in report.campaign_line(late)
    assert report.campaign_entry(seconds, 20, 30) is None


REPLAYED = {"requests": 1000, "served": 990, "refused": 8, "failed": 2,
            "latency_ms": {"cart": {"p50": 30.06, "p95": 60, "p99": None}}}
POLICY = {"instance_hours": 0.25, "cost": 0.025, "unserved_requests": 99.6, "max_instances": 7}


def test_rehearsal_json_has_the_fields_of_the_contract():
    seconds = [second(0), second(1800, warm=2)]
    result = report.rehearsal_json(REPLAYED, seconds, 0.10, {"reactive": POLICY}, [])
    assert set(result) == FIELDS
    assert set(result["reactive"]) == FIELDS - {"reactive", "faults"}
    assert (result["instance_hours"], result["cost"], result["max_instances"]) == (1.5, 0.15, 4)
    assert (result["reactive"]["refused"], result["reactive"]["served"]) == (100, 900)
    assert result["latency_ms"]["cart"] == {"p50": 30.1, "p95": 60, "p99": None}
    text = "\n".join(report.words(result, None, POLICY, "EUR"))
    for part in ("990 (99.00 %)", "900 (90.00 %)", "0.1500 EUR", "0.0250 EUR", "cart"):
        assert part in text, part


# ---- manners: with a program that only pretends to be Tidegate ----

def test_a_whole_rehearsal(rehearse):
    one = rehearse("--lead", "5")
    assert one.wait(QUICK_S) == 0, one.log()
    result = json.loads(one.out.read_text())
    assert set(result) == FIELDS
    assert [fault["kind"] for fault in result["faults"]] == ["kill", "hang"]
    for fault in result["faults"]:
        assert 0 <= fault["noticed_ms"] < 1000
        assert fault["healed_ms"] - fault["noticed_ms"] == pytest.approx(30, abs=0.2)
    log = one.log()
    assert re.search(r"^Dashboard  http://127\.0\.0\.1:\d+/$", log, re.M)
    lines = re.findall(r"^ +\d:\d\d .*$", log, re.M)
    assert 38 <= len(lines) <= 50, "one status line a second"
    for event in ("killed instance storefront-", "hung instance storefront-", "campaign 'Evening sale'",
                  "a spike that nobody announced"):
        assert event in log, event
    assert "\033" not in log, "no colour without a terminal"


@pytest.mark.parametrize("mode, said", [
    ("die-early", "tidegate ended with status 0:\ntidegate: the end"),
    ("never-opens", "the shop did not open within 15 s"),
    ("replay-fails", "tidegate replay ended with status 3:\nreplay: no")])
def test_what_breaks_is_said_with_status_3(rehearse, mode, said):
    one = rehearse("--lead", "5", mode=mode)
    assert one.wait(QUICK_S) == 3
    assert f"rehearse.py: it broke: {said}" in one.log()
    assert not one.out.exists()


def test_a_machine_that_is_slow_gets_more_time_once(rehearse):
    one = rehearse("--lead", "5", mode="opens-late")
    one.until("begun anew")
    one.until(" 0:01 ")
    assert len(one.leftovers()) == 6, "rehearse.py, run, replay and three instances: nothing of the first try"


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_everything_stops_with_it(rehearse, number, status):
    one = rehearse("--lead", "5", mode="leaves-orphans")
    one.until("0:01")
    assert len(one.leftovers()) == 6, "rehearse.py, run, replay and three instances"
    one.process.send_signal(number)
    assert one.wait(60) == status
    wait_until(lambda: not one.leftovers(), 30, "all have ended")


def test_two_at_once_are_one_too_many(rehearse, tmp_path):
    rehearse("--lead", "5")
    wait_until((tmp_path / "state" / "rehearsal" / "shop.yaml").exists, 60, "the first has begun")
    second_one = subprocess.run(
        [sys.executable, str(SHOP / "rehearse.py"), "--binary", str(PRETEND), "--quick", "--state",
         str(tmp_path / "state")], capture_output=True, text=True, timeout=30, check=False)
    assert second_one.returncode == 3 and "another rehearsal runs in" in second_one.stderr


@pytest.mark.parametrize("options, said", [
    (["--duration", "10"], "--duration: expected 40 to 180"), (["--scale", "0"], "--scale: expected"),
    (["--lead", "1"], "--lead: expected"), (["--binary", "/nowhere"], "--binary: expected a program"),
    (["--frob"], "unrecognized arguments")])
def test_bad_options(options, said, tmp_path):
    bad = subprocess.run([sys.executable, str(SHOP / "rehearse.py"), "--binary", str(PRETEND), "--state",
                          str(tmp_path), *options], capture_output=True, text=True, timeout=30, check=False)
    assert bad.returncode == 2 and said in bad.stderr


# ---- the real thing ----

needs_binary = pytest.mark.skipif(not BINARY.exists(), reason=f"no {BINARY}")


@needs_binary
def test_shop_yaml_is_accepted(tmp_path):
    checked = run_cli("check", str(SHOP / "shop.yaml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    derived = timeline.derive_config((SHOP / "shop.yaml").read_text(), PLACES).replace(
        "/c/customers.csv", str(SHOP / "customers.csv"))
    times = timeline.Timeline(40)
    for name, text in (("shop.yaml", derived), ("campaigns.ics", timeline.calendar_ics(times, time.time())),
                       ("history.csv", timeline.seconds_csv([1, 2, 3], int(time.time()) - 9, 1))):
        (tmp_path / name).write_text(text, newline="")
    checked = run_cli("check", str(tmp_path / "shop.yaml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
