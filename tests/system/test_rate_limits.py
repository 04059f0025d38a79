"""Rate limits through the real binary: who shares a bucket, what is answered, several workers that
count together."""
import http.client
import json
import os
import re
import signal
import threading
import time

import pytest

from lib import debian  # noqa: F401 (makes the next import work)
from lib.tidegate import run_cli, wait_until
from test_routing import Shop
from test_routing_policies import basic, bcrypt

import grpc

LIMITS = """
workers: 2
rate_limits:
  slow: { rate: 1/h, burst: 3 }
  both-small: { rate: 1/h, burst: 2 }
  both-large: { rate: 1/h, burst: 5 }
  network: { rate: 1/h, burst: 2, ipv4_prefix: 24 }
  key: { rate: 1/h, burst: 2, by: "header:X-Api-Key" }
  session: { rate: 1/h, burst: 2, by: "cookie:sid" }
  customer: { rate: 1/h, burst: 2, by: customer }
  together: { rate: 1/h, burst: 2, by: route }
  quiet: { rate: 1/h, burst: 1, headers: false, status: 503 }
  trial: { rate: 1/h, burst: 2, dry_run: true }
  fast: { rate: 50/s, burst: 250 }
  second: { rate: 1/s, burst: 1 }
  grpc: { rate: 1/h, burst: 1 }
  unused: { rate: 1/s, burst: 1 }
value: { customer: { cookie: who } }
access_log: { file: access.log }
"""
ROUTES = """
  - { path: /slow, service: blue, rate_limit: slow }
  - { path: /shares-slow, service: blue, rate_limit: slow }
  - { path: /both, service: blue, rate_limit: [both-large, both-small] }
  - { path: /network, service: blue, rate_limit: network }
  - { path: /key, service: blue, rate_limit: key }
  - { path: /session, service: blue, rate_limit: session }
  - { path: /customer, service: blue, rate_limit: customer }
  - { path: /together, service: blue, rate_limit: together }
  - { path: /apart, service: blue, rate_limit: together }
  - { path: /quiet, service: blue, rate_limit: quiet }
  - { path: /trial, service: blue, rate_limit: [trial, slow] }
  - { path: /fast, respond: { body: ok }, rate_limit: fast }
  - { path: /second, service: blue, rate_limit: second }
  - { path: /staff, service: blue, basic: { users: staff } }
  - { path: /grpc, service: blue, rate_limit: grpc }
  - { path: /, service: blue }
"""


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rates")
    with Shop(folder, ["blue"], ROUTES, LIMITS, {"staff": f"ann:{bcrypt('open sesame', 4)}\n"}) as running:
        yield running


def is_metric(shop, expected, name, **labels):
    """Waits: the API has the numbers of the last second."""
    wait_until(lambda: metric(shop, name, **labels) == expected, 20, f"{name} is {expected}")


def reload(shop, config, burst):
    """Until the workers have it."""
    shop.tidegate.config_path.write_text(config)
    done = run_cli("reload", cwd=shop.tidegate.folder)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: f";q={burst};" in shop.ask("/slow", source="127.0.14.1").headers["ratelimit-policy"],
               20, f"burst {burst}")


def statuses(shop, count, *arguments, **options):
    return [shop.ask(*arguments, **options).status for _ in range(count)]


def metric(shop, name, **labels):
    text = shop.tidegate.metrics()
    wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
    found = re.search(rf"^{name}{{{wanted}}} (\S+)$" if labels else rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, f"{name}{{{wanted}}}"
    return float(found[1])


def test_a_burst_then_429(limited):
    options = {"source": "127.0.0.2"}
    first = limited.ask("/slow", **options)
    assert first.status == 200
    assert first.headers["ratelimit-policy"] == '"slow";q=3;w=10800'
    assert first.headers["ratelimit"] == '"slow";r=2;t=3600'
    assert statuses(limited, 2, "/slow", **options) == [200, 200]
    refused = limited.ask("/slow", **options)
    assert refused.status == 429
    assert 3590 <= int(refused.headers["retry-after"]) <= 3600
    assert re.fullmatch(r'"slow";r=0;t=10[78]\d\d', refused.headers["ratelimit"])
    assert json.loads(refused.body)["status"] == 429
    assert statuses(limited, 1, "/slow", source="127.0.0.3") == [200], "another visitor"
    assert statuses(limited, 1, "/shares-slow", **options) == [429], "a limit is one on all its routes"
    assert statuses(limited, 1, "/", **options) == [200], "a route without"


def test_all_of_several_must_have_a_token(limited):
    options = {"source": "127.0.0.4"}
    first = limited.ask("/both", **options)
    assert first.headers["ratelimit"] == '"both-large";r=4;t=3600, "both-small";r=1;t=3600'
    assert statuses(limited, 4, "/both", **options) == [200, 429, 429, 429]
    last = limited.ask("/both", **options)
    # Who is refused by one loses nothing at the others.
    assert re.fullmatch(r'"both-large";r=3;t=7\d\d\d, "both-small";r=0;t=7\d\d\d', last.headers["ratelimit"])


@pytest.mark.parametrize("path,same,other", [
    ("/network", [{"source": "127.0.1.1"}, {"source": "127.0.1.2"}], {"source": "127.0.2.1"}),
    ("/key", [{"headers": {"X-Api-Key": "one"}, "source": "127.0.3.1"},
              {"headers": {"x-api-key": "one"}, "source": "127.0.3.2"}], {"headers": {"X-Api-Key": "two"}}),
    ("/key", [{"source": "127.0.3.3"}, {"source": "127.0.3.3"}], {"source": "127.0.3.4"}),
    ("/session", [{"headers": {"cookie": "a=b; sid=1"}}, {"headers": {"cookie": "sid=1"}}],
     {"headers": {"cookie": "sid=2"}}),
    ("/customer", [{"headers": {"cookie": "who=ann"}}, {"headers": {"cookie": "who=ann; x=y"}}],
     {"headers": {"cookie": "who=bob"}}),
])
def test_who_shares_a_bucket(limited, path, same, other):
    one, two = same
    assert limited.ask(path, **one).status == 200
    assert limited.ask(path, **two).status == 200
    assert limited.ask(path, **one).status == 429
    assert limited.ask(path, **two).status == 429
    assert limited.ask(path, **other).status == 200


def test_by_route(limited):
    assert [limited.ask("/together", source=f"127.0.4.{i}").status for i in range(1, 5)] == [200, 200, 429, 429]
    assert limited.ask("/apart").status == 200


def test_another_status_and_no_fields(limited):
    options = {"source": "127.0.5.1"}
    first, second = limited.ask("/quiet", **options), limited.ask("/quiet", **options)
    assert (first.status, second.status) == (200, 503)
    assert "ratelimit" not in first.headers and "ratelimit-policy" not in second.headers
    assert int(second.headers["retry-after"]) > 3000


def test_a_dry_run_only_counts(limited):
    options = {"source": "127.0.6.1"}
    before = metric(limited, "tidegate_rate_limit_refused_total", limit="trial", dry_run="true")
    first = limited.ask("/trial", **options)
    assert first.headers["ratelimit"] == '"slow";r=2;t=3600', "nothing is told of a trial"
    assert statuses(limited, 2, "/trial", **options) == [200, 200]
    is_metric(limited, before + 1, "tidegate_rate_limit_refused_total", limit="trial", dry_run="true")
    assert statuses(limited, 1, "/trial", **options) == [429], "the other limit is in earnest"
    told = log_lines(limited, lambda line: line["target"] == "/trial" and line["status"] == 200 and "rate_limit" in line)
    assert [line["rate_limit"] for line in told] == ["dry_run"]


def log_lines(shop, wanted):
    """Of the access log, once there are such."""
    def found():
        path = shop.tidegate.folder / "access.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in map(json.loads, lines) if wanted(line)]
    return wait_until(found, 20, "a line")


def test_it_is_told(limited):
    source = "127.0.7.1"
    offered = metric(limited, "tidegate_requests_offered_total", service="blue", stage="browse")
    problems = metric(limited, "tidegate_request_problems_total", reason="rate_limited")
    allowed = metric(limited, "tidegate_rate_limit_allowed_total", limit="slow", dry_run="false")
    refused = metric(limited, "tidegate_rate_limit_refused_total", limit="slow", dry_run="false")
    assert statuses(limited, 5, "/slow", source=source) == [200, 200, 200, 429, 429]
    is_metric(limited, problems + 2, "tidegate_request_problems_total", reason="rate_limited")
    is_metric(limited, allowed + 3, "tidegate_rate_limit_allowed_total", limit="slow", dry_run="false")
    is_metric(limited, refused + 2, "tidegate_rate_limit_refused_total", limit="slow", dry_run="false")
    # What was refused is no demand: nobody starts instances for it.
    is_metric(limited, offered + 3, "tidegate_requests_offered_total", service="blue", stage="browse")
    is_metric(limited, 65536, "tidegate_rate_limit_keys")
    wait_until(lambda: 0 < metric(limited, "tidegate_rate_limit_table_used_ratio") < 0.01, 20, "places are used")
    lines = log_lines(limited, lambda line: line["client"] == source and line["status"] == 429)
    assert lines[0]["reason"] == "rate_limited" and lines[0]["outcome"] == "bad_request"
    assert lines[0]["service"] == "blue"


def test_the_api_shows_them(limited):
    limited.ask("/slow", source="127.0.8.1")
    def slow_counts():
        shown = {one["name"]: one for one in limited.tidegate.status()["rate_limits"]}
        return shown if shown["slow"]["allowed"] > 0 else None
    shown = wait_until(slow_counts, 20, "it counts")
    assert shown["slow"]["allowed"] > 0
    assert shown["slow"]["rate_rps"] == pytest.approx(1 / 3600)
    assert shown["slow"] | {"burst": 3, "by": "client", "dry_run": False} == shown["slow"]
    assert shown["trial"]["dry_run"] is True and shown["key"]["by"] == "header:X-Api-Key"
    assert shown["unused"]["allowed"] == 0


def test_grpc_is_told_in_its_words(limited):
    with grpc.insecure_channel(f"127.0.0.1:{limited.tidegate.port}") as channel:
        codes = []
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary("/grpc/Get")(b"", timeout=10)
            codes.append(refused.value.code())
    assert codes[0] != grpc.StatusCode.RESOURCE_EXHAUSTED, "it came to the service, which knows no gRPC"
    assert codes[1] == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_tokens_come_back(limited):
    options = {"source": "127.0.9.1"}
    assert limited.ask("/second", **options).status == 200
    # A machine that stood still for a second gave one back meanwhile.
    refused = wait_until(lambda: (answer := limited.ask("/second", **options)).status == 429 and answer, 20, "a refusal")
    assert refused.headers["retry-after"] == "1"
    time.sleep(1.1)
    assert limited.ask("/second", **options).status == 200


class Hammer(threading.Thread):
    """Asks as often as it can until it is told to stop, twenty times on each connection."""

    def __init__(self, port, path, stop):
        super().__init__()
        self.port, self.path, self.stop = port, path, stop
        self.counts, self.first = {}, None

    def run(self):
        while not self.stop.is_set():
            one = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=("127.0.10.1", 0))
            for _ in range(20):
                one.request("GET", self.path)
                answer = one.getresponse()
                answer.read()
                self.first = self.first or time.monotonic()
                self.counts[answer.status] = self.counts.get(answer.status, 0) + 1
            one.close()


def test_workers_count_together_to_the_token(limited):
    """250 at once and 50/s: from many connections to two workers as many as from one to one."""
    def accepted():
        return [metric(limited, "tidegate_connections_accepted_total", worker=i) for i in (0, 1)]
    stop, before, begun = threading.Event(), accepted(), time.monotonic()
    hammers = [Hammer(limited.tidegate.port, "/fast", stop) for _ in range(16)]
    for each in hammers:
        each.start()

    def refused():
        return sum(each.counts.get(429, 0) for each in hammers)
    try:
        wait_until(lambda: all(b > a for a, b in zip(before, accepted())) and refused() > 50 and
                   time.monotonic() > begun + 3, 60, "both workers took part, and there was more than enough")
    finally:
        stop.set()
        for each in hammers:
            each.join()
    last = 0
    while True:   # what is left at the end
        asked = time.monotonic()
        if limited.ask("/fast", source="127.0.10.1").status == 429:
            break
        last += 1
    ended = time.monotonic()
    passed = sum(each.counts.get(200, 0) for each in hammers) + last
    # The bucket was full until the first request, between `begun` and its answer; five seconds without a request would fill it.
    assert passed <= 250 + 50 * (ended - begun) + 1
    assert passed >= 250 + 50 * (asked - min(each.first for each in hammers)) - 1
    is_metric(limited, passed, "tidegate_rate_limit_allowed_total", limit="fast", dry_run="false")


def test_a_dead_worker_forgets_nothing(limited):
    options = {"source": "127.0.11.1"}
    assert statuses(limited, 4, "/slow", **options) == [200, 200, 200, 429]
    before = set(limited.tidegate.status()["workers"])
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(limited.tidegate.status()["workers"]) - before) == 2, 20, "two new workers")
    assert statuses(limited, 4, "/slow", **options) == [429] * 4


def test_password_guesses_are_counted_by_all_workers_together(limited):
    """Ten at once, whichever worker is asked: with two that count apart it would be up to twenty."""
    began = time.monotonic()
    answers = [limited.ask("/staff", headers=basic("ann", f"guess-{i}"), source="127.0.12.1").status
               for i in range(16)]
    assert 10 <= answers.count(401) <= 11 + (time.monotonic() - began) / 5   # one comes back after five seconds
    assert answers.count(429) == 16 - answers.count(401)


def test_reload_keeps_the_buckets_and_takes_up_changes(limited):
    options = {"source": "127.0.13.1"}
    assert statuses(limited, 4, "/slow", **options) == [200, 200, 200, 429]
    config = limited.tidegate.config_path.read_text()
    try:
        reload(limited, config.replace("unused: { rate: 1/s, burst: 1 }", "added: { rate: 1/s, burst: 1 }")
                              .replace("slow: { rate: 1/h, burst: 3 }", "slow: { rate: 1/h, burst: 4 }"), 4)
        assert statuses(limited, 2, "/slow", **options) == [200, 429]
    finally:
        reload(limited, config, 3)


CHECKS = [
    ("rate_limits: { a: { burst: 1 } }", "rate"),
    ("rate_limits: { a: { rate: 1/s } }", "burst"),
    ("rate_limits: { a: { rate: 0, burst: 1 } }", "rate: expected more than 0"),
    ("rate_limits: { a: { rate: 1/h, burst: 1000 } }", "burst: expected what comes back within 30 days"),
    ("rate_limits: { a: { rate: 1/s, burst: 1, by: ip } }", "by: expected client, customer, route, header:NAME"),
    ("rate_limits: { a: { rate: 1/s, burst: 1, by: \"header:\" } }", "by: expected client"),
    ("rate_limits: { a: { rate: 1/s, burst: 1, status: 200 } }", "status: expected 400 to 599"),
    ("rate_limits: { 'a b': { rate: 1/s, burst: 1 } }", "expected a name of at most 40"),
    ("rate_limits: { api: { rate: 1/s, burst: 1 } }", "there is no 'apo' in 'rate_limits': did you mean 'api'?"),
    ("rate_limit_keys: 10", "rate_limit_keys: expected 1024 to"),
]


@pytest.mark.parametrize("text,error", CHECKS, ids=[case[1][:30] for case in CHECKS])
def test_check_says_what_is_wrong(tmp_path, text, error):
    (tmp_path / "shop.yaml").write_text(
        f"{text}\nlisten: [ {{ address: ':8080' }} ]\nservices: {{ s: {{ command: [x] }} }}\n"
        "routes:\n  - { path: /, service: s, rate_limit: apo }\n")
    done = run_cli("check", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert error in done.stderr
    assert re.search(r"shop\.yaml:\d+:\d+: ", done.stderr)
