"""HTTP/2 for tests, on Debian's python3-h2: a client whose every step the test decides, raw frames
where it must do what no client does, and scripted services."""
import collections
import socket
import struct
import threading
import time

from . import debian  # noqa: F401 (makes the next imports work)

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = \
    0, 1, 2, 3, 4, 6, 7, 8, 9
ENHANCE_YOUR_CALM = 11


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Stream:
    """What has come of one response (or, at a service, of one request)."""

    def __init__(self, number):
        self.id = number
        self.fields, self.body, self.trailers = None, b"", None
        self.informational, self.ended, self.reset = [], False, None

    def field(self, name):
        values = [value for key, value in self.fields if key == name]
        assert len(values) <= 1, f"{name} is repeated: {values}"
        return values[0] if values else None

    @property
    def status(self):
        return int(self.field(":status"))


def pairs(headers):
    return [(name.decode("latin-1") if isinstance(name, bytes) else name,
             value.decode("latin-1") if isinstance(value, bytes) else value) for name, value in headers]


class Peer:
    """One connection. Windows are opened as data comes, unless `automatic` is off."""

    def __init__(self, connected, client, automatic=True, settings=None):
        self.socket = connected
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(10)
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=client, header_encoding="latin-1", validate_outbound_headers=False,
            normalize_outbound_headers=False))
        self.automatic = automatic
        self.streams = collections.defaultdict(lambda: None)
        self.goaways, self.pongs, self.closed = [], 0, False
        if settings:
            self.state.local_settings = h2.settings.Settings(client=client, initial_values=settings)
        self.go_on_after_goaway()
        self.state.initiate_connection()
        self.flush()

    def go_on_after_goaway(self):
        """python3-h2 takes GOAWAY for the end; RFC 9113 6.8 lets what is under way be finished."""
        machine, names = self.state.state_machine, h2.connection.ConnectionState
        machine._transitions = dict(machine._transitions)
        for state in (names.IDLE, names.CLIENT_OPEN, names.SERVER_OPEN):
            machine._transitions[(state, h2.connection.ConnectionInputs.RECV_GOAWAY)] = (None, state)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def flush(self):
        data = self.state.data_to_send()
        if data:
            self.socket.sendall(data)

    def send_raw(self, data):
        self.socket.sendall(data)

    def stream(self, number):
        if self.streams[number] is None:
            self.streams[number] = Stream(number)
        return self.streams[number]

    def pump(self, timeout=10.0):
        """Reads once and takes what came. False: the connection has ended."""
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return False
        for event in self.state.receive_data(data):
            self.take(event)
        self.flush()
        self.taken()
        return True

    def taken(self):
        """All events of one reading were taken."""

    def take(self, event):
        number = getattr(event, "stream_id", None)
        if isinstance(event, (h2.events.ResponseReceived, h2.events.RequestReceived)):
            self.stream(number).fields = pairs(event.headers)
        elif isinstance(event, h2.events.InformationalResponseReceived):
            self.stream(number).informational.append(pairs(event.headers))
        elif isinstance(event, h2.events.DataReceived):
            self.stream(number).body += event.data
            if self.automatic and event.flow_controlled_length:
                self.state.acknowledge_received_data(event.flow_controlled_length, number)
        elif isinstance(event, h2.events.TrailersReceived):
            self.stream(number).trailers = pairs(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self.stream(number).ended = True
        elif isinstance(event, h2.events.StreamReset):
            self.stream(number).reset = int(event.error_code)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((event.last_stream_id, int(event.error_code)))
        elif isinstance(event, h2.events.PingAckReceived):
            self.pongs += 1

    def until(self, condition, seconds=10.0):
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, f"not within {seconds} s"
            if not self.pump(left):
                assert condition(), f"the connection ended; GOAWAY: {self.goaways}"
                return

    def quiet(self, seconds=0.3):
        """Takes what comes for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                if not self.pump(left):
                    return
            except (TimeoutError, socket.timeout):
                return

    # ---- messages ----

    def send_body(self, number, body, end=True):
        while body and self.stream(number).reset is None:
            room = min(self.state.local_flow_control_window(number), self.state.max_outbound_frame_size)
            if room <= 0:
                self.flush()
                if not self.pump():
                    return
                continue
            self.state.send_data(number, body[:room], end_stream=end and len(body) <= room)
            body = body[room:]
        self.flush()


class Client(Peer):
    def __init__(self, port, receive_buffer=None, tls=None, **options):
        connected = socket.socket()
        if receive_buffer:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connected.settimeout(10)
        connected.connect(("127.0.0.1", port))
        if tls is not None:
            connected = tls.wrap_socket(connected, server_hostname="shop.test")
        super().__init__(connected, client=True, **options)

    def open(self, path="/", method="GET", fields=(), end=True, authority="shop.test", scheme="http"):
        number = self.state.get_next_available_stream_id()
        head = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
        self.state.send_headers(number, [*head, *fields], end_stream=end)
        self.flush()
        return self.stream(number)

    def open_raw(self, fields, end=True):
        number = self.state.get_next_available_stream_id()
        self.state.send_headers(number, fields, end_stream=end)
        self.flush()
        return self.stream(number)

    def wait(self, stream, seconds=10.0):
        self.until(lambda: stream.ended or stream.reset is not None, seconds)
        return stream

    def get(self, path="/", **options):
        return self.wait(self.open(path, **options))

    def post(self, path, body, fields=(), method="POST"):
        stream = self.open(path, method, fields, end=False)
        if body:
            self.send_body(stream.id, body)
        else:
            self.state.end_stream(stream.id)
            self.flush()
        return self.wait(stream)


class H2Service:
    """A service of one port in HTTP/2. `answer(peer, stream)` is called when a request is complete, by
    default it echoes; `on_head(peer, stream)` when its head is there; `on_data(peer, event)` with each
    piece of a body. All run in the connection's thread."""

    def __init__(self, answer=None, on_head=None, on_data=None, settings=None, tls=None):
        self.tls, self.protocols = tls, []
        self.answer, self.on_head, self.on_data = answer or self.echo, on_head, on_data
        self.settings = settings
        self.requests, self.peers = [], []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for peer in self.peers:
            peer.close()

    def accept(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(accepted,), daemon=True).start()

    def serve(self, accepted):
        try:
            if self.tls is not None:
                accepted = self.tls.wrap_socket(accepted, server_side=True)
                self.protocols.append(accepted.selected_alpn_protocol())
            peer = ServicePeer(accepted, client=False, settings=self.settings)
            peer.service = self
            self.peers.append(peer)
            while peer.pump(60):
                pass
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            accepted.close()

    def echo(self, peer, stream):
        body = stream.body or stream.field(":path").encode()
        peer.respond(stream.id, 200, body)


class ServicePeer(Peer):
    def __init__(self, *arguments, **options):
        self.ready = collections.deque()    # whole requests; an answer may have to read on
        super().__init__(*arguments, **options)

    def taken(self):
        while self.ready:
            self.service.answer(self, self.ready.popleft())

    def take(self, event):
        super().take(event)
        number = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.RequestReceived) and self.service.on_head:
            self.service.on_head(self, self.stream(number))
        if isinstance(event, h2.events.DataReceived) and event.data and self.service.on_data:
            self.service.on_data(self, event)
        if isinstance(event, h2.events.StreamEnded):
            self.service.requests.append(self.stream(number))
            self.ready.append(self.stream(number))

    def respond(self, number, status, body=b"", fields=(), trailers=None):
        nothing = not body and trailers is None
        self.state.send_headers(number, [(":status", str(status)), *fields], end_stream=nothing)
        if body:
            self.send_body(number, body, end=trailers is None)
        if trailers is not None:
            self.state.send_headers(number, trailers, end_stream=True)
        self.flush()
