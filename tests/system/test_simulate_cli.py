"""tidegate simulate on the real binary: days that never were, and what must hold in them."""
import json

import pytest

from lib.tidegate import ROOT, run_cli

SHOP = ROOT / "examples/shop/shop.yaml"
FAULTS = """at,for,fault,amount
2h,20m,stale_metric,
5h,30m,dead_forecaster,
8h,,clock_jump,-7200
10h,,clock_jump,86400
12h,,restart,
14h,10m,unknown_metric,
16h,,crash,4
18h,1h,slow_start,5
20h,1h,slow_instances,0.6
"""


def simulate(*arguments):
    result = run_cli("simulate", "--config", SHOP, "--json", *arguments)
    assert result.returncode in (0, 1), result.stderr
    answer = json.loads(result.stdout)
    assert (answer["violation"] is not None) == (result.returncode == 1)
    return answer


def test_days_of_a_seed_hold_and_are_the_same_twice():
    first, again, other = (simulate("--seed", seed, "--days", "3") for seed in ("11", "11", "12"))
    assert first == again and first["requests"] != other["requests"]
    assert first["violation"] is None and first["hours"] == 72
    assert first["decisions"] == 72 * 3600 and first["changes"] > 0
    assert 0 < first["max_instances"] <= 10


def test_faults_of_a_file_take_the_place_of_the_seeds(tmp_path):
    faults = tmp_path / "faults.csv"
    faults.write_text(FAULTS)
    answer = simulate("--seed", "3", "--days", "2", "--faults", faults)
    assert answer["violation"] is None and answer["faults"] == 9
    assert answer["blind_seconds"] >= 1800


def test_what_people_read():
    result = run_cli("simulate", "--config", SHOP, "--seed", "4", "--days", "1")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("seed 4: 24.0 hours, ") and lines[-1] == "everything held"


@pytest.mark.parametrize("arguments, message", [
    ([], "expected --config FILE and --seed N"),
    (["--config", SHOP], "expected --config FILE and --seed N"),
    (["--config", SHOP, "--seed", "x"], "--seed: expected a number, found 'x'"),
    (["--config", SHOP, "--seed", "1", "--days", "0"], "--days: expected a number from 1 to 366"),
    (["--config", SHOP, "--seed", "1", "--service", "no"], "--service: there is no 'no' in"),
    (["--config", SHOP, "--seed", "1", "--faults", "/nowhere.csv"], "/nowhere.csv"),
    (["--config", "/nowhere.yaml", "--seed", "1"], "/nowhere.yaml"),
    (["--config", SHOP, "--seed", "1", "--sed"], "'--sed' is not an option of simulate"),
])
def test_bad_usage(arguments, message):
    result = run_cli("simulate", *arguments)
    assert result.returncode == 2
    assert message in result.stderr


def test_a_bad_file_of_faults_names_line_and_column(tmp_path):
    faults = tmp_path / "faults.csv"
    faults.write_text("at,for,fault\n1h,5m,flood\n")
    result = run_cli("simulate", "--config", SHOP, "--seed", "1", "--faults", faults)
    assert result.returncode == 2
    assert f"{faults}:2:7: expected stale_metric" in result.stderr
