"""Floods from one client, a bystander, and a service that holds WebSockets, each a process bounded in time.

    python3 floods.py flood NAME PORT SECONDS CONNECTIONS    from 127.0.0.1
    python3 floods.py bystander PORT SECONDS [tls]           from 127.0.0.2: a GET every 20 ms, each on a new connection
    python3 floods.py websockets PORT                        until it is ended

A flood keeps so many connections open and does to each what its name says; what the server closes is opened again. The
first two print what they saw as JSON."""
import contextlib
import json
import resource
import selectors
import socket
import ssl
import struct
import sys
import time

STEP_S = 0.5    # a slow client's next byte
BYSTANDER_STEP_S = 0.02
BYSTANDER_S = 10    # it waits so long for an answer


class Attacker:
    """One connection; what a flood does to it is a subclass."""

    receive_buffer = None

    def __init__(self, port):
        self.socket = socket.socket()
        if self.receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.socket.setblocking(False)
        self.next_s = 0.0
        with contextlib.suppress(BlockingIOError):
            self.socket.connect(("127.0.0.1", port))

    def begin(self):
        """Connected."""

    def step(self):
        """Every STEP_S."""

    def take(self):
        """Something can be read. False: it has ended."""
        return bool(self.socket.recv(65536))


class SlowHead(Attacker):
    def begin(self):
        self.socket.send(b"GET /?" + b"a" * 200 + b" HTTP/1.1\r\nHost: shop.test\r\n")

    def step(self):
        self.socket.send(b"X-A: b\r\n")


class SlowBody(Attacker):
    def begin(self):
        self.socket.send(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000000\r\n\r\n")

    def step(self):
        self.socket.send(b"x")


class SlowRead(Attacker):
    receive_buffer = 4096

    def begin(self):
        self.socket.send(b"GET /large HTTP/1.1\r\nHost: shop.test\r\n\r\n" * 4)

    def step(self):
        self.socket.recv(1)

    def take(self):
        return True    # it does not


class Silent(Attacker):
    """Connects and says nothing."""


class Idle(Attacker):
    """A request, then nothing more."""

    def begin(self):
        self.socket.send(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")


class HeadBomb(Attacker):
    """The largest head that is allowed, cut before its end, most of it cookies."""

    def begin(self):
        field = b"Cookie: " + b"a=b; " * 1600 + b"\r\n"
        self.sent = (b"GET / HTTP/1.1\r\nHost: shop.test\r\n" + field * 4)[:32000]
        self.socket.send(self.sent)


class ZeroWindow(Attacker):
    """HTTP/2: many large answers, and no room for any."""

    def begin(self):
        get = b"\x82\x86\x41\x01a\x04\x06/large"
        frames = b"".join(struct.pack(">I", len(get))[1:] + b"\1\5" + struct.pack(">I", number) + get for number in range(1, 40, 2))
        self.socket.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\6\4\0\0\0\0\0" + b"\0\4\0\0\0\0" + frames)


class WebSocket(Attacker):
    def begin(self):
        self.socket.send(b"GET /chat HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                         b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")

    def take(self):
        return self.socket.recv(65536).startswith(b"HTTP/1.1 101 ")    # refused: once more


class Reconnect(Attacker):
    """As many connections as can be opened and reset."""

    def begin(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.send(b"GET / HT")
        raise ConnectionResetError


def client_hello():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = context.wrap_bio(incoming, outgoing, server_hostname="shop.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()


class Handshake(Attacker):
    """TLS: the client's first flight, which costs it nothing and the server a signature; then once more."""

    hello = client_hello()

    def begin(self):
        self.socket.send(self.hello)

    def take(self):
        return False    # it has signed


class HandshakeHeld(Handshake):
    def take(self):
        return bool(self.socket.recv(65536))


FLOODS = {"slow head": SlowHead, "slow body": SlowBody, "slow read": SlowRead, "silent": Silent, "idle": Idle, "head bomb": HeadBomb,
          "zero window": ZeroWindow, "reconnect": Reconnect, "handshakes": Handshake, "handshakes held": HandshakeHeld, "websockets": WebSocket}


def flood(kind, port, seconds, connections):
    selector, opened, ended = selectors.DefaultSelector(), 0, 0
    alive, end = set(), time.monotonic() + seconds

    def drop(one):
        nonlocal ended
        ended += 1
        alive.discard(one)
        with contextlib.suppress(KeyError, ValueError):
            selector.unregister(one.socket)
        one.socket.close()

    while (now := time.monotonic()) < end:
        for _ in range(min(200, connections - len(alive))):
            one = kind(port)
            opened += 1
            alive.add(one)
            selector.register(one.socket, selectors.EVENT_WRITE, one)
        for key, events in selector.select(0.02):
            one = key.data
            try:
                if events & selectors.EVENT_WRITE:
                    selector.modify(one.socket, selectors.EVENT_READ, one)
                    one.begin()
                    one.next_s = now + STEP_S
                elif not one.take():
                    drop(one)
            except BlockingIOError:
                pass
            except OSError:
                drop(one)
        for one in [each for each in alive if 0 < each.next_s <= now]:
            one.next_s = now + STEP_S
            try:
                one.step()
            except BlockingIOError:
                pass
            except OSError:
                drop(one)
    print(json.dumps({"opened": opened, "ended": ended, "open": len(alive)}))


def bystander(port, seconds, tls):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    took, failed, end = [], 0, time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        try:
            with contextlib.closing(socket.create_connection(("127.0.0.1", port), BYSTANDER_S, ("127.0.0.2", 0))) as connection:
                connection = context.wrap_socket(connection, server_hostname="shop.test") if tls else connection
                connection.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
                answer = b""
                while piece := connection.recv(65536):
                    answer += piece
                failed += not answer.startswith(b"HTTP/1.1 200 ")
        except OSError:
            failed += 1
        took.append(time.monotonic() - began)
        time.sleep(max(0.0, began + BYSTANDER_STEP_S - time.monotonic()))
    took.sort()
    print(json.dumps({"requests": len(took), "failed": failed, "p50_ms": round(took[len(took) // 2] * 1e3, 2),
                      "p99_ms": round(took[int(len(took) * 0.99)] * 1e3, 2)}))


def websockets(port):
    """Takes every request for one to open a WebSocket, and says nothing more."""
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    listener.setblocking(False)
    selector, alive = selectors.DefaultSelector(), set()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            one = key.fileobj
            with contextlib.suppress(OSError):
                if one is listener:
                    accepted, _ = listener.accept()
                    alive.add(accepted)
                    selector.register(accepted, selectors.EVENT_READ)
                elif b"Upgrade" in (data := one.recv(65536)) or b"upgrade" in data:
                    one.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
                elif data:
                    one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                else:
                    selector.unregister(one)
                    alive.discard(one)
                    one.close()


def main(what, *arguments):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    if what == "flood":
        name, port, seconds, connections = arguments
        flood(FLOODS[name], int(port), float(seconds), int(connections))
    elif what == "bystander":
        bystander(int(arguments[0]), float(arguments[1]), "tls" in arguments)
    else:
        websockets(int(arguments[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
