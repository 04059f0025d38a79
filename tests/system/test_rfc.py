"""The tables in tests/conformance/rfc9112: raw bytes through the real worker to a real service that records, and
what must arrive there, or be answered. How a table is written: tests/conformance/rfc9112/README.md."""
import contextlib
import pathlib
import re
import threading

import pytest

from lib.proxy import Proxy, Request, Service
from lib.raw import Closed

TABLES = pathlib.Path(__file__).resolve().parents[1] / "conformance" / "rfc9112"
CASES_MIN = 400
DEFAULT_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ROUTES = ["/=0", "/private=1", "only.test/=0"]
LIMITS = {"head_bytes": 8192, "fields": 50, "target_bytes": 1000, "attempts": 1}


def unescape(text):
    """\\r \\n \\t \\0 \\xHH \\\\, and \\(COUNT:TEXT) for a text many times."""
    text = re.sub(r"\\\((\d+):([^)]*)\)", lambda m: m.group(2) * int(m.group(1)), text)
    simple = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
    return re.sub(r"\\(x[0-9a-fA-F]{2}|[rnt0\\])",
                  lambda m: chr(int(m.group(1)[1:], 16)) if m.group(1)[0] == "x" else simple[m.group(1)],
                  text).encode("latin-1")


class Case:
    def __init__(self, name, section, place):
        self.name, self.section, self.place = name, section, place
        self.sent, self.answer, self.service_closes, self.half_close = b"", b"", False, False
        self.statuses, self.interim, self.arriving = [], None, []
        self.gets, self.gets_some, self.gets_no, self.gets_body, self.gets_trailers = [], [], [], None, None
        self.after, self.cut, self.methods = None, False, None

    def head(self, text, host):
        first, *fields = re.split(r" +\| *", text)
        return b"\r\n".join(unescape(each) for each in [first, *host, *fields]) + b"\r\n\r\n"

    def read(self, word, text):
        if word == ">>":
            self.sent += self.head(text, ["Host: a"])
        elif word == ">":
            self.sent += unescape(text) + b"\r\n"
        elif word == ">.":
            self.sent += unescape(text)
        elif word == "<<":
            self.answer += self.head(text, [])
        elif word == "<":
            self.answer += unescape(text) + b"\r\n"
        elif word == "<.":
            self.answer += unescape(text)
        elif word == "refused":
            self.statuses, self.after = [int(text)], "closes"
        elif word == "passes":
            self.statuses = [200]
            self.arriving.append({"line": unescape(text).decode("latin-1") or unescape_line(self.sent), "with": [], "without": []})
        elif word == "answer":
            self.statuses = [int(each) for each in text.split()]
        elif word == "interim":
            self.interim = [int(each) for each in text.split()]
        elif word == "arrives":
            self.arriving.append({"line": unescape(text).decode("latin-1"), "with": [], "without": []})
        elif word in ("with", "without"):
            self.arriving[-1][word].append(text)
        elif word in ("body", "trailers"):
            self.arriving[-1][word] = text
        elif word == "gets":
            self.gets.append(text)
        elif word == "gets-some":
            self.gets_some.append(text)
        elif word == "gets-no":
            self.gets_no.append(text)
        elif word == "gets-body":
            self.gets_body = unescape(text)
        elif word == "gets-trailers":
            self.gets_trailers = text
        elif word in ("closes", "stays"):
            self.after = word
        elif word == "cut":
            self.cut = True
        elif word == "service-closes":
            self.service_closes = True
        elif word == "half-close":
            self.half_close = True
        elif word == "methods":
            self.methods = text.split()
        else:
            raise ValueError(f"{self.place}: no such word: {word}")


def unescape_line(sent):
    return sent.split(b"\r\n")[0].decode("latin-1")


def read_tables():
    cases = []
    for path in sorted(TABLES.glob("*.cases")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            line = line.rstrip("\n")
            if line.startswith("#") or not line.strip():
                continue
            word, _, text = line.partition(" ")
            if word == "=":
                name, bar, section = text.rpartition("|")
                assert bar and re.match(r"RFC \d{4}( §[\dA-Z.]+)", section.strip()), f"{path.name}:{number}"
                cases.append(Case(name.strip(), section.strip(), f"{path.name}:{number}"))
            else:
                cases[-1].read(word, text)
    return cases


CASES = read_tables()


class Recorder(Service):
    """Records each request; answers /sentinel and whatever has no script with 200."""

    def __init__(self):
        self.case, self.lock, self.problems = None, threading.Lock(), []
        super().__init__(self.record)

    def record(self, one):
        while True:
            try:
                line, fields = one.read_head()
                body, trailers = one.read_body(fields)
                request = Request(line, fields, body, trailers, one)
            except (AssertionError, ValueError) as wrong:  # what the proxy sent is not HTTP
                self.problems.append(repr(wrong))
                raise Closed() from wrong
            self.requests.append(request)
            case = self.case
            if case is None or not case.answer or request.target == "/sentinel":
                one.send(DEFAULT_ANSWER)
                continue
            one.send(case.answer)
            if case.service_closes:
                return


def answer_private(one):
    """The service behind /private: it is told by its body which route was taken."""
    while True:
        one.read_request()
        one.answer("private")


@contextlib.contextmanager
def worker():
    with Recorder() as service, Service(answer_private) as private, \
            Proxy(service.port, f"127.0.0.1:{private.port},serving,1", routes=ROUTES, limits=LIMITS) as proxy:
        proxy.service = service
        yield proxy


@pytest.fixture(scope="module")
def shared():
    """For the cases in which the service behaves."""
    with worker() as proxy:
        yield proxy


def test_the_tables_are_whole():
    names = [case.name for case in CASES]
    assert len(CASES) >= CASES_MIN
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    for case in CASES:
        assert case.sent and (case.statuses or case.cut or case.after), f"{case.place} asks for nothing"


@pytest.mark.parametrize("case", CASES, ids=[f"{c.section[4:]} {c.name}" for c in CASES])
def test_rfc(case, request):
    if not case.answer:
        run(case, request.getfixturevalue("shared"))
        return
    with worker() as proxy:
        run(case, proxy)


def run(case, proxy):
    service = proxy.service
    service.requests.clear()
    service.problems.clear()
    service.case = case
    with proxy.connect() as client:
        answers = talk(case, client)
        if case.after == "closes" and not case.cut:
            assert client.ended(), f"{case.place}: the connection stays open"
        elif case.after == "stays":
            assert client.get("/sentinel").body == b"ok"
    # One worker: when this is answered, all that came before has been dealt with.
    assert proxy.get("/sentinel").status == 200
    arrived = [each for each in service.requests if each.target != "/sentinel"]
    assert service.problems == [], case.place
    check_arrived(case, arrived)
    check_answers(case, answers)


def talk(case, client):
    client.send(case.sent)
    if case.half_close:
        client.finish()
    methods = case.methods or [case.sent.lstrip(b"\r\n").split(b" ")[0].decode("latin-1")] * max(1, len(case.statuses))
    answers = []
    for status, method in zip(case.statuses, methods):
        if case.cut and status == case.statuses[-1]:
            with pytest.raises((Closed, ConnectionResetError)):
                client.read_response(method)
            return answers
        answers.append(client.read_response(method))
    return answers


def check_answers(case, answers):
    assert [each.status for each in answers] == (case.statuses[:-1] if case.cut else case.statuses), case.place
    if case.interim is not None:
        assert [each.status for each in answers[0].informational] == case.interim, case.place
    if not answers:
        return
    last = answers[-1]
    for each in case.gets:
        name, _, value = each.partition(":")
        assert value.strip() in last.all(name.lower()), f"{case.place}: {each} not in {last.fields}"
    for name in case.gets_some:
        assert last.field(name.lower()), case.place
    for name in case.gets_no:
        assert last.all(name.lower()) == [], case.place
    if case.gets_body is not None:
        assert last.body == case.gets_body, case.place
    if case.gets_trailers is not None:
        assert show(last.trailers) == case.gets_trailers, case.place


def show(fields):
    return ", ".join(f"{name}: {value}" for name, value in fields) or "none"


def check_arrived(case, arrived):
    lines = [f"{each.method} {each.target} {each.version}" for each in arrived]
    assert lines == [each["line"] for each in case.arriving], case.place
    for expected, request in zip(case.arriving, arrived):
        fields = [f"{name}: {value}" for name, value in request.fields]
        for each in expected["with"]:
            name, _, value = each.partition(":")
            value = unescape(value.strip()).decode("latin-1")
            assert f"{name.lower()}: {value}" in fields, f"{case.place}: {each} not in {fields}"
        for name in expected["without"]:
            assert name.lower() not in dict(request.fields), f"{case.place}: {name} in {fields}"
        if "body" in expected:
            assert request.body == unescape(expected["body"]), case.place
        if "trailers" in expected:
            assert show(request.trailers) == expected["trailers"], case.place
