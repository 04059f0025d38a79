"""A calendar on another server (demand.calendar), by http and https: what is new, what is the same, what is hostile, and a restart."""
import contextlib
import os
import socket
import ssl
import threading
import time
import urllib.request

import pytest

from lib.certificates import Authority
from lib.shops import static_shop
from lib.tidegate import run_cli, wait_until
from test_campaigns import announced, event, ical, told

SECRET = "Bearer very-secret-4711"


def page(body, status="200 OK", **fields):
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}",
             *[f"{name.replace('_', '-')}: {value}" for name, value in fields.items()], "", ""]
    return "\r\n".join(lines).encode() + body


class Server:
    """Answers each request by `answer(path, fields)`: bytes, or a function of the connection."""

    def __init__(self, answer, pair=None):
        self.answer, self.requests = answer, []
        self.tls = None
        if pair is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*pair)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.settimeout(20)
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            data = b""
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            first, *lines = data.decode().split("\r\n\r\n")[0].split("\r\n")
            fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
            path = first.split(" ")[1]
            self.requests.append((path, fields))
            answer = self.answer(path, fields)
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)
            if self.tls is not None:
                connection.unwrap()

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # close alone would let one more in
        self.listener.close()


@pytest.fixture(name="serve")
def fixture_serve():
    servers = []

    def serve(answer, pair=None):
        servers.append(Server(answer, pair))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture(name="authority", scope="module")
def fixture_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(name="shop")
def fixture_shop(tidegate, checked):
    def start(url, more="", environment=None):
        demand = f'demand: {{ calendar: {{ url: "{url}", refresh: 1s, timeout: 5s{more} }} }}'
        one = tidegate(static_shop(checked(), more=demand), environment=environment)
        one.wait_serving(1)
        return one

    return start


def names(one):
    return sorted(c["id"] for c in announced(one))


def refused(one, words):
    wait_until(lambda: any(words in d["reason"] for d in told(one, "read")), 30, f"'{words}' among {told(one, 'read')}")


def test_what_changes_is_taken_and_what_is_the_same_is_not_sent_again(shop, serve):
    now = {"text": ical(event(10)), "tag": '"one"'}

    def answer(path, fields):
        if fields.get("if-none-match") == now["tag"]:
            return page("", "304 Not Modified", ETag=now["tag"])
        return page(now["text"], ETag=now["tag"], Content_Type="text/calendar")

    server = serve(answer)
    one = shop(f"http://127.0.0.1:{server.port}/private-77/a.ics?key=secret88")
    wait_until(lambda: names(one) == ["sale-1"], 30, "the campaign")
    assert server.requests[0][0] == "/private-77/a.ics?key=secret88"
    assert "if-none-match" not in server.requests[0][1] and "authorization" not in server.requests[0][1]
    wait_until(lambda: server.requests[-1][1].get("if-none-match") == '"one"', 30, "a question with the tag")
    assert len(told(one, "read")) == 1
    now.update(text=ical(event(10), event(200, uid="sale-2")), tag='"two"')
    wait_until(lambda: names(one) == ["sale-1", "sale-2"], 30, "the second campaign")
    assert len(told(one, "read")) == 2
    log = one.log() + str(one.decisions())
    assert "127.0.0.1" in log and "private-77" not in log and "secret88" not in log


def metrics(one):
    with urllib.request.urlopen(f"http://127.0.0.1:{one.admin}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name.removeprefix("tidegate_calendar_"): float(value) for name, value in
            (line.split(" ") for line in lines if line.startswith("tidegate_calendar_"))}


def test_metrics_say_when_it_was_had_and_how_often_not(shop, serve):
    now = {"answer": page("no", "500 Internal Server Error")}
    server = serve(lambda path, fields: now["answer"])
    began = time.time()
    one = shop(f"http://127.0.0.1:{server.port}/")
    wait_until(lambda: metrics(one)["failures_total"] >= 2, 30, "failures")
    seen = metrics(one)
    assert set(seen) == {"last_success_time_seconds", "age_seconds", "failures_total", "events"}
    assert seen["last_success_time_seconds"] == 0 and seen["events"] == 0
    assert 0.5 < seen["age_seconds"] < time.time() - began + 1, "since it is asked for"
    now["answer"] = page(ical(event(10), event(20, uid="sale-2")))
    wait_until(lambda: metrics(one)["events"] == 2, 30, "two events")
    first = metrics(one)["last_success_time_seconds"]
    assert began < first < time.time() + 1
    now["answer"] = page("", "304 Not Modified")  # nobody has asked for that: it has no tag
    failures = metrics(one)["failures_total"]
    wait_until(lambda: metrics(one)["failures_total"] > failures + 1, 30, "failures")
    seen = metrics(one)
    assert seen["age_seconds"] > 0.5 and seen["events"] == 2, "what it said last holds"
    now["answer"] = page(ical(event(10), event(20, uid="sale-2")))
    wait_until(lambda: metrics(one)["last_success_time_seconds"] > first + 1, 30, "the same, which is a success, too")
    file = one.folder / "shop.yaml"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "calendar:" not in line))
    run_cli("reload", cwd=one.folder)
    wait_until(lambda: metrics(one) == {}, 30, "no calendar, no metrics")


def test_if_modified_since_is_asked_where_there_is_no_tag(shop, serve):
    stamp = "Fri, 27 Nov 2026 10:00:00 GMT"
    server = serve(lambda path, fields: page("", "304 Not Modified") if fields.get("if-modified-since") == stamp
                   else page(ical(event(10)), Last_Modified=stamp))
    one = shop(f"http://127.0.0.1:{server.port}")
    wait_until(lambda: server.requests and "if-modified-since" in server.requests[-1][1], 30, "a question with the date")
    assert server.requests[0][0] == "/" and names(one) == ["sale-1"]
    assert len(told(one, "read")) == 1


def drip(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        connection.sendall(b"B")
        time.sleep(0.1)


def cut(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + ical(event(10)).encode())


def endless(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10_000):
        connection.sendall(b"1000\r\n" + b"X" * 4096 + b"\r\n")


HOSTILE = {
    "status 500": page("no", "500 Internal Server Error"),
    "status 401": page("no", "401 Unauthorized"),
    "status 304": page("", "304 Not Modified"),  # nobody has asked for that: the tag is gone
    "too long": endless,
    "whole answer": cut,
    "in time": drip,
    "closed": lambda connection: None,
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "found nothing": page("  \r\n"),
    "expected": page("<html><body>log in</body></html>"),
    "a coding": page(b"\x1f\x8b", Content_Encoding="gzip"),
    "leads to no address": page("", "302 Found", Location="file:///etc/passwd"),
    "without end": page("", "302 Found", Location="/again"),
    "END": page("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"),
}


def test_hostile_answers_leave_what_was_said_last_and_the_shop_serves(shop, serve):
    now = {"answer": page(ical(event(10)))}
    server = serve(lambda path, fields: now["answer"])
    one = shop(f"http://127.0.0.1:{server.port}/", ", size: 64KiB")
    wait_until(lambda: names(one) == ["sale-1"], 30, "the campaign")
    for words, answer in HOSTILE.items():
        now["answer"] = answer
        refused(one, words)
        assert names(one) == ["sale-1"]
        assert one.get("/").status == 200
        now["answer"] = page(ical(event(10)))
        before = len(told(one, "read"))
        wait_until(lambda: len(told(one, "read")) > before, 30, "to be had again")
    server.stop()
    refused(one, "refused")
    assert names(one) == ["sale-1"]


def test_a_slow_server_does_not_hold_the_controller_up(shop, serve):
    stuck = threading.Event()
    server = serve(lambda path, fields: lambda connection: stuck.wait(20))
    one = shop(f"http://127.0.0.1:{server.port}/")
    wait_until(lambda: server.requests, 30, "the question")
    for _ in range(5):
        began = time.monotonic()
        one.status()
        assert time.monotonic() - began < 4, "the API waits with it, who waits for five seconds"
    stuck.set()


def test_a_calendar_that_takes_long_to_read_does_not_either(shop, serve):
    """Weekly since 2020, a thousand times over: more events than are taken, and seconds of work."""
    weekly = event(10, DTSTART="20200101T080000Z", DTEND="20200101T090000Z", RRULE="FREQ=WEEKLY")
    server = serve(lambda path, fields: page(ical(*({**weekly, "UID": f"w{i}"} for i in range(1000)))))
    one = shop(f"http://127.0.0.1:{server.port}/")
    slowest = 0
    wait_until(lambda: server.requests, 30, "the question")
    asked = time.monotonic()
    while not told(one, "read"):
        began = time.monotonic()
        one.status()
        slowest = max(slowest, time.monotonic() - began)
    took = time.monotonic() - asked
    assert slowest < max(1.5, took / 2), f"the API waits with it: {slowest:.1f} of {took:.1f} s"
    assert one.get("/").status == 200 and len(announced(one)) == 0


def test_redirects_keep_credentials_to_the_server_that_they_are_for(shop, serve, tmp_path):
    other = serve(lambda path, fields: page(ical(event(10))))
    first = serve(lambda path, fields: page("", "302 Found", Location="b") if path == "/a/" else
                  page("", "307 Temporary Redirect", Location=f"http://127.0.0.1:{other.port}/c"))
    (tmp_path / "authorization").write_text(SECRET + "\n")
    one = shop(f"http://127.0.0.1:{first.port}/a/", f", authorization: {tmp_path}/authorization")
    wait_until(lambda: names(one) == ["sale-1"], 30, "the campaign")
    assert [path for path, _ in first.requests[:2]] == ["/a/", "/a/b"]
    assert all(fields["authorization"] == SECRET for _, fields in first.requests)
    assert other.requests[0][0] == "/c" and "authorization" not in other.requests[0][1]
    assert SECRET not in one.log() and SECRET not in str(one.decisions())


def test_https_with_an_authority_of_ones_own(shop, serve, authority):
    server = serve(lambda path, fields: page(ical(event(10))), authority.issue("localhost"))
    one = shop(f"https://localhost:{server.port}/a.ics", f", ca: {authority.ca}")
    wait_until(lambda: names(one) == ["sale-1"], 30, "the campaign")
    assert server.requests[0][1]["host"] == f"localhost:{server.port}"


def test_https_with_the_authorities_of_the_system(shop, serve, authority):
    server = serve(lambda path, fields: page(ical(event(10))), authority.issue("localhost"))
    one = shop(f"https://localhost:{server.port}/a.ics", environment={**os.environ, "SSL_CERT_FILE": str(authority.ca)})
    wait_until(lambda: names(one) == ["sale-1"], 30, "the campaign")


@pytest.mark.parametrize("wrong", ["unknown authority", "another name", "down to http"])
def test_https_that_is_not_what_it_seems(shop, serve, authority, tmp_path, wrong):
    plain = serve(lambda path, fields: page(ical(event(10))))
    pair = authority.issue("elsewhere.test" if wrong == "another name" else "localhost")
    ca = Authority(tmp_path / "other").ca if wrong == "unknown authority" else authority.ca
    server = serve(lambda path, fields: page("", "302 Found", Location=f"http://127.0.0.1:{plain.port}/"), pair)
    one = shop(f"https://localhost:{server.port}/a.ics", f", ca: {ca}")
    refused(one, "from https to http" if wrong == "down to http" else "TLS handshake failed")
    assert names(one) == [] and plain.requests == []


def test_a_restart_without_the_server_knows_what_it_said(shop, serve):
    server = serve(lambda path, fields: page(ical(event(10)), ETag='"one"'))
    one = shop(f"http://127.0.0.1:{server.port}/secret99.ics")
    wait_until(lambda: names(one) == ["sale-1"], 30, "the campaign")
    server.stop()
    one.kill_controller()
    wait_until(lambda: names(one) == ["sale-1"], 30, "the campaign that was known")
    assert "secret99" not in (one.folder / "var" / "calendar.json").read_text()


def test_a_reload_asks_another_server_and_none(shop, serve):
    first = serve(lambda path, fields: page(ical(event(10))))
    second = serve(lambda path, fields: page(ical(event(10, uid="other"))))
    one = shop(f"http://127.0.0.1:{first.port}/")
    wait_until(lambda: names(one) == ["sale-1"], 30, "the campaign")
    file = one.folder / "shop.yaml"
    file.write_text(file.read_text().replace(str(first.port), str(second.port)))
    run_cli("reload", cwd=one.folder)
    wait_until(lambda: names(one) == ["other"], 30, "the other server's campaign, and no more the first one's")
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "calendar:" not in line))
    run_cli("reload", cwd=one.folder)
    wait_until(lambda: names(one) == [], 30, "no campaign")


@pytest.mark.parametrize("block,words", [
    ("url: file:///etc/passwd", "url: expected http:// or https://"),
    ("url: \"https://user:password5@a/\"", "url: expected http:// or https://"),
    ("refresh: 1m", "url"),
    ("url: \"http://a/\", refresh: 10ms", "refresh: expected a duration of 1s to 1d"),
    ("url: \"http://a/\", timeout: 2m", "timeout: expected"),
    ("url: \"http://a/\", size: 1GiB", "size: expected"),
    ("url: \"http://a/\", ca: no-such-file", "ca: "),
    ("url: \"http://a/\", authorization: no-such-file", "authorization: "),
])
def test_wrong_settings_are_told_with_their_place(checked, tmp_path, block, words):
    text = static_shop(checked(), more=f"demand: {{ calendar: {{ {block} }} }}")
    (tmp_path / "shop.yaml").write_text(text.replace("{port}", "8080").replace("{admin}", "9900"))
    done = run_cli("check", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 1 and words in done.stdout + done.stderr
    assert "password5" not in done.stdout + done.stderr
