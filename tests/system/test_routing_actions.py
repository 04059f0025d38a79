"""What routes do beside going to a service, through the real binary: weights, rewriting, redirects,
fixed answers, error pages."""
import collections

import pytest

from lib.raw import Raw
from test_routing import Shop

ROUTES = """
  - { path: /split, split: { blue: 80, green: 20 } }
  - { path: /old, service: blue, rewrite: { prefix: /new, host: "inside.test" },
      request_headers: { set: { X-Route: old }, remove: [X-Secret] },
      response_headers: { set: { X-Served-By: tidegate }, remove: [Server] } }
  - { path: '/p/([0-9]+)/([a-z-]+)', match: regex, service: blue, rewrite: { path: '/product/\\2/id-\\1' } }
  - { path: /moved, redirect: { status: 301, prefix: /elsewhere } }
  - { path: /secure, redirect: { status: 308, scheme: https, port: 8443 } }
  - { path: /robots.txt, match: exact, respond: { body: "User-agent: *\\n" },
      response_headers: { set: { Cache-Control: max-age=60 } } }
  - { path: /gone, respond: { status: 410, file: gone.html } }
  - { path: /empty, respond: { status: 204 } }
  - { path: /down, service: dead, error_pages: [ { status: 502, file: down.html }, { status: 5xx, file: any5.html } ] }
  - { path: /, host: other.test, service: green }
"""
EXTRA = """
error_pages: [ { status: 4xx, file: none.html } ]
value: { session: { cookie: sid } }
"""
FILES = {"gone.html": "<h1>gone</h1>", "down.html": "<h1>502</h1>", "any5.html": "<h1>5xx</h1>",
         "none.html": "<h1>nothing</h1>"}


class DeadShop(Shop):
    """One of its services has nobody who answers."""

    def __enter__(self):
        self.backends.pop("dead").stop()
        return super().__enter__()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with DeadShop(tmp_path_factory.mktemp("actions"), ["blue", "green", "dead"], ROUTES, EXTRA,
                  FILES) as running:
        yield running


def test_weights_share_the_traffic(shop):
    got = collections.Counter(shop.who("/split") for _ in range(400))
    assert set(got) == {"blue", "green"}
    assert 260 <= got["blue"] <= 380  # 320 expected, 8 standard deviations


def test_a_session_stays_with_its_service(shop):
    for session in range(12):
        headers = {"cookie": f"sid=visitor-{session}"}
        assert len({shop.who("/split", headers=headers) for _ in range(5)}) == 1
    assert {shop.who("/split", headers={"cookie": f"sid=v{n}"}) for n in range(60)} == {"blue", "green"}


def test_path_host_and_fields_are_rewritten(shop):
    answer = shop.ask("/old/shoes?size=4", headers={"Host": "shop.test", "X-Secret": "1", "x_secret": "2",
                                                     "X-Route": "mine", "x_route": "mine"})
    method, target, fields, _ = shop.seen("blue")
    assert (method, target) == ("GET", "/new/shoes?size=4")
    assert fields["host"] == "inside.test"
    assert fields["x-forwarded-host"] == "shop.test"
    assert fields.get_all("x-route") == ["old"]
    assert not {"x-secret", "x_secret", "x_route"} & {name.lower() for name in fields}
    assert answer.getheader("x-served-by") == "tidegate"
    assert answer.getheader("server") is None


def test_a_connection_field_cannot_take_away_what_the_route_sets(shop):
    shop.ask("/old/x", headers={"Connection": "close, x-route, x-forwarded-for"})
    assert shop.seen("blue")[2].get_all("x-route") == ["old"]


def test_a_path_is_rewritten_by_its_parts(shop):
    shop.ask("/p/17/red-shoes?x")
    assert shop.seen("blue")[1] == "/product/red-shoes/id-17?x"


@pytest.mark.parametrize("target,status,location", [
    ("/moved/a/b?c=d", 301, "/elsewhere/a/b?c=d"),
    ("/moved", 301, "/elsewhere"),
    ("/secure/x", 308, "https://shop.test:8443/secure/x"),
])
def test_redirects(shop, target, status, location):
    answer = shop.ask(target, headers={"Host": "shop.test"})
    assert (answer.status, answer.getheader("location")) == (status, location)
    assert answer.body == b""


def test_fixed_answers(shop):
    robots = shop.ask("/robots.txt")
    assert (robots.status, robots.body) == (200, b"User-agent: *\n")
    assert robots.getheader("content-type") == "text/plain; charset=utf-8"
    assert robots.getheader("cache-control") == "max-age=60"
    head = shop.ask("/robots.txt", method="HEAD")
    assert (head.status, head.body, head.getheader("content-length")) == (200, b"", "14")
    gone = shop.ask("/gone/x")
    assert (gone.status, gone.body) == (410, FILES["gone.html"].encode())
    assert gone.getheader("content-type") == "text/html; charset=utf-8"
    empty = shop.ask("/empty")
    assert (empty.status, empty.body, empty.getheader("content-length")) == (204, b"", None)


def test_a_body_that_nobody_reads_is_not_the_next_request(shop):
    inside = "GET /gone HTTP/1.1\r\nHost: x\r\n\r\n"
    with Raw(shop.tidegate.port) as client:
        client.send(f"POST /robots.txt HTTP/1.1\r\nHost: x\r\nContent-Length: {len(inside)}\r\n\r\n{inside}")
        answer = client.read_response()
        assert (answer.status, answer.field("connection")) == (200, "close")
        assert client.ended()


def test_error_pages(shop):
    down = shop.ask("/down")
    assert (down.status, down.body) in [(502, b"<h1>502</h1>"), (503, b"<h1>5xx</h1>")]
    none = shop.ask("/nowhere")
    assert (none.status, none.body) == (404, b"<h1>nothing</h1>")
    assert none.getheader("content-type") == "text/html; charset=utf-8"
    machine = shop.ask("/nowhere", headers={"Accept": "application/json"})
    assert machine.getheader("content-type") == "application/problem+json"
    assert shop.ask("/nowhere", headers={"Accept": "text/html"}).body == b"<h1>nothing</h1>"


def test_files_are_read_again_with_a_reload(tmp_path):
    routes = "  - { path: /, respond: { file: page.txt } }"
    with Shop(tmp_path, ["blue"], routes, files={"page.txt": "one"}) as shop:
        assert shop.ask("/").body == b"one"
        (tmp_path / "page.txt").write_text("two")
        import signal
        from lib.tidegate import wait_until
        shop.tidegate.signal(signal.SIGHUP)
        wait_until(lambda: shop.ask("/").body == b"two", 20, "the new page")
