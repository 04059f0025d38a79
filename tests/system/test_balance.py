"""Which instance gets a request: policies, affinity, sticky visitors and zones through the real binary."""
import collections
import contextlib
import re
import signal
import socket
import time

import pytest

from lib.backend import Backend
from lib.h2peer import Client
from lib.tidegate import Tidegate, run_cli, wait_until

SHOP = """
listen: [ {{ address: "127.0.0.1:{{port}}" }} ]
admin: {{ address: "127.0.0.1:{{admin}}" }}
workers: {workers}
{extra}
services:
  shop:
    fleet: static
    endpoints: [ {endpoints} ]
    balance: {balance}
routes: [ {{ path: /, service: shop }} ]
"""
COOKIE = re.compile(r"^tidegate_server=([0-9a-f]{16}); Path=/; HttpOnly; SameSite=Lax$")


class Mortal(Backend):
    """Can die: nobody listens any more, and open connections are gone."""

    def __init__(self, name, **options):
        super().__init__(name, **options)
        self.open = []
        accept = self.server.get_request

        def remember():
            accepted = accept()
            self.open.append(accepted[0])
            return accepted

        self.server.get_request = remember
        self.dead = False

    def die(self):
        self.dead = True
        super().stop()
        for one in self.open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def stop(self):
        if not self.dead:
            super().stop()


class Shop:
    """Tidegate before backends a, b, c, …; `endpoint` says how each is written."""

    def __init__(self, folder, count, balance, workers=1, extra="", endpoint="\"{0.address}\"",
                 **options):
        self.balance, self.workers, self.extra, self.endpoint = balance, workers, extra, endpoint
        self.backends = [Mortal(name, **options) for name in "abcdefgh"[:count]]
        self.tidegate = Tidegate(folder, self.config(self.backends))

    def config(self, backends):
        endpoints = ", ".join((self.endpoint[b.name] if isinstance(self.endpoint, dict) else
                               self.endpoint).format(b) for b in backends)
        return SHOP.format(endpoints=endpoints, balance=self.balance, workers=self.workers,
                           extra=self.extra)

    def __enter__(self):
        self.tidegate.start()
        self.tidegate.wait_serving(len(self.backends))
        return self

    def __exit__(self, kind, *rest):
        status = self.tidegate.stop()
        for backend in self.backends:
            backend.stop()
        if kind is None:
            assert status == 0

    def reload(self, backends):
        self.tidegate.write_config(self.config(backends))
        self.tidegate.signal(signal.SIGHUP)
        wanted = {b.address for b in backends}
        wait_until(lambda: {i["address"] for i in self.tidegate.instances()
                            if i["state"] == "serving"} == wanted, 20, "the new endpoints serve")

    def named(self, name):
        return next(b for b in self.backends if b.name == name)

    def ask(self, path="/", **headers):
        """Who answered, and the cookie that was set."""
        answer = self.tidegate.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        assert answer.status == 200, answer.status
        return answer.body.decode().strip(), answer.getheader("Set-Cookie")

    def spread(self, count, **headers):
        return collections.Counter(self.ask(f"/{i}", **headers)[0] for i in range(count))


# ---- policies ----

def test_round_robin_keeps_to_the_weights(tmp_path):
    endpoint = {"a": "{{ address: \"{0.address}\", weight: 3 }}", "b": "\"{0.address}\"",
                "c": "{{ address: \"{0.address}\", weight: 2 }}"}
    with Shop(tmp_path, 3, "round_robin", endpoint=endpoint) as shop:
        seen = shop.spread(60)      # each worker keeps to them for itself, of as many as came to it
        assert all(abs(seen[name] - wanted) <= 3 for name, wanted in {"a": 30, "b": 10, "c": 20}.items()), seen


def test_the_status_says_which_policy(tmp_path):
    with Shop(tmp_path, 1, "least_requests") as shop:
        assert [s["balance"] for s in shop.tidegate.status()["services"]] == ["least_requests"]


@pytest.mark.parametrize("policy", ["fastest", "least_requests"])
def test_equals_are_used_alike(tmp_path, policy):
    with Shop(tmp_path, 3, policy, delay_s=0.05) as shop:   # far above what a busy machine adds
        assert min(shop.spread(90).values()) >= 9


def test_a_slow_instance_gets_only_probes(tmp_path):
    with Shop(tmp_path, 4, "fastest", workers=2) as shop:
        shop.backends[2].delay_s = 0.5
        shop.spread(60)     # by now all that are asked are known
        assert shop.spread(300).get("c", 0) <= 12    # of a share of 75; a busy machine takes longer, and probes come with time


def test_an_instance_that_fails_gets_hardly_any(tmp_path):
    with Shop(tmp_path, 4, "fastest", workers=2) as shop:
        shop.spread(40)
        shop.backends[1].status = 500
        statuses = collections.Counter(shop.tidegate.get(f"/{i}").status for i in range(300))
        assert statuses[500] <= 12 and statuses[200] + statuses[500] == 300


def test_visitors_who_read_do_not_feel_an_instance_that_begins_to_fail(tmp_path):
    with Shop(tmp_path, 4, "round_robin") as shop:
        shop.spread(60)
        shop.backends[1].status = 500
        before = len(shop.backends[1].requests)
        statuses = collections.Counter(shop.tidegate.get(f"/{i}").status for i in range(200))
        assert len(shop.backends[1].requests) - before >= 3  # as many as it takes to put it out
        assert statuses[500] <= 1


# ---- affinity ----

@pytest.mark.parametrize("hash_, path, headers", [
    ("{ header: X-Tenant }", "/{0}", lambda k: {"X_Tenant": f"t{k}"}),
    ("{ cookie: sid }", "/{0}", lambda k: {"Cookie": f"x=1; sid=s{k}"}),
    ("{ path: true }", "/page/{1}?{0}", lambda k: {}),
])
def test_the_same_key_goes_to_the_same_instance(tmp_path, hash_, path, headers):
    with Shop(tmp_path, 4, f"{{ policy: maglev, hash: {hash_} }}", workers=2) as shop:
        home = {}
        for i in range(240):
            who = shop.ask(path.format(i, i % 40), **headers(i % 40))[0]
            assert home.setdefault(i % 40, who) == who
        assert len(set(home.values())) == 4


def test_clients_are_told_apart_by_their_network(tmp_path):
    extra = "trusted_proxies: [ 127.0.0.0/8 ]"
    with Shop(tmp_path, 4, "{ policy: maglev, hash: { client: network } }", extra=extra) as shop:
        home = {}
        for i in range(120):
            who = shop.ask("/", X_Forwarded_For=f"192.0.{i % 30}.{i}")[0]
            assert home.setdefault(i % 30, who) == who
        assert len(set(home.values())) == 4


def test_few_keys_move_when_an_instance_goes(tmp_path):
    with Shop(tmp_path, 5, "{ policy: maglev, hash: { path: true } }", workers=2) as shop:
        before = {i: shop.ask(f"/{i}")[0] for i in range(100)}
        shop.reload(shop.backends[:1] + shop.backends[2:])
        after = {i: shop.ask(f"/{i}")[0] for i in range(100)}
        assert "b" not in after.values()
        assert sum(before[i] != after[i] for i in range(100) if before[i] != "b") <= 10


def test_a_key_goes_on_when_its_instance_is_down(tmp_path):
    with Shop(tmp_path, 3, "{ policy: maglev, hash: { path: true } }") as shop:
        home = shop.ask("/x")[0]
        shop.named(home).die()
        others = {shop.ask("/x")[0] for _ in range(10)}
        assert len(others) == 1 and home not in others


# ---- sticky visitors ----

STICKY = "{ policy: round_robin, sticky: {} }"


def test_a_visitor_stays_where_the_cookie_says(tmp_path):
    with Shop(tmp_path, 3, STICKY, workers=2) as shop:
        tags = {}
        for _ in range(12):
            who, cookie = shop.ask()
            tags[who] = COOKIE.match(cookie)[1]
        assert len(tags) == 3
        for who, tag in tags.items():
            for _ in range(5):
                assert shop.ask(Cookie=f"a=b; tidegate_server={tag}") == (who, None)
            backend = shop.named(who)
            assert not any(part in tag for part in backend.address.split(":"))


@pytest.mark.parametrize("value", ["", "0", "0000000000000000", "ffffffffffffffff", "127.0.0.1:80",
                                   "FFFFFFFFFFFFFFFF", "f" * 15, "f" * 4000, "\"\"", "g" * 16])
def test_what_we_did_not_write_is_no_cookie_of_ours(tmp_path, value):
    with Shop(tmp_path, 2, STICKY) as shop:
        asked = [shop.ask(Cookie=f"tidegate_server={value}") for _ in range(4)]
        assert {who for who, _ in asked} == {"a", "b"}
        assert all(COOKIE.match(cookie) for _, cookie in asked)


def test_a_visitor_moves_at_once_when_the_instance_leaves_or_dies(tmp_path):
    with Shop(tmp_path, 3, STICKY, workers=2) as shop:
        who, cookie = shop.ask()
        tag = COOKIE.match(cookie)[1]
        shop.reload([b for b in shop.backends if b.name != who])    # it drains
        second, cookie = shop.ask(Cookie=f"tidegate_server={tag}")
        assert second != who and COOKIE.match(cookie)[1] != tag
        tag = COOKIE.match(cookie)[1]
        assert shop.ask(Cookie=f"tidegate_server={tag}") == (second, None)
        shop.named(second).die()
        third, cookie = shop.ask(Cookie=f"tidegate_server={tag}")
        assert third not in (who, second) and COOKIE.match(cookie)[1] != tag


def test_the_cookie_is_good_after_a_restart(tmp_path):
    with Shop(tmp_path, 3, STICKY) as shop:
        who, cookie = shop.ask()
        tag = COOKIE.match(cookie)[1]
        assert shop.tidegate.stop() == 0
        shop.tidegate.start()
        shop.tidegate.wait_serving(3)
        for _ in range(5):
            assert shop.ask(Cookie=f"tidegate_server={tag}") == (who, None)
        assert (tmp_path / "var" / "sticky.key").stat().st_mode & 0o777 == 0o600


def test_another_tidegate_writes_another_tag(tmp_path):
    tags = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with Shop(tmp_path / name, 1, STICKY) as shop:
            shop.backends[0].address = "same"
            tags.append(COOKIE.match(shop.ask()[1])[1])
    assert tags[0] != tags[1]


def test_it_is_the_same_over_http2(tmp_path):
    with Shop(tmp_path, 3, STICKY) as shop, Client(shop.tidegate.port) as client:
        first = client.get("/")
        tag = COOKIE.match(first.field("set-cookie"))[1]
        for _ in range(5):
            stream = client.get("/", fields=[("cookie", f"tidegate_server={tag}")])
            assert stream.body == first.body and stream.field("set-cookie") is None


def test_a_server_cannot_be_chosen_by_a_retry(tmp_path):
    """The instance breaks off: the GET goes to another, and the visitor is told so."""
    with Shop(tmp_path, 2, STICKY) as shop:
        who, cookie = shop.ask()
        tag = COOKIE.match(cookie)[1]
        broken = shop.named(who)
        broken.server.RequestHandlerClass.do_GET = lambda handler: handler.connection.shutdown(
            socket.SHUT_RDWR)
        other, cookie = shop.ask(Cookie=f"tidegate_server={tag}")
        assert other != who and COOKIE.match(cookie)[1] != tag


# ---- zones ----

def zones(tmp_path, local, far, **options):
    endpoint = {name: "{{ address: \"{0.address}\", zone: here }}" for name in "abcdefgh"[:local]}
    endpoint |= {name: "{{ address: \"{0.address}\", zone: there }}"
                 for name in "abcdefgh"[local:local + far]}
    return Shop(tmp_path, local + far, "fastest", extra="zone: here", endpoint=endpoint, **options)


def test_requests_stay_in_our_zone(tmp_path):
    with zones(tmp_path, 2, 3, workers=2) as shop:
        assert set(shop.spread(200)) == {"a", "b"}


def test_a_zone_that_is_half_down_overflows_in_proportion(tmp_path):
    with zones(tmp_path, 2, 2) as shop:
        shop.spread(20)
        shop.backends[0].die()     # 1.4 × 1 of 2: 70 % stay
        shop.spread(20)
        wait_until(lambda: len([i for i in shop.tidegate.instances() if i["state"] == "serving"]) < 4
                   or shop.spread(20).get("a", 0) == 0, 20, "it is left alone")
        seen = collections.Counter()
        end = time.monotonic() + 20
        while not (seen["b"] and seen["c"] and seen["d"]) and time.monotonic() < end:
            seen += shop.spread(20)
        assert seen["b"] and (seen["c"] and seen["d"] or seen["b"] == sum(seen.values()))


def test_the_other_zone_takes_over(tmp_path):
    with zones(tmp_path, 1, 2) as shop:
        shop.backends[0].die()
        assert set(shop.spread(60)) == {"b", "c"}


# ---- what is refused ----

def test_mistakes_are_named_with_their_place(tmp_path):
    (tmp_path / "shop.yaml").write_text(
        "listen: [ { address: \":8080\" } ]\nservices:\n  shop:\n    fleet: static\n"
        "    endpoints: [ { address: \"10.0.0.5:8000\", weight: 0 } ]\n    balance: mglev\n"
        "routes: [ { path: /, service: shop } ]\n")
    done = run_cli("check", tmp_path / "shop.yaml")
    assert done.returncode == 1
    assert "shop.yaml:5:54: weight: expected 1 to 256" in done.stdout + done.stderr
    assert "shop.yaml:6:14: policy: expected one of fastest" in done.stdout + done.stderr
