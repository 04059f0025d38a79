"""HTTP/1.1 through one worker, as raw dialogues: framing, order, hop-by-hop rules, time."""
import threading
import time

import pytest

from lib.proxy import Proxy, Service
from lib.raw import Closed
from lib.tidegate import wait_until


def test_get_and_keep_alive_reuse_one_connection_on_each_side(echo):
    with echo.connect() as client:
        for i in range(20):
            response = client.get(f"/page/{i}")
            assert (response.status, response.body) == (200, f"/page/{i}".encode())
            assert response.field("connection") is None
    assert echo.service.connections == 1
    assert echo.vitals()["accepted"] == 1


def test_pipelined_requests_are_answered_in_order(echo):
    with echo.connect() as client:
        client.send("".join(f"GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n" for i in range(200)))
        assert [client.read_response().body for _ in range(200)] == \
            [f"/{i}".encode() for i in range(200)]


def test_pipelining_past_the_receive_buffer_stays_bounded_and_in_order(echo):
    pad = "x" * 4000
    count = 400  # 1.6 MB of requests at once
    with echo.connect() as client:
        data = "".join(f"GET /{i} HTTP/1.1\r\nHost: a\r\nPad: {pad}\r\n\r\n" for i in range(count))
        sender = threading.Thread(target=client.send, args=(data,))
        sender.start()
        for i in range(count):
            assert client.read_response().body == f"/{i}".encode()
        sender.join()


def test_requests_split_anywhere(echo):
    request = b"POST /s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" \
              b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"
    for at in range(1, len(request), 3):
        with echo.connect() as client:
            client.send(request[:at])
            time.sleep(0.002)
            client.send(request[at:])
            assert client.read_response().body == b"hello world"
    with echo.connect() as client:
        client.send_slowly(request)
        assert client.read_response().body == b"hello world"
    assert echo.service.requests[-1].trailers == [("x-sum", "1")]


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_bodies_with_a_length_arrive_whole(echo, size):
    body = b"y" * size
    with echo.connect() as client:
        client.send(f"PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n")
        sender = threading.Thread(target=client.send, args=(body,))
        sender.start()
        assert client.read_response().body == (body or b"/b")
        sender.join()
    assert echo.service.requests[-1].field("content-length") == str(len(body))


def answers(*texts):
    """A service that answers each request on a connection by the next text."""
    def script(one):
        for text in texts:
            one.read_request()
            one.send(text)
        time.sleep(0.05)
    return script


def exchange(script, request="GET / HTTP/1.1\r\nHost: a\r\n\r\n", method="GET"):
    with Service(script) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send(request)
        return client.read_response(method)


def test_chunked_responses_stream_with_trailers():
    response = exchange(answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
                                "3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: end\r\n\r\n"))
    assert (response.body, response.trailers) == (b"abcde", [("x-t", "end")])


def test_a_response_until_close_becomes_chunked():
    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
    response = exchange(script)
    assert response.field("transfer-encoding") == "chunked"
    assert response.body == b"until the end"


def test_chunks_are_passed_on_as_they_come():
    gate = threading.Event()

    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        gate.wait(20)
        one.send("0\r\n\r\n")

    with Service(script) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_head()
        assert client.read_chunk() == b"first"  # before the service has ended the response
        gate.set()
        assert client.read_chunk() == b""


def test_request_bodies_are_passed_on_as_they_come():
    arrived = threading.Event()

    def script(one):
        one.read_head()
        assert one.raw.read_chunk() == b"part"
        arrived.set()
        while one.raw.read_chunk():
            pass
        one.raw.read_fields()
        one.answer()

    with Service(script) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
        assert arrived.wait(10)
        client.send("0\r\n\r\n")
        assert client.read_response().body == b"ok"


def test_head_has_no_body_and_keeps_its_length():
    with Service(answers("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as service, \
            Proxy(service.port) as proxy, proxy.connect() as client:
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.read_response("HEAD")
        assert response.field("content-length") == "1000"
        assert client.get().body == b"ok"  # the connection is still in step


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_statuses_without_a_body(status):
    with Service(answers(f"HTTP/1.1 {status}\r\nETag: \"a\"\r\n\r\n",
                         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as service, \
            Proxy(service.port) as proxy, proxy.connect() as client:
        response = client.get()
        assert response.status == int(status[:3])
        assert response.field("transfer-encoding") is None
        assert client.get().body == b"ok"
    assert service.connections == 1


# ---- informational responses ----

def test_100_continue_comes_from_the_service():
    def script(one):
        _, fields = one.read_head()
        assert dict(fields)["expect"] == "100-continue"
        assert one.raw.silent(0.1)
        one.send("HTTP/1.1 100 Continue\r\n\r\n")
        body, _ = one.read_body(fields)
        one.answer(body)

    with Service(script) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert client.read_head().status == 100
        client.send("body")
        assert client.read_response().body == b"body"


def test_an_early_final_answer_to_expect_is_passed_on_and_closes():
    def script(one):
        one.read_head()
        one.answer("no", "403 Forbidden")

    with Service(script) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        response = client.read_response()
        assert (response.status, response.body) == (403, b"no")
        assert response.field("connection") == "close"
        assert client.ended()


def test_103_early_hints_are_passed_on_and_not_to_http_1_0():
    text = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" \
           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    response = exchange(answers(text))
    assert [one.status for one in response.informational] == [103]
    assert response.informational[0].field("link") == "</a.css>"
    response = exchange(answers(text), "GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    assert (response.informational, response.body) == ([], b"ok")


def test_an_early_answer_while_the_body_is_still_sent():
    def script(one):
        one.read_head()
        one.answer("too large", "413 Content Too Large")
        time.sleep(1)

    with Service(script) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + "x" * 1000)
        response = client.read_response()
        assert (response.status, response.body) == (413, b"too large")
        assert client.ended()


# ---- heads on their way through ----

def test_hop_by_hop_fields_stay_behind(echo):
    with echo.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: keep-alive, X-Secret, Cookie\r\n"
                    "X-Secret: 1\r\nCookie: sid=1\r\nKeep-Alive: 5\r\nTE: trailers, deflate\r\n"
                    "Proxy-Connection: close\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\n"
                    "HTTP2-Settings: a\r\nX-Kept: 1\r\n\r\n")
        assert client.read_response().status == 200
    names = [name for name, _ in echo.service.requests[0].fields]
    for gone in ("x-secret", "keep-alive", "proxy-connection", "upgrade",
                 "http2-settings", "proxy-authorization"):
        assert gone not in names
    assert echo.service.requests[0].field("te") == "trailers"
    assert echo.service.requests[0].field("connection") == "te"  # ours (RFC 9110 10.1.4)
    assert "x-kept" in names and "cookie" in names  # Cookie cannot be nominated away
    assert echo.service.requests[0].field("host") == "shop.test"


def test_response_hop_by_hop_fields_stay_behind():
    response = exchange(answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Internal\r\n"
                                "X-Internal: 1\r\nKeep-Alive: timeout=5\r\nX-Kept: 1\r\n\r\nok"))
    names = [name for name, _ in response.fields]
    assert "x-internal" not in names and "keep-alive" not in names and "x-kept" in names
    assert response.field("via") == "1.1 tidegate"
    assert response.field("date") is not None


def test_who_asks_is_said_and_cannot_be_forged(echo):
    echo.get(fields="X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"
                    "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n")
    request = echo.service.requests[0]
    assert request.field("x-forwarded-for") == "127.0.0.1"
    assert request.field("x-forwarded-proto") == "http"
    assert request.field("x-forwarded-host") == "shop.test"
    assert request.field("forwarded") == 'for=127.0.0.1;host="shop.test";proto=http'


def test_traceparent_is_passed_or_made(echo):
    mine = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    echo.get(fields=f"traceparent: {mine}\r\n")
    assert echo.service.requests[0].field("traceparent") == mine
    for bad in ("", "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n",
                "traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
                f"traceparent: {mine}x\r\n", "traceparent: nonsense\r\n"):
        echo.get(fields=bad)
        made = echo.service.requests[-1].field("traceparent")
        version, trace, parent, flags = made.split("-")
        assert (version, len(trace), len(parent)) == ("00", 32, 16) and made != mine


def test_absolute_form_becomes_origin_form(echo):
    with echo.connect() as client:
        client.send("GET http://other.test/a?b HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        assert client.read_response().body == b"/a?b"
    assert echo.service.requests[0].field("host") == "other.test"


# ---- HTTP/1.0 ----

def test_http_1_0_gets_a_plain_body_and_the_end(echo):
    with echo.connect() as client:
        client.send("GET /old HTTP/1.0\r\n\r\n")
        response = client.read_response()
        assert response.body == b"/old" and response.field("connection") == "close"
        assert client.ended()


def test_http_1_0_gets_chunked_bodies_without_chunks():
    response = exchange(answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "GET / HTTP/1.0\r\n\r\n")
    assert response.close_delimited and response.body == b"abcde"


def test_connection_close_is_honoured_and_said(echo):
    with echo.connect() as client:
        response = client.get(fields="Connection: close\r\n")
        assert response.field("connection") == "close" and client.ended()


def test_a_half_closed_client_still_gets_its_answer(echo):
    with echo.connect() as client:
        client.send("GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
        client.finish()
        assert client.read_response().body == b"/half"


def test_a_half_closed_client_is_ended_after_its_answer():
    ended = threading.Event()

    def script(one):
        one.read_request()
        assert ended.wait(20)
        time.sleep(0.1)  # until the proxy has seen the client's end
        one.answer()

    with Service(script) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.finish()
        ended.set()
        assert client.read_response().body == b"ok"
        assert client.ended(9)  # not at the idle timeout
        proxy.wait(lambda v: v["open"] == 0)


# ---- routes ----

def test_routes_by_host_and_prefix():
    routes = ["/=0", "/cart=1", "shop.test/=2", "*.eu.test/=3"]
    with Service() as a, Service() as b, Service() as c, Service() as d:
        endpoints = [f"127.0.0.1:{one.port},serving,{i}" for i, one in enumerate((a, b, c, d))]
        with Proxy(*endpoints, routes=routes) as proxy, proxy.connect() as client:
            def ask(host, path):
                client.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
                assert client.read_response().status == 200
            ask("any.test", "/x")
            ask("any.test", "/cart/7")
            ask("any.test", "/%63art")           # normalised for routing
            ask("any.test", "/x/../cart?q=/x")
            ask("any.test", "/carton")
            ask("SHOP.test:8080", "/cart")       # the host is more specific than the path
            ask("de.eu.test", "/")
        assert [r.target for r in a.requests] == ["/x", "/carton"]
        assert [r.target for r in b.requests] == ["/cart/7", "/%63art", "/x/../cart?q=/x"]
        assert [len(c.requests), len(d.requests)] == [1, 1]
    with Service() as service, Proxy(service.port, routes=["/only=0"]) as proxy:
        assert proxy.get("/other").status == 404
        assert proxy.get("/only/this").status == 200


# ---- tunnels ----

def websocket_like(one):
    _, fields = one.read_head()
    assert dict(fields)["connection"] == "upgrade" and dict(fields)["upgrade"] == "websocket"
    one.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi")
    while data := one.raw.buffer or one.raw.socket.recv(65536):
        one.raw.buffer = b""
        one.send(data[::-1])
    one.send(b"bye")


UPGRADE = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_a_tunnel_carries_bytes_both_ways_and_half_closes():
    with Service(websocket_like) as service, Proxy(service.port) as proxy:
        with proxy.connect() as client:
            client.send(UPGRADE)
            response = client.read_response()
            assert response.status == 101
            assert response.field("upgrade") == "websocket"
            assert client.read_exactly(2) == b"hi"
            client.send(b"\x00\x01\xffabc")
            assert client.read_exactly(6) == b"cba\xff\x01\x00"
            client.finish()
            assert client.read_to_end() == b"bye"
        assert proxy.wait(lambda v: v["open"] == 0 and v["upstream_open"] == 0)
        assert proxy.records()[-1]["flags"] & 64


def test_bytes_sent_with_the_upgrade_reach_the_tunnel():
    with Service(websocket_like) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send(UPGRADE + "early")
        assert client.read_response().status == 101
        assert client.read_exactly(7) == b"hi" + b"ylrae"


def test_an_upgrade_that_the_service_ignores_is_an_ordinary_request(echo):
    with echo.connect() as client:
        client.send(UPGRADE)
        assert client.read_response().body == b"/ws"
        assert client.get("/next").body == b"/next"


def test_a_101_nobody_asked_for_is_a_bad_answer():
    response = exchange(answers("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"))
    assert response.status == 502


# ---- the service breaks off ----

CUTS = [
    ("chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"),
    ("inside a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nfirst"),
    ("length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst"),
]


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("name,text", CUTS, ids=[one[0] for one in CUTS])
def test_an_answer_that_is_cut_never_looks_whole(name, text, end):
    def script(one):
        one.read_request()
        one.send(text)
        time.sleep(0.05)
        getattr(one, end)()

    with Service(script) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises((Closed, ConnectionResetError)):
            client.read_response()
        proxy.wait(lambda v: v["failed"] == v["reasons"]["upstream_cut"] == 1)


def test_a_cut_answer_to_http_1_0_ends_with_a_reset():
    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        time.sleep(0.05)

    with Service(script) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        client.send("GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.read_response()


@pytest.mark.parametrize("text", ["nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                                  "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                                  "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                                  "HTTP/1.1 200 OK\r\nX: " + "x" * 70000],
                         ids=["nonsense", "bad length", "two lengths", "length and chunked", "endless"])
def test_an_answer_that_is_not_http_is_502(text):
    assert exchange(answers(text, text, text, text), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") \
        .status == 502


EVIL = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"


@pytest.mark.parametrize("pause", [0, 0.1])
def test_bytes_that_nobody_asked_for_end_the_connection(pause):
    ended = []

    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + ("" if pause else EVIL))
        if pause:
            time.sleep(pause)
            one.send(EVIL)
        ended.append(one.raw.ended())

    with Service(script) as service, Proxy(service.port) as proxy, proxy.connect() as client:
        assert client.get().body == b"ok"
        assert wait_until(lambda: ended, 10, "the service has seen it") == [True]
        assert client.get().body == b"ok"
        assert service.connections == 2 and proxy.vitals()["retries"] == 0


# ---- time ----

def test_slow_clients_are_timed_out():
    """Each limit has a proxy of its own, so that whoever was paused before it could speak is not taken for slow."""
    with Service() as service, Proxy(service.port, limits={"client_head_ms": 1000}) as proxy, \
            proxy.connect() as slow_head:
        slow_head.send("GET / HTTP/1.1\r\nHo")
        started = time.monotonic()
        with proxy.connect() as silent:
            assert silent.ended(15) and time.monotonic() - started > 0.9
        assert slow_head.read_response().status == 408 and slow_head.ended()
        assert service.requests == []
    with Service() as service, Proxy(service.port, limits={"client_body_ms": 200}) as proxy, \
            proxy.connect() as slow_body:
        started = time.monotonic()
        slow_body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab")
        assert slow_body.read_response().status == 408 and slow_body.ended()
        assert 0.19 < time.monotonic() - started < 9
        assert service.requests == []
    with Service() as service, Proxy(service.port, limits={"client_idle_ms": 300}) as proxy, \
            proxy.connect() as idle:
        started = time.monotonic()
        assert idle.get().status == 200
        assert idle.ended() and time.monotonic() - started > 0.29


def test_a_head_that_trickles_behind_another_request_is_timed_out():
    limits = {"client_head_ms": 1000, "client_idle_ms": 60000}
    with Service() as service, Proxy(service.port, limits=limits) as proxy, \
            proxy.connect() as client:
        client.get()
        client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHo")
        assert client.read_response().body == b"/1"
        started = time.monotonic()
        while client.silent(0.1):
            assert time.monotonic() - started < 15, "a byte now and then was taken for progress"
            client.send("s")
        assert client.read_response().status == 408


def test_slow_services_are_timed_out():
    def script(one):
        request = one.read_request()
        if request.target == "/stalls":
            one.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        time.sleep(30)

    limits = {"first_byte_ms": 200, "idle_ms": 60000, "attempts": 1}
    with Service(script) as service, Proxy(service.port, limits=limits) as proxy:
        with proxy.connect() as client:
            started = time.monotonic()
            client.send("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            assert client.read_response().status == 504
            assert 0.19 < time.monotonic() - started < 9
            assert client.get("/late").status == 504  # still in step
        proxy.wait(lambda v: (v["reasons"]["timeout_first_byte"], v["reasons"]["timeout_idle"]) == (2, 0))
    limits = {"first_byte_ms": 60000, "idle_ms": 300, "attempts": 1}
    with Service(script) as service, Proxy(service.port, limits=limits) as proxy:
        with proxy.connect() as client:
            client.send("GET /stalls HTTP/1.1\r\nHost: a\r\n\r\n")
            with pytest.raises(Closed):
                client.read_response()
        proxy.wait(lambda v: (v["reasons"]["timeout_first_byte"], v["reasons"]["timeout_idle"]) == (0, 1))


def test_an_answer_that_stalls_is_cut_before_its_head_would_have_been_late():
    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
        time.sleep(5)

    limits = {"first_byte_ms": 60000, "idle_ms": 300}
    with Service(script) as service, Proxy(service.port, limits=limits) as proxy:
        with proxy.connect() as client:
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            with pytest.raises(Closed):
                client.read_response()
        proxy.wait(lambda v: v["reasons"]["timeout_idle"] == 1)


def test_the_total_time_is_limited():
    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            one.send("1\r\nx\r\n")
            time.sleep(0.05)

    with Service(script) as service, Proxy(service.port, limits={"total_ms": 1500}) as proxy, \
            proxy.connect() as client:
        started = time.monotonic()
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(Closed):
            client.read_response()
        assert 1.4 < time.monotonic() - started < 12
