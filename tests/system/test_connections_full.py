"""A worker with as many connections as it may have: who carries nothing or keeps it waiting gives way, the heaviest
client's first; what is under way stays; who finds no place is told so. Nobody holds the others out."""
import contextlib
import re
import threading
import time

import pytest

from lib.certificates import Secure, shared
from lib.h2peer import Client
from lib.proxy import REAL, Proxy, Service
from lib.raw import Closed, Raw
from lib.tidegate import wait_until

pytestmark = pytest.mark.skipif(REAL, reason="sets limits and looks at the worker's counters")

MOST = 16          # connections; one more may come in to be told
SETTLED_S = 0.6    # after half a second of nothing a connection gives way
STALLED_S = 1.2    # and after one of no progress
GET = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
WEBSOCKET = ("GET /tunnel HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")


# What the kernel and we keep of an answer that is not read: all of one is on its way, of the other not.
SIZES = {"/large": 8 << 20, "/kept": 200_000}


class Shop(Service):
    """/wait is answered when the gate is open, /tunnel becomes a WebSocket, SIZES has large ones; the rest at once."""

    def __init__(self):
        self.gate = threading.Event()
        super().__init__(self.answer)

    def answer(self, one):
        while True:
            target = one.read_request().target
            if target == "/wait":
                self.gate.wait(30)
            if target == "/tunnel":
                one.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                one.raw.socket.recv(1)
                return
            one.answer(bytes(SIZES[target]) if target in SIZES else target)


@contextlib.contextmanager
def full_shop(most=MOST, **options):
    with Shop() as shop, Proxy(shop.port, limits={"connections": most}, **options) as proxy, contextlib.ExitStack() as stack:
        proxy.shop, proxy.keep = shop, stack.enter_context
        yield proxy
        shop.gate.set()


@pytest.fixture
def proxy():
    with full_shop() as one:
        yield one


def address(number):
    return f"127.0.{1 + number // 200}.{1 + number % 200}"


def open_from(proxy, number, *sent, **options):
    one = proxy.keep(Raw(proxy.port, source=address(number), **options))
    for text in sent:
        one.send(text)
    return one


def idle_from(proxy, number):
    one = open_from(proxy, number, GET)
    assert one.read_response().status == 200
    return one


def waiting_from(proxy, number):
    return open_from(proxy, number, GET.replace("/ ", "/wait ", 1))


def fill_with_requests(proxy, count=MOST):
    """From an address each."""
    all_of_them = [waiting_from(proxy, i) for i in range(count)]
    proxy.wait(lambda v: v["in_flight"] == count)
    return all_of_them


def tunnel_from(proxy, number):
    one = open_from(proxy, number, WEBSOCKET)
    assert one.read_response().status == 101
    return one


def served(one):
    one.send(GET)
    return one.read_response().status == 200


def numbers(proxy):
    vitals = proxy.vitals()
    return [vitals[name] for name in ("gave_way", "held", "told", "refused_connections")]


# ---- who gives way ----

def test_an_idle_connection_gives_way_to_somebody_new(proxy):
    old = [idle_from(proxy, i) for i in range(MOST)]
    time.sleep(SETTLED_S)
    assert served(open_from(proxy, 100))
    assert sum(one.ended(0.2) if one is old[0] else one.silent(0.01) for one in old) == MOST
    assert numbers(proxy) == [1, 0, 0, 0]


def test_of_the_heaviest_client_first(proxy):
    few = [idle_from(proxy, i) for i in range(MOST - 5)]
    many = [idle_from(proxy, 50) for _ in range(5)]
    time.sleep(SETTLED_S)
    for number in range(3):
        assert served(open_from(proxy, 100 + number))
    assert [one.ended(0.2) for one in many[:3]] == [True] * 3
    assert all(served(one) for one in few)
    assert numbers(proxy) == [3, 0, 0, 0]


def test_of_a_much_heavier_client_also_what_was_just_opened(proxy):
    """Else who opens anew at once what was closed would always be too young to give way."""
    for _ in range(MOST):
        open_from(proxy, 50)
    proxy.wait(lambda v: v["open"] == MOST)
    begun = time.monotonic()
    assert served(open_from(proxy, 100))
    assert numbers(proxy) == [1, 0, 0, 0] and time.monotonic() - begun < 5
    open_from(proxy, 50)
    proxy.wait(lambda v: v["held"] == 1 or v["gave_way"] == 2)


def test_the_heaviest_at_work_hides_no_other_heavy_one():
    """More connections than are looked at for one newcomer, and none of them can go."""
    with full_shop(most=278) as proxy:
        for _ in range(270):
            tunnel_from(proxy, 50)
        young = [idle_from(proxy, 51) for _ in range(8)]
        for number in range(4):
            assert served(young.pop())      # the last ones go last
            assert served(open_from(proxy, 100 + number))
        assert numbers(proxy) == [4, 0, 0, 0]


def test_a_client_at_work_is_not_looked_at_for_each_newcomer(capfd):
    newcomers = 100
    with full_shop() as proxy:
        for _ in range(MOST):
            waiting_from(proxy, 50)
        proxy.wait(lambda v: v["in_flight"] == MOST)
        for number in range(newcomers):
            open_from(proxy, 100 + number, GET)
        proxy.wait(lambda v: v["told"] + v["refused_connections"] + v["gave_way"] >= newcomers)
        time.sleep(1.1)
        open_from(proxy, 100)     # so that the last of it is said
        proxy.wait(lambda v: v["held"] + v["gave_way"] > newcomers)
    looks = sum(int(each) for each in re.findall(r" connections_full .* looks=(\d+)", capfd.readouterr().err))
    assert MOST <= looks < newcomers * MOST, "they come twice each"


def test_a_heavier_client_takes_no_lighter_ones_place(proxy):
    few = [idle_from(proxy, i) for i in range(MOST - 6)]
    many = [waiting_from(proxy, 50) for _ in range(6)]
    proxy.wait(lambda v: v["in_flight"] == 6)
    time.sleep(SETTLED_S)
    refused = open_from(proxy, 50, GET).read_response()
    assert refused.status == 503 and numbers(proxy) == [0, 1, 1, 0]
    assert all(served(one) for one in few)
    time.sleep(SETTLED_S)
    assert served(open_from(proxy, 100)), "who has no other connection"
    proxy.shop.gate.set()
    assert [one.read_response().status for one in many] == [200] * 6


def test_what_is_under_way_stays(proxy):
    requests = [waiting_from(proxy, i) for i in range(MOST - 2)]
    tunnel = tunnel_from(proxy, 50)
    upload = open_from(proxy, 51, "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 9000\r\n\r\n", "a" * 3000)
    proxy.wait(lambda v: v["in_flight"] == MOST - 1)
    time.sleep(STALLED_S)
    assert open_from(proxy, 100, GET).read_response().status == 503
    assert numbers(proxy) == [0, 1, 1, 0] and tunnel.silent(0.01)
    upload.send("a" * 6000)
    proxy.shop.gate.set()
    assert upload.read_response().status == 200
    assert [one.read_response().status for one in requests] == [200] * (MOST - 2)


def test_a_stream_both_ways_stays_though_its_client_says_little():
    """As gRPC has them: the answer has begun, and the request is not over."""
    gate = threading.Event()

    def both_ways(one):
        one.raw.read_line()
        one.raw.read_fields()
        one.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        gate.wait(30)
        one.send("3\r\nend\r\n0\r\n\r\n")

    with Service(both_ways) as service, Proxy(service.port, limits={"connections": 1}) as proxy, \
            Raw(proxy.port, source=address(1)) as stream:
        stream.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert stream.read_head().status == 200 and stream.read_chunk() == b"hello"
        time.sleep(STALLED_S)
        with Raw(proxy.port, source=address(2)) as new:
            assert new.ended(20)
        assert numbers(proxy) == [0, 1, 0, 1]
        gate.set()
        stream.send("0\r\n\r\n")
        assert stream.read_chunk() == b"end"


# ---- who finds no place ----

def test_who_is_held_is_served_when_there_is_room(proxy):
    requests = fill_with_requests(proxy)
    new = open_from(proxy, 100, GET)
    proxy.wait(lambda v: v["held"] == 1)
    requests[0].close()
    assert new.read_response().status == 200
    assert numbers(proxy) == [0, 1, 0, 0]


def test_who_finds_no_place_is_told_when_to_come_back(proxy):
    fill_with_requests(proxy)
    answer = open_from(proxy, 100, GET).read_response()
    assert answer.status == 503 and int(answer.field("retry-after")) >= 1 and answer.field("connection") == "close"
    assert numbers(proxy) == [0, 1, 1, 0]
    assert proxy.records()[-1]["reason"] == "overload"


def test_who_finds_no_place_to_be_told_is_reset(proxy):
    fill_with_requests(proxy)
    new = [open_from(proxy, 100 + i, GET) for i in range(5)]
    proxy.wait(lambda v: v["refused_connections"] > 0)
    answers = []
    for one in new:
        with contextlib.suppress(Exception):
            answers.append(one.read_response().status)
    gave_way, held, told, reset = numbers(proxy)
    assert held == 5 and told == len(answers) == 5 - reset and set(answers) <= {503} and gave_way == 0


def test_who_is_told_is_served_if_there_is_room_by_then(proxy):
    requests = fill_with_requests(proxy)
    new = open_from(proxy, 100)
    proxy.wait(lambda v: v["open"] == MOST + 1)
    requests[0].close()
    proxy.wait(lambda v: v["open"] == MOST)
    assert served(new) and numbers(proxy) == [0, 1, 0, 0]


def test_in_tls_and_http2_they_are_told_alike():
    with full_shop(tls=shared().pair) as proxy:
        for _ in range(MOST):
            one = proxy.keep(Secure(proxy.port))
            one.send(GET.replace("/ ", "/wait ", 1))
        proxy.wait(lambda v: v["in_flight"] == MOST)
        with Secure(proxy.port) as new:
            new.send(GET)
            assert new.read_response().status == 503
        proxy.wait(lambda v: v["open"] == MOST)
        proxy.shop.gate.set()
    with full_shop() as proxy:
        fill_with_requests(proxy)
        with Client(proxy.port) as client:
            assert client.get("/").status == 503


def test_it_is_said_once_a_second_at_most(capfd):
    begun = time.monotonic()
    with full_shop() as proxy:
        for i in range(3 * MOST):
            idle_from(proxy, i)
            time.sleep(0.04)
        assert numbers(proxy)[0] > 5
    said = capfd.readouterr().err.count(" connections_full ")
    assert 1 <= said <= 1 + time.monotonic() - begun


# ---- nobody holds the others out ----

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"


def slow_stream(proxy, _):
    client = proxy.keep(Client(proxy.port))
    client.open("/", method="POST", end=False)
    return client


ALIKE = {
    "silent": lambda proxy, i: open_from(proxy, i),
    "heads": lambda proxy, i: open_from(proxy, i, "GET / HTTP/1.1\r\nHost: "),
    "bodies": lambda proxy, i: open_from(proxy, i, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", "a"),
    "streams": slow_stream,
    "frames": lambda proxy, i: open_from(proxy, i, PREFACE, b"\0\0\x40\x01\x04\0\0\0\x01"),
    "lingering": lambda proxy, i: open_from(proxy, i, GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")),
    "handshakes": lambda proxy, i: open_from(proxy, i, b"\x16\x03\x01"),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_who_keeps_it_waiting_holds_nobody_out(kind):
    """As many as it may have, of an address each; and as many again."""
    tls = {"tls": shared().pair} if kind == "handshakes" else {}
    with full_shop(**tls) as proxy:
        slow = [ALIKE[kind](proxy, i) for i in range(MOST)]
        proxy.wait(lambda v: v["accepted"] >= MOST)
        for _ in range(5):
            time.sleep(STALLED_S / 5)
            for one in slow if kind == "lingering" else ():
                one.send("x")
        for _ in range(MOST // 2):
            with proxy.connect() as visitor:
                assert served(visitor)
            ALIKE[kind](proxy, 100)
            time.sleep(0.05)
        assert numbers(proxy)[3] == 0


def is_served(proxy):
    """Else it is told, or reset when there is no place for that either."""
    with contextlib.suppress(Closed, OSError), proxy.connect() as visitor:
        return served(visitor)
    return False


@pytest.mark.parametrize("path", SIZES)
def test_an_answer_that_is_not_read_gives_way_in_the_end(proxy, path):
    for i in range(MOST):
        open_from(proxy, i, GET.replace(" / ", f" {path} ", 1), receive_buffer=4096)
    proxy.wait(lambda v: v["offered"] == v["open"] == MOST and v["in_flight"] == 0)
    if path == "/kept":
        proxy.wait(lambda v: v["served"] == MOST)   # for the service all is over
        time.sleep(SETTLED_S)
        assert not is_served(proxy) and numbers(proxy)[:2] == [0, 1], "what is not read is not idle"
    wait_until(lambda: is_served(proxy), 40, "somebody gave way")
    assert numbers(proxy)[0] > 0
