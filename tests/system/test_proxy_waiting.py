"""More than a service can carry: who waits, in which order, for how long, and who is turned away."""
import contextlib
import threading
import time

from lib.proxy import Gated, Proxy, Service, spread
from lib.raw import Raw


def test_what_waits_has_an_order_a_bound_and_a_patience():
    limits = {"concurrency": 1, "queue": 3, "patience_ms": 60000}
    with Gated() as service, Proxy(service.port, limits=limits,
                                         routes=["/=0:1", "/checkout=0:5"]) as proxy:
        clients = []
        for i in range(4):
            clients.append(proxy.connect())
            clients[-1].send(f"GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n")
            proxy.wait(lambda v: v["in_flight"] + v["waiting"] == i + 1)
        v = proxy.vitals()
        assert (v["in_flight"], v["waiting"]) == (1, 3)
        assert proxy.get("/one-more").status == 503
        buyer = proxy.connect()
        buyer.send("GET /checkout HTTP/1.1\r\nHost: a\r\n\r\n")
        # Worth more than any who wait: one of them makes room.
        proxy.wait(lambda v: (v["refused"], v["waiting"]) == (2, 3))
        refused, evicted = proxy.records()
        assert refused["waited_us"] == 0 < evicted["waited_us"] <= evicted["total_us"]
        service.gate.set()
        assert buyer.read_response().status == 200
        statuses = [client.read_response().status for client in clients]
        assert sorted(statuses) == [200] * 3 + [503]
        assert [r.target for r in service.requests][1] == "/checkout"
        for one in clients + [buyer]:
            one.close()


def test_patience_ends():
    limits = {"concurrency": 1, "queue": 10, "patience_ms": 200}
    with Gated() as service, Proxy(service.port, limits=limits) as proxy:
        first, second = proxy.connect(), proxy.connect()
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda v: v["in_flight"] == 1)
        started = time.monotonic()
        assert second.get().status == 503
        assert 0.15 < time.monotonic() - started < 9
        assert second.get().status == 503  # and the connection stays usable
        assert [200_000 <= r["waited_us"] <= r["total_us"] for r in proxy.records()] == [True] * 2
        service.gate.set()
        assert first.read_response().status == 200
        first.close()
        second.close()


def test_who_leaves_the_queue_makes_room():
    limits = {"concurrency": 1, "queue": 10, "patience_ms": 60000}
    with Gated() as service, Proxy(service.port, limits=limits) as proxy:
        first, second = proxy.connect(), proxy.connect()
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda v: v["in_flight"] == 1)
        second.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda v: v["waiting"] == 1)
        second.close()
        proxy.wait(lambda v: v["waiting"] == 0)
        assert [0 < r["waited_us"] <= r["total_us"] for r in proxy.records()] == [True]
        service.gate.set()
        assert first.read_response().status == 200
        first.close()


def test_what_an_instance_took_before_it_failed_was_no_waiting():
    """Of a request that waited, went out, and was sent again."""
    def script(one):
        while True:
            service.requests.append(one.read_request())
            if len(service.requests) == 1:
                service.gate.wait(20)
            elif len(service.requests) == 2:
                time.sleep(0.3)
                return
            one.answer()

    service, limits = Gated(), {"concurrency": 1, "queue": 10, "patience_ms": 60000}
    service.script = script
    with service, Proxy(service.port, service.port, limits=limits) as proxy, \
            proxy.connect() as first, proxy.connect() as second:
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda v: v["in_flight"] == 1)
        second.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda v: v["waiting"] == 1)
        service.gate.set()
        assert first.read_response().status == second.read_response().status == 200
        assert [r.target for r in service.requests] == ["/", "/second", "/second"]
        record = proxy.records()[-1]
        assert record["waited_us"] > 0 and record["total_us"] - record["waited_us"] >= 300_000


def test_another_order_and_fewer_places_at_once():
    """Who has to make room for one that is worth more is told so at once, and waits no more."""
    limits = {"concurrency": 1, "queue": 3, "patience_ms": 60000, "order_by_value": 0}
    with Gated() as service, Proxy(service.port, limits=limits, routes=["/=0:1", "/checkout=0:5"]) as proxy:
        clients = []
        for i, path in enumerate(["/", "/less", "/checkout"]):
            clients.append(proxy.connect())
            clients[-1].send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
            proxy.wait(lambda v: v["in_flight"] + v["waiting"] == i + 1)
        proxy.publish("limit queue=1", "limit order_by_value=1")
        assert clients[1].read_response().status == 503
        assert proxy.vitals()["waiting"] == 1
        service.gate.set()
        assert [clients[i].read_response().status for i in (0, 2)] == [200, 200]
        for one in clients:
            one.close()


def test_a_long_queue_that_goes_on_at_once_needs_no_stack():
    """Its first visitor does not read, so that his place is free but not his connection, the only one there may be:
    each of those who wait is refused in its turn, and its place is the next one's."""
    waiting = 700
    limits = {"concurrency": 1, "queue": waiting, "patience_ms": 60000, "service_connections": 1, "client_head_ms": 60000}
    with Gated(bytes(8 << 20)) as service, Proxy(service.port, limits=limits, start=False) as proxy:
        proxy.arguments = ["prlimit", f"--stack={1 << 19}", *proxy.arguments]
        proxy.start()
        with Raw(proxy.port, receive_buffer=4096) as slow, contextlib.ExitStack() as stack:
            slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            proxy.wait(lambda v: v["in_flight"] == 1)
            clients = [stack.enter_context(proxy.connect()) for _ in range(waiting)]
            for one in clients:
                one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            proxy.wait(lambda v: v["waiting"] == waiting)
            service.gate.set()
            assert {one.read_response().status for one in clients} == {503}
            assert proxy.vitals()["reasons"]["connections"] == waiting


def test_who_has_been_in_the_cart_goes_before_who_has_not():
    limits = {"concurrency": 1, "queue": 10, "patience_ms": 60000}
    with Gated() as service, Proxy(service.port, limits=limits,
                                         routes=["/=0:1", "/cart=0:4"]) as proxy:
        service.gate.set()
        assert proxy.get("/cart", "Cookie: sid=buyer\r\n").status == 200
        service.gate.clear()
        clients = []
        for i, session in enumerate(["any", "new", "buyer"]):
            clients.append(proxy.connect())
            clients[-1].send(f"GET /{i} HTTP/1.1\r\nHost: a\r\nCookie: sid={session}\r\n\r\n")
            proxy.wait(lambda v: v["in_flight"] + v["waiting"] == i + 1)
        service.gate.set()
        for one in clients:
            assert one.read_response().status == 200
            one.close()
        assert [r.target for r in service.requests] == ["/cart", "/0", "/2", "/1"]


def test_among_equal_stages_the_better_customer_goes_first():
    limits = {"concurrency": 1, "queue": 10, "patience_ms": 60000}
    with Gated() as service, Proxy(service.port, limits=limits, routes=["/=0:1"],
                                         customers=["rich=900", "poor=1"]) as proxy:
        clients = []
        for i, cookie in enumerate(["", "customer=poor", "customer=nobody", "a=b; customer=rich"]):
            clients.append(proxy.connect())
            clients[-1].send(f"GET /{i} HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n")
            proxy.wait(lambda v: v["in_flight"] + v["waiting"] == i + 1)
        service.gate.set()
        for one in clients:
            assert one.read_response().status == 200
            one.close()
        assert [r.target for r in service.requests] == ["/0", "/3", "/2", "/1"]
        assert [r["flags"] & 32 for r in proxy.records()] == [0, 32, 0, 32]


def test_the_limit_is_learned_where_the_plan_knows_none():
    """A service that does one thing at a time, 10 ms each: more than 25 at once are late."""
    one_at_a_time = threading.Lock()

    def serial(one):
        while True:
            one.read_request()
            with one_at_a_time:
                time.sleep(0.01)
            one.answer()

    limits = {"patience_ms": 60000, "queue": 1000}
    with Service(serial) as service, Proxy(service.port, limits=limits) as proxy:
        assert proxy.vitals()["limit"] == 64
        stop = threading.Event()

        def load():
            with proxy.connect() as client:
                while not stop.is_set():
                    assert client.get().status == 200
        threads = [threading.Thread(target=load) for _ in range(60)]
        for one in threads:
            one.start()
        try:
            v = proxy.wait(lambda v: v["limit"] < 32, seconds=30)
            assert v["limit"] >= 8
            v = proxy.wait(lambda v: v["in_flight"] <= v["limit"] and v["waiting"] > 0)
        finally:
            stop.set()
            for one in threads:
                one.join()


# ---- several workers ----

def test_workers_share_one_limit():
    limits = {"concurrency": 3, "queue": 100, "patience_ms": 60000}
    with Gated() as service, Proxy(service.port, limits=limits, workers=3) as proxy:
        clients = spread(proxy, 24)
        for one in clients:
            one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        v = proxy.wait(lambda v: v["in_flight"] + v["waiting"] == 24)
        # Each worker decides by what the others had a moment ago: at most one too many each.
        assert 3 <= v["in_flight"] <= 5, v
        service.gate.set()
        for one in clients:
            assert one.read_response().status == 200
            one.close()
        proxy.wait(lambda v: v["in_flight"] == v["waiting"] == 0)
