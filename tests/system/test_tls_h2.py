"""HTTP/2 by ALPN, towards visitors and towards services."""
import ssl

import pytest

from lib.certificates import Authority, Secure, context
from lib.h2peer import Client, H2Service
from lib.proxy import REAL, Proxy, Service
from lib.tidegate import run_cli

pytestmark = pytest.mark.skipif(REAL, reason="starts its own")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority):
    return authority.issue("shop.test")


def offering(authority, *protocols):
    made = context(authority)
    made.set_alpn_protocols(list(protocols))
    return made


def test_alpn_chooses_h2_before_http_1(authority, pair):
    with Service() as service, Proxy(service.port, tls=pair) as proxy:
        with Client(proxy.port, tls=offering(authority, "http/1.1", "h2")) as client:
            assert client.socket.selected_alpn_protocol() == "h2"
            assert client.get("/a", scheme="https").body == b"/a"
            large = bytes(range(256)) * 8000
            assert client.post("/b", large).body == large
        with Secure(proxy.port, context=offering(authority, "http/1.1")) as client:
            assert client.socket.selected_alpn_protocol() == "http/1.1"
            assert client.get("/c").body == b"/c"
        assert "proto=https" in service.requests[0].field("forwarded")


def test_prior_knowledge_within_tls(authority, pair):
    with Service() as service, Proxy(service.port, tls=pair) as proxy, \
            Client(proxy.port, tls=context(authority)) as client:
        assert client.get("/a", scheme="https").body == b"/a"


CONFIG = """
listen: [ {{ address: "127.0.0.1:{{port}}" }} ]
admin: {{ address: "127.0.0.1:{{admin}}" }}
services:
  calls:
    fleet: static
    endpoints: ["127.0.0.1:{port}"]
    protocol: h2
    tls: {{ ca: {ca}, name: shop.test }}
    health: {{ path: /healthz, interval: 200ms }}
routes: [ {{ path: /, service: calls }} ]
"""


def test_a_service_in_h2_through_tls(tidegate, authority, pair):
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.load_cert_chain(*map(str, pair))
    accepting.set_alpn_protocols(["h2"])
    with H2Service(tls=accepting) as service:
        one = tidegate(CONFIG.format(port=service.port, ca=authority.ca))
        assert one.get("/x").body == b"/x"
        with Client(one.port) as client:
            assert client.get("/y").body == b"/y"
        assert any(request.field(":path") == "/healthz" for request in service.requests)
        assert set(service.protocols) == {"h2"}


def test_a_shared_connection_names_no_visitor(tmp_path):
    (tmp_path / "shop.yaml").write_text("""
listen: [ { address: ":8080" } ]
services: { calls: { fleet: static, endpoints: ["127.0.0.1:1"], protocol: h2, proxy_protocol: v2 } }
routes: [ { path: /, service: calls } ]
""")
    done = run_cli("check", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 1 and "proxy_protocol: expected none with `protocol: h2`" in done.stderr
