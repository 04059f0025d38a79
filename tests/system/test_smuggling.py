"""Nothing ambiguous reaches a service: thousands of malformed and ambiguous requests (tests/conformance/smuggling) go through the
real binary to four servers of other people, and what each server took for a message must be what Tidegate sent it, one for one.
A message more, a message less, one with another method or target, or bytes that the server could not read: a desync."""
import collections
import concurrent.futures
import json
import pathlib
import sys

import pytest

from lib import debian                    # noqa: F401
from lib.ports import free_port
from lib.tidegate import Tidegate, wait_until

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "conformance" / "smuggling"
sys.path.insert(0, str(FOLDER))

import backends                           # noqa: E402
import clients                            # noqa: E402
import corpus                             # noqa: E402
import corpus_h2                          # noqa: E402

CASES_MIN = 4000
AT_A_TIME = 16
TARGET_MAX = 1024    # of the log
CONFIG = """
listen: [{ address: "127.0.0.1:{port}" }]
admin: { address: "127.0.0.1:{admin}" }
access_log: { file: access.log, fields: [method, target, status, outcome, reason, endpoint, retries], query: true }
services: { there: { fleet: static, endpoints: ["127.0.0.1:%d"] } }
routes: [{ path: /, service: there }]
"""


def named(template, number):
    return template.replace(corpus.ID, b"c%05d" % number)


def send_all(port):
    """Everything, a good request after each: it would be swallowed by a server that still waits for a body."""
    h1, h2 = list(corpus.corpus()), list(corpus_h2.corpus())
    names = [name for name, *_ in h1] + [name for name, *_ in h2]

    def send(number):
        if number < len(h1):
            clients.send_h1(port, named(h1[number][1], number))
        else:
            _, pairs, payload = h2[number - len(h1)]
            pairs = [tuple(named(each, number) for each in pair) for pair in pairs]
            pieces = [payload] if not isinstance(payload, list) else payload
            pieces = [named(each, number) if isinstance(each, bytes) else each for each in pieces]
            clients.send_h2(port, pairs, pieces if isinstance(payload, list) else pieces[0])
        answer = clients.send_h1(port, b"GET /after-c%05d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % number,
                                 ends=False)
        return None if answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"seen") else answer[:300]

    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        followed = list(pool.map(send, range(len(names))))
    lost = [(name, answer) for name, answer in zip(names, followed) if answer is not None]
    assert lost == [], f"the request after it was not answered: {lost[:5]}"
    return names


def told(log, keeps_case):
    """What Tidegate says that it sent, as (method, target), as often as it did: messages that the service took; those that it
    answered with an error, which it may do without having read them as such; and those that ended before an answer (a bad
    chunk, a client that left), of which it may have seen the head."""
    taken, refused, ended = collections.Counter(), collections.Counter(), collections.Counter()
    for line in map(json.loads, log.read_text().splitlines()):
        if "endpoint" in line:
            message = (line["method"] if keeps_case else line["method"].upper(), line["target"][:TARGET_MAX])
            ended[message] += line.get("retries", 0)
            (ended if line["outcome"] != "served" else refused if line["status"] >= 400 else taken)[message] += 1
    return taken, refused, ended


@pytest.mark.parametrize("server", backends.ALL, ids=lambda each: each.name)
def test_no_message_more_and_none_less(tmp_path, server):
    with server(tmp_path / server.name, free_port()) as backend:
        proxy = Tidegate(tmp_path, CONFIG % backend.port)
        try:
            proxy.start()
            names = send_all(proxy.port)
            log = tmp_path / "access.log"
            last = f"/after-c{len(names) - 1:05d}"
            wait_until(lambda: last in log.read_text(), 20, "the log is written")
        finally:
            proxy.stop()
        taken, refused, ended = told(log, server.keeps_case)
    seen = collections.Counter((method, target[:TARGET_MAX]) for method, target in backend.seen())
    unreadable = backend.unreadable()
    assert len(names) >= CASES_MIN and sum(taken.values()) > len(names)
    wrong = [f"taken, not seen: {each}" for each in (taken - seen).elements()]
    wrong += [f"seen, not sent: {each}" for each in (seen - taken - refused - ended).elements()]
    if len(unreadable) > sum((refused - seen).values()):    # more than it answered with an error
        wrong += [f"unreadable: {each}" for each in unreadable]
    assert not wrong, "\n".join([f"{len(wrong)} desyncs", *wrong[:40]])
