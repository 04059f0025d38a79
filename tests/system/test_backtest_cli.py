"""tidegate backtest on the real binary: policies over recorded demand."""
import json

import pytest

from lib.tidegate import ROOT, run_cli

TWEETS = ROOT / "tests/data/tweets_amazon_2weeks.csv"
FIELDS = {"instance_hours", "ideal_instance_hours", "cost", "unserved_requests", "unserved_share",
          "violation_minutes", "scale_actions", "max_instances"}
COMMON = [TWEETS, "--unit-capacity", "0.1/s"]


def backtest(*arguments):
    result = run_cli("backtest", *COMMON, "--json", *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_every_policy_has_the_fields_of_the_contract():
    policies = ["predictive", "reactive", "hpa", "fixed:30", "oracle"]
    answer = backtest(*[a for p in policies for a in ("--policy", p)])
    assert list(answer) == policies
    for result in answer.values():
        assert set(result) == FIELDS
        assert result["instance_hours"] > 0 and 0 <= result["unserved_share"] < 1
    assert answer["fixed:30"]["instance_hours"] == pytest.approx(30 * 14 * 24, rel=0.01)
    assert answer["oracle"]["unserved_requests"] == 0


def test_the_oracle_is_the_cheapest_that_serves_everything():
    answer = backtest("--startup", "300s")
    assert list(answer) == ["predictive", "reactive", "hpa", "oracle"]
    for name, result in answer.items():
        assert result["ideal_instance_hours"] <= answer["oracle"]["instance_hours"] + 1e-6
        if result["unserved_requests"] == 0:
            assert result["instance_hours"] >= answer["oracle"]["instance_hours"] - 1e-6, name


def test_a_slower_start_costs_or_drops_more():
    fast, slow = backtest("--startup", "10s"), backtest("--startup", "600s")
    for name in ("reactive", "hpa"):
        assert slow[name]["unserved_requests"] > fast[name]["unserved_requests"]
    assert slow["oracle"]["instance_hours"] > fast["oracle"]["instance_hours"]


def test_min_and_max_hold():
    answer = backtest("--min", "5", "--max", "7")
    for result in answer.values():
        assert result["max_instances"] <= 7
        assert result["instance_hours"] >= 5 * 14 * 24 - 10


def test_prices_and_the_same_run_twice():
    dear, again = backtest("--price", "0.2"), backtest("--price", "0.2")
    assert dear == again
    assert dear["hpa"]["cost"] == pytest.approx(0.2 * dear["hpa"]["instance_hours"])


def test_the_report_stands_alone_and_says_whether_prediction_pays(tmp_path):
    report = tmp_path / "report.html"
    result = run_cli("backtest", *COMMON, "--report", report, "--margin", "0.01")
    assert result.returncode == 0, result.stderr
    html = report.read_text()
    assert html.count("<figure><svg") == 7 and "<script" not in html and "http://" not in html.replace(
        "http://www.w3.org/2000/svg", "")
    for word in ("What it cost", "The hardest hours", "What was dropped", "Demand and its forecast",
                 "What stood ready", "The numbers of the charts"):
        assert f"<h2>{word}</h2>" in html
    assert html.count('<td class="bars">') == 4 and "nan" not in html and "%" in html
    verdict = [line for line in result.stdout.splitlines() if line.startswith("Prediction ")]
    assert len(verdict) == 1 and verdict[0].split(":")[0] in html


@pytest.mark.parametrize("arguments, message", [
    ([], "expected one FILE"),
    ([TWEETS], "expected --unit-capacity"),
    ([*COMMON, "--policy", "magic"], "--policy: 'magic': expected predictive"),
    ([*COMMON, "--policy", "fixed:0"], "--policy: 'fixed:0': expected"),
    ([*COMMON, "--startup", "-3"], "--startup: expected a duration"),
    ([TWEETS, "--unit-capacity", "lots"], "--unit-capacity: expected a rate"),
    ([*COMMON, "--min", "9", "--max", "3"], "a minimum of instances not above the maximum"),
    ([*COMMON, "--price", "0"], "--price: expected a number above 0"),
    ([*COMMON, "--config", "/nowhere.yaml"], "/nowhere.yaml"),
    ([*COMMON, "--report", "/nowhere/r.html"], "/nowhere/r.html"),
])
def test_bad_usage_exits_2_and_says_why(arguments, message):
    result = run_cli("backtest", *arguments)
    assert result.returncode == 2
    assert message in result.stderr


def test_a_bad_file_names_line_and_column(tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text("time,n\n2026-01-01,1\n2026-01-02,x\n")
    result = run_cli("backtest", file, "--unit-capacity", "1/s", "--column", "n")
    assert result.returncode == 2
    assert f"{file}:3:12: expected a number in column 'n', found 'x'" in result.stderr


def write_days(path, first, last):
    """Minutes of days with a rush at noon, four times the usual at once."""
    rows = ["time,requests"]
    for minute in range(first * 1440, last * 1440):
        rush = 4 if 720 <= minute % 1440 < 780 else 1
        rows.append(f"{1767225600 + minute * 60},{600 * rush}")
    path.write_text("\n".join(rows) + "\n")


def test_history_of_the_configuration_is_known_at_the_start(tmp_path):
    write_days(tmp_path / "history.csv", 0, 8)
    write_days(tmp_path / "days.csv", 8, 10)
    shop = """listen: [ { address: ":8080" } ]
services:
  front: { command: [x], instances: { min: 1, max: 40, capacity: 5/s }, unit: { price: 0.10 EUR } }
routes: [ { path: /, service: front } ]
"""
    unserved = {}
    for name, demand in (("with", "history: history.csv, "), ("without", "")):
        config = tmp_path / f"{name}.yaml"
        config.write_text(shop + f"demand: {{ {demand}margin: 0.002 EUR }}\n")
        result = run_cli("backtest", tmp_path / "days.csv", "--config", config, "--startup", "300s",
                         "--policy", "predictive", "--min", "1", "--json")
        assert result.returncode == 0, result.stderr
        unserved[name] = json.loads(result.stdout)["predictive"]["unserved_requests"]
    assert unserved["with"] < 0.2 * unserved["without"]


def test_a_history_that_is_not_there_is_named(tmp_path):
    write_days(tmp_path / "days.csv", 0, 1)
    config = tmp_path / "shop.yaml"
    config.write_text("listen: [ { address: \":8080\" } ]\n"
                      "services: { front: { command: [x], instances: { capacity: 5/s } } }\n"
                      "routes: [ { path: /, service: front } ]\ndemand: { history: no.csv }\n")
    result = run_cli("backtest", tmp_path / "days.csv", "--config", config)
    assert result.returncode == 2 and "no.csv" in result.stderr
