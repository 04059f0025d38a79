"""HTTP/2 from the client, HTTP/1.1 to the service, as dialogues with python3-h2."""
import os
import subprocess
import threading
import time

import pytest

from lib.h2peer import Client, h2
from lib.proxy import REAL, Proxy, Service


@pytest.fixture
def echo():
    with Service() as service, Proxy(service.port) as proxy:
        proxy.service = service
        yield proxy


def serving(script, **options):
    """A proxy in front of one scripted HTTP/1.1 service."""
    class Both:
        def __enter__(self):
            self.service = Service(script).__enter__()
            self.proxy = Proxy(self.service.port, **options).__enter__()
            self.proxy.service = self.service
            return self.proxy

        def __exit__(self, *what):
            self.proxy.__exit__(*what)
            self.service.__exit__(*what)
    return Both()


# ---- messages ----

def test_a_request_and_its_answer(echo):
    with Client(echo.port) as client:
        answer = client.get("/a/b?c=d")
        assert (answer.status, answer.body) == (200, b"/a/b?c=d")
        assert answer.field("date") and "tidegate" in answer.field("via")
    seen = echo.service.requests[0]
    assert seen.field("host") == "shop.test" and seen.field("via").startswith("2.0 ")
    assert seen.field("connection") is None and seen.field("content-length") is None


def test_many_streams_share_one_connection_and_answers_overtake():
    gate = threading.Event()

    def script(one):
        while True:
            request = one.read_request()
            if request.target == "/slow":
                gate.wait(60)
            one.answer(request.target)

    with serving(script) as proxy, Client(proxy.port) as client:
        slow = client.open("/slow")
        others = [client.open(f"/{i}") for i in range(50)]
        for i, other in enumerate(others):
            assert client.wait(other).body == f"/{i}".encode()
        assert not slow.ended
        gate.set()
        assert client.wait(slow).body == b"/slow"


@pytest.mark.parametrize("size", [0, 1, 16_384, 70_000, 3_000_000])
def test_bodies_arrive_whole_in_both_directions(echo, size):
    body = bytes(i * 7 % 251 for i in range(997)) * (size // 997 + 1)
    body = body[:size]
    with Client(echo.port) as client:
        assert client.post("/b", body).body == (body or b"/b")
        assert client.post("/b", body, [("content-length", str(size))]).body == (body or b"/b")
    first, second = echo.service.requests
    assert first.body == body and second.body == body
    assert second.field("content-length") == str(size)


def test_head_has_a_length_and_no_body():
    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")

    with serving(script) as proxy, Client(proxy.port) as client:
        answer = client.get("/", method="HEAD")
        assert (answer.status, answer.field("content-length"), answer.body) == (200, "1234", b"")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_without_a_body(status):
    def script(one):
        one.read_request()
        one.send(f"HTTP/1.1 {status}\r\nETag: \"x\"\r\n\r\n")

    with serving(script) as proxy, Client(proxy.port) as client:
        answer = client.get("/")
        assert (answer.status, answer.body, answer.field("etag")) == (int(status[:3]), b"", '"x"')


def test_trailers_go_both_ways():
    def script(one):
        request = one.read_request()
        assert request.trailers == [("x-sum", "7")]
        one.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: end\r\n\r\n")
        time.sleep(0.1)

    with serving(script) as proxy, Client(proxy.port) as client:
        stream = client.open("/", "POST", end=False)
        client.send_body(stream.id, b"abc", end=False)
        client.state.send_headers(stream.id, [("x-sum", "7")], end_stream=True)
        client.flush()
        client.wait(stream)
        assert (stream.body, stream.trailers) == (b"hi", [("x-t", "end")])


def test_informational_answers_come_first():
    def script(one):
        one.read_head()
        one.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        one.send("HTTP/1.1 100 Continue\r\n\r\n")
        assert one.raw.read_exactly(3) == b"abc"
        one.answer()

    with serving(script) as proxy, Client(proxy.port) as client:
        stream = client.open("/", "POST", [("expect", "100-continue"), ("content-length", "3")], end=False)
        client.until(lambda: len(stream.informational) == 2)
        assert stream.informational[0] == [(":status", "103"), ("link", "</a.css>")]
        assert stream.informational[1] == [(":status", "100")]
        client.send_body(stream.id, b"abc")
        assert client.wait(stream).body == b"ok"


def test_cookie_crumbs_become_one_field(echo):
    with Client(echo.port) as client:
        client.get("/", fields=[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")])
    assert echo.service.requests[0].field("cookie") == "a=1; b=2; c=3"


def test_an_answer_before_the_body_has_come_stops_the_upload():
    def script(one):
        one.read_head()
        one.answer("no", status="403 Forbidden")
        time.sleep(0.3)

    with serving(script) as proxy, Client(proxy.port) as client:
        stream = client.open("/", "POST", end=False)
        client.send_body(stream.id, b"x" * 1000, end=False)
        client.until(lambda: stream.reset is not None)
        assert (stream.status, stream.body, stream.ended, stream.reset) == (403, b"no", True, 0)
        assert not client.goaways


def test_a_service_that_dies_in_mid_body_is_a_reset_not_an_end():
    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        time.sleep(0.1)

    with serving(script) as proxy, Client(proxy.port) as client:
        stream = client.wait(client.open("/"))
        assert stream.reset == 2 and not stream.ended
        assert client.wait(client.open("/again")).reset == 2  # the connection lives on
        assert not client.goaways


def test_a_client_that_resets_gives_its_place_back():
    asked, left = threading.Event(), threading.Event()

    def script(one):
        one.read_request()
        asked.set()
        one.raw.socket.settimeout(20)
        if one.raw.socket.recv(1) == b"":
            left.set()

    with serving(script) as proxy, Client(proxy.port) as client:
        stream = client.open("/")
        assert asked.wait(10)
        client.state.reset_stream(stream.id, 8)
        client.flush()
        assert left.wait(20), "the service was not told"
        proxy.wait(lambda v: v["in_flight"] == 0)


# ---- what is refused ----

def request_fields(**changes):
    fields = {":method": "GET", ":scheme": "http", ":authority": "a", ":path": "/"}
    fields.update({f":{name}": value for name, value in changes.items()})
    return [(name, value) for name, value in fields.items() if value is not None]


MALFORMED = [
    ("8.2.1", "an upper-case name", [*request_fields(), ("X-Up", "1")]),
    ("8.2.1", "a name with a blank", [*request_fields(), ("x y", "1")]),
    ("8.2.1", "a line break in a value", [*request_fields(), ("x", "1\r\nevil: 1")]),
    ("8.2.1", "NUL in a value", [*request_fields(), ("x", "1\0")]),
    ("8.2.1", "an underscore in a known name", [*request_fields(), ("content_length", "1")]),
    ("8.2.2", "connection", [*request_fields(), ("connection", "close")]),
    ("8.2.2", "transfer-encoding", [*request_fields(), ("transfer-encoding", "chunked")]),
    ("8.2.2", "upgrade", [*request_fields(), ("upgrade", "h2c")]),
    ("8.2.2", "te that is not trailers", [*request_fields(), ("te", "gzip")]),
    ("8.3", "a pseudo-field behind a field", [("x", "y"), *request_fields()]),
    ("8.3", "an unknown pseudo-field", [*request_fields(), (":x", "y")]),
    ("8.3.1", "no :method", request_fields(method=None)),
    ("8.3.1", "no :path", request_fields(path=None)),
    ("8.3.1", "an empty :path", request_fields(path="")),
    ("8.3.1", "a relative :path", request_fields(path="a/b")),
    ("8.3.1", "a fragment", request_fields(path="/a#b")),
    ("8.3.1", "a blank in :path", request_fields(path="/a HTTP/1.1")),
    ("8.3.1", "* of GET", request_fields(path="*")),
    ("8.3.1", "no :authority and no host", request_fields(authority=None)),
    ("8.3.1", "userinfo in :authority", request_fields(authority="a@b")),
    ("8.3.1", "host differs", [*request_fields(), ("host", "b")]),
    ("8.3.1", "a scheme of something else", request_fields(scheme="ftp")),
    ("8.3.1", "a method that is no token", request_fields(method="GE T")),
    ("8.1.1", "a length of a request without a body", [*request_fields(method="POST"), ("content-length", "3")]),
    ("8.1.1", "a length that is no number", [*request_fields(), ("content-length", "+0")]),
]


@pytest.mark.parametrize("section, name, fields", MALFORMED, ids=[f"{s} {n}" for s, n, _ in MALFORMED])
def test_malformed_requests_are_stream_errors(echo, section, name, fields):
    with Client(echo.port) as client:
        stream = client.wait(client.open_raw(fields))
        assert stream.reset == 1, name
        assert client.get("/after").body == b"/after"  # HPACK and the connection are unharmed
    assert [request.target for request in echo.service.requests] == ["/after"]


@pytest.mark.parametrize("name, fields, status", [
    ("CONNECT", [(":method", "CONNECT"), (":authority", "a:1")], 405),
    ("TRACE", request_fields(method="TRACE"), 405),
    ("an unknown expectation", [*request_fields(), ("expect", "x")], 417),
    ("a long target", request_fields(path="/" + "x" * 9000), 414),
    ("a large head", [*request_fields(), ("x", "y" * 33000)], 431),
    ("many fields", [*request_fields(), *((f"x{i}", "y") for i in range(110))], 431),
    ("more fields than we keep", [*request_fields(), *((f"x{i}", "y") for i in range(400))], 431),
])
def test_refused_requests_are_answered(echo, name, fields, status):
    with Client(echo.port) as client:
        assert client.wait(client.open_raw(fields)).status == status
        assert client.get("/after").body == b"/after"


# ---- flow ----

LARGE = 8_000_000


def large_script(one):
    while True:
        request = one.read_request()
        if request.target == "/large":
            one.send(f"HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")
            for _ in range(LARGE // 8000):
                one.send(b"z" * 8000)
        else:
            one.answer(request.target)


@pytest.mark.skipif(REAL, reason="looks at the worker's memory")
@pytest.mark.parametrize("io, most", [
    ("epoll", 12_000_000),
    ("io_uring", 64_000_000),  # holds what a paused connection to a service receives in one turn
])
def test_readers_that_stop_fill_no_memory_and_hold_up_nobody(io, most, monkeypatch):
    if io == "io_uring" and "ASAN_OPTIONS" in os.environ:
        pytest.skip("ASan keeps what was freed, so that this backend's large pieces add up")
    monkeypatch.setenv("TIDEGATE_IO", io)
    with serving(large_script) as proxy, Client(proxy.port, automatic=False) as client:
        client.get("/warm")
        before = proxy.rss_bytes()
        stalled = [client.open("/large") for _ in range(20)]
        client.quiet(1.0)
        client.state.increment_flow_control_window(10_000_000)  # of the connection, not of the streams
        client.flush()
        client.quiet(0.5)
        grown = proxy.rss_bytes() - before
        assert grown < most, f"{grown} bytes for 20 streams of {LARGE}"
        assert client.get("/quick").body == b"/quick"
        first = stalled[0]
        client.state.increment_flow_control_window(LARGE, first.id)
        client.flush()
        assert len(client.wait(first, 60).body) == LARGE


def test_one_slow_upload_does_not_hold_up_another():
    release = threading.Event()

    def script(one):
        while True:
            line, fields = one.read_head()
            if b"/stuck" in line:
                release.wait(10)
            body, _ = one.read_body(fields)
            one.answer(str(len(body)))

    with serving(script) as proxy, Client(proxy.port) as client:
        stuck = client.open("/stuck", "POST", end=False)
        sent = 0
        for _ in range(60):  # the service's socket buffers fill, then ours, then the window shuts
            room = min(client.state.local_flow_control_window(stuck.id), 16384)
            if room == 0:
                client.quiet(0.1)
                room = min(client.state.local_flow_control_window(stuck.id), 16384)
                if room == 0:
                    break
            client.state.send_data(stuck.id, b"s" * room)
            client.flush()
            sent += room
        assert client.post("/other", b"o" * 2_000_000).body == b"2000000"
        release.set()
        client.state.end_stream(stuck.id)
        client.flush()
        assert client.wait(stuck).body == str(sent).encode()


def test_a_reader_of_a_small_window_gets_everything():
    settings = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 100}
    with serving(large_script) as proxy, Client(proxy.port, settings=settings) as client:
        assert client.get("/" + "q" * 3000).body == b"/" + b"q" * 3000


@pytest.mark.skipif(REAL, reason="sets limits")
def test_a_window_that_stays_shut_is_not_waited_for():
    settings = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0}
    with Service() as service, Proxy(service.port, limits={"client_body_ms": 300}) as proxy, \
            Client(proxy.port, settings=settings, automatic=False) as client:
        stream = client.open("/x")
        client.until(lambda: stream.reset is not None, 5)
        assert stream.reset == 8


def test_urgent_answers_go_first():
    def script(one):
        while True:
            one.read_request()
            one.answer(b"x" * 400_000)

    with serving(script) as proxy, Client(proxy.port, automatic=False) as client:
        late = client.open("/late", fields=[("priority", "u=7")])
        soon = client.open("/soon", fields=[("priority", "u=0")])
        client.until(lambda: soon.headers and late.headers and len(late.body) + len(soon.body) == 65_535)
        client.quiet(1.0)  # the connection's window is used up; both fill their queues
        begun = len(late.body), len(soon.body)
        client.state.increment_flow_control_window(400_000, soon.id)
        client.state.increment_flow_control_window(400_000, late.id)
        client.state.increment_flow_control_window(100_000)  # less than is queued for either
        client.flush()
        client.until(lambda: len(soon.body) + len(late.body) == sum(begun) + 100_000)
        assert len(soon.body) - begun[1] == 100_000


# ---- ends ----

@pytest.mark.skipif(REAL, reason="sets limits")
def test_an_idle_connection_is_told_and_closed():
    with Service() as service, Proxy(service.port, limits={"client_idle_ms": 200}) as proxy, \
            Client(proxy.port) as client:
        client.get("/")
        client.until(lambda: client.closed, 5)
        assert client.goaways == [(1, 0)]


@pytest.mark.skipif(REAL, reason="sets limits")
def test_half_a_head_is_not_waited_for():
    with Service() as service, Proxy(service.port, limits={"client_head_ms": 200}) as proxy, \
            Client(proxy.port) as client:
        client.pump()
        client.send_raw(b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82")  # HEADERS without END_HEADERS
        client.until(lambda: client.closed, 5)
        assert client.goaways[-1][1] == 11


@pytest.mark.skipif(REAL, reason="sets limits")
def test_a_body_that_stops_is_answered():
    with Service() as service, Proxy(service.port, limits={"client_body_ms": 300}) as proxy, \
            Client(proxy.port) as client:
        stream = client.open("/", "POST", [("content-length", "10")], end=False)
        assert client.wait(stream, 5).status == 408
        assert client.get("/after").body == b"/after"


@pytest.mark.skipif(REAL, reason="sets limits")
def test_after_its_last_request_a_connection_goes_away_politely():
    with Service() as service, Proxy(service.port, limits={"requests_per_connection": 3}) as proxy, \
            Client(proxy.port) as client:
        for i in range(3):
            assert client.get(f"/{i}").body == f"/{i}".encode()
        client.until(lambda: client.closed, 5)
        assert client.goaways == [(2**31 - 1, 0), (5, 0)]


@pytest.mark.skipif(REAL, reason="asks the harness")
def test_a_drain_finishes_what_is_under_way():
    gate = threading.Event()

    def script(one):
        one.read_request()
        gate.wait(20)
        one.answer("done")

    with serving(script) as proxy, Client(proxy.port) as client:
        stream = client.open("/slow")
        client.quiet(0.2)
        proxy.command("term")
        client.until(lambda: len(client.goaways) == 2)
        assert client.goaways == [(2**31 - 1, 0), (1, 0)]
        gate.set()
        assert client.wait(stream).body == b"done"
        client.until(lambda: client.closed)


@pytest.mark.skipif(REAL, reason="looks at the vitals")
def test_a_client_that_leaves_with_shut_windows_is_not_kept():
    with serving(large_script) as proxy:
        client = Client(proxy.port, automatic=False, settings={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
        client.open("/" + "q" * 5000)
        client.quiet(0.3)
        client.close()
        proxy.wait(lambda v: v["open"] == 0, 5)


def test_http_1_is_served_on_the_same_port(echo):
    assert echo.get("/one").body == b"/one"
    with Client(echo.port) as client:
        assert client.get("/two").body == b"/two"
    with echo.connect() as raw:
        raw.send_slowly(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert raw.read_exactly(9)[3] == 4  # SETTINGS


def test_h2c_by_upgrade_is_not_offered(echo):
    answer = echo.get("/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n")
    assert answer.status == 200


# ---- with other people's clients ----

def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_nghttp_uploads_and_downloads(echo, tmp_path):
    (tmp_path / "body").write_bytes(b"n" * 500_000)
    out = run("nghttp", "-d", str(tmp_path / "body"), f"http://127.0.0.1:{echo.port}/up")
    assert out == "n" * 500_000


def test_h2load_gets_every_answer(echo):
    out = run("h2load", "-n", "3000", "-c", "8", "-m", "32", f"http://127.0.0.1:{echo.port}/load")
    assert "3000 succeeded, 0 failed, 0 errored" in out
