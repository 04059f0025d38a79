"""TLS and PROXY headers towards services, through the real binary."""
import socket
import ssl
import struct
import time

import pytest

from lib.certificates import Authority
from lib.proxy import Service
from lib.raw import Closed, Raw
from lib.tidegate import wait_until
from test_tls import metric

CONFIG = """
listen: [ {{ address: "127.0.0.1:{{port}}" }} ]
admin: {{ address: "127.0.0.1:{{admin}}" }}
store: sqlite:var/tidegate.db
workers: 1
timeouts: {{ pool_idle: 100ms }}
services:
  shop: {{ fleet: static, endpoints: ["127.0.0.1:{port}"], health: {{ path: /healthz, interval: 200ms }}, {more} }}
routes: [ {{ path: /, service: shop }} ]
"""


class SecureService(Service):
    """As Service, through TLS; remembers the client's certificates and whether sessions resumed."""

    def __init__(self, context, script=None):
        self.context = context
        self.peers, self.resumed, self.names = [], [], []
        context.sni_callback = lambda _, name, __: self.names.append(name)
        super().__init__(script)

    def serve(self, one):
        try:
            one.raw.socket = self.context.wrap_socket(one.raw.socket, server_side=True,
                                                      suppress_ragged_eofs=False)
        except (OSError, ssl.SSLError):
            one.close()
            return
        self.peers.append(one.raw.socket.getpeercert())
        self.resumed.append(one.raw.socket.session_reused)
        super().serve(one)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def server_context(pair, **settings):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*map(str, pair))
    for name, value in settings.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_go_over_tls_and_sessions_are_resumed(tidegate, authority, version):
    context = server_context(authority.issue("shop.internal"), maximum_version=version)
    with SecureService(context) as service:
        one = tidegate(CONFIG.format(port=service.port,
                                     more=f"tls: {{ ca: {authority.ca}, name: shop.internal }}"))
        assert one.get("/a").body == b"/a"
        body = bytes(range(256)) * 4096
        assert one.get("/b", method="POST", body=body).body == body
        assert set(service.names) == {"shop.internal"}
        wait_until(lambda: any(service.resumed), 10, "a health check resumes its session")
        def worker_resumes():
            assert one.get("/c").body == b"/c"
            time.sleep(0.5)  # the pool lets go of its connection: the next one is new
            return metric(one, "tidegate_service_tls_handshakes_resumed_total") >= 1
        wait_until(worker_resumes, 15, "the worker resumes its session")
        assert metric(one, "tidegate_service_tls_handshakes_full_total") >= 1


def expect_unhealthy(one, why):
    wait_until(lambda: why in one.log() or why in str(one.status()), 10, f"{why}\n{one.log()}")
    assert one.get("/").status in (502, 503, 504)


@pytest.mark.parametrize("case", ["another name", "another authority", "plain"])
def test_who_is_not_the_service_gets_nothing(tidegate, authority, tmp_path, case):
    stranger = Authority(tmp_path / "stranger", "stranger")
    pair = {"another name": authority.issue("other.internal"),
            "another authority": stranger.issue("shop.internal")}.get(case)
    service = SecureService(server_context(pair)) if pair else Service(lambda one: one.answer("no"))
    with service:
        one = tidegate(CONFIG.format(port=service.port,
                                     more=f"tls: {{ ca: {authority.ca}, name: shop.internal }}"),
                       wait="up")
        expect_unhealthy(one, "not_tls" if case == "plain" else "certificate_refused")
        assert service.requests == []


def test_verify_false_takes_anybody(tidegate, authority):
    with SecureService(server_context(authority.issue("other.internal"))) as service:
        one = tidegate(CONFIG.format(port=service.port, more="tls: { verify: false }"))
        assert one.get("/").status == 200


def test_we_show_our_certificate(tidegate, authority):
    chain, key = authority.issue("gate.internal", usage="clientAuth")
    context = server_context(authority.issue("shop.internal"), verify_mode=ssl.CERT_REQUIRED)
    context.load_verify_locations(str(authority.ca))
    with SecureService(context) as service:
        one = tidegate(CONFIG.format(
            port=service.port, more=f"tls: {{ ca: {authority.ca}, name: shop.internal, "
                                    f"certificate: {chain}, key: {key} }}"))
        assert one.get("/").status == 200
        assert ("DNS", "gate.internal") in service.peers[-1]["subjectAltName"]


def test_an_answer_without_close_notify_is_cut(tidegate, authority):
    """A body that ends with the connection is whole only if TLS says so."""
    end = ["close_notify"]

    def script(one):
        while True:
            request = one.read_request()
            if request.target == "/healthz":
                one.answer("ok")
                continue
            one.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
            if end[0] == "close_notify":
                one.raw.socket.unwrap()
            else:
                import os
                os.close(one.raw.socket.detach())
            return
    with SecureService(server_context(authority.issue("shop.internal")), script) as service:
        one = tidegate(CONFIG.format(port=service.port,
                                     more=f"tls: {{ ca: {authority.ca}, name: shop.internal }}"))
        with Raw(one.port) as client:
            assert client.get("/").body == b"hello"
        end[0] = "fin"
        with Raw(one.port) as client, pytest.raises((Closed, ConnectionError)):
            client.get("/")


# ---- PROXY out ----

def read_header(raw):
    """(source, port) of a PROXY header of either version; None: it says that it does not know."""
    start = raw.read_exactly(6)
    if start == b"PROXY ":
        words = raw.read_line().decode().split(" ")
        return None if words[0] == "UNKNOWN" else (words[1], int(words[3]))
    raw.read_exactly(6)
    command, family, length = struct.unpack(">BBH", raw.read_exactly(4))
    body = raw.read_exactly(length)
    if command == 0x20:
        return None
    size = {0x11: 4, 0x21: 16}[family]
    return (socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, body[:size]),
            struct.unpack(">H", body[2 * size:2 * size + 2])[0])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_service_is_told_the_visitor_by_a_proxy_header(tidegate, version):
    told = []

    def script(one):
        header = read_header(one.raw)
        while True:
            request = one.read_request()
            if request.target != "/healthz":
                told.append((one.number, header))
            one.answer("ok")
    with Service(script) as service:
        one = tidegate(CONFIG.format(port=service.port, more=f"proxy_protocol: {version}"))
        clients = [Raw(one.port), Raw(one.port)]
        for client in clients * 2:
            assert client.get("/").status == 200
        ports = [client.socket.getsockname()[1] for client in clients]
        assert [header for _, header in told] == [("127.0.0.1", port) for port in ports * 2]
        numbers = [number for number, _ in told]
        assert numbers[0] == numbers[2] != numbers[1] == numbers[3], "each visitor has its own"


def test_a_proxy_header_goes_ahead_of_tls(tidegate, authority):
    told = []

    class Both(SecureService):
        def serve(self, one):
            try:
                told.append(read_header_unbuffered(one.raw.socket))
            except (OSError, Closed):
                one.close()
                return
            super().serve(one)
    with Both(server_context(authority.issue("shop.internal"))) as service:
        one = tidegate(CONFIG.format(port=service.port, more="proxy_protocol: v2, tls: "
                                     f"{{ ca: {authority.ca}, name: shop.internal }}"))
        assert one.get("/").status == 200
        assert "127.0.0.1" in [each and each[0] for each in told]


def read_header_unbuffered(connection):
    """Not a byte more than the header: the rest is TLS."""
    class Exactly:
        @staticmethod
        def read_exactly(count):
            data = b""
            while len(data) < count:
                more = connection.recv(count - len(data))
                if not more:
                    raise Closed("ended")
                data += more
            return data
    return read_header(Exactly)
