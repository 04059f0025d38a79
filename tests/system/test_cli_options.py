"""What every verb says of options that it does not know, or that lack their value."""
import pytest

from lib.tidegate import run_cli

VERBS = ["audit", "backtest", "campaign", "check", "forecast", "maintenance", "reload", "replay", "simulate", "status",
         "token", "top", "upgrade"]


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_option_is_named(verb):
    done = run_cli(verb, "--no-such")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"tidegate {verb}: '--no-such' is not an option of {verb}\n"


@pytest.mark.parametrize("arguments", [
    ["audit", "list", "--store"], ["backtest", "FILE", "--policy"], ["campaign", "list", "--config"],
    ["forecast", "FILE", "--horizon"], ["maintenance", "start", "shop/one", "--for"], ["replay", "TRACE", "--to"],
    ["simulate", "--seed"], ["token", "create", "--role"], ["upgrade", "--patience"]], ids=" ".join)
def test_a_value_that_is_missing_is_asked_for(arguments):
    done = run_cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"tidegate {arguments[0]}: {arguments[-1]} lacks its value; "
                           f"`tidegate {arguments[0]} --help` says which\n")


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_help_wherever_it_stands(verb):
    asked = run_cli(verb, "one", "--no-such", "--help")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith(f"usage: tidegate {verb} ")


@pytest.mark.parametrize("arguments, words", [
    (["audit", "list", "--limit", "0"], "--limit: expected a number from 1 to 20000, found '0'"),
    (["token", "create", "--role", "viewer", "--expires", "1ms"], "--expires: expected a time such as 90d, found '1ms'"),
    (["upgrade", "--patience", "1"], "--patience: expected 100ms to 10m, found '1'"),
], ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_a_value_that_does_not_fit_is_named(arguments, words):
    done = run_cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"tidegate {arguments[0]}: {words}\n"


@pytest.mark.parametrize("arguments", [
    ["audit"], ["campaign", "list", "--kind", "mail"], ["check"], ["maintenance", "list", "--wait"], ["reload", "one", "two"],
    ["status", "one", "two"], ["token", "lend"], ["top", "one", "two"], ["upgrade", "one", "two"]], ids=" ".join)
def test_who_asks_for_what_is_not_there_is_told_what_is(arguments):
    done = run_cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"usage: tidegate {arguments[0]} ")
