"""The admin API of the real binary: every answer is one that its OpenAPI document announces."""
import http.client
import itertools
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time

import pytest

from lib import schema
from lib.shops import app_shop
from lib.tidegate import BINARY, run_cli, wait_until

CONFIG = app_shop("instances: { min: 2, max: 4, spares: 1 }", "health: { path: /healthz, interval: 1s }",
                  "objective: { latency: 250ms, share: 99% }")


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()
        self.type = response.headers.get("content-type", "")

    def json(self):
        return json.loads(self.body)


def over_tcp(one, path, method="GET", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", one.admin, timeout=10)
    try:
        connection.request(method, path, headers=headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def over_unix(one, path, method="GET"):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(one.folder / "var" / "tidegate.sock"))
        connection = http.client.HTTPConnection("localhost")
        connection.sock = s
        connection.request(method, path)
        return Answer(connection.getresponse())


@pytest.fixture(name="one")
def fixture_one(tidegate):
    one = tidegate(CONFIG)
    one.wait_serving(2)
    wait_until(lambda: over_tcp(one, "/healthz").status == 200, 10, "the admin address answers")
    return one


def document_of(one):
    return over_tcp(one, "/api/v1/openapi.json").json()


GOOD = ["/api/v1/status", "/api/v1/services", "/api/v1/services/storefront", "/api/v1/instances",
        "/api/v1/instances/{instance}", "/api/v1/demand", "/api/v1/demand?service=storefront&step=2",
        "/api/v1/demand?service=storefront&from={hour_ago}&step=60", "/api/v1/latency?service=storefront",
        "/api/v1/forecast?service=storefront",
        "/api/v1/ledger", "/api/v1/ledger?service=storefront&from={hour_ago}", "/api/v1/decisions", "/api/v1/decisions?limit=1&kind=scale",
        "/api/v1/decisions?before=1", "/api/v1/campaigns", "/api/v1/maintenance", "/api/v1/session", "/api/v1/openapi.json", "/metrics",
        "/healthz"]
BAD = {"/api/v1/services/nobody": 404, "/api/v1/instances/nobody-1": 404, "/api/v1/forecast": 400,
       "/api/v1/demand?step=0": 400, "/api/v1/demand?from=yesterday": 400, "/api/v1/demand?service=nobody": 404,
       "/api/v1/decisions?limit=0": 400, "/api/v1/decisions?colour=red": 400, "/api/v1/latency?service=%zz": 400,
       "/api/v1/ledger?service=nobody": 404, "/api/v1/ledger?from=0": 400, "/api/v1/ledger?to=0": 400}


def test_every_answer_is_in_the_document(one):
    document = document_of(one)
    for _ in range(20):
        assert one.get().status == 200
    time.sleep(1.5)
    names = {"instance": one.instances()[0]["id"], "hour_ago": int(time.time()) - 3600}
    seen = set()
    for path in GOOD:
        path = path.format(**names)
        answer = over_tcp(one, path)
        assert answer.status == 200, f"{path}: {answer.body[:300]}"
        body = answer.json() if answer.type.startswith("application/json") else None
        seen.add(schema.check_answer(document, "GET", path, 200, answer.type, body))
        assert over_unix(one, path).status == 200
    for path, status in BAD.items():
        answer = over_tcp(one, path)
        assert answer.status == status, f"{path}: {answer.status}"
        schema.check_answer(document, "GET", path, status, answer.type, answer.json())
    tokens = over_unix(one, "/api/v1/tokens")   # an admin's
    seen.add(schema.check_answer(document, "GET", "/api/v1/tokens", 200, tokens.type, tokens.json()))
    left = {path for path, operations in document["paths"].items() if "get" in operations} - seen
    assert left == {"/api/v1/events"}, "each path of the document was asked for"


def test_columns_have_one_length(one):
    demand = wait_until(lambda: (found := over_tcp(one, "/api/v1/demand?service=storefront").json())["times_ms"][1:] and found,
                        20, "two steps")
    lengths = {name: len(column) for name, column in demand.items() if isinstance(column, list)}
    assert len(set(lengths.values())) == 1 and lengths["times_ms"] >= 2, lengths
    assert demand["times_ms"] == sorted(set(demand["times_ms"]))


def test_demand_is_what_was_offered(one):
    time.sleep(1.2)
    for _ in range(50):
        assert one.get().status == 200

    def offered():
        demand = over_tcp(one, "/api/v1/demand?service=storefront&step=1").json()
        return sum(value or 0 for value in demand["offered_rps"]) >= 45
    wait_until(offered, 20, "fifty requests are seen")


def test_status_says_what_runs(one):
    status = over_tcp(one, "/api/v1/status").json()
    assert status["supervisor"] == one.process.pid
    for pid in [status["controller"], *status["workers"]]:
        os.kill(pid, 0)
    serving = [i for i in status["services"][0]["instances"] if i["state"] == "serving"]
    assert len(serving) >= 2
    for instance in serving:
        os.kill(instance["pid"], 0)
    assert status["verdict"]["state"] in ("ok", "attention")


def test_events(one):
    document = document_of(one)
    with socket.create_connection(("127.0.0.1", one.admin), timeout=10) as s:
        s.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stream = s.makefile("rb")
        head = b"".join(iter(stream.readline, b"\r\n"))
        assert b" 200 " in head and b"text/event-stream" in head

        def next_event():
            fields = {}
            for line in iter(stream.readline, b"\n"):
                name, value = line.decode().rstrip("\n").split(": ", 1)
                fields[name] = value
            return fields
        ticks = (event for event in iter(next_event, None) if event.get("event") == "tick")
        for event in itertools.islice(ticks, 3):
            found = schema.problems(json.loads(event["data"]), {"$ref": "#/components/schemas/Status"}, document)
            assert not found, found[:10]
        os.kill(one.instances()[0]["pid"], signal.SIGKILL)
        end = time.monotonic() + 30
        while True:
            assert time.monotonic() < end, "the decision comes as an event"
            event = next_event()
            if event.get("event") == "decision":
                decision = json.loads(event["data"])
                assert not schema.problems(decision, {"$ref": "#/components/schemas/Decision"}, document)
                assert decision["id"] == int(event["id"]) and decision["reason"]
                break


def test_tcp_without_a_token_only_reads_and_knows_its_names(one):
    document = document_of(one)
    for path in ("/api/v1/reload", "/api/v1/drain", "/api/v1/instances/storefront-1/drain"):
        answer = over_tcp(one, path, "POST")
        assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
        schema.check_answer(document, "POST", path, 401, answer.type, answer.json())
    assert over_tcp(one, "/api/v1/status", headers={"Host": "evil.example"}).status == 421
    assert over_tcp(one, "/api/v1/status", headers={"Host": f"localhost:{one.admin}"}).status == 200
    assert one.process.poll() is None
    mode = (one.folder / "var" / "tidegate.sock").stat().st_mode & 0o777
    assert mode == 0o600


def test_reload_over_the_socket(one):
    document = document_of(one)
    answer = over_unix(one, "/api/v1/reload", "POST")
    assert answer.status == 200, answer.body
    schema.check_answer(document, "POST", "/api/v1/reload", 200, answer.type, answer.json())
    one.write_config(CONFIG.replace("min: 2", "minimum: 2"))
    answer = over_unix(one, "/api/v1/reload", "POST")
    assert answer.status == 422
    schema.check_answer(document, "POST", "/api/v1/reload", 422, answer.type, answer.json())
    assert any("shop.yaml:" in line for line in answer.json()["errors"])


SAMPLE = re.compile(r'^[a-z_][a-z0-9_]*(\{([a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? [-+0-9.eEInfa]+$')


@pytest.mark.parametrize("accept", [None, "application/openmetrics-text; version=1.0.0"])
def test_metrics_are_well_formed(one, accept):
    answer = over_tcp(one, "/metrics", headers={"Accept": accept} if accept else {})
    lines = answer.body.decode().splitlines()
    assert answer.type.startswith("application/openmetrics-text" if accept else "text/plain")
    assert (lines[-1] == "# EOF") == bool(accept)
    families, seen, current = {}, set(), None
    for line in lines:
        if line.startswith("# TYPE "):
            _, _, current, kind = line.split(" ")
            assert current not in families, f"{current} comes twice"
            families[current] = kind
        elif not line.startswith("#"):
            assert SAMPLE.match(line), line
            series = line.rsplit(" ", 1)[0]
            assert series not in seen, f"{series} comes twice"
            seen.add(series)
            assert series.startswith(current) and series.startswith("tidegate_"), line
            if families[current] == "counter":
                assert series.split("{")[0].endswith("_total"), line
    assert 'tidegate_instances{service="storefront",state="serving"} 2' in lines


def test_security_fields(one):
    for path in ("/", "/assets/app.js", "/api/v1/status", "/nothing"):
        headers = over_tcp(one, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]


def test_audit(one):
    database = f"sqlite:{one.folder}/var/tidegate.db"
    wait_until(lambda: one.decisions(), 10, "a decision")

    def listed():
        done = run_cli("audit", "list", "--json", "--store", database)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]
    written = wait_until(listed, 10, "it is in the store")
    assert {d["id"] for d in written} <= {d["id"] for d in one.decisions()}
    assert run_cli("audit", "verify", cwd=one.folder).returncode == 0
    one.stop()
    first = min(d["id"] for d in listed())
    with sqlite3.connect(one.folder / "var" / "tidegate.db") as connection:
        connection.execute("update decisions set reason = 'all was well' where id = ?", (first,))
    done = run_cli("audit", "verify", "--store", database)
    assert done.returncode == 1 and f"decision {first}" in done.stdout


@pytest.mark.parametrize("content", [b"time,value\n1,2\n" * 100, "foreign"])
def test_a_foreign_store_is_refused_at_start(tidegate, tmp_path, content):
    database = tmp_path / "var" / "tidegate.db"
    database.parent.mkdir()
    if content == "foreign":
        with sqlite3.connect(database) as connection:
            connection.execute("create table songs (title text)")
    else:
        database.write_bytes(content)
    before = database.read_bytes()
    one = tidegate(CONFIG, wait=None)
    try:
        assert one.process.wait(20) == 2, one.log()
    except subprocess.TimeoutExpired:
        pytest.fail(f"it went on:\n{one.log()}")
    assert "tidegate.db" in one.log()
    assert database.read_bytes() == before


def test_a_command_that_was_stopped_goes_on(one):
    """Ctrl-Z and fg while it waits for its answer."""
    controller = one.status()["controller"]
    os.kill(controller, signal.SIGSTOP)
    try:
        asking = subprocess.Popen([BINARY, "status"], cwd=one.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(1)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            asking.send_signal(number)
            time.sleep(0.2)
    finally:
        os.kill(controller, signal.SIGCONT)
    said, _ = asking.communicate(timeout=30)
    assert asking.returncode == 0, said
