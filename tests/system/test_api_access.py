"""Who may ask the admin API what: roles, tokens, other sites' pages; docs/threat-model.md promises it."""
import contextlib
import http.client
import json
import os
import re
import socket
import sqlite3

import pytest

from lib import schema
from lib.tidegate import ROOT, alive, run_cli, wait_until

CONFIG = """
listen: [ { address: "127.0.0.1:{port}" } ]
admin: { address: "127.0.0.1:{admin}"%s }
workers: 1
services: { shop: { fleet: static, endpoints: ["%s"] } }
routes: [ { path: /, service: shop } ]
"""
ROLES = ("none", "viewer", "operator", "admin")


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)


def ask(one, path, method="GET", token=None, **headers):
    """Over TCP."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", one.admin, timeout=10)) as connection:
        connection.request(method, path, headers=fields)
        return Answer(connection.getresponse())


def token(one, role, *more):
    done = run_cli("token", "create", "--role", role, *more, cwd=one.folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def id_of(secret):
    return secret.split("_")[1]


def start(tidegate, backend, admin=""):
    one = tidegate(CONFIG % (admin, backend().address))
    wait_until(lambda: ask(one, "/healthz").status == 200, 20, "the admin address answers")
    return one


@pytest.fixture(name="one")
def fixture_one(tidegate, backend):
    return start(tidegate, backend)


@pytest.fixture(name="closed")
def fixture_closed(tidegate, backend):
    """One that shows nothing without a token."""
    return start(tidegate, backend, ", anonymous: none")


def routes():
    """The table in routes.c: (method, path, role that it needs)."""
    text = (ROOT / "src/act/api/routes.c").read_text()
    found = re.findall(r'\{ "([^"]+)",\s*HTTP_(\w+),\s*ROLE_(\w+),\s*(\w+)', text)
    assert len(found) >= 24
    return [(method, path.replace("*", "x"), role.lower()) for path, method, role, _ in found]


def test_each_route_asks_for_its_role(closed):
    secrets = {"none": None, **{role: token(closed, role) for role in ROLES[1:]}}
    document = ask(closed, "/api/v1/openapi.json").json()
    for method, path, least in routes():
        if path == "/api/v1/drain":
            continue   # the last thing that it would do
        for role, secret in secrets.items():
            if path == "/api/v1/events" and ROLES.index(role) >= ROLES.index(least):
                continue
            answer = ask(closed, path, method, secret)
            allowed = ROLES.index(role) >= ROLES.index(least)
            refused = 401 if role == "none" else 403
            assert (answer.status == refused) == (not allowed), f"{method} {path} as {role}: {answer.status}"
            if not allowed:
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.json()["status"] == refused
                if path.startswith("/api/"):
                    schema.check_answer(document, method, path, refused, "application/problem+json", answer.json())
    assert ask(closed, "/api/v1/drain", "POST", secrets["operator"]).status == 403
    assert closed.process.poll() is None
    assert ask(closed, "/api/v1/drain", "POST", secrets["admin"]).status == 202
    assert closed.process.wait(30) == 0


def test_the_document_names_the_same_roles(one):
    document = ask(one, "/api/v1/openapi.json").json()
    table = {(method, path): role for method, path, role in routes()}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            least = table[(method.upper(), re.sub(r"\{\w+\}", "x", path))]
            assert operation.get("x-role", "none" if least == "none" else "viewer") == least, f"{method} {path}"


def test_without_a_token_loopback_reads_and_others_do_not(tidegate, backend):
    one = start(tidegate, backend)
    assert ask(one, "/api/v1/session").json() == {"role": "viewer", "anonymous": "viewer", "token": None}
    assert ask(one, "/api/v1/status").status == 200
    one.stop()
    one.write_config((CONFIG % ("", backend().address)).replace("127.0.0.1:{admin}", "0.0.0.0:{admin}"))
    one.start()
    wait_until(lambda: ask(one, "/healthz").status == 200, 20, "the admin address answers")
    assert ask(one, "/api/v1/session").json()["role"] == "none"
    for path in ("/api/v1/status", "/metrics", "/api/v1/events"):
        answer = ask(one, path)
        assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert ask(one, "/").status == 200   # where one signs in


def test_a_token_is_made_listed_used_and_revoked(one):
    document = ask(one, "/api/v1/openapi.json").json()
    secret = token(one, "operator", "--name", "ci", "--expires", "90d")
    assert re.fullmatch(r"tg_[0-9a-f]{8}_[0-9a-f]{64}", secret)
    listed = json.loads(run_cli("token", "list", "--json", cwd=one.folder).stdout)["tokens"]
    assert [(t["id"], t["name"], t["role"], t["used"], t["expired"]) for t in listed] == \
        [(id_of(secret), "ci", "operator", None, False)]
    assert secret.split("_")[2] not in json.dumps(listed)
    assert ask(one, "/api/v1/session", token=secret).json()["role"] == "operator"
    assert ask(one, "/api/v1/reload", "POST", secret).status == 200
    assert "last used" in run_cli("token", "list", cwd=one.folder).stdout
    assert one.api("/api/v1/tokens")["tokens"][0]["used"] is not None
    done = run_cli("token", "revoke", id_of(secret), cwd=one.folder)
    assert done.returncode == 0 and done.stdout == f"{id_of(secret)} is revoked\n"
    answer = ask(one, "/api/v1/status", token=secret)
    assert answer.status == 401 and "invalid_token" in answer.headers["www-authenticate"]
    schema.check_answer(document, "GET", "/api/v1/status", 401, "application/problem+json", answer.json())
    assert run_cli("token", "revoke", id_of(secret), cwd=one.folder).returncode == 1


@pytest.mark.parametrize("arguments, status", [
    (["create"], 2), (["create", "--role", "root"], 2), (["create", "--role", "viewer", "--name", "a b"], 2),
    (["create", "--role", "viewer", "--expires", "soon"], 2), (["revoke"], 2), (["revoke", "../../x"], 2), (["burn"], 2)])
def test_bad_usage(one, arguments, status):
    assert run_cli("token", *arguments, cwd=one.folder).returncode == status
    assert one.api("/api/v1/tokens")["tokens"] == []


def test_only_the_hash_is_kept_and_a_new_controller_knows_it(one):
    secret, gone = token(one, "viewer"), token(one, "admin")
    assert run_cli("token", "revoke", id_of(gone), cwd=one.folder).returncode == 0
    database = one.folder / "var" / "tidegate.db"

    def rows():
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            return connection.execute("select id, role, length(hash) from tokens").fetchall()
    wait_until(lambda: rows() == [(id_of(secret), "viewer", 32)], 20, "the store has what is left")
    for path in (one.folder / "var").iterdir():
        if path.is_file():
            assert secret.split("_")[2].encode() not in path.read_bytes(), path
    assert secret not in one.log()
    controller = one.status()["controller"]
    os.kill(controller, 9)
    wait_until(lambda: not alive(controller), 10, "the controller ends")
    one.wait_api()
    wait_until(lambda: ask(one, "/api/v1/session", token=secret).status == 200, 20, "the new one has read the tokens")
    assert ask(one, "/api/v1/session", token=secret).json()["role"] == "viewer"
    assert ask(one, "/api/v1/session", token=gone).status == 401


def test_a_token_ends(one):
    secret = token(one, "operator", "--expires", "1s")
    wait_until(lambda: ask(one, "/api/v1/session", token=secret).status == 401, 20, "it has expired")
    assert one.api("/api/v1/tokens")["tokens"][0]["expired"] is True


def hearing(one, secret):
    s = socket.create_connection(("127.0.0.1", one.admin), timeout=20)
    s.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n\r\n".encode())
    stream = s.makefile("rb")
    assert b" 200 " in stream.readline()
    return s, stream


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_who_hears_events_by_a_token_hears_no_more_without_it(closed, how):
    secret = token(closed, "viewer", *(["--expires", "5s"] if how == "expired" else []))
    s, stream = hearing(closed, secret)
    with s:
        if how == "revoked":
            assert run_cli("token", "revoke", id_of(secret), cwd=closed.folder).returncode == 0
        while stream.readline():
            pass   # ends, or the socket's timeout fails the test


def test_wrong_tokens_are_counted_and_slowed(one):
    good = token(one, "operator")
    bad = good[:-1] + ("0" if good[-1] != "0" else "1")
    statuses = [ask(one, "/api/v1/status", token=bad).status for _ in range(16)]
    assert statuses[0] == 401 and 429 in statuses and set(statuses) == {401, 429}
    limited = ask(one, "/api/v1/status", token=bad)
    assert limited.status == 429 and int(limited.headers["retry-after"]) >= 1
    assert ask(one, "/api/v1/status").status == 200          # who shows none is not slowed
    assert one.status()["plan"] >= 1                         # nor the command line
    wait_until(lambda: ask(one, "/api/v1/session", token=good).status == 200, 30, "the right one works again")
    metrics = ask(one, "/metrics").body.decode()
    assert int(re.search(r"^tidegate_api_tokens_refused_total (\d+)", metrics, re.M).group(1)) >= 17


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Basic Zm9vOmJhcg==", "Bearer " + "x" * 5000, "Bearer tg_00000000_" + "0" * 64,
                                           "bearer\ttg", "tg"])
def test_what_is_no_token_is_refused(one, authorization):
    answer = ask(one, "/api/v1/status", Authorization=authorization)
    assert answer.status == 401, answer.body


# ---- other sites ----

@pytest.mark.parametrize("fields", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"}, {"Sec_Fetch_Site": "same-origin", "Origin": "https://evil.example"}])
def test_another_sites_page_changes_nothing(one, fields):
    secret = token(one, "admin")
    answer = ask(one, "/api/v1/reload", "POST", secret, **fields)
    assert answer.status == 403 and "another site" in answer.json()["detail"]
    assert not [d for d in one.decisions() if d["action"] == "reload"]


def test_our_own_page_does(one):
    secret = token(one, "operator")
    own = {"Origin": f"http://127.0.0.1:{one.admin}", "Sec_Fetch_Site": "same-origin"}
    assert ask(one, "/api/v1/reload", "POST", secret, **own).status == 200


def test_there_is_nothing_that_a_browser_sends_by_itself(one):
    secret = token(one, "operator")
    for path in ("/", "/api/v1/session", "/api/v1/status", "/assets/app.js"):
        answer = ask(one, path, token=secret)
        assert answer.headers["set-cookie"] is None and answer.headers["access-control-allow-origin"] is None
    assert ask(one, "/api/v1/reload", "POST", Cookie=f"token={secret}").status == 401
    preflight = ask(one, "/api/v1/reload", "OPTIONS", Origin="http://evil.example", Access_Control_Request_Method="POST")
    assert preflight.status == 405 and preflight.headers["access-control-allow-origin"] is None


def test_a_name_that_was_made_to_point_here_is_not_answered(one):
    secret = token(one, "admin")
    for host in ("evil.example", f"evil.example:{one.admin}", "127.0.0.1.evil.example"):
        assert ask(one, "/api/v1/status", Host=host).status == 421
        assert ask(one, "/api/v1/reload", "POST", secret, Host=host).status == 421


FIELDS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cross-origin-opener-policy": "same-origin",
          "cross-origin-resource-policy": "same-origin", "x-frame-options": "DENY"}


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/api/v1/status", "/api/v1/tokens", "/nothing", "/metrics"])
def test_security_fields_are_on_every_answer(one, path):
    headers = ask(one, path).headers
    assert {name: headers[name] for name in FIELDS} == FIELDS
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    if path.startswith("/api/"):
        assert headers["cache-control"] == "no-store"


# ---- who did it ----

def test_each_change_is_written_down_with_who_did_it(one):
    secret = token(one, "operator", "--name", "ci")
    assert ask(one, "/api/v1/reload", "POST", secret).status == 200
    assert ask(one, "/api/v1/instances/nobody-1/drain", "POST", secret).status == 404   # nothing was done
    assert run_cli("reload", cwd=one.folder).returncode == 0
    assert run_cli("token", "revoke", id_of(secret), cwd=one.folder).returncode == 0

    def told():
        return [(d["action"], d["subject"], d["reason"]) for d in reversed(one.decisions()) if d["kind"] == "admin"]
    wait_until(lambda: len(told()) == 4, 20, "four changes are told")
    by_user = f"user {os.geteuid()} over the socket asked for it"
    made, by_token, reloaded, revoked = told()
    assert made == ("create_token", id_of(secret), by_user)
    assert by_token[:2] == ("reload", "tidegate")
    assert re.fullmatch(rf"token {id_of(secret)} 'ci' \(operator\) from 127\.0\.0\.1:\d+ asked for it", by_token[2])
    assert reloaded == ("reload", "tidegate", by_user) and revoked == ("revoke_token", id_of(secret), by_user)
    database = f"sqlite:{one.folder}/var/tidegate.db"
    wait_until(lambda: run_cli("audit", "list", "--kind", "admin", "--store", database).stdout.count("\n") == 4, 20, "the chain has them")
    assert run_cli("audit", "verify", "--store", database).returncode == 0


def test_the_socket_is_the_users_alone(one):
    path = one.folder / "var" / "tidegate.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    if os.geteuid() != 0:
        pytest.skip("only root can try it as somebody else")
    for opened in (path, path.parent):
        opened.chmod(opened.stat().st_mode | 0o007)   # as if somebody had opened it
    pid = os.fork()
    if pid == 0:
        code = 1
        with contextlib.suppress(BaseException):
            os.chdir(path.parent)   # the folders above are pytest's: another run of it, starting, closes them again
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path.name)
                s.sendall(b"POST /api/v1/reload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                answer = b"".join(iter(lambda: s.recv(65536), b""))
            code = 0 if b" 403 " in answer.split(b"\r\n")[0] and b"your user has none" in answer else 2
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert one.api("/api/v1/status")["plan"] >= 1

