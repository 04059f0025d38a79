"""Visitors who check every byte of what they get, and the services that they ask through the proxy.

What a request asks for says what the answer has to be. An answer that is whole must be right; one that is
cut must look cut: short of its Content-Length, without its last chunk or END_STREAM, or reset. The proxy's
own answers (no x-service) may only say that it could not."""
import collections
import hashlib
import itertools
import random
import socket
import threading
import time

from . import h2peer
from .proxy import Service
from .raw import Closed, Raw

SIZES = (0, 1, 700, 5000, 40000, 300000)
OWN_STATUSES = (408, 500, 502, 503, 504)
TOGETHER = 4        # streams of one HTTP/2 connection
PATIENCE_S = 15.0

content = bytes(itertools.chain.from_iterable(hashlib.sha256(str(i).encode()).digest() for i in range(12000)))


def body_of(number, size):
    at = number * 37 % 50000
    return content[at:at + size]


class Services:
    """Serves GET /SIZE/NUMBER[/chunked] and POST /echo/NUMBER; counts how often each POST was executed."""

    def __init__(self):
        self.posts, self.misread = collections.Counter(), []
        self.h1 = Service(self.serve)
        self.h2 = h2peer.H2Service(self.answer_h2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.h1.stop()
        self.h2.__exit__()

    def answer(self, method, target, body):
        words = target.split("/")[1:]
        if method == "POST":
            self.posts[words[1]] += 1
            return body, len(words) > 2
        if len(words) < 2 or not words[0].isdigit() or int(words[0]) not in SIZES:
            self.misread.append((method, target))
        return body_of(int(words[1]), int(words[0])), len(words) > 2

    def serve(self, one):
        while True:
            request = one.read_request()
            body, chunked = self.answer(request.method, request.target, request.body)
            if chunked:
                one.send(b"HTTP/1.1 200 OK\r\nX-Service: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
                for at in range(0, len(body), 20000):
                    piece = body[at:at + 20000]
                    one.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                one.send(b"0\r\n\r\n")
            else:
                one.answer(body, fields="X-Service: 1\r\n")

    def answer_h2(self, peer, stream):
        body, _ = self.answer(stream.field(":method"), stream.field(":path"), stream.body)
        try:
            peer.respond(stream.id, 200, body, fields=[("x-service", "1"), ("content-length", str(len(body)))])
        except h2peer.h2.exceptions.ProtocolError:
            if stream.reset is None:
                raise
            # nobody waits for it any more: a hedge was quicker


class Visits:
    """`visitors` threads that come until stop(), a third of them in HTTP/2, some with new connections each time."""

    def __init__(self, port, seed, visitors=6):
        self.port, self.seed = port, seed
        self.counts, self.wrong, self.silent = collections.Counter(), [], []
        self.present = [None] * visitors    # what each asks for now
        self.stopping, self.numbers = threading.Event(), itertools.count(seed * 1000003)
        self.threads = [threading.Thread(target=self.visit, args=(i,), daemon=True) for i in range(visitors)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(2 * PATIENCE_S)
            if thread.is_alive():
                self.wrong.append("a visitor waits for ever")
        return self

    def run(self, seconds):
        self.start()
        time.sleep(seconds)
        return self.stop()

    def verify(self, benign=False):
        """Fails the test; `benign`: there was no reason to go without an answer either."""
        assert self.wrong == [], self.wrong
        assert self.silent == [], self.silent
        assert self.counts["right"] > 0, self.counts
        assert not benign or set(self.counts) == {"right"}, self.counts

    def visit(self, which):
        dice = random.Random(self.seed * 100 + which)
        while not self.stopping.is_set():
            try:
                (self.visit_h2 if which % 3 == 2 else self.visit_h1)(dice, which)
            except (socket.timeout, TimeoutError):
                self.silent.append(self.present[which])
            except (Closed, ConnectionError, OSError):
                self.counts["cut"] += 1
            except Exception as error:  # what a strict reader does not understand
                self.wrong.append(repr(error))

    # ---- what is asked, and whether it is what came ----

    def choose(self, dice):
        """(method, target, body)"""
        number, size = next(self.numbers), dice.choice(SIZES)
        chunked = "/chunked" if dice.random() < 0.4 else ""
        if dice.random() < 0.4:
            return "POST", f"/echo/{number}{chunked}", body_of(number, size)
        return "GET", f"/{size}/{number}{chunked}", b""

    def check(self, asked, status, fields, body):
        method, target, sent = asked
        if "x-service" not in dict(fields):
            self.counts[f"own {status}"] += 1
            if status not in OWN_STATUSES:
                self.wrong.append(f"{method} {target}: {status} {fields} {body[:200]}")
            return
        words = target.split("/")
        expected = sent if method == "POST" else body_of(int(words[2]), int(words[1]))
        self.counts["right"] += 1
        if status != 200 or body != expected:
            same = next((i for i, (a, b) in enumerate(zip(body, expected)) if a != b), min(len(body), len(expected)))
            self.wrong.append(f"{method} {target}: {status}, {len(body)} of {len(expected)} bytes, right up to {same}")

    # ---- HTTP/1.1 ----

    def visit_h1(self, dice, which):
        with Raw(self.port, timeout=PATIENCE_S) as client:
            for _ in range(dice.choice((1, 5, 50))):
                if self.stopping.is_set():
                    return
                method, target, body = asked = self.choose(dice)
                self.present[which] = f"{method} {target}"
                if method == "GET":
                    client.send(f"GET {target} HTTP/1.1\r\nHost: shop.test\r\n\r\n")
                elif dice.random() < 0.5:
                    client.send(f"POST {target} HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {len(body)}\r\n\r\n"
                                .encode() + body)
                else:
                    client.send(f"POST {target} HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for at in range(0, len(body), 9000):
                        client.send(b"%x\r\n%s\r\n" % (len(body[at:at + 9000]), body[at:at + 9000]))
                    client.send(b"0\r\n\r\n")
                answer = client.read_response(method)
                if answer.close_delimited:
                    self.wrong.append(f"{target}: an answer whose end nobody can tell from a cut")
                self.check(asked, answer.status, answer.fields, answer.body)
                if answer.field("connection") == "close":
                    return

    # ---- HTTP/2 ----

    def visit_h2(self, dice, which):
        with h2peer.Client(self.port) as client:
            for _ in range(dice.choice((1, 4, 12))):
                if self.stopping.is_set() or client.goaways:
                    return
                asked = [self.choose(dice) for _ in range(TOGETHER)]
                self.present[which] = f"HTTP/2 {[each[:2] for each in asked]}"
                streams = []
                for method, target, body in asked:
                    stream = client.open(target, method, end=not body)
                    streams.append(stream)
                    try:
                        if body:
                            client.send_body(stream.id, body)
                    except (h2peer.h2.exceptions.StreamClosedError, AssertionError):
                        pass    # refused while it was on its way; an end of the connection shows below
                end = time.monotonic() + PATIENCE_S
                while not client.closed and any(not s.ended and s.reset is None for s in streams):
                    if time.monotonic() > end:
                        raise TimeoutError
                    client.pump(PATIENCE_S)
                for each, stream in zip(asked, streams):
                    if stream.ended and stream.reset is None:
                        self.check(each, stream.status, stream.fields, stream.body)
                    else:
                        self.counts["cut"] += 1
                if client.closed:
                    return
