"""Sending again, and twice: what is retried, under which budget, with which deadline; slow reads that
race; what is never executed twice. Services in HTTP/1 and HTTP/2, real processes where one is killed."""
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from lib.h2peer import Client, H2Service
from lib.proxy import REAL, Proxy, Service, free_port, until_asked
from lib.raw import Closed
from lib.tidegate import wait_until

pytestmark = pytest.mark.skipif(REAL, reason="limits and counters are the harness's")

CONNECT, RESET, TIMEOUT, S500, S502, S503, S504 = (1 << bit for bit in range(7))
POST = "POST /order HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n{}\r\norder"
RETRIED, HEDGED = 1, 1024


def answering(status, fields=""):
    """Answers each request so, and counts it."""
    def script(one):
        while True:
            one.service.requests.append(one.read_request())
            one.answer("no", status, fields)
    return counted(script)


def pages(statuses):
    """Answers 200, or what is said of a path."""
    def script(one):
        while True:
            request = one.read_request()
            one.service.requests.append(request)
            one.answer("page", statuses.get(request.target, "200 OK"))
    return counted(script)


def counted(script):
    service = Service(lambda one: None)

    def serve(one):
        one.service = service
        script(one)
    service.script = serve
    return service


def dying():
    def script(one):
        one.service.requests.append(one.read_request())
        one.close()
    return counted(script)


def slow(seconds):
    """Answers after so long; notes the connections that are closed on it meanwhile."""
    def script(one):
        while True:
            request = one.read_request()
            one.service.requests.append(request)
            one.raw.socket.settimeout(seconds)
            try:
                if one.raw.socket.recv(1) == b"":
                    one.service.cancelled.set()
                    return
            except TimeoutError:
                one.raw.socket.settimeout(20)
            one.answer("slow")
    service = counted(script)
    service.cancelled = threading.Event()
    return service


def post(proxy, fields=""):
    with proxy.connect() as client:
        client.send(POST.format(fields))
        return client.read_response()


def until_asked(service, ask):
    """The answers until a request has come to the service: which endpoint is asked is chance."""
    answers = []
    while not service.requests:
        assert len(answers) < 200, "the service was not asked"
        answers.append(ask())
    return answers


def warm_up(proxy, count=80):
    """So that the times to first byte are known: reads at the quick endpoint only."""
    with proxy.connect() as client:
        for i in range(count):
            assert client.get(f"/warm/{i}").status == 200


# ---- after an answer ----

@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
def test_a_read_that_one_endpoint_cannot_answer_is_answered_by_another(status):
    with answering(status) as bad, Service() as good, Proxy(bad.port, good.port) as proxy:
        assert set(until_asked(bad, lambda: proxy.get("/same").body)) == {b"/same"}
        assert len(bad.requests) == proxy.vitals()["retried"]["status"] == 1


def test_500_is_retried_where_the_configuration_says_so():
    with answering("500 Oops") as bad, Service() as good:
        with Proxy(bad.port, good.port) as proxy:
            statuses = until_asked(bad, lambda: proxy.get().status)
            assert 500 in statuses and proxy.vitals()["retries"] == 0
        with Proxy(bad.port, good.port, limits={"retry_on": S500}) as proxy:
            assert all(proxy.get().status == 200 for _ in range(10))


def test_500_of_the_application_is_sent_twice_at_most_and_once_where_it_is_common():
    with pages({"/broken": "500 Oops"}) as a, pages({"/broken": "500 Oops"}) as b, \
            Proxy(a.port, b.port) as proxy, proxy.connect() as client:
        def broken():
            return [r for r in (*a.requests, *b.requests) if r.target == "/broken"]
        assert all(client.get("/well").status == 200 for _ in range(300))
        assert client.get("/broken").status == 500 and len(broken()) <= 2
        for _ in range(100):    # now it is the service that fails
            assert client.get("/broken").status == 500
        seen = proxy.vitals()["retried"]["status"]
        assert all(client.get("/broken").status == 500 for _ in range(20))
        assert proxy.vitals()["retried"]["status"] == seen


def test_the_answer_goes_through_when_there_is_nobody_else_or_the_service_says_when():
    with answering("503 Busy", "X-Which: last\r\n") as bad, Proxy(bad.port) as proxy:
        answer = proxy.get()
        assert (answer.status, answer.body, answer.field("x-which")) == (503, b"no", "last")
        assert len(bad.requests) == 3
    with answering("503 Busy", "Retry-After: 7\r\n") as bad, Service() as good, \
            Proxy(bad.port, good.port) as proxy:
        answer = until_asked(bad, proxy.get)[-1]
        assert (answer.status, answer.field("retry-after")) == (503, "7")
        assert proxy.vitals()["retries"] == 0


def test_a_post_is_not_retried_whatever_the_answer():
    with answering("503 Busy") as a, answering("503 Busy") as b, Proxy(a.port, b.port) as proxy:
        for _ in range(10):
            assert post(proxy).status == 503
        assert len(a.requests) + len(b.requests) == 10 and proxy.vitals()["retries"] == 0


def test_an_idempotency_key_counts_only_where_the_service_honours_it():
    key = 'Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324"\r\n'
    with dying() as bad, Service() as good:
        with Proxy(bad.port, good.port) as proxy:
            statuses = until_asked(bad, lambda: post(proxy, key).status)
            assert 502 in statuses and proxy.vitals()["retries"] == 0
        for fields, again in ((key, True), ("", False), (key + key, False), ("Idempotency-Key:\r\n", False)):
            bad.requests.clear()
            with Proxy(bad.port, good.port, limits={"idempotency_key": 1}) as proxy:
                statuses = until_asked(bad, lambda: post(proxy, fields).status)
                assert (502 not in statuses) == again
                assert (proxy.vitals()["retried"]["reset"] >= 1) == again


def test_nothing_is_retried_where_that_is_switched_off():
    with dying() as bad, Proxy(bad.port, limits={"retry_on": 0}) as proxy:
        assert proxy.get().status == 502
        assert len(bad.requests) == 1
    with Proxy(free_port(), limits={"retry_on": 0}) as proxy:
        assert proxy.get().status == 502


def test_an_answer_that_breaks_off_is_not_begun_again():
    def cut(one):
        one.service.requests.append(one.read_request())
        one.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        one.close()
    with counted(cut) as bad, Proxy(bad.port) as proxy, proxy.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_head().status == 200
        with pytest.raises((Closed, ConnectionError)):
            client.read_exactly(100)
        assert len(bad.requests) == 1 and proxy.vitals()["retries"] == 0


def test_interim_answers_are_no_answer():
    """The first endpoint says 100 and 103 and breaks off: the request goes to the other one."""
    def hints(one):
        one.service.requests.append(one.read_request())
        one.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        time.sleep(0.05)
        one.close()
    with counted(hints) as bad, Service() as good, Proxy(bad.port, good.port) as proxy:
        def put():
            with proxy.connect() as client:
                client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
                client.send("ab")
                assert client.read_response().body == b"ab"
        until_asked(bad, put)


# ---- the budget ----

@pytest.mark.parametrize("workers", [1, 2])
def test_a_storm_is_refused_and_seen(workers):
    """All fail: retries end with the budget, which all workers share, and somebody is told."""
    with dying() as bad, Proxy(bad.port, workers=workers, limits={"floor_rps": 0}) as proxy:
        clients = [proxy.connect() for _ in range(10)]
        for _ in range(60):
            for client in clients:
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            for client in clients:
                assert client.read_response().status == 502
        for client in clients:
            client.close()
        v = proxy.vitals()
        assert v["retries"] + v["offered"] == len(bad.requests)
        # With no floor nothing was saved up at the start: a tenth of what has come, and no more.
        assert v["retries"] <= 60 + 1 and v["retries_refused"] > 0 and v["retry_storms"] >= 1


# ---- deadlines ----

def test_per_try_goes_elsewhere_and_waits_when_there_is_nowhere_to_go():
    with slow(15) as hanging, Service() as good, \
            Proxy(hanging.port, good.port, limits={"per_try_ms": 700, "no_hedge": 1}) as proxy:
        for i in range(10):
            began = time.monotonic()
            assert proxy.get(f"/{i}").body == f"/{i}".encode()
            assert time.monotonic() - began < 8
        assert proxy.vitals()["retried"]["timeout"] >= 1
    with slow(0.4) as only, Proxy(only.port, limits={"per_try_ms": 100, "attempts": 1}) as proxy:
        assert proxy.get().body == b"slow"
        assert post(proxy).body == b"slow"
        assert len(only.requests) == 2


def test_a_retry_that_would_come_too_late_is_not_sent():
    """Answers take 1500 ms and 1400 are left when the first attempt is cut off."""
    def script(one):
        while True:
            request = one.read_request()
            one.service.requests.append(request)
            time.sleep(1.5)
            if request.target == "/cut":
                return
            one.answer()
    limits = {"total_ms": 2900, "no_hedge": 1}
    with counted(script) as service, Proxy(service.port, limits=limits) as proxy:
        for _ in range(3):
            assert proxy.get("/").status == 200
        assert proxy.get("/cut").status == 502
        v = proxy.vitals()
        assert (v["retries"], v["retries_late"], len(service.requests)) == (0, 1, 4)


def test_the_service_is_told_how_long_is_left():
    limits = {"total_ms": 60000, "deadline_field": 1}
    with Service() as service, Proxy(service.port, limits=limits) as proxy:
        proxy.get()
        proxy.get(fields="X-Time-Left: 7000\r\n")
        proxy.get(fields="X-Time-Left: 70000\r\n")
        proxy.get(fields="X-Time-Left: soon\r\n")
        told = [int(request.field("x-time-left")) for request in service.requests]
        assert 50000 < told[0] <= 60000 and 0 < told[1] <= 7000
        assert 50000 < told[2] <= 60000 and 50000 < told[3] <= 60000
    with Service() as service, Proxy(service.port, limits={"deadline_field": 1}) as proxy:
        proxy.get()
        proxy.get(fields="X-Time-Left: 7000\r\n")
        assert service.requests[0].field("x-time-left") is None
        assert 0 < int(service.requests[1].field("x-time-left")) <= 7000
    with slow(5) as service, Proxy(service.port, limits={"deadline_field": 1}) as proxy:
        assert proxy.get(fields="X-Time-Left: 100\r\n").status == 504


# ---- hedging ----

HEDGE = {"hedge_us": 20000}


def hedged(proxy, count=60):
    """Reads, one after the other, some of which go to the hanging endpoint first."""
    with proxy.connect() as client:
        for i in range(count):
            assert client.get(f"/{i}").body == f"/{i}".encode()


def until_won(proxy):
    deadline = time.monotonic() + 30
    while proxy.vitals()["hedges_won"] == 0:
        assert time.monotonic() < deadline, "no hedge has won"
        hedged(proxy)


def test_a_slow_read_is_answered_by_another_endpoint_and_the_loser_is_closed():
    with slow(3) as hanging, Service() as good, \
            Proxy(good.port, f"127.0.0.1:{hanging.port},warm", limits=HEDGE) as proxy:
        warm_up(proxy)
        proxy.publish("state 1 serving")
        until_won(proxy)
        assert hanging.cancelled.wait(20)
        v = proxy.wait(lambda v: v["endpoints"][1]["in_flight"] == 0)
        # One that was called off may not have been read there at all; where the good one took its
        # time, it was the hedge that hung; and where all take their time, it may be put out.
        assert v["hedges_sent"] + v["retried"]["ejected"] >= len(hanging.requests)
        assert v["hedges_sent"] == v["hedges_won"] + v["hedges_lost"]
        assert v["endpoints"][1]["failures"] == 0 and v["endpoints"][1]["awaiting"] == 0
        assert v["failed"] == 0 and v["retries"] == v["retried"]["ejected"]
        records = wait_until(lambda: [r for r in proxy.records() if r["flags"] & HEDGED], 20, "records of them")
        assert len(records) == v["hedges_sent"] and all(r["endpoint"] == 0 for r in records)


def test_the_hedge_may_lose():
    """The second endpoint hangs when the first one is a little slow: nobody notices."""
    def sometimes(one):
        while True:
            request = one.read_request()
            if request.target.startswith("/slow"):
                time.sleep(0.15)
            one.answer(request.target)
    with counted(sometimes) as first, slow(3) as hanging, \
            Proxy(first.port, f"127.0.0.1:{hanging.port},warm", limits=HEDGE) as proxy:
        warm_up(proxy)
        # Out of rotation an endpoint gets no first attempt; a second one may go to a spare.
        with proxy.connect() as client:
            for i in range(3):
                assert client.get(f"/slow/{i}").body == f"/slow/{i}".encode()
        v = proxy.wait(lambda v: v["endpoints"][1]["in_flight"] == 0)
        assert v["hedges_lost"] >= 1 and v["hedges_won"] == 0 and v["failed"] == 0
        assert hanging.cancelled.wait(20)


def test_what_is_no_plain_read_is_not_hedged():
    with slow(0.2) as sleepy, Service() as good, \
            Proxy(good.port, f"127.0.0.1:{sleepy.port},warm", limits=HEDGE) as proxy:
        warm_up(proxy)
        proxy.publish("state 0 draining", "state 1 serving", f"endpoint 127.0.0.1:{free_port()},warm")
        for request in (POST.format(""), "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
                        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
                        "GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n"):
            with proxy.connect() as client:
                client.send(request)
                assert client.read_response().body == b"slow"
        assert proxy.vitals()["hedges_sent"] == 0


def test_hedging_can_be_switched_off():
    with slow(0.3) as sleepy, Service() as good, \
            Proxy(good.port, f"127.0.0.1:{sleepy.port},warm", limits={"no_hedge": 1}) as proxy:
        warm_up(proxy)
        proxy.publish("state 1 serving")
        with proxy.connect() as client:
            bodies = [client.get(f"/{i}").body for i in range(20)]
        assert b"slow" in bodies
        assert proxy.vitals()["hedges_sent"] == 0 and not sleepy.cancelled.is_set()


def test_a_failed_first_attempt_leaves_the_hedge_to_answer():
    def cut(one):
        one.service.requests.append(one.read_request())
        time.sleep(1)
        one.close()

    def late(one):
        while True:
            request = one.read_request()
            if not request.target.startswith("/warm"):
                time.sleep(2)
            one.answer("late")
    with counted(cut) as bad, counted(late) as good, \
            Proxy(good.port, f"127.0.0.1:{bad.port},warm", limits=HEDGE) as proxy:
        warm_up(proxy)
        proxy.publish("state 1 serving", "state 0 warm")
        with proxy.connect() as client:
            assert client.get("/x").body == b"late"
        v = proxy.vitals()
        assert (v["hedges_won"], v["retries"], v["failed"], len(bad.requests)) == (1, 0, 0, 1)
        assert v["endpoints"][1]["failures"] == 1


def test_a_visitor_who_leaves_calls_both_off():
    with slow(5) as a, slow(5) as b, Service() as good, \
            Proxy(good.port, *(f"127.0.0.1:{s.port},warm" for s in (a, b)), limits=HEDGE) as proxy:
        warm_up(proxy)
        proxy.publish("state 0 draining", "state 1 serving", "state 2 serving")
        client = proxy.connect()
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda v: v["endpoints"][1]["awaiting"] == v["endpoints"][2]["awaiting"] == 1)
        client.close()
        assert a.cancelled.wait(20) and b.cancelled.wait(20)
        proxy.wait(lambda v: v["in_flight"] == v["upstream_open"] == 0)


def test_an_endpoint_that_hangs_soon_gets_nothing_any_more():
    """Each attempt that was called off counts as unanswered for so long: they add up."""
    with slow(30) as hanging, Service() as good, \
            Proxy(good.port, f"127.0.0.1:{hanging.port},warm", limits=HEDGE) as proxy:
        warm_up(proxy)
        proxy.publish("state 1 serving")
        began = time.monotonic()
        hedged(proxy, 300)
        # It is tried again every 400 ms.
        assert 1 <= len(hanging.requests) <= 12 + 3 * (time.monotonic() - began)


# ---- HTTP/2 services ----

def test_in_http2_the_loser_is_reset_and_the_connection_stays():
    held = []

    def hold(peer, stream):
        held.append((peer, stream))
    with H2Service(hold) as hanging, H2Service() as good, \
            Proxy(good.port, f"127.0.0.1:{hanging.port},warm", limits={**HEDGE, "protocol": 1}) as proxy:
        warm_up(proxy)
        proxy.publish("state 1 serving")
        until_won(proxy)
        v = proxy.wait(lambda v: v["endpoints"][1]["in_flight"] == 0)
        assert v["hedges_sent"] + v["retried"]["ejected"] >= len(held) and v["failed"] == 0
        wait_until(lambda: held and all(stream.reset == 8 for _, stream in held), 20, "CANCEL")
        assert hanging.connections == 1 and not hanging.peers[0].closed


def test_in_http2_503_goes_elsewhere_and_so_does_grpc_unavailable_if_the_route_allows():
    def busy(peer, stream):
        peer.respond(stream.id, 503, b"no")

    def unavailable(peer, stream):
        peer.respond(stream.id, 200, fields=[("content-type", "application/grpc"), ("grpc-status", "14")])

    def fine(peer, stream):
        peer.respond(stream.id, 200, b"\0\0\0\0\0", [("content-type", "application/grpc")],
                     [("grpc-status", "0")])
    with H2Service(busy) as bad, H2Service() as good, \
            Proxy(bad.port, good.port, limits={"protocol": 1}) as proxy:
        assert set(until_asked(bad, lambda: proxy.get("/same").body)) == {b"/same"}
    call = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "5S")]
    key = [("idempotency-key", '"1"')]
    for fields, again in ((call, False), (call + key, True)):
        with H2Service(unavailable) as bad, H2Service(fine) as good, \
                Proxy(bad.port, good.port, limits={"protocol": 1, "idempotency_key": 1}) as proxy, \
                Client(proxy.port) as client:
            statuses = until_asked(bad, lambda: client.post("/a.B/C", b"\0\0\0\0\0", fields))
            codes = [s.field("grpc-status") or dict(s.trailers)["grpc-status"] for s in statuses]
            assert ("14" not in codes) == again
            told = [request.field("grpc-timeout") for request in good.requests + bad.requests]
            assert all(0 < int(text[:-1]) <= 5000000 and text[-1] == "u" for text in told)


# ---- limits of connections ----

def test_the_limit_of_connections_to_an_endpoint():
    with slow(2) as a, Proxy(a.port, limits={"service_connections": 2, "no_hedge": 1}) as proxy:
        clients = [proxy.connect() for _ in range(4)]
        for client in clients:
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answers = sorted((client.read_response() for client in clients), key=lambda r: r.status)
        assert [r.status for r in answers] == [200, 200, 503, 503]
        assert int(answers[3].field("retry-after")) >= 1 and a.connections == 2
        v = proxy.wait(lambda v: v["refused"] == v["reasons"]["connections"] == 2)
        assert v["connections_full"] >= 2
        assert v["endpoints"][0]["failures"] == v["endpoints"][0]["connect_failures"] == 0
        assert clients[0].get().status == 200  # those that are open are used again
        for client in clients:
            client.close()


def test_a_full_endpoint_is_passed_over():
    with slow(2) as a, slow(2) as b, \
            Proxy(a.port, b.port, limits={"service_connections": 2, "no_hedge": 1}) as proxy:
        clients = [proxy.connect() for _ in range(4)]
        for client in clients:
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [client.read_response().status for client in clients] == [200] * 4
        assert (a.connections, b.connections) == (2, 2)


# ---- kill -9 ----

SHOP = """
import http.server, os, socketserver, sys, time, random
log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
class Order(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        os.write(log, body + b"\\n")        # executed: it survives a kill
        time.sleep(random.random() * 0.004)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 256
Server(("127.0.0.1", int(sys.argv[1])), Order).serve_forever()
"""


class Shop:
    """A real process that notes each order it executes, and can be killed and started again."""

    def __init__(self, folder, name):
        self.port, self.log = free_port(), pathlib.Path(folder) / name
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-c", SHOP, str(self.port), str(self.log)])
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def executed(self):
        return self.log.read_text().split() if self.log.exists() else []


def test_no_order_is_executed_twice_and_no_read_fails_while_shops_are_killed():
    orders, reads_failed, lost = 600, [], []
    seed = int(os.environ.get("SEED", time.time()))
    print("seed", seed)
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        shops = [Shop(folder, f"shop{i}") for i in range(3)]
        try:
            with Proxy(*(shop.port for shop in shops), workers=2) as proxy:
                numbers, stop = iter(range(orders)), threading.Event()
                lock = threading.Lock()

                def order():
                    while True:
                        with lock:
                            number = next(numbers, None)
                        if number is None:
                            return
                        body = f"order-{number}"
                        with proxy.connect() as client:
                            client.send(f"POST /o HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
                                        f"\r\n{body}")
                            if client.read_response().status != 200:
                                lost.append(body)

                def read():
                    while not stop.is_set():
                        status = proxy.get("/r").status
                        if status != 200:
                            reads_failed.append(status)
                        time.sleep(0.002)

                workers = [threading.Thread(target=order) for _ in range(6)]
                readers = [threading.Thread(target=read) for _ in range(2)]
                for one in workers + readers:
                    one.start()
                while any(one.is_alive() for one in workers):
                    shop = chance.choice(shops)
                    time.sleep(0.05 + 0.2 * chance.random())
                    shop.kill()
                    time.sleep(0.05 + 0.1 * chance.random())
                    shop.start()
                stop.set()
                for one in workers + readers:
                    one.join()
                executed = [number for shop in shops for number in shop.executed()]
                assert len(executed) == len(set(executed)), "an order was executed twice"
                assert set(executed) >= {f"order-{i}" for i in range(orders)} - set(lost)
                assert len(lost) < orders / 4
                assert reads_failed == []
        finally:
            for shop in shops:
                shop.kill()
