"""Routes of shop.yaml through the real binary: which service gets which request."""
import http.client

import pytest

from lib.backend import Backend
from lib.tidegate import Tidegate, run_cli

SHOP = """
listen: [ {{ address: "127.0.0.1:{{port}}" }} ]
admin: {{ address: "127.0.0.1:{{admin}}" }}
services:
{services}
routes:
{routes}
"""


def shop(backends, routes, extra=""):
    services = "\n".join(f"  {name}: {{ fleet: static, endpoints: [\"{backend.address}\"] }}"
                         for name, backend in backends.items())
    return SHOP.format(services=services, routes=routes.strip("\n")) + extra


class Shop:
    """Tidegate before some backends; `ask` says which of them answered."""

    def __init__(self, folder, names, routes, extra="", files=None):
        self.backends = {name: Backend(name) for name in names}
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        self.tidegate = Tidegate(folder, shop(self.backends, routes, extra))

    def __enter__(self):
        self.tidegate.start()
        for name in self.backends:
            self.tidegate.wait_serving(1, name)
        return self

    def __exit__(self, kind, *rest):
        status = self.tidegate.stop()
        for backend in self.backends.values():
            backend.stop()
        if kind is None:
            assert status == 0

    def ask(self, target="/", method="GET", headers=None, body=None, source=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.tidegate.port, timeout=10,
                                                source_address=(source, 0) if source else None)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            answer = connection.getresponse()
            answer.body = answer.read()
            return answer
        finally:
            connection.close()

    def who(self, *arguments, **options):
        answer = self.ask(*arguments, **options)
        return answer.body.decode().strip() if answer.status == 200 else answer.status

    def seen(self, name):
        """The last request that the backend got: method, target, fields, body."""
        return self.backends[name].requests[-1]


ROUTES = """
  - { path: /, service: default }
  - { path: /cart, match: exact, service: exact }
  - { path: /cart, service: prefix }
  - { path: '/p/[0-9]+', match: regex, service: pattern }
  - { path: /api, service: api }
  - { path: /api, method: [POST, PUT], service: writer }
  - { path: /api, headers: [ { name: X-Beta, value: "1" } ], service: beta }
  - { path: /api, query: [ { name: version, value: "2.*", match: regex } ], service: second }
  - { path: /api, cookies: [ { name: kind, value: robot, match: prefix } ], service: robots }
  - { path: /api, source: [127.0.0.7], service: inside }
  - { path: /, host: "*.shop.test", service: hosts }
"""
NAMES = ["default", "exact", "prefix", "pattern", "api", "writer", "beta", "second", "robots",
         "inside", "hosts"]
CASES = [
    ("all the rest", "default", {"target": "/x"}),
    ("an exact path", "exact", {"target": "/cart"}),
    ("an exact path with a query", "exact", {"target": "/cart?x"}),
    ("a prefix", "prefix", {"target": "/cart/1"}),
    ("dots do not help", "prefix", {"target": "/x/../cart/1"}),
    ("nor do percent signs", "exact", {"target": "/%63art"}),
    ("a pattern", "pattern", {"target": "/p/77"}),
    ("more than the pattern", "default", {"target": "/p/77x"}),
    ("no condition", "api", {"target": "/api/1"}),
    ("a method", "writer", {"target": "/api/1", "method": "PUT", "body": "x"}),
    ("a header", "beta", {"target": "/api", "headers": {"x-beta": "1"}}),
    ("another value", "api", {"target": "/api", "headers": {"x-beta": "2"}}),
    ("a query", "second", {"target": "/api?a=1&version=2.7"}),
    ("a query in disguise", "second", {"target": "/api?v%65rsion=%32.7"}),
    ("a cookie", "robots", {"target": "/api", "headers": {"cookie": "a=b; kind=robot-3"}}),
    ("a source", "inside", {"target": "/api", "source": "127.0.0.7"}),
    ("a host", "hosts", {"target": "/api", "headers": {"host": "A.Shop.test:80"}}),
]


@pytest.fixture(scope="module")
def by_condition(tmp_path_factory):
    with Shop(tmp_path_factory.mktemp("routing"), NAMES, ROUTES) as running:
        yield running


@pytest.mark.parametrize("name,service,request_", CASES, ids=[case[0] for case in CASES])
def test_goes_to(by_condition, name, service, request_):
    assert by_condition.who(**request_) == service


def test_check_says_where_a_pattern_is_wrong(tmp_path):
    (tmp_path / "shop.yaml").write_text(
        'listen: [ { address: ":8080" } ]\n'
        "services: { s: { command: [x] } }\n"
        "routes:\n"
        "  - { path: '/(a', match: regex, service: s }\n")
    done = run_cli("check", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "shop.yaml:4:13: path: expected a regular expression: missing closing" in done.stdout + done.stderr
