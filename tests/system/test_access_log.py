"""The access log: what it says, what cannot be injected, and that no disk holds up a request."""
import collections
import datetime
import gzip
import json
import os
import re
import resource
import signal
import threading
import time

import pytest

from lib.load import Load
from lib.proxy import Service
from lib.raw import Raw
from lib.tidegate import run_cli, wait_until

COMBINED = re.compile(r'^(\S+) - - \[([^\]]+)\] "((?:[^"\\]|\\x[0-9a-f]{2})*)" (\d{3}) (\d+)'
                      r'(?: "((?:[^"\\]|\\x[0-9a-f]{2})*)" "((?:[^"\\]|\\x[0-9a-f]{2})*)")?$')


def config(port, log, more="", workers=2):
    return (f'listen: [ {{ address: "127.0.0.1:{{port}}" }} ]\n'
            f'admin: {{ address: "127.0.0.1:{{admin}}" }}\nworkers: {workers}\n'
            f'services: {{ shop: {{ fleet: static, endpoints: ["127.0.0.1:{port}"] }} }}\n'
            f'routes: [ {{ path: /shop, service: shop, stage: cart }}, {{ path: /, service: shop }} ]\n'
            f'{more}access_log: {log}\n')


@pytest.fixture
def service():
    with Service() as one:
        yield one


@pytest.fixture
def logging(tidegate, service):
    """A function that starts Tidegate in front of `service` with such an access log."""
    def start(log="{ file: access.log }", more="", workers=2):
        return tidegate(config(service.port, log, more, workers))
    return start


def raw_lines(one, name="access.log"):
    path = one.folder / name
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def lines(one, count, name="access.log", seconds=20):
    """The lines as JSON when there are `count` of them."""
    wait_until(lambda: len(raw_lines(one, name)) >= count, seconds,
               f"{count} lines\n{raw_lines(one, name)}\n{one.log()}")
    return [json.loads(line) for line in raw_lines(one, name)]


def metric(one, name):
    found = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", one.metrics(), re.MULTILINE)
    assert found, f"no {name}"
    return float(found[0])


def everything(one, pattern="access.log*"):
    """All lines of the file and of those put aside, compressed or not."""
    names = {path.name.removesuffix(".gz") for path in one.folder.glob(pattern)
             if not path.name.endswith(".half")}
    found = []
    for name in sorted(names):      # one that is being compressed is there twice, then once
        try:
            with gzip.open(one.folder / f"{name}.gz", "rb") as file:
                data = file.read()
        except FileNotFoundError:
            try:
                data = (one.folder / name).read_bytes()
            except FileNotFoundError:
                return everything(one, pattern)
        found += data.split(b"\n")[:-1]
    return found


# ---- what it says ----

def test_json_field_by_field(logging):
    one = logging()
    before = time.time()
    with Raw(one.port) as client:
        client.send("POST /shop/a?token=secret HTTP/1.1\r\nHost: Shop.test:8080\r\nContent-Length: 5\r\n"
                    "Referer: http://x.test/p?q=1\r\nUser-Agent: probe/1\r\n"
                    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\nhello")
        assert client.read_response().body == b"hello"
        port = client.socket.getsockname()[1]
    line = lines(one, 1)[0]
    when = datetime.datetime.fromisoformat(line.pop("time").replace("Z", "+00:00")).timestamp()
    assert before - 0.1 <= when <= time.time() + 0.1
    assert 0 < line.pop("first_byte_ms") <= line.pop("duration_ms") < 5000
    assert line.pop("waited_ms") >= 0 and line.pop("value") > 0
    assert line == {
        "client": "127.0.0.1", "client_port": port, "method": "POST", "host": "Shop.test:8080",
        "target": "/shop/a", "protocol": "HTTP/1.1", "status": 200, "outcome": "served",
        "reason": "none", "service": "shop", "route": "/shop", "stage": "cart",
        "endpoint": line["endpoint"], "retries": 0, "bytes_in": 5, "bytes_out": 5,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "referer": "http://x.test/p",
        "user_agent": "probe/1"}
    assert line["endpoint"].startswith("127.0.0.1:")
    assert b"secret" not in (one.folder / "access.log").read_bytes()
    assert (one.folder / "access.log").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("style", ["common", "combined"])
def test_common_and_combined_field_by_field(logging, style):
    one = logging(f"{{ file: access.log, format: {style}, query: true }}")
    before = int(time.time())
    one.get("/a?b=c", headers={"User-Agent": 'Mozilla "5.0"', "Referer": "http://r/?x"})
    lines_then = wait_until(lambda: raw_lines(one), 20, f"a line\n{one.log()}")
    found = COMBINED.match(lines_then[0].decode())
    assert found, lines_then[0]
    client, when, request, status, size, referer, agent = found.groups()
    assert (client, request, status, size) == ("127.0.0.1", "GET /a?b=c HTTP/1.1", "200", "6")
    seconds = datetime.datetime.strptime(when, "%d/%b/%Y:%H:%M:%S %z").timestamp()
    assert before <= seconds <= time.time()
    expected = (None, None) if style == "common" else ("http://r/?x", r"Mozilla \x225.0\x22")
    assert (referer, agent) == expected


def test_query_mask_fields_and_sample(logging):
    one = logging("{ file: access.log, query: true, mask_addresses: true, sample: 0%,"
                  " fields: [client, target, status, outcome] }")
    assert one.get("/ok?a=1").status == 200             # goes well: not sampled
    with Raw(one.port) as client:
        client.send("TRACE /no?q=2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_response().status == 405
    assert lines(one, 1) == [{"client": "127.0.0.0", "target": "/no?q=2", "status": 405,
                              "outcome": "answered"}]
    wait_until(lambda: metric(one, "tidegate_access_log_sampled_out_total") == 1, 20, "it is counted")
    assert metric(one, "tidegate_access_log_records_total") == 1


def test_what_we_refused_and_what_never_was_a_request(logging):
    one = logging(more="timeouts: { client_head: 1500ms }\n", workers=1)
    for bad in (b"GARBAGE\x01\xff \"x\"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                b"GET /%00 HTTP/1.1\r\nHost: a\r\nUser-Agent: u\r\n\r\n"):
        with Raw(one.port) as client:
            client.send(bad)
            assert client.read_response().status == 400
    with Raw(one.port) as client:
        client.send(b"GET /slow HTTP/1.1\r\n")
        assert client.read_response().status == 408
    found = lines(one, 4)
    assert [line["status"] for line in found] == [400, 400, 400, 408]
    assert {line["outcome"] for line in found} == {"bad_request"}
    assert {line["client"] for line in found} == {"127.0.0.1"}
    assert not any("service" in line for line in found)
    assert found[0]["request"] == 'GARBAGE\x01\ufffd "x"' and "target" not in found[0]
    assert found[1]["request"] == "GET / HTTP/1.1"
    assert (found[2]["target"], found[2]["user_agent"]) == ("/%00", "u") and found[2]["trace_id"]
    assert found[3]["reason"] == "client_timeout"


def test_no_answer_is_499_and_a_dead_service_has_its_reason(logging, service):
    holding, release = [], threading.Event()
    service.script = lambda c: (holding.append(c.read_request()), release.wait(30))
    one = logging()
    with Raw(one.port) as client:
        client.send("GET /leaves HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: holding, 20, "it is asked")
    gone = lines(one, 1)[0]
    release.set()
    assert (gone["status"], gone["outcome"], gone["endpoint"]) == \
        (499, "client_gone", f"127.0.0.1:{service.port}")
    service.script = lambda c: c.read_request()         # reads, then hangs up
    with Raw(one.port) as client:
        client.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert client.read_response().status == 502
    failed = lines(one, 2)[1]
    assert (failed["outcome"], failed["reason"]) == ("failed", "upstream_closed")


HOSTILE = [b'"', b"\\", b'\\"', b"a\x1b[31mred", b"\xff\xfe", b"\xc0\xaf", b"gr\xc3\xbc\xc3\x9fe",
           b'","status":999,"x":"', b"\xe2\x80\xa8", b"\xc2\x9b31m", b"%0a%0d", b"a\tb", b"x" * 3000]


@pytest.mark.parametrize("style", ["json", "combined"])
def test_nothing_can_be_injected(logging, style):
    one = logging(f"{{ file: access.log, format: {style}, query: true }}", workers=1)
    accepted = []
    for text in HOSTILE:
        with Raw(one.port) as client:
            client.send(b"GET /p?" + text.replace(b"\t", b"%09").replace(b" ", b"+") +
                        b" HTTP/1.1\r\nHost: h\r\nUser-Agent: " + text + b"\r\nReferer: " + text +
                        b"\r\n\r\n")
            accepted.append(client.read_response().status)
    wait_until(lambda: len(raw_lines(one)) >= len(HOSTILE), 20, "all lines")
    time.sleep(0.2)
    found = raw_lines(one)
    assert len(found) == len(HOSTILE), found
    for line, status, text in zip(found, accepted, HOSTILE):
        assert not re.search(rb"[\x00-\x1f\x7f]", line)
        if style == "json":
            entry = json.loads(line.decode())           # strict UTF-8
            assert entry["status"] == status
            if status == 200:
                wanted = text[:512].decode(errors="replace")
                assert entry["user_agent"] == wanted or b"\xff" in text or b"\xc0" in text
                assert len(entry["target"]) <= 1024 + 3
        else:
            match = COMBINED.match(line.decode("ascii"))
            assert match and int(match[4]) == status, line


# ---- files ----

def assert_answered(load):
    """Each has got an answer, and so has its line; a machine that stands still may refuse some as too much."""
    assert {outcome for _, _, outcome in load.results} <= {200, 503}


def test_rotation_under_load_loses_and_doubles_no_line(logging):
    one = logging("{ file: access.log, rotate: { size: 20KiB, keep: 1000 } }")
    load = Load(one.port, 400, path="/r").start()
    time.sleep(3)
    load.stop()
    assert_answered(load)
    wait_until(lambda: len(everything(one)) >= len(load.results), 20, "a line each")
    time.sleep(0.3)
    found = [json.loads(line) for line in everything(one)]
    assert len(found) == len(load.results)
    assert len({line["trace_id"] for line in found}) == len(found)
    aside = list(one.folder.glob("access.log-*"))
    assert len(aside) > 5
    wait_until(lambda: len(list(one.folder.glob("access.log-*.gz"))) > 3, 20, "they are compressed")
    wait_until(lambda: metric(one, "tidegate_access_log_rotations_total") >= len(aside) - 1, 20, "they are counted")


def test_old_files_are_deleted(logging):
    one = logging("{ file: access.log, rotate: { size: 2KiB, keep: 2, compress: false } }")
    for _ in range(8):
        for _ in range(10):
            one.get("/k")
        time.sleep(0.1)
    wait_until(lambda: 1 <= len(list(one.folder.glob("access.log-*"))) <= 2, 20, "two are kept")


@pytest.mark.parametrize("told", ["hup", "not told"])
def test_moved_by_logrotate(logging, told):
    one = logging()
    load = Load(one.port, 200, path="/m").start()
    for number in range(3):
        time.sleep(0.6)
        os.rename(one.folder / "access.log", one.folder / f"access.log.{number}")
        if told == "hup":
            one.signal(signal.SIGHUP)
        wait_until(lambda: (one.folder / "access.log").exists(), 20, f"a new file\n{one.log()}")
    load.stop()
    assert_answered(load)
    wait_until(lambda: len(everything(one)) >= len(load.results), 20, "a line each")
    assert len(everything(one)) == len(load.results)


def test_stdout_and_reload(tidegate, service, tmp_path):
    one = tidegate(config(service.port, '{ file: "-", fields: [target, status] }'))
    one.get("/to-stdout")
    wait_until(lambda: '{"target":"/to-stdout","status":200}\n' in one.log(), 20, "it is in stdout")
    one.write_config(config(service.port, "{ file: a.log, format: common }"))
    assert run_cli("reload", cwd=one.folder).returncode == 0
    wait_until(lambda: "controller decision" in one.log() and "read again" in one.log(), 20, "reloaded")
    one.get("/to-file")
    wait_until(lambda: b"/to-file" in b"".join(raw_lines(one, "a.log")), 20, f"in a.log\n{one.log()}")
    one.write_config(config(service.port, "{ file: a.log, format: common }").split("access_log")[0])
    assert run_cli("reload", cwd=one.folder).returncode == 0
    wait_until(lambda: one.log().count("read again") == 2, 20, "reloaded once more")
    time.sleep(0.5)
    one.get("/to-nowhere")
    time.sleep(0.3)
    assert len(raw_lines(one, "a.log")) == 1


def test_mistakes_are_told_with_their_place(tmp_path):
    (tmp_path / "shop.yaml").write_text(config(1, "{ file: a.log, format: xml }"))
    done = run_cli("check", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 1 and re.search(r"shop.yaml:6:\d+: .*json", done.stderr), done.stderr
    (tmp_path / "shop.yaml").write_text(config(1, "{ file: a.log, fields: [statsu] }"))
    done = run_cli("check", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 1 and "did you mean 'status'" in done.stderr, done.stderr
    (tmp_path / "shop.yaml").write_text(config(1, "{ format: json }"))
    done = run_cli("check", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 1 and "'file'" in done.stderr, done.stderr


# ---- disks in trouble ----

def test_full_disk_fails_no_request_and_recovers(logging):
    one = logging()
    one.get("/before")
    size = wait_until(lambda: (one.folder / "access.log").stat().st_size, 20, "a line")
    assert one.get("/before").status == 200
    controller = one.status()["controller"]
    soft, hard = resource.prlimit(controller, resource.RLIMIT_FSIZE)
    resource.prlimit(controller, resource.RLIMIT_FSIZE, (size + 700, hard))  # in mid-line
    load = Load(one.port, 100, path="/f").start()
    wait_until(lambda: "access_log_failing" in one.log(), 20, "it is told")
    time.sleep(2)
    resource.prlimit(controller, resource.RLIMIT_FSIZE, (soft, hard))
    wait_until(lambda: "access_log_recovered" in one.log(), 20, "it recovers by itself")
    load.stop()
    assert load.failures() == []
    found = lines(one, len(load.results) + 2)               # each of them whole
    assert len(found) == len(load.results) + 2, "not one was lost or doubled"
    assert one.log().count("access_log_failing") == 1, "told once"


def test_dev_full(logging):
    one = logging("{ file: /dev/full }")
    load = Load(one.port, 100).start()
    time.sleep(2)
    load.stop()
    assert load.failures() == []
    wait_until(lambda: metric(one, "tidegate_access_log_failing") == 1, 20, "it is told")
    assert metric(one, "tidegate_access_log_failures_total") >= 1
    assert one.log().count("access_log_failing") == 1


def test_a_hung_file_blocks_nothing(tidegate, service, tmp_path):
    os.mkfifo(tmp_path / "hung")
    one = tidegate(config(service.port, "{ file: hung }"))
    load = Load(one.port, 100).start()
    time.sleep(1.5)
    began = time.monotonic()
    assert one.status()["plan"] > 0 and time.monotonic() - began < 5, "the controller is free"
    one.write_config(config(service.port, "{ file: good.log }"))
    assert run_cli("reload", cwd=one.folder).returncode == 0
    wait_until(lambda: raw_lines(one, "good.log"), 20, f"another file takes over\n{one.log()}")
    load.stop()
    assert load.failures() == []
    assert len(lines(one, len(load.results), "good.log")) == len(load.results), "nothing was lost"
    one.write_config(config(service.port, "{ file: hung }"))
    assert run_cli("reload", cwd=one.folder).returncode == 0
    time.sleep(0.3)
    began = time.monotonic()
    assert one.stop() == 0 and time.monotonic() - began < 10, "it ends all the same"


def test_a_pipe_whose_reader_left_and_came_back(tidegate, service, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    one = tidegate(config(service.port, "{ file: pipe, fields: [target] }"))
    reader = open(tmp_path / "pipe", "rb")
    one.get("/1")
    assert reader.readline() == b'{"target":"/1"}\n'
    reader.close()
    one.get("/2")
    wait_until(lambda: "access_log_failing" in one.log(), 20, "EPIPE is told")
    again = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    def read():
        try:
            return os.read(again, 1000)
        except BlockingIOError:
            return b""
    assert wait_until(read, 20, "it goes on") == b'{"target":"/2"}\n'
    os.close(again)


def test_full_rings_are_counted_and_told(tidegate, service, tmp_path):
    """More than the rings hold while the file hangs: counted, warned of once, nothing waits."""
    os.mkfifo(tmp_path / "hung")
    one = tidegate(config(service.port, "{ file: hung }", workers=1))
    with Raw(one.port) as client:
        wanted = 16384 + 500
        for _ in range(wanted // 100 + 1):      # answered by ourselves: cheap
            client.send("OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            for _ in range(100):
                assert client.read_response().status == 200
    wait_until(lambda: metric(one, "tidegate_access_log_dropped_total") >= 500, 20, "they are counted")
    wait_until(lambda: "access_log_dropped" in one.log(), 20, "they are told of")
    assert one.get("/").status == 200


# ---- processes ----

def test_a_killed_controller_loses_no_line(logging):
    one = logging()
    load = Load(one.port, 300, path="/k").start()
    for _ in range(5):
        time.sleep(1.1)
        one.kill_controller()
    load.stop()
    assert_answered(load)
    wait_until(lambda: len(raw_lines(one)) >= len(load.results), 20, "a line each")
    time.sleep(0.3)
    found = collections.Counter(json.loads(line)["trace_id"] for line in raw_lines(one))
    assert len(found) == len(load.results), "none is missing"
    assert sum(found.values()) - len(found) <= 5 * 50, "at most the last write of each is repeated"


def test_the_end_writes_all(logging):
    one = logging()
    for _ in range(20):
        one.get("/last")
    assert one.stop() == 0
    assert len(raw_lines(one)) == 20


@pytest.mark.parametrize("style", ["json", "common", "combined"])
def test_replay_reads_what_we_write(logging, service, style):
    one = logging(f"{{ file: access.log, format: {style}, query: true }}")
    asked = ["/", "/shop/a?b=c&d=%20", "/%C3%BC", "/x?", "/p;v=1", "/q?a=\"b\""]
    for target in asked:
        with Raw(one.port) as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: h\r\nUser-Agent: \"u\"\r\n\r\n")
            client.read_response()
    wait_until(lambda: len(raw_lines(one)) == len(asked), 20, "all lines")
    service.requests.clear()
    done = run_cli("replay", one.folder / "access.log", "--to", f"http://127.0.0.1:{service.port}",
                   "--report", one.folder / "report.json", cwd=one.folder)
    assert done.returncode == 0, done.stderr
    again = collections.Counter(request.target for request in service.requests)
    assert again == collections.Counter(asked[:5]), "a quote in a target is not sent again"
