"""tidegate forecast on the real binary: the contract of DESIGN §4, and what it says of bad input."""
import csv
import io
import json
import math

import pytest

from lib.tidegate import ROOT, run_cli

BIKES = ROOT / "tests/data/bike_share_8weeks.csv"
ORIGIN = "2011-02-21T00:00:00"


def forecast(*arguments):
    result = run_cli("forecast", *arguments)
    assert result.returncode == 0, result.stderr
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_rows_from_the_origin_on_with_the_asked_quantiles():
    rows = forecast(BIKES, "--column", "rentals", "--horizon", "24h", "--origin", ORIGIN,
                    "--quantiles", "0.05,0.5,0.95")
    assert list(rows[0]) == ["time", "mean", "q0.05", "q0.5", "q0.95"]
    assert [r["time"] for r in rows] == [f"2011-02-21T{h:02d}:00:00" for h in range(24)]
    for row in rows:
        low, middle, high = (float(row[q]) for q in ("q0.05", "q0.5", "q0.95"))
        assert 0 <= low <= middle <= high and math.isfinite(float(row["mean"]))


def test_what_lies_after_the_origin_is_not_used(tmp_path):
    lines = BIKES.read_text().splitlines()
    cut = next(i for i, line in enumerate(lines) if line.startswith(ORIGIN))
    changed = tmp_path / "changed.csv"
    changed.write_text("\n".join(lines[:cut] + [",".join([f[0], "99999"] + f[2:]) for f in
                                               (line.split(",") for line in lines[cut:])]) + "\n")
    arguments = ["--column", "rentals", "--horizon", "24h", "--origin", ORIGIN]
    assert forecast(BIKES, *arguments) == forecast(changed, *arguments)


def test_without_origin_it_begins_after_the_last_recorded_value(tmp_path):
    file = tmp_path / "f.csv"
    file.write_text("timestamp,n\n" + "".join(
        f"2026-01-{1 + h // 24:02d}T{h % 24:02d}:00:00Z,{h % 24 if h < 90 else ''}\n"
        for h in range(96)))
    rows = forecast(file, "--horizon", "2h")
    assert [r["time"] for r in rows] == ["2026-01-04T18:00:00Z", "2026-01-04T19:00:00Z"]
    assert abs(float(rows[0]["q0.5"]) - 18) < 2


def test_dates_are_written_as_dates(tmp_path):
    file = tmp_path / "f.csv"
    file.write_text("date,n\n" + "".join(f"2026-01-{d:02d},{d}\n" for d in range(1, 29)))
    rows = forecast(file, "--horizon", "14d")
    assert rows[0]["time"] == "2026-01-29" and len(rows) == 14


def test_gzip_and_a_coarser_step(tmp_path):
    import gzip
    file = tmp_path / "bikes.csv.gz"
    file.write_bytes(gzip.compress(BIKES.read_bytes()))
    rows = forecast(file, "--column", "rentals", "--horizon", "24h", "--step", "3h")
    assert len(rows) == 8


def test_a_campaign_multiplies(tmp_path):
    events = tmp_path / "events.csv"
    events.write_text("start,end,name,kind,multiplier\n"
                      "2011-02-21T10:00:00,2011-02-21T12:00:00,Spring sale,mail,4\n")
    arguments = [BIKES, "--column", "rentals", "--horizon", "24h", "--origin", ORIGIN]
    without, told = forecast(*arguments), forecast(*arguments, "--events", events)
    for hour, (a, b) in enumerate(zip(without, told)):
        factor = 4 if 10 <= hour < 12 else 1
        # Counts are forecast in whole numbers: half of one is lost on either side.
        assert float(b["q0.5"]) == pytest.approx(float(a["q0.5"]) * factor, rel=1e-3, abs=(factor + 1) / 2)


def test_evaluate_puts_seasonal_naive_beside_it():
    result = run_cli("forecast", BIKES, "--column", "rentals", "--horizon", "24h", "--evaluate",
                     "--json")
    assert result.returncode == 0, result.stderr
    scores = json.loads(result.stdout)
    assert scores["origins"] == 40
    assert scores["forecast"]["mase"] < scores["seasonal_naive"]["mase"]
    assert 0.8 < scores["forecast"]["coverage"]["q0.9"] < 0.98
    text = run_cli("forecast", BIKES, "--column", "rentals", "--horizon", "24h", "--evaluate")
    assert all(word in text.stdout for word in ("MASE", "WAPE", "pinball", "covers", "naive"))


def test_json_and_plot(tmp_path):
    plot = tmp_path / "f.svg"
    result = run_cli("forecast", BIKES, "--column", "rentals", "--horizon", "6h", "--json",
                     "--plot", plot)
    answer = json.loads(result.stdout)
    assert answer["column"] == "rentals" and answer["step_s"] == 3600
    assert set(answer["rows"][0]) == {"time", "mean", "q0.1", "q0.5", "q0.9"}
    assert plot.read_text().startswith("<svg") and "</svg>" in plot.read_text()


@pytest.mark.parametrize("text, message", [
    ("", ":1:1: expected a header line"),
    ("a,b\n1,2\n", ":1:1: expected a column named time, timestamp or date, found 'a'"),
    ("time,n\n2026-01-01,1\n", ":3:1: expected at least two rows"),
    ("time,n\n2026-01-01,1\n2026-01-02,many\n", ":3:12: expected a number in column 'n', found 'many'"),
    ("time,n\n2026-01-01,1\nsoon,2\n", ":3:1: expected a time"),
    ("time,n\n2026-01-02,1\n2026-01-01,2\n", ":3:1: expected a time after the one of the row above"),
    ("time,n\n2026-01-01,\"1\n", ":2:12: expected a closing quote"),
])
def test_a_bad_file_names_line_and_column(tmp_path, text, message):
    file = tmp_path / "bad.csv"
    file.write_text(text)
    result = run_cli("forecast", file, "--horizon", "24h", "--column", "n")
    assert result.returncode == 2
    assert f"{file}{message}" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("arguments, message", [
    ([], "expected one FILE"),
    ([BIKES], "expected --horizon"),
    ([BIKES, "--horizon", "soon"], "--horizon: expected a duration"),
    ([BIKES, "--horizon", "24h", "--quantiles", "0.9,0.1"], "--quantiles: expected"),
    ([BIKES, "--horizon", "24h", "--quantiles", "1.5"], "--quantiles: expected"),
    ([BIKES, "--horizon", "24h", "--origin", "never"], "--origin: expected a time"),
    ([BIKES, "--horizon", "24h", "--origin", "1999-01-01"], "--origin: expected a time after"),
    ([BIKES, "--horizon", "24h", "--column", "cars"], "expected a numeric column named 'cars'"),
    ([BIKES, "--horizon", "24h", "--step", "90m"], "expected a multiple of the 3600 s"),
    ([BIKES, "--horizon", "24h", "--holidays", "XX"], "'XX': expected AT, AU, BE"),
    ([BIKES, "--horizon", "24h", "--events", "/nowhere.ics"], "/nowhere.ics: open"),
    (["/nowhere.csv", "--horizon", "24h"], "/nowhere.csv: open"),
    ([BIKES, "--horizon", "24h", "--frobnicate"], "--frobnicate"),
])
def test_bad_usage_exits_2_and_says_why(arguments, message):
    result = run_cli("forecast", *arguments)
    assert result.returncode == 2
    assert message in result.stderr and result.stdout == ""


def test_a_bad_calendar_names_line_and_column(tmp_path):
    events = tmp_path / "c.ics"
    events.write_text("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:tomorrow\r\nEND:VEVENT\r\n"
                      "END:VCALENDAR\r\n")
    result = run_cli("forecast", BIKES, "--horizon", "24h", "--events", events)
    assert result.returncode == 2
    assert f"{events}:3:9: expected a date or time such as 20261127T080000Z" in result.stderr


def two_weeks(change=lambda hour, value: value):
    """Hours with a shape of the day and a little that is not regular."""
    for h in range(24 * 16):
        value = 1000 - 600 * math.cos(2 * math.pi * (h % 24) / 24) + (h * 37 % 41) - 20
        yield f"2026-01-{1 + h // 24:02d}T{h % 24:02d}:00:00Z,{change(h, value):.0f}\n"


FAULT = 24 * 15 + 11


@pytest.mark.parametrize("factor, hours, reason", [(0, 3, "outage"), (0.1, 3, "outage"), (4, 2, "burst")])
def test_what_was_no_demand_is_left_out_and_said(tmp_path, factor, hours, reason):
    clean, dirty = tmp_path / "clean.csv", tmp_path / "dirty.csv"
    clean.write_text("time,requests\n" + "".join(two_weeks()))
    dirty.write_text("time,requests\n" + "".join(two_weeks(
        lambda h, value: value * factor if FAULT <= h < FAULT + hours else value)))
    without, with_fault = (json.loads(run_cli("forecast", file, "--horizon", "24h", "--json").stdout)
                           for file in (clean, dirty))
    assert without["left_out"] == [] and without["knows"] == "seasons"
    assert with_fault["left_out"] == [{"from": "2026-01-16T11:00:00Z",
                                       "to": f"2026-01-16T{11 + hours}:00:00Z", "reason": reason}]
    for hour in range(11, 11 + hours):  # tomorrow
        asked = without["rows"][hour]["q0.5"]
        assert abs(with_fault["rows"][hour]["q0.5"] - asked) < 0.15 * asked


def test_an_announced_campaign_is_no_burst(tmp_path):
    file, events = tmp_path / "f.csv", tmp_path / "events.csv"
    file.write_text("time,requests\n" + "".join(two_weeks(
        lambda h, value: value * 4 if FAULT <= h < FAULT + 2 else value)))
    events.write_text("start,end,name,kind,multiplier\n"
                      "2026-01-16T11:00:00Z,2026-01-16T13:00:00Z,Sale,sale,4\n")
    answer = json.loads(run_cli("forecast", file, "--horizon", "24h", "--json", "--events", events).stdout)
    assert answer["left_out"] == []


def test_little_history_says_so(tmp_path):
    for hours, knows in ((2, "level"), (5, "level"), (24, "season"), (72, "season"), (200, "seasons")):
        file = tmp_path / "f.csv"
        file.write_text("time,requests\n" + "".join(list(two_weeks())[:hours]))
        answer = json.loads(run_cli("forecast", file, "--horizon", "24h", "--step", "1h", "--json").stdout)
        assert answer["knows"] == knows
        for row in answer["rows"]:
            assert 0 <= row["q0.1"] < row["q0.5"] < row["q0.9"]
            assert hours > 24 or row["q0.9"] > 1.3 * row["q0.5"]  # not sure at all


def test_help():
    result = run_cli("forecast", "--help")
    assert result.returncode == 0 and "--horizon" in result.stdout


@pytest.fixture(scope="module")
def weather(tmp_path_factory):
    """Ten weeks by the hour; on a warm day comes up to twice as much as on a cold one, and no day is like the one before."""
    file = tmp_path_factory.mktemp("weather") / "f.csv"
    lines = []
    for hour in range(70 * 24):
        celsius = 5 + (hour // 24 * 7 % 23)
        demand = 100 * (2 + math.sin(2 * math.pi * (hour % 24) / 24)) * (1 + celsius / 25) + hour * 31 % 17
        lines.append(f"2026-{1 + hour // 24 // 28:02d}-{1 + hour // 24 % 28:02d}T{hour % 24:02d}:00:00Z,{demand:.0f},{celsius / 1.8:.1f},7")
    file.write_text("time,demand,celsius,seven\n" + "\n".join(lines) + "\n")
    return file


def test_a_measure_that_is_known_ahead_is_learned(weather):
    def mase(*more):
        done = run_cli("forecast", weather, "--horizon", "24h", "--evaluate", "--json", *more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["forecast"]["mase"]
    assert mase("--known", "celsius") < 0.7 * mase()


@pytest.mark.parametrize("options, says", [
    (["--known", "celsus"], "expected a numeric column named 'celsus', found: demand, celsius, seven"),
    (["--known", "demand", "--column", "demand"], "--known: 'demand' is what is forecast"),
    (["--known", "seven"], "--known: 'seven': expected values that differ"),
    (["--known", "celsius,"], "--known: expected names of columns"),
    (["--known", "celsius", "--step", "2h"], "--known: expected the step of the file"),
])
def test_a_measure_that_cannot_be_is_said_so(weather, options, says):
    done = run_cli("forecast", weather, "--horizon", "24h", *options)
    assert done.returncode == 2 and says in done.stderr, done.stderr
