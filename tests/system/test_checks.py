"""Active health checks on the real binary: what is asked, what is taken for health, and how often."""
import concurrent.futures
import math
import statistics
import time

import pytest

from lib import debian  # noqa: F401 (makes the next import work)
from lib.shops import static_shop
from lib.tidegate import run_cli, wait_until

import grpc


def config(health, *services, keys=()):
    return static_shop(*services, keys=[f"health: {health}", *keys])


def state(one, service):
    return next(i["state"] for i in one.instances() if i["id"] == service.address)


def check(one, service):
    return next(i["check"] for i in one.instances() if i["id"] == service.address)


def wait_state(one, service, wanted, seconds=20):
    wait_until(lambda: state(one, service) == wanted, seconds, f"{wanted}\n{one.log()}")


def checks(one, action):
    return [d for d in one.decisions() if d["kind"] == "check" and d["action"] == action]


# ---- what is health ----

BROKEN = [
    ("{ path: /healthz, interval: 200ms, expect: { body: ready } }", {"health": (200, "starting")}, "body"),
    ("{ path: /healthz, interval: 200ms, expect: { body: '/^ready$/' } }", {"health": (200, "already")}, "body"),
    ("{ path: /healthz, interval: 200ms, expect: { status: [200, 204] } }", {"health": (202, "ready")}, "status"),
    ("{ path: /healthz, interval: 200ms }", {"health": (503, "ready")}, "status"),
    ("{ path: /healthz, interval: 200ms, timeout: 1s }", {"health_delay_s": 3.0}, "timeout"),
]


@pytest.mark.parametrize("health, broken, result", BROKEN)
def test_falls_ill_and_comes_back(tidegate, checked, health, broken, result):
    service, other = checked(), checked()
    one = tidegate(config(health, service, other))
    one.wait_serving(2)
    before = {name: getattr(service, name) for name in broken}
    for name, value in broken.items():
        setattr(service, name, value)
    wait_state(one, service, "ejected")
    assert check(one, service) | {"probe_ms": 0, "suspicious": 0} == {
        "healthy": False, "result": result, "probe_ms": 0, "suspicious": 0}
    down = wait_until(lambda: checks(one, "down"), 20, "the decision")[0]
    assert down["subject"] == service.address and down["evidence"]["result"] == result
    assert down["evidence"]["probes_failed"] >= 2
    assert state(one, other) == "serving" and one.get().status == 200
    for name, value in before.items():
        setattr(service, name, value)
    wait_state(one, service, "serving", 8)   # sooner than one that was hung or failed requests
    up = wait_until(lambda: checks(one, "up"), 20, "the decision")[0]
    assert up["subject"] == service.address and up["evidence"]["probes_passed"] >= 2


def test_asks_as_configured(tidegate, checked):
    service, health = checked(), checked()
    one = tidegate(config("{ path: '/healthz?deep=1', interval: 200ms, method: HEAD, host: shop.example, "
                          f"port: {health.port}, headers: {{ X-Probe: '1', Authorization: Bearer abc }} }}", service))
    one.wait_serving(1)
    assert not service.probes and health.probes, "at another port"
    _, method, headers = health.probes[-1]
    assert method == "HEAD" and headers["Host"] == "shop.example"
    assert headers["X-Probe"] == "1" and headers["Authorization"] == "Bearer abc"
    health.health = (500, "")
    wait_state(one, service, "ejected")


def test_a_connection_is_enough_when_told_so(tidegate, checked):
    service = checked(health=(500, "sorry"))
    one = tidegate(config("{ tcp: true, interval: 100ms }", service))
    one.wait_serving(1)
    connected = service.connections
    wait_until(lambda: service.connections >= connected + 3, 10, "it is connected to")
    assert not service.probes and state(one, service) == "serving"


class Health:
    """grpc.health.v1, that answers `status`: 1 SERVING, 2 NOT_SERVING."""

    def __init__(self):
        self.status = 1
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
            "Check": grpc.unary_unary_rpc_method_handler(lambda request, _: bytes([8, self.status]))}),))
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()


def test_grpc_that_does_not_serve(tidegate):
    service = Health()
    try:
        one = tidegate(config("{ grpc: '', interval: 200ms }", service, keys=["protocol: h2"]))
        one.wait_serving(1)
        service.status = 2
        wait_until(lambda: check(one, service)["healthy"] is False, 20, "it is ill")
        assert check(one, service)["result"] == "not_serving"
        service.status = 1
        wait_state(one, service, "serving")
    finally:
        service.server.stop(0).wait(5)


class IllFor:
    """The health of one that is ill for so many probes: it counts them itself, whoever is late to look."""

    def __init__(self, probes):
        self.left = probes

    def __iter__(self):
        self.left -= 1
        return iter((500, "") if self.left >= 0 else (200, "ready"))


def test_rise_and_fall_want_a_row(tidegate, checked):
    service, other = checked(), checked()
    one = tidegate(config("{ path: /healthz, interval: 500ms, rise: 4, fall: 5 }", service, other))
    one.wait_serving(2)
    service.health = IllFor(3)
    wait_until(lambda: service.health.left <= -2, 20, "three probes, and two good ones")
    assert checks(one, "down") == [] and state(one, service) == "serving", "three of five"
    service.health = (500, "")
    wait_state(one, service, "ejected")
    assert wait_until(lambda: checks(one, "down"), 20, "told")[0]["evidence"]["probes_failed"] >= 5
    service.health = (200, "ready")
    wait_state(one, service, "serving")
    assert wait_until(lambda: checks(one, "up"), 20, "told")[0]["evidence"]["probes_passed"] >= 4


# ---- how often ----

def calm(service, seconds=60):
    """No probe within a quick gap of the one before: three in a row."""
    def settled():
        times = [each[0] for each in service.probes[-3:]]
        return len(times) == 3 and min(b - a for a, b in zip(times, times[1:])) > 0.7
    wait_until(settled, seconds, "probes are slow again")


def test_requests_that_fail_make_probes_quick(tidegate, checked):
    service, other = checked(), checked()
    one = tidegate(config("{ path: /healthz, interval: 1200ms }", service, other))
    one.wait_serving(2)
    assert len(service.probes) >= 1
    calm(service)
    assert check(one, service)["suspicious"] is False
    service.status = 500     # whose health path is as good as ever
    asked = time.monotonic()
    for _ in range(40):
        one.get()
    wait_until(lambda: len(service.probed_since(asked)) >= 5, 20, "it is asked often")
    first = service.probed_since(asked)
    assert first[4][0] - first[0][0] < 4, "five within less than the four intervals that they usually take"
    service.status = 200
    calm(service)


def test_endpoints_are_not_asked_in_step(tidegate, checked):
    services = [checked() for _ in range(12)]
    one = tidegate(config("{ path: /healthz, interval: 1s }", *services), wait="up")
    one.wait_serving(12)
    for service in services:
        calm(service)
    started = time.monotonic()
    wait_until(lambda: all(len(s.probed_since(started)) >= 4 for s in services), 30, "four probes each")

    def in_step(which):
        angles = [2 * math.pi * (s.probed_since(started)[which][0] % 1.0) for s in services]
        return math.hypot(sum(map(math.cos, angles)), sum(map(math.sin, angles))) / len(angles)
    together = min(map(in_step, range(4)))   # a machine that stood still brings one round together, not each
    assert together < 0.8, f"1 is all at one moment: {together:.2f}"
    gaps = [b[0] - a[0] for s in services for a, b in zip(s.probed_since(started), s.probed_since(started)[1:])]
    assert statistics.stdev(gaps) > 0.04, "nor is one as regular as a clock"


# ---- what is told ----

def test_metrics_count_probes(tidegate, checked):
    service = checked(health=(503, ""))
    one = tidegate(config("{ path: /healthz, interval: 100ms }", service), wait="up")
    wait_until(lambda: len(service.probes) >= 4, 20, "probes: the last may see what comes now")
    service.health = (200, "ready")
    one.wait_serving(1)

    def series():
        lines = one.metrics().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines
                                                       if line.startswith("tidegate_"))}
    wait_until(lambda: series().get('tidegate_probes_total{service="shop",state="healthy",result="well"}', 0) >= 2,
               20, "good probes are counted")
    found = series()
    assert found['tidegate_probes_total{service="shop",state="starting",result="status"}'] >= 3
    assert found['tidegate_probes_total{service="shop",state="starting",result="well"}'] == 1
    labels = f'{{service="shop",instance="{service.address}"}}'
    assert 0 < found["tidegate_instance_probe_duration_seconds" + labels] < 5
    assert found["tidegate_instance_healthy" + labels] == 1
    assert len([name for name in found if name.startswith("tidegate_probes_total")]) == 3 * 9


def test_mistakes_have_a_place(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text("listen: [ { address: ':1' } ]\n"
                    "services:\n"
                    "  shop:\n"
                    "    fleet: static\n"
                    "    endpoints: ['127.0.0.1:1']\n"
                    "    health:\n"
                    "      path: /healthz\n"
                    "      rise: 0\n"
                    "      expect: { status: [2xx, 700] }\n"
                    "      metod: GET\n"
                    "routes: [ { path: /, service: shop } ]\n")
    done = run_cli("check", path)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "shop.yaml:8:13: rise: expected 1 to 100, found '0'" in said
    assert "shop.yaml:9:25: status: expected such as 200, 2xx or 200-399, found '700'" in said
    assert "shop.yaml:10:7:" in said and "'method'" in said
