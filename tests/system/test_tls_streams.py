"""TLS streams that are slow, cut, forged or no TLS at all."""
import contextlib
import os
import signal
import socket
import ssl
import threading
import time

import pytest

from lib import certificates
from lib.certificates import Secure, context
from lib.proxy import Proxy, Service
from lib.raw import Closed
from lib.tidegate import wait_until
from test_tls import authority, metric, secure, shop  # noqa: F401  fixtures, too


def relay(port, rewrite):
    """A listener that passes one connection on; `rewrite(from_client, to_server)` does it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def back():
            with contextlib.suppress(OSError):
                while data := server.recv(65536):
                    client.sendall(data)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
        threading.Thread(target=back, daemon=True).start()
        with contextlib.suppress(OSError):
            rewrite(client, server)
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handshake_byte_by_byte(shop, authority, version):
    one = shop(authority.issue("shop.test"))

    def slowly(client, server):
        while data := client.recv(65536):
            for at in range(len(data)):
                server.sendall(data[at:at + 1])
                time.sleep(0.0005)
    port = relay(one.port, slowly)
    made = context(authority, maximum_version=version)
    with Secure(port, context=made) as client:
        assert client.get("/").status == 200


def test_a_handshake_that_takes_too_long_is_ended(shop, authority):
    one = shop(authority.issue("shop.test"), head="500ms")
    with socket.create_connection(("127.0.0.1", one.port)) as silent, \
            socket.create_connection(("127.0.0.1", one.port)) as slow:
        slow.sendall(bytes.fromhex("160301020001"))
        started = time.monotonic()
        for each in (silent, slow):
            each.settimeout(10)
            assert each.recv(1) == b""
        assert 0.3 < time.monotonic() - started < 5
    wait_until(lambda: metric(one, "tidegate_tls_handshake_failures_total", '"timeout"') == 2, 5,
               "both are counted")


@pytest.mark.parametrize("garbage", [
    b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 70000,
    b"\x00" * 4096, b"SSH-2.0-OpenSSH\r\n", b"\x80\x2e\x01\x00\x02" + b"\x01" * 64,
    b"\x16\x03\x01\x00\x05\x01\x00\xff\xff\xff", b"\x15\x03\x01\x00\x02\x02\x28"])
def test_garbage_instead_of_a_client_hello(shop, authority, garbage):
    one = shop(authority.issue("shop.test"), workers=1, head="2s")  # the last but one waits for more
    before = one.status()["workers"]
    with socket.create_connection(("127.0.0.1", one.port)) as client:
        client.settimeout(10)
        client.sendall(garbage)
        with contextlib.suppress(ConnectionError):
            answer = b""
            while data := client.recv(4096):
                answer += data
            assert b"HTTP" not in answer
    with secure(one, authority) as client:
        assert client.get("/").status == 200
    assert one.status()["workers"] == before
    failures = metric(one, "tidegate_tls_handshake_failures_total")
    assert failures == 1, one.metrics()


def test_a_truncated_stream_is_no_clean_end(authority):
    """A body that ends with the connection: FIN without close_notify must not make it whole."""
    shared = certificates.shared()
    seen = []

    def script(one):
        one.read_head()
        try:
            while data := one.raw.read_chunk():
                seen.append(data)
            seen.append("whole")
        except (Closed, OSError):
            seen.append("cut")
    with Service(script) as service, Proxy(service.port, tls=shared.pair) as proxy:
        client = proxy.connect()
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        wait_until(lambda: seen, 5, "the first chunk")
        os.close(client.socket.detach())  # the kernel's FIN, no close_notify
        wait_until(lambda: seen[-1] in ("cut", "whole"), 5, "the end")
        assert seen == [b"hello", "cut"]


def test_a_truncated_tunnel_is_cut_and_a_finished_one_is_not():
    shared = certificates.shared()
    ends, go_on = [], threading.Event()

    def script(one):
        one.read_request()
        one.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while data := one.raw.socket.recv(100):
                one.send(data)
        ends.append("end")
        go_on.wait(20)
        one.send("bye")
    ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
    with Service(script) as service, Proxy(service.port, tls=shared.pair) as proxy:
        with proxy.connect() as client:  # ended by close_notify: the other direction goes on
            client.send(ask)
            assert client.read_response().status == 101
            client.send("ping")
            assert client.read_exactly(4) == b"ping"
            client.finish()
            wait_until(lambda: len(ends) == 1, 5, "the service hears of it")
            assert proxy.vitals()["open"] == 1
            go_on.set()
            assert client.read_to_end() == b"bye" and client.socket.clean
        go_on.clear()
        client = proxy.connect()
        client.send(ask)
        assert client.read_response().status == 101
        os.close(client.socket.detach())  # the kernel's FIN, no close_notify
        wait_until(lambda: len(ends) == 2, 5, "the service hears of it")
        proxy.wait(lambda v: v["open"] == 0)  # though the service has more to say
        go_on.set()


def test_a_record_that_was_tampered_with_ends_the_connection(shop, authority):
    one = shop(authority.issue("shop.test"))

    def tamper(client, server):
        sent = 0
        while data := client.recv(65536):
            if sent > 1:  # the request, after ClientHello and Finished
                data = data[:-1] + bytes([data[-1] ^ 1])
            server.sendall(data)
            sent += 1
    port = relay(one.port, tamper)
    with Secure(port, context=context(authority)) as client:
        time.sleep(0.2)
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises((ssl.SSLError, ConnectionError, Closed)):
            client.read_response()
    assert one.backend.requests == []


def test_a_worker_that_dies_does_not_stop_tls(shop, authority):
    one = shop(authority.issue("shop.test"), workers=1)
    os.kill(one.status()["workers"][0], signal.SIGKILL)
    with secure(one, authority) as client:
        assert client.get("/").status == 200


def test_an_idle_timeout_says_its_end(authority):
    shared = certificates.shared()
    with Service() as service, \
            Proxy(service.port, tls=shared.pair, limits={"client_idle_ms": 200}) as proxy, \
            proxy.connect() as client:
        assert client.get("/").status == 200
        assert client.socket.recv(1) == b"" and client.socket.clean  # not only a FIN
