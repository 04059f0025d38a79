"""What one worker refuses, bad requests and too large ones, and how it says so."""
import pytest

from lib.proxy import Gated, Proxy, Service

REFUSED = [
    ("length and chunked", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ("two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    ("a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
    ("a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
    ("an unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
    ("chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501),
    ("chunked in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("blank before the colon", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\n", 400),
    ("a folded line", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n Y: 2\r\n\r\n", 400),
    ("a bare LF", "GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", 400),
    ("a bare CR", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n", 400),
    ("a NUL", "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
    ("no host", "GET / HTTP/1.1\r\n\r\n", 400),
    ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("a host that is none", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("a blank in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("HTTP/0.9", "GET /\r\n\r\n", 400),
    ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    ("TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ("an unknown expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417),
    ("a broken path", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
]


@pytest.mark.parametrize("name,request_text,status", REFUSED, ids=[one[0] for one in REFUSED])
def test_refused(echo, name, request_text, status):
    smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with echo.connect() as client:
        client.send(request_text + smuggled)
        response = client.read_response()
        assert response.status == status
        assert response.field("connection") == "close"
        assert client.ended(), "what follows a refused request must not be read"
    assert echo.service.requests == []


@pytest.mark.parametrize("chunk", ["x\r\nabc\r\n", "3 \r\nabc\r\n", "-3\r\nabc\r\n", "3\nabc\r\n",
                                   "0x3\r\nabc\r\n", "3\r\nabcd\r\n", "fffffffffffffffff\r\n"],
                         ids=["letter", "blank", "sign", "bare LF", "0x", "too long", "overflow"])
def test_bad_chunks_never_become_a_whole_request(echo, chunk):
    with echo.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "2\r\nok\r\n" + chunk + "0\r\n\r\n")
        assert client.read_response().status == 400
        assert client.ended()
    assert echo.service.requests == []


# ---- limits ----

def test_limits_have_their_statuses():
    limits = {"head_bytes": 4000, "fields": 20, "target_bytes": 1000, "body_bytes": 1000}
    with Service() as service, Proxy(service.port, limits=limits) as proxy:
        cases = [("GET /" + "x" * 1100 + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
                 ("GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 5000 + "\r\n\r\n", 431),
                 ("GET / HTTP/1.1\r\nHost: a\r\n" + "X: 1\r\n" * 25 + "\r\n", 431),
                 ("GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 100000, 431),
                 ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" + "x" * 1001, 413),
                 ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"
                  + "x" * 1001 + "\r\n0\r\n\r\n", 413)]
        for text, status in cases:
            with proxy.connect() as client:
                client.send(text)
                assert client.read_response().status == status
                assert client.ended()
        assert service.requests == []
        assert proxy.vitals()["reasons"]["too_large"] == len(cases)


def test_requests_per_connection_are_limited():
    with Service() as service, Proxy(service.port, limits={"requests_per_connection": 3}) as proxy:
        with proxy.connect() as client:
            assert [client.get().field("connection") for _ in range(3)] == [None, None, "close"]
            assert client.ended()


def test_connections_are_limited():
    """Of two that are at work none gives way, and so small a worker has no place beyond: test_connections_full.py."""
    with Gated() as service, Proxy(service.port, limits={"connections": 2}) as proxy, \
            proxy.connect() as first, proxy.connect() as second:
        for one in (first, second):
            one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda v: v["in_flight"] == 2)
        with proxy.connect() as third:
            third.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert third.ended(20), "without an answer"
        service.gate.set()
        assert first.read_response().status == second.read_response().status == 200


def test_problems_are_html_for_browsers_and_json_for_programs():
    with Proxy("127.0.0.1:1,draining", limits={"patience_ms": 50}) as proxy:
        page = proxy.get(fields="Accept: text/html,*/*\r\n")
        assert (page.status, page.field("content-type")) == (503, "text/html; charset=utf-8")
        problem = proxy.get(fields="Accept: application/json\r\n")
        assert problem.field("content-type") == "application/problem+json"
        assert problem.field("retry-after") and b'"status":503' in problem.body
        with proxy.connect() as client:
            client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.read_response("HEAD").status == 503
            client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.read_response("HEAD").status == 503  # in step: no body was sent
