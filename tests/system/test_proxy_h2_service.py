"""Services in HTTP/2: multiplexing, what they refuse, and WebSocket in all four combinations."""
import base64
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from lib.h2peer import DATA, Client, H2Service, frame, h2
from lib.proxy import REAL, Proxy, Service, harness_path
from lib.raw import Raw
from lib.tidegate import free_port, wait_until

pytestmark = pytest.mark.skipif(REAL, reason="the service's protocol is set in the harness")
CONNECT_PROTOCOL = {h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1}


class serving:
    """A proxy in front of one scripted HTTP/2 service."""

    def __init__(self, answer=None, limits=None, **options):
        self.service = H2Service(answer, **options)
        self.proxy = Proxy(self.service.port, limits={"protocol": 1, **(limits or {})})
        self.proxy.service = self.service

    def __enter__(self):
        self.proxy.__enter__()
        return self.proxy

    def __exit__(self, *what):
        self.proxy.__exit__(*what)
        self.service.__exit__(*what)


@pytest.fixture
def echo():
    with serving() as proxy:
        yield proxy


def test_h1_client_and_h2_service(echo):
    for i in range(5):
        answer = echo.get(f"/a?{i}")
        assert (answer.status, answer.body) == (200, f"/a?{i}".encode())
    seen = echo.service.requests[0]
    assert seen.field(":authority") == "shop.test" and seen.field(":scheme") == "http"
    assert seen.field("via").startswith("1.1 ")
    assert not [name for name, _ in seen.fields if name in ("host", "connection")]
    assert echo.service.connections == 1


def test_h2_client_and_h2_service_share_one_connection(echo):
    with Client(echo.port) as client:
        streams = [client.open(f"/{i}") for i in range(100)]
        for i, stream in enumerate(streams):
            assert client.wait(stream).body == f"/{i}".encode()
    assert echo.service.connections == 1


@pytest.mark.parametrize("size", [0, 1, 16_384, 70_000, 3_000_000])
@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_bodies_arrive_whole(echo, protocol, size):
    body = bytes(i * 11 % 253 for i in range(1009)) * (size // 1009 + 1)
    body = body[:size]
    if protocol == "h2":
        with Client(echo.port) as client:
            assert client.post("/b", body).body == (body or b"/b")
    else:
        with echo.connect() as client:
            client.send(f"PUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
            sender = threading.Thread(target=client.send, args=(body,))
            sender.start()
            assert client.read_response().body == (body or b"/b")
            sender.join()
    assert echo.service.requests[0].body == body


def test_an_answer_without_a_body_has_an_end_in_h1():
    def answer(peer, stream):
        peer.respond(stream.id, 200)

    with serving(answer) as proxy, proxy.connect() as client:
        first = client.get("/")
        assert (first.status, first.field("content-length"), first.body) == (200, "0", b"")
        assert client.get("/").status == 200


def test_trailers_and_informational_answers():
    def answer(peer, stream):
        peer.state.send_headers(stream.id, [(":status", "103"), ("link", "</a>")])
        peer.respond(stream.id, 200, b"body", trailers=[("x-t", "end")])

    with serving(answer) as proxy:
        with Client(proxy.port) as client:
            got = client.get("/")
            assert got.informational == [[(":status", "103"), ("link", "</a>")]]
            assert (got.body, got.trailers) == (b"body", [("x-t", "end")])
        got = proxy.get("/")
        assert [each.status for each in got.informational] == [103]
        assert (got.body, got.trailers) == (b"body", [("x-t", "end")])


@pytest.mark.parametrize("fields", [
    [(":status", "200"), ("connection", "close")],
    [(":status", "200"), ("content-length", "3")],
    [(":status", "20x")],
    [("x", "y")],
    [(":status", "101")],
])
def test_answers_that_make_no_sense_are_502(fields):
    def answer(peer, stream):
        peer.state.send_headers(stream.id, fields, end_stream=True)
        peer.flush()

    with serving(answer) as proxy, Client(proxy.port) as client:
        assert client.post("/", b"").status == 502


def test_a_stream_that_breaks_in_mid_body_never_looks_complete():
    def answer(peer, stream):
        peer.state.send_headers(stream.id, [(":status", "200")])
        peer.state.send_data(stream.id, b"half")
        peer.flush()
        time.sleep(0.1)
        peer.state.reset_stream(stream.id, 2)
        peer.flush()

    with serving(answer) as proxy:
        with Client(proxy.port) as client:
            stream = client.get("/")
            assert (stream.reset, stream.ended) == (2, False)
        with proxy.connect() as client, pytest.raises(Exception):
            client.get("/")


def writes_of(trace, least):
    """The system calls that wrote at least so many bytes, as strace has noted them."""
    returned = re.findall(r"^(?:\d+ +)?(?:sendto|sendmsg|write|writev)\(.* = (\d+)$", trace.read_text(), re.M)
    return [int(each) for each in returned if int(each) >= least]


def test_frames_that_came_together_are_written_together(tmp_path):
    """Four frames of a body for a client in HTTP/1: one write where all have come at once."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (scripts/setup test)")
    body, rounds = bytes(60_000), 30
    trace = tmp_path / "trace"

    def answer(peer, stream):
        peer.respond(stream.id, 200, body, fields=[("content-length", str(len(body)))])

    with H2Service(answer) as service:
        process = subprocess.Popen(
            ["strace", "-o", str(trace), "-e", "trace=sendto,sendmsg,write,writev", "-s", "0",
             harness_path(), "--in-process", "--listen", "127.0.0.1:0", "--limit", "protocol=1",
             "--endpoint", f"127.0.0.1:{service.port}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TIDEGATE_IO": "epoll", "ASAN_OPTIONS": "detect_leaks=0"})
        try:
            line = process.stdout.readline()
            if not line and "ptrace" in process.stderr.read():
                pytest.skip("this machine lets nobody be traced")
            with Raw(int(line.split()[1])) as client:
                for _ in range(rounds):
                    assert client.get("/").body == body
        finally:
            for pid in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(pid), signal.SIGKILL)  # strace ends with it
            process.communicate(timeout=20)
    writes = writes_of(trace, 8192)
    assert sum(writes) >= (rounds - 1) * len(body)      # strace may end before it has noted the last one
    # One each; a service that is slow to write its frames may cost a second one now and then.
    assert len(writes) <= 2 * rounds, writes


# ---- what was not begun goes elsewhere ----

@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_stream_is_tried_again_even_if_it_is_a_post(method):
    refusals = []

    def answer(peer, stream):
        if not refusals:
            refusals.append(stream)
            peer.state.reset_stream(stream.id, 7)
            peer.flush()
        else:
            peer.respond(stream.id, 200, stream.body or b"served")

    with serving(answer) as proxy, Client(proxy.port) as client:
        got = client.get("/") if method == "GET" else client.post("/", b"order 7")
        assert (got.status, got.body) == (200, b"served" if method == "GET" else b"order 7")
        assert proxy.vitals()["retries"] == 1
        assert proxy.vitals()["endpoints"][0]["failures"] == 0


def test_a_service_that_refuses_always_is_given_up():
    def answer(peer, stream):
        peer.state.reset_stream(stream.id, 7)
        peer.flush()

    with serving(answer) as proxy, Client(proxy.port) as client:
        assert client.post("/", b"x").status == 503
        assert proxy.vitals()["reasons"]["upstream_refused"] == 1
        assert len(proxy.service.requests) == 3


def test_a_post_that_may_have_begun_is_not_sent_again():
    def answer(peer, stream):
        peer.state.reset_stream(stream.id, 2)
        peer.flush()

    with serving(answer) as proxy, Client(proxy.port) as client:
        assert client.post("/", b"x").status == 502
        assert len(proxy.service.requests) == 1
        assert client.get("/").status == 502  # and a GET is
        assert len(proxy.service.requests) == 4
        # On a connection that was kept, but is open: each is the service's doing.
        assert proxy.vitals()["endpoints"][0]["failures"] == 4


def test_goaway_finishes_what_was_begun_and_moves_the_rest():
    gate = threading.Event()

    def answer(peer, stream):
        if stream.field(":path") == "/first":
            peer.held = stream
            return
        if peer is peer.service.peers[0]:
            peer.state.close_connection(last_stream_id=peer.held.id)
            peer.state.state_machine.state = h2.connection.ConnectionState.SERVER_OPEN
            peer.flush()
            gate.wait(20)
            peer.respond(peer.held.id, 200, b"first")
        else:
            peer.respond(stream.id, 200, stream.body)

    with serving(answer) as proxy, Client(proxy.port) as client:
        first = client.open("/first")
        client.quiet(0.2)
        second = client.post("/second", b"moved")  # its POST was above the last stream
        assert (second.status, second.body) == (200, b"moved")
        gate.set()
        assert client.wait(first).body == b"first"
        assert proxy.service.connections == 2
        assert client.get("/third").body == b""
        assert proxy.service.connections == 2


def test_the_services_limit_of_streams_is_kept():
    """python3-h2 ends a connection on which more streams are opened than its SETTINGS allow."""
    def answer(peer, stream):
        time.sleep(0.01)  # the next ones pile up in front of us
        peer.respond(stream.id, 200, b"ok")

    settings = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 10}
    with serving(answer, settings=settings) as proxy, Client(proxy.port) as client:
        client.get("/warm")
        streams = [client.open(f"/{i}") for i in range(100)]
        for stream in streams:
            assert client.wait(stream).status == 200
        assert proxy.vitals()["failed"] == 0
        assert 2 <= proxy.service.connections <= 10


def test_a_service_that_is_not_h2_is_a_failed_connection():
    def script(one):
        one.raw.fill()
        one.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with Service(script) as service, Proxy(service.port, limits={"protocol": 1}) as proxy:
        assert proxy.get("/").status in (502, 503)


def test_a_service_that_breaks_the_protocol_loses_the_connection_at_once():
    def answer(peer, stream):
        peer.send_raw(frame(DATA, 0, 0, b"x"))  # DATA of stream 0: RFC 9113 6.1
        time.sleep(20)

    with serving(answer) as proxy, Client(proxy.port) as client:
        begun = time.monotonic()
        assert client.post("/", b"x").status == 502
        assert time.monotonic() - begun < 9
        proxy.wait(lambda v: v["upstream_open"] == 0)


def test_idle_connections_are_closed_with_a_word():
    with serving(limits={"pool_idle_ms": 200}) as proxy:
        proxy.get("/")
        peer = proxy.service.peers[0]
        proxy.wait(lambda v: v["upstream_open"] == 0, 20)
        wait_until(lambda: peer.goaways, 20, "the service has read the word")
        assert [code for _, code in peer.goaways] == [0]


def test_a_slow_reader_stops_the_service():
    size = 30_000_000

    def answer(peer, stream):
        if stream.field(":path") != "/large":
            peer.respond(stream.id, 200, b"quick")
            return
        threading.Thread(target=feed, args=(peer, stream), daemon=True).start()

    sent = [0]

    def feed(peer, stream):
        peer.state.send_headers(stream.id, [(":status", "200")])
        while sent[0] < size:
            room = min(peer.state.local_flow_control_window(stream.id), 16384)
            if room <= 0:
                time.sleep(0.005)
                continue
            peer.state.send_data(stream.id, b"f" * room)
            sent[0] += room
            peer.flush()

    with serving(answer) as proxy, Client(proxy.port, automatic=False) as client:
        client.get("/warm")
        before = proxy.rss_bytes()
        stream = client.open("/large")
        client.quiet(1.0)
        assert sent[0] < 1_000_000, "the service was not held back"
        assert proxy.rss_bytes() - before < 4_000_000
        client.state.increment_flow_control_window(1_000_000)
        assert client.get("/quick").body == b"quick"  # over the same connection to the service
        client.state.reset_stream(stream.id, 8)
        client.flush()
        proxy.wait(lambda v: v["in_flight"] == 0)
        sent[0] = size


# ---- with other people's server ----

@pytest.mark.parametrize("load", [["--h1", "-c", "16"], ["-c", "4", "-m", "8"]])
def test_nghttpd_behind_h2load(load, tmp_path):
    (tmp_path / "file").write_bytes(b"n" * 100_000)
    port = free_port()
    server = subprocess.Popen(["nghttpd", "--no-tls", "-d", str(tmp_path), str(port)])
    try:
        with Proxy(port, limits={"protocol": 1}) as proxy:
            wait_until(lambda: proxy.get("/file").status == 200, 10, "nghttpd answers")
            out = subprocess.run(["h2load", "-n", "2000", *load, f"http://127.0.0.1:{proxy.port}/file"],
                                 capture_output=True, text=True, timeout=60, check=True).stdout
            assert "2000 succeeded, 0 failed, 0 errored" in out, out
            assert "2000 2xx" in out, out
    finally:
        server.terminate()
        server.wait(10)


# ---- WebSocket ----

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 1.3


def h1_websocket(one):
    """Accepts as RFC 6455 says, then answers each byte by its upper case until the client ends."""
    request = one.read_request()
    assert request.method == "GET" and request.field("upgrade") == "websocket"
    key = request.field("sec-websocket-key")
    assert len(base64.b64decode(key)) == 16
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    one.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             b"Sec-WebSocket-Accept: " + accept + b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
    while data := one.raw.socket.recv(4096):
        one.send(data.upper())
    one.send(b"bye")


def h2_websocket():
    def on_head(peer, stream):
        assert stream.field(":method") == "CONNECT" and stream.field(":protocol") == "websocket"
        assert stream.field(":path") == "/chat" and stream.field(":scheme") == "http"
        assert not [name for name, _ in stream.fields if name == "sec-websocket-key"]
        peer.state.send_headers(stream.id, [(":status", "200"), ("sec-websocket-protocol", "chat")])
        peer.flush()

    def on_data(peer, event):
        peer.state.send_data(event.stream_id, event.data.upper())

    def answer(peer, stream):
        peer.state.send_data(stream.id, b"bye", end_stream=True)
        peer.flush()

    return H2Service(answer, on_head, on_data, settings=CONNECT_PROTOCOL)


def talk_h1(proxy):
    with proxy.connect() as client:
        client.send("GET /chat HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
                    "Sec-WebSocket-Protocol: chat\r\n\r\nearly ")
        head = client.read_head()
        assert head.status == 101 and head.field("upgrade").lower() == "websocket"
        assert head.field("sec-websocket-accept") == ACCEPT
        assert head.field("sec-websocket-protocol") == "chat"
        client.send("hello")
        assert client.read_exactly(11) == b"EARLY HELLO"
        client.finish()
        assert client.read_to_end() == b"bye"


def talk_h2(proxy):
    with Client(proxy.port) as client:
        client.pump()
        assert client.state.remote_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1
        stream = client.open_raw([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                                  (":authority", "shop.test"), (":path", "/chat"),
                                  ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")], end=False)
        client.until(lambda: stream.fields is not None)
        assert stream.status == 200 and stream.field("sec-websocket-protocol") == "chat"
        assert not [name for name, _ in stream.fields if name in ("sec-websocket-accept", "upgrade")]
        client.send_body(stream.id, b"hello", end=False)
        client.until(lambda: stream.body == b"HELLO")
        client.state.end_stream(stream.id)
        client.flush()
        client.wait(stream)
        assert (stream.body, stream.ended) == (b"HELLObye", True)


@pytest.mark.parametrize("talk", [talk_h1, talk_h2])
@pytest.mark.parametrize("protocol", [0, 1])
def test_websocket(talk, protocol):
    with (h2_websocket() if protocol else Service(h1_websocket)) as service, \
            Proxy(service.port, limits={"protocol": protocol}) as proxy:
        talk(proxy)
        proxy.wait(lambda v: v["in_flight"] == 0)


def test_a_wrong_accept_is_not_taken():
    def script(one):
        one.read_request()
        one.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n")
        time.sleep(0.2)

    with Service(script) as service, Proxy(service.port) as proxy, Client(proxy.port) as client:
        stream = client.open_raw([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                                  (":authority", "a"), (":path", "/")], end=False)
        client.until(lambda: stream.fields is not None)
        assert stream.status == 502


def test_a_websocket_that_is_refused_is_an_ordinary_answer():
    def script(one):
        one.read_request()
        one.answer("no", status="403 Forbidden")

    with Service(script) as service, Proxy(service.port) as proxy, Client(proxy.port) as client:
        stream = client.open_raw([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                                  (":authority", "a"), (":path", "/")], end=False)
        client.until(lambda: stream.ended)
        assert (stream.status, stream.body) == (403, b"no")


def test_a_tunnel_that_the_client_drops_is_dropped_at_the_service():
    ended = threading.Event()

    def script(one):
        try:
            h1_websocket(one)
        finally:
            ended.set()

    with Service(script) as service, Proxy(service.port) as proxy, Client(proxy.port) as client:
        stream = client.open_raw([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                                  (":authority", "a"), (":path", "/")], end=False)
        client.until(lambda: stream.fields is not None)
        client.state.reset_stream(stream.id, 8)
        client.flush()
        assert ended.wait(20)
