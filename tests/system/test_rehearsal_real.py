"""The rehearsal with the real Tidegate and the real shop, short."""
import csv
import io
import json
import sys

import pytest

from lib.rehearse import FIELDS, QUICK_S, SHOP, rehearse        # noqa: F401
from lib.tidegate import BINARY, run_cli

sys.path.insert(0, str(SHOP))

from rehearsal import report, timeline                          # noqa: E402

STARTUP_MS_CALM = 4000      # of an instance, on a machine that has time for it
# The trace's busiest second is 654 requests; where it falls on a second of the clock it is seen whole, else less.
# Eight instances' 640 carry it: what they have at their objective is less than they can.
BUSIEST_SECOND = 0.9


def wanted_at(folder, at):
    """How many instances were wanted at the unix time `at`, by the audit chain."""
    listed = run_cli("audit", "list", "--json", "--limit", "1000", "--store",
                     f"sqlite:{folder / 'state' / 'rehearsal' / 'var' / 'tidegate.db'}")
    assert listed.returncode == 0, listed.stderr
    decisions = [json.loads(line) for line in listed.stdout.splitlines()]
    return next(d["evidence"]["instances"] for d in decisions         # newest first
                if d["action"] == "want" and report.unix(d["time"]) <= at)


@pytest.mark.skipif(not BINARY.exists(), reason=f"no {BINARY}")
def test_quick_rehearsal(rehearse):
    """Announced campaign met warm; no failure but in the spike's first seconds; faults healed."""
    one = rehearse(binary=BINARY)
    assert one.wait(QUICK_S) == 0, one.log()
    result = json.loads(one.out.read_text())
    assert set(result) == FIELDS
    assert result["requests"] == result["served"] + result["refused"] + result["failed"]
    offered = list(csv.DictReader(io.StringIO(
        (one.folder / "state" / "rehearsal" / "offered.csv").read_text())))
    expected = sum(int(row["requests"]) for row in offered)
    assert result["requests"] == pytest.approx(expected, rel=0.1), "the whole trace was offered"
    details = json.loads((one.folder / "state" / "rehearsal" / "details.json").read_text())
    campaign = details["campaign"]
    begins = details["start"] + timeline.Timeline(timeline.DURATION_MIN).campaign[0]
    before = [second for second in details["seconds"] if second["time"] <= begins][-1]
    wanted_rps = wanted_at(one.folder, begins) * before["instance_capacity_rps"]
    assert wanted_rps >= BUSIEST_SECOND * campaign["offered_rps_max"], campaign
    if before["lead_ms"] <= STARTUP_MS_CALM:  # beside other work they are wanted, and not there yet
        assert campaign["capacity_rps_at_start"] >= BUSIEST_SECOND * campaign["offered_rps_max"], campaign
    assert campaign["failed"] == 0 and details["failed_outside_spike"] == 0, one.log()
    assert [fault["kind"] for fault in result["faults"]] == ["kill", "hang"]
    for fault in result["faults"]:
        assert fault["noticed_ms"] is not None and fault["healed_ms"] is not None, result["faults"]
    assert result["reactive"]["instance_hours"] > 0 and result["instance_hours"] > 0
    orders = [json.loads(line) for line in
              (one.folder / "state" / "rehearsal" / "orders.jsonl").read_text().splitlines()]
    tokens = [order["token"] for order in orders]
    assert tokens and len(tokens) == len(set(tokens)), "each order was written once"
