"""What an attacker does to an HTTP/2 server: each flood ends its connection with ENHANCE_YOUR_CALM,
costs bounded memory, and others are served meanwhile."""
import struct
import time

import pytest

from lib.h2peer import (CONTINUATION, DATA, ENHANCE_YOUR_CALM, HEADERS, PING, PREFACE, PRIORITY, RST_STREAM,
                        SETTINGS, WINDOW_UPDATE, Client, frame)
from lib.proxy import REAL, Proxy, Service
from lib.raw import Raw

pytestmark = pytest.mark.skipif(REAL, reason="looks at the worker's memory and counters")

GET = b"\x82\x86\x84\x41\x01a"  # GET http / a, by HPACK's static table


class Attack(Raw):
    """Raw frames; what comes back is kept until the end of the connection."""

    def __init__(self, port):
        super().__init__(port)
        self.send(PREFACE + frame(SETTINGS))

    def pour(self, frames, limit_s=20):
        """Sends pieces until the server has had enough. Returns how many frames it took."""
        self.socket.settimeout(limit_s)
        sent = 0
        try:
            for piece, count in frames:
                self.socket.sendall(piece)
                sent += count
        except OSError:
            pass
        return sent

    def last_word(self):
        """The error code of the last GOAWAY."""
        self.socket.settimeout(10)
        code = None
        try:
            while True:
                head = self.read_exactly(9)
                payload = self.read_exactly(int.from_bytes(head[:3], "big"))
                if head[3] == 7:
                    code = struct.unpack(">I", payload[4:8])[0]
        except Exception:  # pylint: disable=broad-except
            return code


@pytest.fixture
def proxy():
    with Service() as service, Proxy(service.port) as one:
        one.service = service
        yield one


def repeat(piece, times, at_once=100):
    return ((piece * at_once, at_once) for _ in range(times // at_once))


def resets():
    for first in range(1, 200_000, 200):
        piece = b"".join(frame(HEADERS, 5, number, GET) + frame(RST_STREAM, 0, number, b"\0\0\0\x08")
                         for number in range(first, first + 200, 2))
        yield piece, 200


def malformed():
    for first in range(1, 200_000, 200):
        yield b"".join(frame(HEADERS, 5, number, GET + b"\x40\x01X\x01y") for number in range(first, first + 200, 2)), 100


def opened(piece, times):
    yield frame(HEADERS, 4, 1, b"\x83\x86\x84\x41\x01a"), 1
    yield from repeat(piece, times)


FLOODS = {
    # CVE-2023-44487. At most the burst of 400 and what comes in a second reach a service.
    "rapid reset": lambda: resets(),
    "malformed requests": lambda: malformed(),
    "PING": lambda: repeat(frame(PING, 0, 0, b"12345678"), 200_000),
    "SETTINGS": lambda: repeat(frame(SETTINGS, 0, 0, b"\0\3\0\0\0\x64"), 100_000),
    "PRIORITY": lambda: repeat(frame(PRIORITY, 0, 3, b"\0\0\0\1\x10"), 200_000),
    "WINDOW_UPDATE": lambda: repeat(frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"), 200_000),
    "empty DATA": lambda: opened(frame(DATA, 0, 1), 100_000),
    "empty CONTINUATION": lambda: [(frame(HEADERS, 1, 1, GET), 1), *repeat(frame(CONTINUATION, 0, 1), 100_000)],
    "CONTINUATION": lambda: [(frame(HEADERS, 1, 1, GET), 1),
                             *repeat(frame(CONTINUATION, 0, 1, b"\0\x01x\x7f\xff\x01" + b"y" * 382), 20_000)],
    # One entry of 4 KB in the table, then a byte for each time it stands in the head.
    "header bomb": lambda: [(frame(HEADERS, 5, 1, GET + b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4000), 1),
                            (frame(HEADERS, 5, 3, GET + b"\xbf" * 16000), 1),
                            *repeat(frame(PING, 0, 0, b"12345678"), 200)],
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods_end_their_connection_and_harm_nobody(proxy, name):
    with Client(proxy.port) as bystander:
        bystander.get("/before")
        memory, asked = proxy.rss_bytes(), len(proxy.service.requests)
        with Attack(proxy.port) as attack:
            attack.pour(FLOODS[name]())
            code = attack.last_word()
        assert code == ENHANCE_YOUR_CALM, f"{name}: {code}"
        assert bystander.get("/after").body == b"/after"
        reached = len(proxy.service.requests) - asked
        assert reached < 1000, f"{reached} requests reached the service"
        assert proxy.rss_bytes() - memory < 8_000_000
    proxy.wait(lambda v: v["in_flight"] == 0)
    assert proxy.vitals()["h2_floods"] == 1


def test_answers_that_nobody_reads_do_not_pile_up(proxy):
    """PINGs without reading: their answers fill the socket, and then nothing but the connection ends."""
    memory = proxy.rss_bytes()
    with Attack(proxy.port) as attack:
        attack.pour(repeat(frame(PING, 0, 0, b"12345678"), 500_000), 10)
        assert proxy.rss_bytes() - memory < 8_000_000


def test_more_streams_than_allowed_are_refused_without_a_request():
    with Service(lambda one: time.sleep(30)) as service, Proxy(service.port, limits={"streams": 10}) as proxy, \
            Client(proxy.port) as client:
        client.pump()
        client.state.remote_settings[3] = 2**31  # python3-h2 would keep to the limit
        before = proxy.vitals()["offered"]
        client.send_raw(b"".join(frame(HEADERS, 5, number, GET) for number in range(1, 61, 2)))
        proxy.wait(lambda v: v["offered"] - before >= 10, 20)
        time.sleep(0.3)     # the rest came with them
        assert proxy.vitals()["offered"] - before == 10


def test_an_ordinary_visitor_is_not_taken_for_an_attacker(proxy):
    """A page left at once, twenty times: 100 requests under way are reset each time."""
    with Client(proxy.port) as client:
        for _ in range(4):
            streams = [client.open(f"/{i}") for i in range(100)]
            for stream in streams:
                if not stream.ended:
                    client.state.reset_stream(stream.id, 8)
            client.flush()
            client.quiet(0.05)
        assert client.get("/still").body == b"/still"
        assert not client.goaways
