"""Who may use a route, how long and how large, through the real binary: timeouts, body limits,
networks, CORS, passwords, tokens."""
import base64
import crypt
import hashlib
import hmac
import json
import subprocess
import threading
import time

import pytest

from lib.proxy import Service
from lib.raw import Closed, Raw
from test_routing import Shop

SECRET = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
ROUTES = """
  - { path: /slow, service: slow, timeouts: { first_byte: 300ms } }
  - { path: /total, service: drip, timeouts: { total: 700ms } }
  - { path: /small, service: sink, body_limit: 1KiB }
  - { path: /inside, service: blue, allow: [127.0.0.0/8, 127.0.0.10], deny: [127.0.0.8/29], cors: { origins: ["*"] } }
  - { path: /outside, service: blue, deny: [127.0.0.7] }
  - { path: /cors, service: blue, cors: { origins: ["https://shop.example", "https://*.shop.example"], methods: [GET, PUT],
      headers: [content-type, x-cart], expose: [x-total], credentials: true, max_age: 1h } }
  - { path: /foreign, service: sink, cors: { origins: ["https://shop.example"] } }
  - { path: /by-method, service: blue }
  - { path: /by-method, method: PUT, service: sink, cors: { origins: ["https://shop.example"], methods: [PUT] } }
  - { path: /by-method, method: DELETE, service: sink }
  - { path: /any, service: blue, cors: { origins: ["*"], headers: ["*"] } }
  - { path: /staff, service: blue, basic: { users: staff, realm: Staff, header: X-User } }
  - { path: /costly, service: blue, basic: { users: costly } }
  - { path: /guarded, respond: { body: secret }, basic: { users: staff } }
  - { path: /elsewhere, redirect: { scheme: https }, basic: { users: staff } }
  - { path: /hs, service: blue, jwt: { keys: secret, issuer: me, audience: shop,
      claims: { sub: X-User, roles: X-Roles, cart: X-Cart } } }
  - { path: /trailers, service: sink, jwt: { keys: secret, audience: shop, claims: { sub: X-User } },
      request_headers: { set: { X-Ours: "1" } } }
  - { path: /rs, service: blue, jwt: { keys: rsa.pem, audience: shop } }
  - { path: /es, service: blue, jwt: { keys: ec.pem, audience: shop, cookie: token } }
  - { path: /, service: blue }
"""


def bcrypt(password, cost):
    return crypt.crypt(password, f"$2b${cost:02d}$abcdefghijklmnopqrstuu")


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(sign, algorithm, **claims):
    claims = {"exp": int(time.time()) + 60, "iss": "me", "aud": "shop", **claims}
    text = encode(json.dumps({"alg": algorithm}).encode()) + "." + encode(json.dumps(claims).encode())
    return text + "." + encode(sign(text.encode()))


def hs256(text, secret=SECRET):
    return hmac.new(secret.encode(), text, hashlib.sha256).digest()


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout


def ecdsa_raw(der):
    """r and s of a DER signature, 32 bytes each."""
    assert der[0] == 0x30 and der[2] == 2
    r = der[4:4 + der[3]]
    s = der[4 + der[3] + 2:]
    return r.lstrip(b"\0").rjust(32, b"\0") + s.lstrip(b"\0").rjust(32, b"\0")


def bearer(text):
    return {"Authorization": "Bearer " + text}


class PolicyShop(Shop):
    """With keys made here, a service that is slow and one that drips."""

    def __init__(self, folder):
        self.folder = folder
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", folder / "rsa.key")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", folder / "ec.key")
        for kind in ("rsa", "ec"):
            (folder / f"{kind}.pem").write_bytes(openssl("pkey", "-in", folder / f"{kind}.key", "-pubout"))
        super().__init__(folder, ["blue", "slow", "drip", "sink"], ROUTES,
                         files={"staff": f"ann:{bcrypt('open sesame', 5)}\n", "secret": SECRET + "\n",
                                "costly": f"ann:{bcrypt('open sesame', 12)}\n"})
        self.backends["slow"].delay_s = 20
        self.drip, self.sink = Service(self.drop_by_drop), Service(self.take_all)
        for name, service in (("drip", self.drip), ("sink", self.sink)):
            config = self.tidegate.config_path.read_text()
            self.tidegate.config_path.write_text(
                config.replace(f'"{self.backends[name].address}"', f'"127.0.0.1:{service.port}"'))

    def take_all(self, one):
        while True:
            self.sink.requests.append(one.read_request())
            one.answer(fields="Access-Control-Allow-Origin: *\r\nVary: Accept\r\n")

    def drop_by_drop(self, one):
        one.read_request()
        one.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            one.send(b"x")
            time.sleep(0.1)

    def sign_rs(self, text):
        return openssl("dgst", "-sha256", "-sign", self.folder / "rsa.key", data=text)

    def sign_es(self, text):
        return ecdsa_raw(openssl("dgst", "-sha256", "-sign", self.folder / "ec.key", data=text))

    def raw(self):
        return Raw(self.tidegate.port)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with PolicyShop(tmp_path_factory.mktemp("policies")) as running:
        yield running


# ---- time and size ----

def test_the_routes_own_timeout(shop):
    began = time.monotonic()
    assert shop.ask("/slow", method="POST", body="x").status == 504
    assert time.monotonic() - began < 15


def test_a_limit_for_the_whole_request(shop):
    began = time.monotonic()
    with shop.raw() as client:
        client.send("GET /total HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises((Closed, ConnectionResetError)):
            client.read_response()
    assert time.monotonic() - began < 9  # all of it would take 10 s


def test_a_body_with_a_length_is_refused_at_once(shop):
    before = len(shop.sink.requests)
    assert shop.ask("/small", method="PUT", body="x" * 1025).status == 413
    assert len(shop.sink.requests) == before
    assert shop.ask("/small", method="PUT", body="x" * 1024).status == 200
    assert shop.ask("/other", method="PUT", body="x" * 1025).status == 200


def test_a_chunked_body_is_counted(shop):
    with shop.raw() as client:
        client.send("PUT /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            client.send("200\r\n" + "x" * 512 + "\r\n")
        assert client.read_response().status == 413
        assert client.ended()


# ---- networks ----

@pytest.mark.parametrize("target,source,status", [
    ("/inside", "127.0.0.1", 200), ("/inside", "127.0.0.9", 403), ("/inside", "127.0.0.16", 200), ("/inside", "127.0.0.10", 200),
    ("/outside", "127.0.0.1", 200), ("/outside", "127.0.0.7", 403),
])
def test_networks(shop, target, source, status):
    assert shop.ask(target, source=source).status == status


# ---- CORS ----

PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-cart"}


def vary(answer):
    return {part.strip().lower() for line in answer.headers.get_all("vary") or [] for part in line.split(",")}


def test_a_preflight_is_answered_here(shop):
    before = len(shop.backends["blue"].requests)
    answer = shop.ask("/cors/x", method="OPTIONS", headers={"Origin": "https://eu.shop.example", **PREFLIGHT})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.getheader("access-control-allow-origin") == "https://eu.shop.example"
    assert answer.getheader("access-control-allow-credentials") == "true"
    assert answer.getheader("access-control-allow-methods") == "GET, PUT"
    assert answer.getheader("access-control-allow-headers") == "content-type, x-cart"
    assert answer.getheader("access-control-max-age") == "3600"
    assert {"origin", "access-control-request-headers"} <= vary(answer)
    assert len(shop.backends["blue"].requests) == before


@pytest.mark.parametrize("method,status", [("PUT", 204), ("DELETE", 501), ("POST", 501)])
def test_a_preflight_belongs_to_the_route_of_its_method(shop, method, status):
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": method}
    answer = shop.ask("/by-method", method="OPTIONS", headers=headers)
    assert answer.status == status  # 501: the test backend knows no OPTIONS
    assert answer.getheader("access-control-allow-methods") == ("PUT" if method == "PUT" else None)


def test_a_preflight_of_a_stranger(shop):
    answer = shop.ask("/cors", method="OPTIONS", headers={"Origin": "https://evilshop.example", **PREFLIGHT})
    assert answer.status == 403
    assert answer.getheader("access-control-allow-origin") is None


def test_an_answer_says_who_may_read_it(shop):
    answer = shop.ask("/cors", headers={"Origin": "https://shop.example"})
    assert (answer.status, answer.getheader("access-control-allow-origin")) == (200, "https://shop.example")
    assert answer.getheader("access-control-expose-headers") == "x-total"
    assert "origin" in vary(answer)
    stranger = shop.ask("/cors", headers={"Origin": "https://other.example"})
    assert (stranger.status, stranger.getheader("access-control-allow-origin")) == (200, None)
    assert "origin" in vary(stranger)
    assert "origin" in vary(shop.ask("/cors"))  # a cache must not give this one to a script


def test_the_route_decides_not_the_service(shop):
    stranger = shop.ask("/foreign", headers={"Origin": "https://other.example"})
    assert stranger.getheader("access-control-allow-origin") is None
    assert {"accept", "origin"} <= vary(stranger)
    answer = shop.ask("/foreign", headers={"Origin": "https://shop.example"})
    assert answer.headers.get_all("access-control-allow-origin") == ["https://shop.example"]


def test_any_origin(shop):
    answer = shop.ask("/any", method="OPTIONS", headers={"Origin": "https://x.example", **PREFLIGHT})
    assert answer.getheader("access-control-allow-origin") == "*"
    assert answer.getheader("access-control-allow-headers") == "x-cart"
    assert answer.getheader("access-control-allow-credentials") is None


def test_options_without_a_preflight_is_the_services(shop):
    answer = shop.ask("/cors", method="OPTIONS", headers={"Origin": "https://shop.example"})
    assert answer.status == 501  # the test backend knows no OPTIONS


def test_a_denied_network_gets_no_preflight(shop):
    headers = {"Origin": "https://x.example", **PREFLIGHT}
    assert shop.ask("/inside", method="OPTIONS", headers=headers, source="127.0.0.9").status == 403


# ---- passwords ----

def test_a_password_is_asked_for(shop):
    answer = shop.ask("/staff")
    assert answer.status == 401
    assert answer.getheader("www-authenticate") == 'Basic realm="Staff", charset="UTF-8"'


def test_the_right_password(shop):
    for _ in range(3):  # checked once, remembered then
        answer = shop.ask("/staff", headers={**basic("ann", "open sesame"), "X-User": "root", "X_USER": "root"})
        assert answer.status == 200
        fields = shop.seen("blue")[2]
        assert fields.get_all("x-user") == ["ann"]
        assert "x_user" not in fields
    assert shop.ask("/guarded", headers=basic("ann", "open sesame")).body == b"secret"


@pytest.mark.parametrize("user,password", [("ann", "open sesam"), ("ann", ""), ("anne", "open sesame"), ("", "")])
def test_a_wrong_password(shop, user, password):
    before = len(shop.backends["blue"].requests)
    assert shop.ask("/staff", headers=basic(user, password), source="127.0.0.20").status == 401
    assert shop.ask("/guarded", headers=basic(user, password), source="127.0.0.20").status == 401
    assert len(shop.backends["blue"].requests) == before


def test_a_redirect_asks_for_no_password(shop):
    assert shop.ask("/elsewhere").status == 302


def test_a_check_holds_up_nobody(shop):
    """A quarter of a second of bcrypt in the only worker there may be; others are served meanwhile."""
    done = threading.Event()
    answers = []

    def costly():
        answers.append(shop.ask("/costly", method="POST", body="x" * 100, headers=basic("ann", "open sesame")).status)
        done.set()

    thread = threading.Thread(target=costly)
    thread.start()
    served = 0
    while not done.is_set():
        assert shop.ask("/").status == 200
        served += not done.is_set()
    thread.join()
    assert answers == [200]
    assert shop.seen("blue")[0] in ("GET", "POST")
    assert served >= 3


def test_guessing_is_slowed_down(shop):
    got = [shop.ask("/staff", headers=basic("ann", f"guess {n}"), source="127.0.0.30") for n in range(40)]
    refused = [answer for answer in got if answer.status == 429]
    assert {answer.status for answer in got} == {401, 429}
    assert len(refused) >= 10  # ten for each worker, and a few that came back
    assert int(refused[0].getheader("retry-after")) > 0
    assert shop.ask("/staff", headers=basic("ann", "open sesame"), source="127.0.0.31").status == 200


def test_a_client_that_leaves_during_the_check(shop):
    for number in range(4):
        with shop.raw() as client:
            field = basic("ann", f"leaving {number}")["Authorization"]
            client.send(f"GET /costly HTTP/1.1\r\nHost: x\r\nAuthorization: {field}\r\n\r\n")
    assert shop.ask("/").status == 200


# ---- tokens ----

def test_a_token_is_asked_for(shop):
    answer = shop.ask("/hs")
    assert (answer.status, answer.getheader("www-authenticate")) == (401, 'Bearer realm="Restricted"')
    answer = shop.ask("/hs", headers=bearer("x.y.z"))
    assert (answer.status, answer.getheader("www-authenticate")) == (
        401, 'Bearer realm="Restricted", error="invalid_token"')


def test_a_good_token_tells_the_service_who_it_is(shop):
    text = token(hs256, "HS256", sub="ann", roles=["staff", "buyer"])
    answer = shop.ask("/hs", headers={**bearer(text), "X-User": "root", "x_roles": "root", "X-Cart": "17"})
    assert answer.status == 200
    fields = shop.seen("blue")[2]
    assert fields.get_all("x-user") == ["ann"]
    assert fields.get_all("x-roles") == ["staff,buyer"]
    assert "x-cart" not in fields  # not in the token: then not of the visitor either
    assert "x_roles" not in fields


def test_a_visitor_cannot_take_away_what_the_token_says(shop):
    text = token(hs256, "HS256", sub="ann")
    shop.ask("/hs", headers={**bearer(text), "Connection": "close, X-User"})
    assert shop.seen("blue")[2].get_all("x-user") == ["ann"]


def test_trailers_do_not_say_who_it_is(shop):
    text = token(hs256, "HS256", sub="ann")
    with shop.raw() as client:
        client.send(f"PUT /trailers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {text}\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
                    "x_user: root\r\nX-User: root\r\nx-ours: 2\r\nx-sum: 5\r\n\r\n")
        assert client.read_response().status == 200
    request = shop.sink.requests[-1]
    assert request.trailers == [("x-sum", "5")]
    assert (request.field("x-user"), request.field("x-ours")) == ("ann", "1")


@pytest.mark.parametrize("name,make", [
    ("expired", lambda shop: token(hs256, "HS256", exp=int(time.time()) - 60)),
    ("not yet", lambda shop: token(hs256, "HS256", nbf=int(time.time()) + 90)),
    ("another issuer", lambda shop: token(hs256, "HS256", iss="you")),
    ("another audience", lambda shop: token(hs256, "HS256", aud=["other"])),
    ("another secret", lambda shop: token(lambda text: hs256(text, "x" * 64), "HS256")),
    ("no signature", lambda shop: token(lambda text: b"", "none")),
    ("another algorithm's name", lambda shop: token(hs256, "HS512")),
])
def test_a_bad_token(shop, name, make):
    assert shop.ask("/hs", headers=bearer(make(shop))).status == 401


def test_public_keys(shop):
    assert shop.ask("/rs", headers=bearer(token(shop.sign_rs, "RS256"))).status == 200
    public = (shop.folder / "rsa.pem").read_text()
    assert shop.ask("/rs", headers=bearer(token(lambda text: hs256(text, public), "HS256"))).status == 401
    assert shop.ask("/rs", headers=bearer(token(shop.sign_es, "ES256"))).status == 401
    good = token(shop.sign_es, "ES256")
    assert shop.ask("/es", headers={"Cookie": f"a=b; token={good}"}).status == 200
    assert shop.ask("/es", headers=bearer(good)).status == 401  # the route reads the cookie only


def test_what_happened_is_counted(shop):
    text = shop.tidegate.metrics()
    for reason in ("denied", "unauthorised", "guessing"):
        line = next(line for line in text.splitlines() if f'reason="{reason}"' in line)
        assert float(line.split()[-1]) > 0
    assert "tidegate_password_checks_total" in text
