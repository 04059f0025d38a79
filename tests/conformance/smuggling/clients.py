"""How a case is sent: as it is, in one connection of its own, and all that comes back read."""
import socket
import struct

import hpack

ANSWER_S = 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"    # with an empty SETTINGS
HEADERS, DATA, RST_STREAM, GOAWAY, SETTINGS, END_STREAM, END_HEADERS, ACK = 1, 0, 3, 7, 4, 1, 4, 1


def send_h1(port, data, ends=True):
    """Sends it, says that this is all, and reads to the end. Who says so may be taken for gone when the answer takes
    seconds: a whole request with Connection: close needs no end."""
    with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
        answer = b""
        try:
            connection.sendall(data)
            if ends:
                connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass    # refused before all was sent
        return answer


def frame(kind, flags, payload, stream=1):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def h2_frames(pairs, payload):
    encoder = hpack.Encoder()
    pieces = payload if isinstance(payload, list) else [] if payload is None else [payload]
    sent = frame(HEADERS, END_HEADERS | (0 if pieces else END_STREAM), encoder.encode(pairs, huffman=False))
    for n, piece in enumerate(pieces):
        last = END_STREAM if n == len(pieces) - 1 else 0
        sent += frame(DATA, last, piece) if isinstance(piece, bytes) else frame(HEADERS, END_HEADERS | last, encoder.encode(piece, huffman=False))
    return sent


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionResetError
        data += piece
    return data


def send_h2(port, pairs, payload):
    """Sends the request and reads until its stream, or the connection, has ended."""
    with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
        try:
            connection.sendall(PREFACE + h2_frames(pairs, payload))
            while True:
                head = read_exactly(connection, 9)
                kind, flags = head[3], head[4]
                stream = struct.unpack(">I", head[5:])[0]
                read_exactly(connection, int.from_bytes(head[:3], "big"))
                if kind == SETTINGS and not flags & ACK:
                    connection.sendall(frame(SETTINGS, ACK, b"", 0))
                ended = stream == 1 and (kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & END_STREAM))
                if ended or kind == GOAWAY:
                    return
        except (ConnectionResetError, BrokenPipeError):
            pass
