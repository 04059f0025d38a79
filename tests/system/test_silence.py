"""What is silent is not ill: WebSockets, event streams, long polls and slow pages keep their instance in rotation."""
import threading
import time

from lib.proxy import Service
from lib.raw import Raw

SILENCE_S = 2.5     # several times what a hang takes to be seen


def heals(one):
    return [d for d in one.decisions() if d["kind"] == "heal"]


def test_silent_exchanges_are_no_hang(tidegate):
    release = threading.Event()

    def script(connection):
        while True:
            line, fields = connection.read_head()
            if b"/ws" in line:
                connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                release.wait(20)
                return
            if b"/events" in line:
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
                release.wait(20)
                return
            if b"/poll" in line:
                release.wait(20)
            connection.answer()

    with Service(script) as service:
        one = tidegate(arguments=["--to", f"127.0.0.1:{service.port}"])
        fields = {"/ws": "Upgrade: websocket\r\nConnection: Upgrade\r\n"}
        silent = []
        for path in ["/ws", "/events"] + ["/poll"] * 5:
            silent.append(Raw(one.port))
            silent[-1].send(f"GET {path} HTTP/1.1\r\nHost: a\r\n{fields.get(path, '')}\r\n")
        assert silent[0].read_line().split()[1] == b"101"
        upload = Raw(one.port)
        upload.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        end = time.monotonic() + SILENCE_S
        while time.monotonic() < end:
            assert heals(one) == []
            time.sleep(0.1)
        assert one.get().status == 200
        release.set()
        upload.send("cde")
        assert upload.read_response().status == 200
        for client in silent[2:]:
            assert client.read_response().status == 200
        for client in [*silent, upload]:
            client.close()
