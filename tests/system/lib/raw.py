"""Raw HTTP/1.1 over sockets: what is sent is exactly what the test says, what comes back is read
strictly. Nothing is repaired: a test must see a wrong byte."""
import socket
import time


class Closed(Exception):
    """The other side ended the connection where more bytes were due."""


class Raw:
    """One connection to a server under test."""

    def __init__(self, port, host="127.0.0.1", timeout=10.0, receive_buffer=None, source=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, port))
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def send_slowly(self, data, pause=0.002, step=1):
        data = data.encode("latin-1") if isinstance(data, str) else data
        for at in range(0, len(data), step):
            self.socket.sendall(data[at:at + step])
            time.sleep(pause)

    def finish(self):
        self.socket.shutdown(socket.SHUT_WR)

    def fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed(f"connection ended, unread: {self.buffer[:200]!r}")
        self.buffer += data

    def read_line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def read_exactly(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_to_end(self):
        """All until a clean end; ConnectionResetError when it was not clean."""
        while True:
            data = self.socket.recv(65536)
            if not data:
                break
            self.buffer += data
        data, self.buffer = self.buffer, b""
        return data

    def ended(self, timeout=5.0):
        """Whether the server ends the connection (cleanly or not) within the time."""
        self.socket.settimeout(timeout)
        try:
            return self.buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except (TimeoutError, socket.timeout):
            return False

    def silent(self, seconds=0.2):
        """Whether nothing arrives for a while."""
        if self.buffer:
            return False
        self.socket.settimeout(seconds)
        try:
            self.buffer += self.socket.recv(1)
            return False
        except (TimeoutError, socket.timeout):
            return True
        finally:
            self.socket.settimeout(10)

    def read_fields(self):
        fields = []
        while True:
            line = self.read_line()
            if line == b"":
                return fields
            name, colon, value = line.partition(b":")
            assert colon and name == name.strip(), f"not a field line: {line!r}"
            fields.append((name.decode("latin-1").lower(), value.strip().decode("latin-1")))

    def read_head(self):
        line = self.read_line()
        version, status, *reason = line.split(b" ", 2)
        assert version == b"HTTP/1.1" and len(status) == 3, f"not a status line: {line!r}"
        return Response(int(status), self.read_fields())

    def read_chunk(self):
        size = int(self.read_line(), 16)
        data = self.read_exactly(size) if size else b""
        if size:
            assert self.read_exactly(2) == b"\r\n"
        return data

    def read_response(self, method="GET"):
        """The final response with its body; informational ones are in .informational."""
        informational = []
        response = self.read_head()
        while 100 <= response.status < 200 and response.status != 101:
            informational.append(response)
            response = self.read_head()
        response.informational = informational
        if method == "HEAD" or response.status in (101, 204, 304):
            return response
        if response.field("transfer-encoding") == "chunked":
            assert response.field("content-length") is None
            while chunk := self.read_chunk():
                response.body += chunk
            response.trailers = self.read_fields()
        elif response.field("content-length") is not None:
            response.body = self.read_exactly(int(response.field("content-length")))
        else:
            response.body = self.read_to_end()
            response.close_delimited = True
        return response

    def get(self, path="/", fields="", version="1.1"):
        self.send(f"GET {path} HTTP/{version}\r\nHost: shop.test\r\n{fields}\r\n")
        return self.read_response()


class Response:
    def __init__(self, status, fields):
        self.status, self.fields = status, fields
        self.body, self.trailers, self.informational = b"", [], []
        self.close_delimited = False

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def field(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} is repeated: {values}"
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.status} {self.fields} {self.body[:60]!r}>"
