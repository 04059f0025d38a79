"""Services that fail: what is retried, where to, and what is never sent twice."""
import threading
import time

import pytest

from lib.proxy import Gated, Proxy, Service, free_port, spread, until_asked

POST = "POST /order HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\norder"


class Dying(Service):
    """Reads each request, counts it, and breaks the connection off."""

    def __init__(self, how="close", **options):
        self.how = how
        super().__init__(self.die, **options)

    def die(self, one):
        self.requests.append(one.read_request())
        getattr(one, self.how)()


def post(proxy):
    with proxy.connect() as client:
        client.send(POST)
        return client.read_response()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_get_without_an_answer_goes_to_another_endpoint(how):
    with Dying(how) as bad, Service() as good, Proxy(bad.port, good.port) as proxy:
        for i in range(20):
            assert proxy.get(f"/{i}").body == f"/{i}".encode()
        assert len(good.requests) == 20
        assert len(bad.requests) >= 1 and proxy.vitals()["retries"] == len(bad.requests)


def test_a_put_is_replayed_whole():
    body = "x" * 60000
    with Dying() as bad, Service() as good, Proxy(bad.port, good.port) as proxy:
        def put():
            with proxy.connect() as client:
                client.send(f"PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n" + body)
                assert client.read_response().body == body.encode()
        until_asked(bad, put)


def test_a_chunked_put_is_replayed_with_its_trailers():
    with Dying() as bad, Service() as good, Proxy(bad.port, good.port) as proxy:
        def put():
            with proxy.connect() as client:
                client.send("PUT /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
                assert client.read_response().body == b"abc"
        until_asked(bad, put)
        assert all(r.trailers == [("x-t", "1")] for r in good.requests)


def test_what_is_too_large_to_keep_is_not_replayed():
    body = "x" * 100000

    def read_some(one):
        one.raw.read_exactly(90000)
        one.close()

    with Service(read_some) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send(f"PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n" + body)
        assert client.read_response().status == 502
        assert service.connections == 1


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_post_is_never_sent_twice(how):
    with Dying(how) as a, Dying(how) as b, Proxy(a.port, b.port) as proxy:
        for _ in range(10):
            assert post(proxy).status == 502
        assert len(a.requests) + len(b.requests) == 10
        assert proxy.vitals()["retries"] == 0


def test_a_post_that_was_never_sent_goes_elsewhere():
    with Service() as good:
        for _ in range(10):
            with Proxy(free_port(), good.port) as proxy:  # nobody listens on the first
                assert post(proxy).body == b"order"
        assert len(good.requests) == 10


def test_a_post_does_not_ride_on_a_connection_about_to_close():
    """A service that closes a connection idle for a second, in the very moment a request comes."""
    def impatient(one):
        while True:
            request = one.read_request()
            one.answer(request.body or request.target)
            since = time.monotonic()
            one.raw.fill()
            if time.monotonic() - since > 1:
                one.reset()

    with Service(impatient) as service, Proxy(service.port, limits={"pool_idle_ms": 60000}) as proxy:
        assert post(proxy).body == post(proxy).body == b"order"
        assert service.connections == 1  # used a moment ago: it is reused
        time.sleep(1.1)
        assert post(proxy).body == b"order"
        assert service.connections == 2
        time.sleep(1.1)
        assert proxy.get("/x").body == b"/x"  # what may be repeated, may try
        assert proxy.vitals()["failed"] == 0


def test_a_stale_idle_connection_costs_nothing():
    def once(one):
        request = one.read_request()
        service.requests.append(request)
        one.answer(request.target)
        time.sleep(0.02)  # closes without having said so

    with Service(once) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        for i in range(30):
            assert client.get(f"/{i}").body == f"/{i}".encode()
            time.sleep(0.019 if i % 2 else 0.03)
        assert proxy.vitals()["failed"] == 0


def test_a_kept_connection_that_is_closed_under_a_request_is_no_try():
    """Else a service that closes what is idle would cost visitors answers where nothing else is retried."""
    def second_one_is_too_late(one):
        one.answer(one.read_request().target)
        closed.append(one.read_request().method)

    closed = []
    with Service(second_one_is_too_late) as service, Proxy(service.port, limits={"attempts": 1}) as proxy:
        for i in range(6):
            assert proxy.get(f"/{i}").body == f"/{i}".encode()
        assert len(closed) == service.connections - 1 == 5
        assert post(proxy).status == 502    # a POST is never sent twice
        assert closed == ["GET"] * 5 + ["POST"]


def test_a_kept_connection_is_closed_under_a_request_once():
    def never_again(one):
        requests.append(one.read_request())
        if len(requests) == 1:
            one.answer("first")
            requests.append(one.read_request())

    requests = []
    with Service(never_again) as service, Proxy(service.port, limits={"attempts": 2}) as proxy:
        assert proxy.get().status == 200
        assert proxy.get().status == 502
        assert len(requests) == 1 + 1 + 2


def test_retries_have_a_limit():
    with Dying() as bad, Proxy(bad.port, limits={"attempts": 3}) as proxy:
        assert proxy.get().status == 502
        assert len(bad.requests) == 3


def test_retries_have_a_budget():
    """However many requests fail, retries stay a tenth of them beyond the floor."""
    with Dying() as bad, Proxy(bad.port, limits={"attempts": 4}) as proxy:
        began, clients = time.monotonic(), [proxy.connect() for _ in range(10)]
        for _ in range(100):
            for client in clients:
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            for client in clients:
                assert client.read_response().status == 502
        for client in clients:
            client.close()
        requests = len(bad.requests)
        assert 1000 <= requests < 1000 + 200 + 150 + 200 + 10 * (time.monotonic() - began), requests


def test_500_is_an_answer_and_is_not_retried():
    def broken(one):
        while True:
            service.requests.append(one.read_request())
            one.answer("sorry", "500 Internal Server Error")

    with Service(broken) as service, Service() as other, Proxy(service.port, f"127.0.0.1:{other.port},draining") as proxy:
        assert proxy.get().body == b"sorry"
        assert (len(service.requests), len(other.requests)) == (1, 0)


# ---- dead, hung and leaving endpoints ----

def test_a_refused_connection_ejects_the_endpoint_for_all():
    with Service() as good, Proxy(free_port(), good.port) as proxy:
        began = time.monotonic()
        for _ in range(200):
            assert proxy.get().status == 200
        failures = proxy.vitals()["endpoints"][0]["connect_failures"]
        # It is tried again, soon only once a second.
        assert 1 <= failures < 20 + (time.monotonic() - began), "it was asked again and again"


def test_a_spare_takes_over_at_once():
    with Service() as spare:
        with Proxy(free_port(), f"127.0.0.1:{spare.port},warm", limits={"patience_ms": 30000}) as proxy, \
                proxy.connect(timeout=20) as client:    # the patience of who waits for an endpoint is longer
            assert client.get("/now").body == b"/now"
            assert post(proxy).status == 200


def test_a_spare_is_not_used_while_others_serve():
    with Service() as serving, Service() as spare, \
            Proxy(serving.port, f"127.0.0.1:{spare.port},warm") as proxy:
        for _ in range(50):
            assert proxy.get().status == 200
        assert spare.connections == 0


def test_requests_wait_for_an_endpoint_to_come():
    with Service() as service, Proxy(f"127.0.0.1:{service.port},starting") as proxy:
        clients = [proxy.connect() for _ in range(5)]
        for client in clients:
            client.send(POST)
        proxy.wait(lambda v: v["waiting"] == 5)
        proxy.publish("state 0 serving")
        for client in clients:
            assert client.read_response().body == b"order"
            client.close()
        assert len(service.requests) == 5 and proxy.vitals()["waiting"] == 0


def test_without_an_endpoint_visitors_are_told_when_to_come_back():
    with Proxy("127.0.0.1:1,starting", limits={"patience_ms": 100}) as proxy:
        started = time.monotonic()
        response = proxy.get()
        assert response.status == 503 and int(response.field("retry-after")) >= 1
        assert 0.08 < time.monotonic() - started < 9
        v = proxy.vitals()
        assert v["offered"] == 1 and v["refused"] == 1 and v["served"] == 0  # demand is counted


def test_requests_stuck_at_an_ejected_endpoint_are_rescued():
    """A hung instance: its GETs go elsewhere the moment the controller ejects it, its POSTs wait."""
    release = threading.Event()

    def hung(one):
        bad.requests.append(one.read_request())
        release.wait(20)

    with Service(hung) as bad, Service() as good:
        with Proxy(bad.port, f"127.0.0.1:{good.port},warm") as proxy:
            clients = [proxy.connect() for _ in range(20)]
            for i, client in enumerate(clients):
                client.send(f"GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n")
            poster = proxy.connect()
            poster.send(POST)
            v = proxy.wait(lambda v: v["endpoints"][0]["awaiting"] == 21)
            assert 0 < v["endpoints"][0]["oldest_awaiting_us"] <= time.monotonic() * 1e6
            started = time.monotonic()
            proxy.publish("state 0 ejected", "state 1 serving")
            for i, client in enumerate(clients):
                assert client.read_response().body == f"/{i}".encode()
                client.close()
            assert time.monotonic() - started < 8, "not when the service lets go of them"
            assert poster.silent(0.1), "a POST is never sent twice"
            assert [r.method for r in good.requests].count("POST") == 0
            release.set()
            assert poster.read_response().status == 502
            poster.close()
            proxy.wait(lambda v: v["endpoints"][0]["in_flight"] == v["endpoints"][1]["in_flight"] == 0)


def test_a_draining_endpoint_finishes_and_gets_nothing_new():
    with Gated("old") as old, Service() as new, Proxy(old.port, f"127.0.0.1:{new.port},warm") as proxy:
        first = proxy.connect()
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda v: v["endpoints"][0]["in_flight"] == 1)
        proxy.publish("state 0 draining", "state 1 serving")
        for _ in range(20):
            assert proxy.get("/new").body == b"/new"
        old.gate.set()
        assert first.read_response().body == b"old"
        first.close()
        proxy.wait(lambda v: v["upstream_open"] <= 1)  # its connection is not kept
        assert len(old.requests) == 1


def test_a_slot_that_another_endpoint_takes_starts_from_nothing():
    with Gated("old") as old, Service() as new, Proxy(old.port) as proxy:
        first = proxy.connect()
        first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda v: v["endpoints"][0]["in_flight"] == 1)
        proxy.publish(f"replace 0 127.0.0.1:{new.port}")
        assert proxy.get("/new").body == b"/new"
        assert proxy.vitals()["endpoints"][0]["in_flight"] == 0
        old.gate.set()
        assert first.read_response().body == b"old"
        first.close()
        v = proxy.wait(lambda v: v["in_flight"] == 0)
        assert v["endpoints"][0] | {"answers": 1} == v["endpoints"][0]


def test_load_goes_where_it_is_answered_fast():
    def at_speed(seconds):
        def script(one):
            while True:
                one.read_request()
                time.sleep(seconds)
                one.answer(str(seconds))
        return script

    with Service(at_speed(0.002)) as fast, Service(at_speed(0.1)) as slow, \
            Proxy(fast.port, slow.port) as proxy:
        def ask():
            with proxy.connect() as client:
                for _ in range(100):
                    client.get()
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        requests = [e["requests"] for e in proxy.vitals()["endpoints"]]
        assert 800 <= sum(requests) < 900 and requests[1] < 80, requests


def test_an_endpoint_that_fails_fast_draws_no_traffic():
    def failing(one):
        while True:
            one.read_request()
            one.answer("no", "500 Internal Server Error")

    with Service(failing) as bad, Service() as good, Proxy(bad.port, good.port) as proxy:
        statuses = [proxy.get().status for _ in range(300)]
        assert statuses.count(500) <= 15, statuses.count(500)
        assert statuses[-50:].count(500) <= 2


# ---- a killed service and a killed worker ----

def test_a_service_killed_under_load_costs_no_get():
    """Three services at about 600 requests/s; one dies with its connections, twenty times."""
    services = [Service(port=free_port()) for _ in range(3)]    # nobody takes it while the service is away
    with Proxy(*(one.port for one in services)) as proxy:
        stop, failures, counts = threading.Event(), [], []

        def load():
            done = 0
            with proxy.connect() as client:
                while not stop.is_set():
                    response = client.get(f"/{done}")
                    if response.status != 200:
                        failures.append(response)
                    done += 1
                    time.sleep(0.01)
            counts.append(done)

        threads = [threading.Thread(target=load) for _ in range(6)]
        for one in threads:
            one.start()
        for i in range(20):
            victim = i % 3
            port = services[victim].port
            services[victim].stop()
            time.sleep(0.1)
            services[victim] = Service(port=port)
            time.sleep(0.05)
        stop.set()
        for one in threads:
            one.join()
        for one in services:
            one.stop()
        assert failures == [] and sum(counts) > 100


def test_a_killed_worker_is_replaced_and_goes_on():
    with Service() as service, Proxy(service.port) as proxy:
        client = proxy.connect()
        client.get()
        offered = proxy.vitals()["offered"]
        proxy.command("kill")
        assert client.ended()
        waiting = proxy.connect()  # the supervisor's socket still listens
        waiting.send("GET /after HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.command("restart")
        assert waiting.read_response().body == b"/after"
        assert proxy.vitals()["offered"] == offered + 1  # numbers go on
        waiting.close()
        client.close()


# ---- several workers ----

def test_workers_share_what_they_know_of_an_endpoint():
    with Service() as good, Proxy(free_port(), good.port, workers=3) as proxy:
        began, clients = time.monotonic(), spread(proxy, 24)
        for _ in range(10):
            for one in clients:
                assert one.get().status == 200
        assert proxy.vitals()["endpoints"][0]["connect_failures"] <= 20 + (time.monotonic() - began)
        for one in clients:
            one.close()


def test_all_workers_take_up_a_new_plan():
    with Service() as old, Service() as new, Proxy(old.port, f"127.0.0.1:{new.port},warm",
                                                   workers=3) as proxy:
        clients = spread(proxy, 24)
        for one in clients:
            one.get()
        proxy.publish("state 0 draining", "state 1 serving")
        before = len(old.requests)
        for one in clients:
            assert one.get().status == 200
            one.close()
        assert len(old.requests) == before and len(new.requests) == 24
