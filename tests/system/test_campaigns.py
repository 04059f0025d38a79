"""Campaigns on the real binary: announced by command line, API and calendar, twice, moved, cancelled, late; and after a restart."""
import datetime
import http.client
import json
import socket
import time

import pytest

from lib.load import Load
from lib.shops import static_shop
from lib.tidegate import run_cli, wait_until


def at(minutes):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def ical(*events):
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//test"]
    for event in events:
        lines += ["BEGIN:VEVENT", *[f"{key}:{value}" for key, value in event.items()], "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


def compact(text):
    return text.replace("-", "").replace(":", "")


def event(minutes, uid="sale-1", sequence=0, length=60, **more):
    return {"UID": uid, "SEQUENCE": sequence, "DTSTART": compact(at(minutes)), "DTEND": compact(at(minutes + length)),
            "SUMMARY": "Spring sale", "CATEGORIES": "mail", "X-TIDEGATE-MULTIPLIER": "3", **more}


@pytest.fixture(name="shop")
def fixture_shop(tidegate, checked, tmp_path):
    def start(calendar=None, demand=None):
        if calendar is not None:
            (tmp_path / "campaigns.ics").write_text(calendar)
            demand = "campaigns: campaigns.ics"
        one = tidegate(static_shop(checked(), more=f"demand: {{ {demand} }}" if demand else ""))
        one.wait_serving(1)
        return one

    return start


def campaign(one, *arguments, status=0):
    done = run_cli("campaign", *arguments, cwd=one.folder)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def announced(one):
    return json.loads(campaign(one, "list", "--json").stdout)["campaigns"]


def told(one, action):
    return [d for d in one.decisions() if d["kind"] == "campaign" and d["action"] == action]


def ask(one, method, path):
    """Over the control socket."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(one.folder / "var" / "tidegate.sock"))
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_what_is_announced_is_listed_with_what_is_expected_of_it(shop):
    one = shop()
    campaign(one, "add", "Newsletter 12", "--start", "+30m", "--for", "2h", "--kind", "mail", "--multiplier", "5",
             "--channel", "email", "--audience", "all")
    (listed,) = announced(one)
    assert (listed["name"], listed["kind"], listed["channel"], listed["audience"]) == ("Newsletter 12", "mail", "email", "all")
    assert listed["multiplier"] == 5 and listed["expected"]["phase"] == "waiting"
    assert listed["expected"]["peak_low"] < listed["expected"]["peak"] < listed["expected"]["peak_high"]
    assert listed["expected"]["peak"] == pytest.approx(5, abs=0.01)
    assert "Newsletter 12" in campaign(one, "list").stdout
    assert told(one, "add")[0]["evidence"]["multiplier"] == 5


def test_the_same_announced_twice_is_one(shop):
    one = shop(ical(event(10)))
    (first,) = announced(one)
    campaign(one, "add", "spring SALE", "--start", at(20), "--end", at(80), "--kind", "mail", "--multiplier", "4")
    (second,) = announced(one)
    assert second["id"] == first["id"] == "sale-1" and second["multiplier"] == 4 and second["start"] == at(20)[:16] + second["start"][16:]
    campaign(one, "add", "Spring sale", "--start", at(500), "--end", at(560), "--kind", "mail")
    assert len(announced(one)) == 2, "another time is another campaign"


def test_moved_and_removed_by_id_also_what_a_file_announces(shop):
    one = shop(ical(event(10), event(500, uid="sale-2")))
    start = at(300)
    campaign(one, "add", "--id", "sale-1", "--start", start, "--for", "1h")
    moved = next(c for c in announced(one) if c["id"] == "sale-1")
    assert moved["start"] == start and moved["name"] == "Spring sale" and moved["multiplier"] == 3
    campaign(one, "remove", "Spring sale", status=1)  # two are called that
    campaign(one, "remove", "sale-1")
    assert [c["id"] for c in announced(one)] == ["sale-2"]
    campaign(one, "remove", "nothing like it", status=1)
    assert [d["action"] for d in reversed(one.decisions()) if d["kind"] == "campaign"] == ["change", "remove"]
    campaign(one, "add", "Flash push", "--start", at(500), "--for", "1h")
    campaign(one, "remove", "Flash push")
    assert "Flash push" in [d["subject"] for d in one.decisions() if d["kind"] == "admin"], "as somebody wrote it"


def test_a_restart_forgets_nothing(shop):
    one = shop(ical(event(10)))
    campaign(one, "add", "Push", "--start", "+40m", "--for", "30m", "--kind", "push")
    campaign(one, "remove", "sale-1")
    before = announced(one)
    assert [c["name"] for c in before] == ["Push"]
    one.kill_controller()
    assert announced(one) == before


def test_a_calendar_that_changes_is_read_again_and_a_broken_one_is_not(shop):
    one = shop(ical(event(10)))
    file = one.folder / "campaigns.ics"
    assert len(announced(one)) == 1
    file.write_text(ical(event(10), event(200, uid="sale-2")))
    wait_until(lambda: len(announced(one)) == 2, 30, "the second one")
    file.write_text("BEGIN:VCALENDAR\nnonsense")
    wait_until(lambda: any("refused" in d["reason"] for d in told(one, "read")), 30, "a refusal")
    assert len(announced(one)) == 2
    file.write_text(ical(event(400, sequence=1), event(200, uid="sale-2", STATUS="CANCELLED")))
    wait_until(lambda: [c["id"] for c in announced(one)] == ["sale-1"], 30, "one moved, one cancelled")


def test_an_import_can_be_repeated_moves_and_cancels(shop):
    one = shop()
    file = one.folder / "import.ics"
    file.write_text(ical(event(10), event(200, uid="sale-2"), event(600, uid="gone", STATUS="CANCELLED")))
    for _ in range(2):
        assert campaign(one, "import", str(file)).stdout == "2 announced, 0 cancelled\n"
        assert [c["id"] for c in announced(one)] == ["sale-1", "sale-2"]
    file.write_text(ical(event(300, sequence=2), event(200, uid="sale-2", STATUS="CANCELLED")))
    assert campaign(one, "import", str(file)).stdout == "1 announced, 1 cancelled\n"
    (moved,) = announced(one)
    assert moved["id"] == "sale-1" and moved["start"] > at(250)
    file.write_text(ical(event(10, sequence=1)))  # an old version of it: what is newer holds
    campaign(one, "import", str(file))
    assert announced(one)[0]["start"] == moved["start"]
    table = one.folder / "import.csv"
    table.write_text(f"start,end,name,kind,multiplier,channel\n{at(700)},{at(760)},Push,push,2,app\n")
    campaign(one, "import", str(table))
    assert announced(one)[-1]["channel"] == "app"
    file.write_text("BEGIN:VCALENDAR\nnonsense")
    assert "import.ics:2" in campaign(one, "import", str(file), status=2).stderr


def test_the_api_says_what_is_wrong(shop):
    one = shop()
    wrong = ["", "name=x", f"name=x&start={at(10)}", f"name=x&start={at(10)}&end={at(5)}", "name=x&start=soon&end=later",
             f"name=x&start={at(1)}&for=-1s", f"name=x&start={at(1)}&for=1h&multiplier=0", f"name={'x' * 200}&start={at(1)}&for=1h"]
    for query in wrong:
        status, problem = ask(one, "POST", f"/api/v1/campaigns?{query}")
        assert status == 400 and problem["detail"], query
    status, made = ask(one, "POST", f"/api/v1/campaigns?name=x&start={at(10)}&for=1h")
    assert status == 200 and made["id"]
    assert ask(one, "DELETE", f"/api/v1/campaigns/{made['id']}") == (200, {"removed": made["id"]})
    assert ask(one, "DELETE", f"/api/v1/campaigns/{made['id']}")[0] == 404


def test_a_late_send_is_noticed_when_demand_rises(shop):
    one = shop(demand="step: 1s, seasons: [1m, 10m]")
    loads = [Load(one.port, 20).start()]
    try:
        wait_until(lambda: (one.status()["services"][0]["forecast_rps"] or 0) > 10, 60, "a forecast")
        campaign(one, "add", "Push", "--start", at(-1), "--for", "30m", "--kind", "push", "--multiplier", "5")
        usual = one.status()["services"][0]["forecast_rps"]
        for _ in range(3):
            time.sleep(1)
            assert announced(one)[0]["expected"]["phase"] == "waiting", "nothing has risen"
        loads.append(Load(one.port, 60).start())
        wait_until(lambda: announced(one)[0]["expected"]["phase"] == "running", 60, "the onset")
        assert usual > 10
    finally:
        for load in loads:
            load.stop()
