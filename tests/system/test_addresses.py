"""Who the visitor is: PROXY headers, trusted proxies; IPv4, IPv6 and Unix sockets on both sides."""
import contextlib
import pathlib
import shutil
import socket
import struct
import tempfile
import threading

import pytest

from lib import certificates
from lib.certificates import Secure
from lib.proxy import Proxy, Service
from lib.raw import Closed, Raw
from lib.tidegate import run_cli

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n"
V2 = SIGNATURE + b"\x21\x11\0\x0c" + socket.inet_aton("192.0.2.7") + \
    socket.inet_aton("192.0.2.1") + struct.pack(">HH", 4711, 80)
V2_6 = SIGNATURE + b"\x21\x21\0\x24" + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + \
    socket.inet_pton(socket.AF_INET6, "2001:db8::1") + struct.pack(">HH", 4711, 80)
LOCAL = SIGNATURE + b"\x20\0\0\0"


@pytest.fixture
def service():
    with Service() as one:
        yield one


def last(service):
    return {name: value for name, value in service.requests[-1].fields}


# ---- PROXY in ----

@pytest.mark.parametrize("header,visitor", [
    (V1, "192.0.2.7"), (V2, "192.0.2.7"), (V2_6, "2001:db8::7"), (LOCAL, "127.0.0.1"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1")])
@pytest.mark.parametrize("how", ["at once", "byte by byte", "with TLS"])
def test_a_proxy_header_names_the_visitor(service, header, visitor, how):
    tls = certificates.shared().pair if how == "with TLS" else None
    with Proxy(service.port, proxy_protocol=True, trusted=["127.0.0.0/8"], tls=tls) as proxy:
        if how == "with TLS":
            client = Secure(proxy.port, before=header)
            assert client.get("/a").status == 200
        else:
            client = Raw(proxy.port)
            request = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
            if how == "at once":
                client.send(header + request)
            else:
                client.send_slowly(header + request, pause=0.0005)
            assert client.read_response().status == 200
        assert last(service)["x-forwarded-for"] == visitor
        assert client.get("/b").body == b"/b"  # the header is the connection's, not the request's
        client.close()


def test_a_trusted_peer_without_a_header_is_turned_away(service):
    with Proxy(service.port, proxy_protocol=True, trusted=["127.0.0.0/8"]) as proxy:
        for text in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"PROXY TCP4 1.1.1.1 2.2.2.2 0x1 2\r\n",
                     SIGNATURE + b"\x21\x12\0\x0c" + b"\0" * 12):
            with Raw(proxy.port) as client:
                client.send(text)
                assert client.ended()
        assert proxy.vitals()["proxy_headers_refused"] == 3
    assert service.requests == []


def test_who_is_not_trusted_cannot_say_who_he_is(service):
    with Proxy(service.port, proxy_protocol=True, trusted=["10.0.0.0/8"]) as proxy:
        with Raw(proxy.port) as client:
            client.send(V1 + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.read_response().status == 400
        with Raw(proxy.port) as client:  # and needs no header
            assert client.get("/", "X-Forwarded-For: 192.0.2.9\r\nForwarded: for=1.1.1.1\r\n").status == 200
        assert last(service)["x-forwarded-for"] == "127.0.0.1"
        assert last(service)["forwarded"].startswith("for=127.0.0.1;")


def test_a_header_that_does_not_come_is_not_waited_for(service):
    with Proxy(service.port, proxy_protocol=True, trusted=["127.0.0.0/8"],
               limits={"client_head_ms": 300}) as proxy, Raw(proxy.port) as client:
        client.send(b"PROXY TCP4 192")
        assert client.ended(5)


# ---- trusted proxies ----

@pytest.mark.parametrize("fields,visitor,passed_on", [
    ("", "127.0.0.1", "127.0.0.1"),
    ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7", "192.0.2.7, 127.0.0.1"),
    ("X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.1.1.1\r\n", "192.0.2.7",
     "198.51.100.1, 192.0.2.7, 10.1.1.1, 127.0.0.1"),
    ("X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7",
     "198.51.100.1, 2001:db8::7, 127.0.0.1"),
    ("Forwarded: for=192.0.2.66\r\n", "127.0.0.1", "127.0.0.1")])
def test_a_trusted_proxy_names_the_visitor(service, fields, visitor, passed_on):
    with Proxy(service.port, trusted=["127.0.0.0/8", "10.0.0.0/8"]) as proxy:
        with Raw(proxy.port) as client:
            assert client.get("/", fields).status == 200
        seen = last(service)
        assert seen["x-forwarded-for"] == passed_on
        quoted = f'"[{visitor}]"' if ":" in visitor else visitor
        assert seen["forwarded"] == f'for={quoted};host="shop.test";proto=http'
        assert proxy.records()[0]["client"] == visitor


def test_a_trusted_proxys_word_about_the_scheme_goes_on(service):
    with Proxy(service.port, trusted=["127.0.0.1"]) as proxy, Raw(proxy.port) as client:
        client.get("/", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n")
        assert last(service)["x-forwarded-proto"] == "https"
        assert "proto=https" in last(service)["forwarded"]


# ---- families ----

CONFIG = """
listen:
  - {{ address: "127.0.0.1:{{port}}" }}
  - {{ address: "{second}"{more} }}
admin: {{ address: "127.0.0.1:{{admin}}" }}
store: sqlite:var/tidegate.db
workers: 1
trusted_proxies: [10.0.0.0/8]
services: {{ shop: {{ fleet: static, endpoints: ["{endpoint}"] }} }}
routes: [ {{ path: /, service: shop }} ]
"""


class Answering:
    """Answers each request on a listening socket of any family; remembers their fields."""

    def __init__(self, listener):
        self.listener, self.fields = listener, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        client = Raw.__new__(Raw)
        client.socket, client.buffer = connection, b""
        with contextlib.suppress(Closed, OSError), connection:
            while client.read_line():
                self.fields.append(dict(client.read_fields()))
                client.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def stop(self):
        self.listener.close()


def ask(family, address, fields="", before=b""):
    with socket.socket(family) as s:
        s.settimeout(10)
        s.connect(address)
        client = Raw.__new__(Raw)
        client.socket, client.buffer = s, b""
        client.send(before)
        return client.get("/", fields)


def test_ipv6_and_dual_stack(tidegate, backend, tmp_path):
    from lib.tidegate import free_port
    try:
        port = free_port()
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    behind = backend()
    tidegate(CONFIG.format(second=f":{port}", more="", endpoint=behind.address))
    for family, host, seen in ((socket.AF_INET6, "::1", '"[::1]"'),
                               (socket.AF_INET, "127.0.0.1", "127.0.0.1")):
        assert ask(family, (host, port)).status == 200
        assert behind.requests[-1][2]["forwarded"].startswith(f"for={seen};"), host


def test_an_ipv6_endpoint(tidegate):
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    behind = Answering(listener)
    from lib.tidegate import free_port
    one = tidegate(CONFIG.format(second=f"127.0.0.1:{free_port()}", more="",
                                 endpoint=f"[::1]:{listener.getsockname()[1]}"))
    assert one.get("/").status == 200
    behind.stop()


def test_unix_sockets_on_both_sides(tidegate, tmp_path):
    # Workers are nobody when we are root: they reach what everybody reaches.
    folder = pathlib.Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    front, back = tmp_path / "front.sock", folder / "back.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(back))
    back.chmod(0o777)
    listener.listen(16)
    behind = Answering(listener)
    one = tidegate(CONFIG.format(second=f"unix:{front}", more="", endpoint=f"unix:{back}"))
    assert one.get("/").status == 200
    answer = ask(socket.AF_UNIX, str(front), "X-Forwarded-For: 192.0.2.9\r\n")
    assert answer.status == 200
    assert behind.fields[-1]["x-forwarded-for"] == "unknown"
    assert behind.fields[-1]["forwarded"].startswith("for=unknown;")
    behind.stop()
    shutil.rmtree(folder)


def test_a_unix_listener_with_proxy_headers(tidegate, backend, tmp_path):
    front, behind = tmp_path / "front.sock", backend()
    tidegate(CONFIG.format(second=f"unix:{front}", more=", proxy_protocol: true",
                           endpoint=behind.address))
    assert ask(socket.AF_UNIX, str(front), before=V2).status == 200
    assert behind.requests[-1][2]["x-forwarded-for"] == "192.0.2.7"


def test_the_reference_knows_the_keys():
    text = run_cli("reference", "config").stdout
    assert "`trusted_proxies`" in text and "`proxy_protocol`" in text
