"""Maintenance on the real binary: out of rotation by hand, under load, through restarts, and back."""
import http.client
import json
import os
import signal
import threading
import time
import urllib.parse

import pytest

from lib import schema
from lib.h2peer import Client
from lib.load import Load
from lib.raw import Closed, Raw
from lib.shops import app_shop, static_shop
from lib.tidegate import run_cli, wait_until

PROCESSES = app_shop("instances: { min: 2, max: 4 }", "health: { path: /healthz, interval: 300ms }", name="shop")


@pytest.fixture(name="shop")
def fixture_shop(tidegate, checked):
    """A function: so many endpoints, and Tidegate in front of them."""
    def start(count=3, drain="30s"):
        services = [checked(f"number {i}") for i in range(count)]
        one = tidegate(static_shop(*services, keys=["health: { path: /healthz, interval: 300ms }"],
                                   more=f"timeouts: {{ drain: {drain} }}", workers=2))
        one.wait_serving(count)
        one.services = services
        return one

    return start


def instance(one, name):
    return next((i for i in one.instances() if i["id"] == name), None)


def maintenance(one, verb, *arguments, status=0, **options):
    done = run_cli("maintenance", verb, *arguments, cwd=one.folder, **options)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def told(one, action):
    return [d for d in one.decisions() if d["kind"] == "maintenance" and d["action"] == action]


def wait_state(one, name, state, seconds=20):
    wait_until(lambda: (instance(one, name) or {"state": None})["state"] == state, seconds,
               f"{name} is {state}\n{one.log()}")


class H2Load(threading.Thread):
    """One request after another over one HTTP/2 connection, until it is told to stop."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.stopping, self.statuses = port, threading.Event(), []

    def run(self):
        with Client(self.port) as client:
            while not self.stopping.is_set():
                self.statuses.append(client.get("/h2").status)

    def stop(self):
        self.stopping.set()
        self.join(20)
        return self.statuses


def open_tunnel(port, service):
    """A tunnel that ends at this service: connections are tried until one does."""
    for _ in range(200):
        before = service.tunnels
        raw = Raw(port)
        raw.send(b"GET /echo HTTP/1.1\r\nHost: shop.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                 b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        assert raw.read_head().status == 101
        if service.tunnels > before:
            return raw
        raw.close()
    raise AssertionError("none came to that service")


def test_under_load_nothing_fails_and_nothing_new_comes(shop):
    one = shop(3)
    out, *others = one.services
    with open_tunnel(one.port, out) as tunnel:
        load, h2 = Load(one.port, 150).start(), H2Load(one.port)
        h2.start()
        wait_until(lambda: len(out.requests) > 30, 20, "it is under load")
        maintenance(one, "start", f"shop/{out.address}", "--reason", "a new disk")
        wait_until(lambda: instance(one, out.address)["in_flight"] == 1, 20, "only the tunnel is left")
        seen = out.settled()
        before = sum(len(each.requests) for each in others)
        wait_until(lambda: sum(len(each.requests) for each in others) > before + 150, 20, "the load goes on")
        tunnel.send(b"still there")
        assert tunnel.read_exactly(11) == b"still there"
        assert len(out.requests) == seen, "no new request"
        found = instance(one, out.address)
        assert found["state"] == "draining" and found["maintenance"]["reason"] == "a new disk"
        assert found["maintenance"]["until"] is None and "user" in found["maintenance"]["by"]
        maintenance(one, "end", f"shop/{out.address}")
        wait_until(lambda: len(out.requests) > seen, 20, "it is asked again")
        assert load.stop().failures() == []
        statuses = h2.stop()
        assert statuses and set(statuses) == {200}
    start, end = told(one, "start")[0], told(one, "end")[0]
    assert start["subject"] == out.address and "a new disk" in start["reason"] and "user" in start["evidence"]["by"]
    assert end["subject"] == out.address
    assert [d for d in one.decisions() if d["kind"] == "heal" and d["subject"] == out.address] == []


def test_what_takes_too_long_is_closed(shop):
    one = shop(2, drain="4s")
    out = one.services[0]
    with open_tunnel(one.port, out) as tunnel:
        maintenance(one, "start", f"shop/{out.address}")
        tunnel.send(b"in time")
        assert tunnel.read_exactly(7) == b"in time"
        assert tunnel.ended(20)
    wait_until(lambda: instance(one, out.address)["in_flight"] == 0, 20, "it is empty")
    assert one.get().status == 200
    # Nor does the mark stay: what comes after maintenance is left alone.
    maintenance(one, "end", f"shop/{out.address}")
    wait_state(one, out.address, "serving")
    with open_tunnel(one.port, out) as tunnel:
        tunnel.send(b"again")
        assert tunnel.read_exactly(5) == b"again"


def test_wait_returns_when_it_is_empty(shop):
    one = shop(2)
    out = one.services[0]
    with open_tunnel(one.port, out) as tunnel:
        began = time.monotonic()
        threading.Timer(1.0, tunnel.close).start()
        done = maintenance(one, "start", f"shop/{out.address}", "--wait", "--json")
        assert time.monotonic() - began >= 1
        assert json.loads(done.stdout)["instance"] == out.address
    assert instance(one, out.address)["in_flight"] == 0


def test_an_ill_instance_is_left_alone(shop):
    one = shop(2)
    out = one.services[0]
    maintenance(one, "start", f"shop/{out.address}")
    out.health = (500, "")
    wait_until(lambda: instance(one, out.address)["check"]["healthy"] is False, 20, "it is seen")
    assert instance(one, out.address)["state"] == "draining"
    maintenance(one, "end", f"shop/{out.address}")
    assert instance(one, out.address)["state"] == "ejected", "it is not ready yet"
    out.health = (200, "ready")
    wait_state(one, out.address, "serving")


def test_the_controller_and_all_of_it_remember(shop):
    one = shop(2)
    out = one.services[0]
    maintenance(one, "start", f"shop/{out.address}", "--reason", 'a "new" disk', "--for", "1h")
    before = instance(one, out.address)["maintenance"]
    one.kill_controller()
    seen = len(out.requests)
    for _ in range(30):
        assert one.get().status == 200
    assert instance(one, out.address)["maintenance"] == before
    assert len(out.requests) == seen
    one.process.send_signal(signal.SIGTERM)
    one.process.wait(30)
    one.start()
    wait_state(one, out.address, "draining")
    wait_until(lambda: instance(one, one.services[1].address)["state"] == "serving", 20, "the other one")
    assert instance(one, out.address)["maintenance"] == before
    for _ in range(30):
        assert one.get().status == 200
    assert len(out.requests) == seen
    maintenance(one, "end", f"shop/{out.address}")
    wait_state(one, out.address, "serving")


def test_a_book_that_cannot_be_read_is_no_reason_not_to_serve(shop):
    one = shop(2)
    maintenance(one, "start", f"shop/{one.services[0].address}")
    one.process.send_signal(signal.SIGTERM)
    one.process.wait(30)
    (one.folder / "var" / "maintenance.json").write_text('{"version": 1, "maintenance": [{}]}')
    one.start()
    one.wait_serving(2)
    assert "maintenance_not_read" in one.log()


def test_the_last_one_stays_unless_forced(shop):
    one = shop(2)
    first, last = one.services
    maintenance(one, "start", f"shop/{first.address}")
    refused = maintenance(one, "start", f"shop/{last.address}", status=1)
    assert "is the last that serves shop" in refused.stderr
    assert instance(one, last.address)["state"] == "serving" and one.get().status == 200
    maintenance(one, "start", f"shop/{last.address}", "--force")
    assert instance(one, last.address)["state"] == "draining"
    wait_until(lambda: one.get().status == 503, 20, "nobody serves")
    maintenance(one, "end", f"shop/{first.address}")
    wait_until(lambda: one.get().status == 200, 20, "one serves")


def test_one_that_is_ill_does_not_count_as_another(shop):
    one = shop(2)
    ill, last = one.services
    ill.health = (500, "")
    wait_state(one, ill.address, "ejected")
    maintenance(one, "start", f"shop/{last.address}", status=1)
    maintenance(one, "start", f"shop/{ill.address}")


def test_its_time_is_up(shop):
    one = shop(2)
    out = one.services[0]
    maintenance(one, "start", f"shop/{out.address}", "--for", "1h")
    said = maintenance(one, "start", f"shop/{out.address}", "--for", "1s", "--reason", "sooner")   # again
    assert "until" in said.stdout
    wait_state(one, out.address, "serving")
    end = told(one, "end")[0]
    assert "its time is up" in end["reason"] and end["evidence"]["by"] == "the clock"
    assert len(told(one, "start")) == 2


# ---- of processes ----

def test_another_one_is_started_and_it_runs_on(tidegate):
    one = tidegate(PROCESSES)
    one.wait_serving(2)
    load = Load(one.port, 50).start()
    out = [i for i in one.instances() if i["state"] == "serving"][0]
    maintenance(one, "start", f"shop/{out['id']}")
    wait_until(lambda: sum(i["state"] == "serving" for i in one.instances()) == 2, 20, "another one serves")
    found = instance(one, out["id"])
    assert (found["pid"], found["state"]) == (out["pid"], "draining")
    service = one.status()["services"][0]
    if service["instance_capacity_rps"] is not None:
        assert service["capacity_rps"] == pytest.approx(2 * service["instance_capacity_rps"]), "it does not count"
    os.kill(one.status()["controller"], signal.SIGKILL)

    def back():
        try:
            return instance(one, out["id"])
        except OSError:
            return None
    wait_until(lambda: (back() or {"maintenance": None})["maintenance"], 20, "it is adopted as it was")
    assert instance(one, out["id"])["pid"] == out["pid"]
    maintenance(one, "end", f"shop/{out['id']}")
    wait_until(lambda: (instance(one, out["id"]) or {"state": None})["state"] != "draining" or
               instance(one, out["id"]) is None, 20, "it is free")
    assert load.stop().failures() == []


def test_one_that_ends_meanwhile_is_no_crash(tidegate):
    one = tidegate(PROCESSES)
    one.wait_serving(2)
    out = [i for i in one.instances() if i["state"] == "serving"][0]
    maintenance(one, "start", f"shop/{out['id']}")
    os.kill(out["pid"], signal.SIGKILL)
    wait_until(lambda: instance(one, out["id"]) is None, 20, "it is gone")
    assert json.loads(maintenance(one, "list", "--json").stdout) == {"maintenance": []}
    assert [d for d in one.decisions() if d["kind"] == "heal" and d["subject"] == out["id"]] == []
    assert "its process has ended" in told(one, "end")[0]["reason"]


# ---- how it is asked for ----

def over_tcp(one, method, path):
    connection = http.client.HTTPConnection("127.0.0.1", one.admin, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    connection.close()
    return answer


def test_the_api_answers_as_its_document_says(shop):
    one = shop(2)
    document = one.api("/api/v1/openapi.json")
    name = urllib.parse.quote(one.services[0].address, safe="")
    path = f"/api/v1/services/shop/endpoints/{name}/maintenance"
    started = one.api(path + "?for=10m&reason=" + urllib.parse.quote("a b&c=d"), "POST")
    schema.check_answer(document, "POST", path, 200, "application/json", started)
    assert started["reason"] == "a b&c=d" and started["until"] is not None
    listed = one.api("/api/v1/maintenance")
    schema.check_answer(document, "GET", "/api/v1/maintenance", 200, "application/json", listed)
    assert [each["instance"] for each in listed["maintenance"]] == [one.services[0].address]
    schema.check_answer(document, "DELETE", path, 200, "application/json", one.api(path, "DELETE"))
    for method, bad, status in [("POST", path, 401), ("DELETE", path, 401), ("GET", path, 405)]:
        answer = over_tcp(one, method, bad)
        assert answer.status == status, answer.text
    assert over_tcp(one, "GET", path).headers["allow"] == "POST, DELETE"
    for bad in ("?for=1ms", "?for=soon", "?for=91d", "?force=perhaps", "?colour=red", "?reason=%0d%0a"):
        with pytest.raises(AssertionError, match=": 400 "):
            one.api(path + bad, "POST")
    for nobody in ("/api/v1/services/shop/endpoints/nobody/maintenance",
                   f"/api/v1/services/nobody/endpoints/{name}/maintenance",
                   "/api/v1/services/shop/endpoints/%zz/maintenance"):
        for method in ("POST", "DELETE"):
            with pytest.raises(AssertionError, match=": 404 "):
                one.api(nobody, method)
    assert told(one, "start")[0]["subject"] == one.services[0].address and len(told(one, "start")) == 1


def test_the_command_line_says_what_it_wants(shop, tmp_path):
    one = shop(2)
    name = f"shop/{one.services[0].address}"
    for words in ([], ["start"], ["list", name], ["end", name, "--force"], ["begin", name], ["start", "shop"],
                  ["start", name, "--colour"]):
        assert run_cli("maintenance", *words, cwd=one.folder).returncode == 2, words
    assert run_cli("maintenance", "start", name, "--for", "soon", cwd=one.folder).returncode == 2
    assert run_cli("maintenance", "end", name, cwd=one.folder).returncode == 1
    nobody = tmp_path / "elsewhere"
    nobody.mkdir()
    assert run_cli("maintenance", "list", cwd=nobody).returncode == 3
    maintenance(one, "start", name, "--reason", "why not")
    listed = run_cli("maintenance", "list", "--config", one.config_path, cwd=nobody)
    assert name in listed.stdout and "why not" in listed.stdout and "it is ended" in listed.stdout
    helped = run_cli("maintenance", "--help")
    assert helped.returncode == 0 and "--for DURATION" in helped.stdout


def test_a_tunnel_that_is_cut_is_told_of(shop):
    """Closed is not broken: the visitor sees the end of the connection, not a reset in mid-frame."""
    one = shop(2, drain="1s")
    out = one.services[0]
    tunnel = open_tunnel(one.port, out)
    maintenance(one, "start", f"shop/{out.address}")
    with pytest.raises((Closed, ConnectionError)):
        tunnel.read_exactly(1)
    tunnel.close()
    wait_until(lambda: instance(one, out.address)["in_flight"] == 0, 20, "it is empty")
