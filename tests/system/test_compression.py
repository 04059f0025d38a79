"""Compression of answers: by the decoders of zlib, brotli and zstd, over real sockets."""
import contextlib
import ctypes
import gzip
import os
import subprocess
import threading
import time
import zlib

import pytest

from lib.proxy import Proxy, Service
from lib.raw import Closed

PAGE = b"".join(b"<li class=article>Article %d costs %d,99 EUR</li>\n" % (i, i * 7 % 100) for i in range(400))
MEGABYTE = 1 << 20
GROWTH_MAX = (16 if "ASAN_OPTIONS" not in os.environ else 96) * MEGABYTE  # ASan keeps what is freed
ON = {"compression": 1}


def decode(coding, data):
    """By tools that know nothing of us."""
    if coding is None:
        return data
    if coding == "gzip":
        return gzip.decompress(data)
    command = {"br": ["brotli", "-dc"], "zstd": ["zstd", "-dcq"]}[coding]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def serve(body=PAGE, fields="Content-Type: text/html\r\n", status="200 OK", chunked=False, requests=None):
    """A service that answers every request by the same."""
    def script(one):
        while True:
            request = one.read_request()
            if requests is not None:
                requests.append(request)
            if chunked:
                one.send(f"HTTP/1.1 {status}\r\n{fields}Transfer-Encoding: chunked\r\n\r\n")
                if request.method != "HEAD":
                    for at in range(0, len(body), 1000):
                        piece = body[at:at + 1000]
                        one.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                    one.send("0\r\n\r\n")
            else:
                one.send(f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() +
                         (body if request.method != "HEAD" else b""))
    return script


def ask(script, accept="gzip", method="GET", fields="", limits=None, version="1.1"):
    with Service(script) as service, Proxy(service.port, limits={**ON, **(limits or {})}) as proxy, \
            proxy.connect() as client:
        accept = f"Accept-Encoding: {accept}\r\n" if accept is not None else ""
        client.send(f"{method} / HTTP/{version}\r\nHost: shop.test\r\n{accept}{fields}\r\n")
        return client.read_response(method)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("chunked", [False, True])
def test_pages_arrive_whole_in_each_coding(coding, chunked):
    response = ask(serve(chunked=chunked), coding)
    assert response.field("content-encoding") == coding
    assert response.field("vary") == "accept-encoding"
    assert response.field("content-length") is None
    assert response.field("transfer-encoding") == "chunked"
    assert len(response.body) < len(PAGE) / 4
    assert decode(coding, response.body) == PAGE


def test_the_visitors_weights_decide_then_our_order():
    assert ask(serve(), "gzip, deflate, br, zstd").field("content-encoding") == "zstd"
    assert ask(serve(), "gzip;q=0.9, br;q=0.8, *;q=0").field("content-encoding") == "gzip"


@pytest.mark.parametrize("accept", [None, "", "identity", "deflate", "gzip;q=0, br;q=0, zstd;q=0"])
def test_who_accepts_nothing_gets_it_plain_and_told_that_it_varies(accept):
    response = ask(serve(), accept)
    assert response.field("content-encoding") is None
    assert response.field("vary") == "accept-encoding"
    assert response.field("content-length") == str(len(PAGE))
    assert response.body == PAGE


def test_curl_reads_it(tmp_path):
    with Service(serve()) as service, Proxy(service.port, limits=ON) as proxy:
        done = subprocess.run(["curl", "-sS", "--compressed", "-D", tmp_path / "head",
                               f"http://127.0.0.1:{proxy.port}/"], capture_output=True, check=True)
        assert done.stdout == PAGE
        assert "content-encoding:" in (tmp_path / "head").read_text().lower()


@pytest.mark.parametrize("body, fields, status", [
    (PAGE, "Content-Type: image/png\r\n", "200 OK"),
    (PAGE, "", "200 OK"),
    (PAGE[:1000], "Content-Type: text/html\r\n", "200 OK"),
    (PAGE, "Content-Type: text/html\r\nContent-Encoding: br\r\n", "200 OK"),
    (PAGE, "Content-Type: text/html\r\nCache-Control: no-transform\r\n", "200 OK"),
    (PAGE, "Content-Type: text/html\r\nContent-Range: bytes 0-9/10\r\n", "206 Partial Content"),
    (PAGE, "Content-Type: text/event-stream\r\n", "200 OK"),
    (PAGE, "Content-Type: application/grpc\r\n", "200 OK"),
])
def test_what_is_never_compressed_passes_untouched(body, fields, status):
    response = ask(serve(body, fields + 'ETag: "a"\r\nAccept-Ranges: bytes\r\n', status))
    assert response.body == body
    assert response.field("content-length") == str(len(body))
    assert response.field("content-encoding") == ("br" if "br" in fields else None)
    assert response.field("etag") == '"a"'
    assert response.field("accept-ranges") == "bytes"
    assert response.field("vary") is None


def test_nothing_is_compressed_where_it_is_off():
    response = ask(serve(), limits={"compression": 0})
    assert response.body == PAGE
    assert response.field("vary") is None


def test_a_visitor_may_want_it_unchanged():
    response = ask(serve(), fields="Cache-Control: no-transform\r\n")
    assert (response.body, response.field("vary")) == (PAGE, "accept-encoding")


def test_fields_that_speak_of_other_bytes_go():
    response = ask(serve(fields='Content-Type: text/html\r\nETag: "v1"\r\nAccept-Ranges: bytes\r\n'
                         "Content-MD5: x\r\nContent-Digest: x\r\nRepr-Digest: x\r\nDigest: x\r\nVary: Cookie\r\n"))
    names = [name for name, _ in response.fields]
    assert not {"accept-ranges", "content-md5", "content-digest", "repr-digest", "digest"} & set(names)
    assert response.field("etag") == 'W/"v1"'
    assert response.field("vary") == "Cookie, accept-encoding"


def test_trailers_follow_without_digests():
    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n0\r\nRepr-Digest: x\r\nX-Sum: 7\r\n\r\n")
    response = ask(script)
    assert gzip.decompress(response.body) == b"abc"
    assert response.trailers == [("x-sum", "7")]


def test_an_empty_chunked_answer_is_an_empty_coded_one():
    response = ask(serve(b"", chunked=True))
    assert gzip.decompress(response.body) == b""


def test_head_reads_like_get_and_has_no_body():
    with Service(serve(fields='Content-Type: text/html\r\nETag: "v1"\r\n')) as service, \
            Proxy(service.port, limits=ON) as proxy, proxy.connect() as client:
        request = "{} / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n"
        client.send(request.format("HEAD"))
        head = client.read_response("HEAD")
        client.send(request.format("GET"))
        get = client.read_response()
        framing = ("transfer-encoding", "content-length", "date")
        assert [f for f in head.fields if f[0] not in framing] == [f for f in get.fields if f[0] not in framing]
        assert head.field("content-length") is None
        assert decode("br", get.body) == PAGE
        vitals = proxy.vitals()["compression"]
        assert vitals["br"]["responses"] == 1


def test_a_cache_refreshes_what_we_coded():
    """The weak tag comes back in If-None-Match as we gave it, reaches the service, and stands again in the
    304, though the service speaks of its strong one."""
    seen = []

    def script(one):
        while True:
            request = one.read_request()
            seen.append(request.field("if-none-match"))
            if request.field("if-none-match") in ('"v1"', 'W/"v1"'):
                one.send('HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n')
            else:
                one.answer(PAGE, fields='Content-Type: text/html\r\nETag: "v1"\r\n')

    with Service(script) as service, Proxy(service.port, limits=ON) as proxy, proxy.connect() as client:
        tag = client.get(fields="Accept-Encoding: gzip\r\n").field("etag")
        assert tag == 'W/"v1"'
        again = client.get(fields=f"Accept-Encoding: gzip\r\nIf-None-Match: {tag}\r\n")
        assert (again.status, again.field("etag"), again.field("vary")) == (304, 'W/"v1"', "accept-encoding")
        plain = client.get(fields='If-None-Match: "v1"\r\n')
        assert (plain.status, plain.field("etag"), plain.field("vary")) == (304, '"v1"', None)
    assert seen == [None, 'W/"v1"', '"v1"']


def test_ranges_pass_as_they_are():
    requests = []
    response = ask(serve(PAGE[:100], "Content-Type: text/html\r\nContent-Range: bytes 0-99/9999\r\n",
                         "206 Partial Content", requests=requests), fields="Range: bytes=0-99\r\n")
    assert (response.status, response.body) == (206, PAGE[:100])
    assert requests[0].field("range") == "bytes=0-99"
    assert requests[0].field("accept-encoding") == "gzip"


def test_http_1_0_reads_to_the_end():
    response = ask(serve(), version="1.0")
    assert response.close_delimited
    assert gzip.decompress(response.body) == PAGE


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_piece_arrives_before_the_next_is_sent(coding):
    """Each piece can be decoded as soon as it has come: nothing waits in the encoder."""
    gate = threading.Semaphore(0)

    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            one.send(f"8\r\npiece {i}\n\r\n")
            assert gate.acquire(timeout=30)
        one.send("0\r\n\r\n")

    with Service(script) as service, Proxy(service.port, limits=ON) as proxy, proxy.connect() as client:
        client.send(f"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {coding}\r\n\r\n")
        client.read_head()
        body = b""
        for i in range(5):
            expected = b"".join(b"piece %d\n" % k for k in range(i + 1))
            while decode_some(coding, body) != expected:  # the service has not sent more than this
                body += client.read_chunk()
            gate.release()
        while piece := client.read_chunk():
            body += piece
        assert decode(coding, body) == b"piece 0\npiece 1\npiece 2\npiece 3\npiece 4\n"


def decode_some(coding, data):
    """What a decoder gives of the front of a coded body."""
    if coding == "gzip":
        return zlib.decompressobj(31).decompress(data)
    if coding == "zstd":
        return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False).stdout
    library = ctypes.CDLL("libbrotlidec.so.1")  # the tool writes nothing of what is cut
    library.BrotliDecoderCreateInstance.restype = ctypes.c_void_p
    state = ctypes.c_void_p(library.BrotliDecoderCreateInstance(None, None, None))
    room = ctypes.create_string_buffer(1000)
    in_left, out_left = ctypes.c_size_t(len(data)), ctypes.c_size_t(len(room))
    source, target = ctypes.c_char_p(data), ctypes.cast(room, ctypes.c_void_p)
    library.BrotliDecoderDecompressStream(state, ctypes.byref(in_left), ctypes.byref(source),
                                          ctypes.byref(out_left), ctypes.byref(target), None)
    library.BrotliDecoderDestroyInstance(state)
    return room.raw[:len(room) - out_left.value]


def test_a_small_body_is_not_flushed_in_between():
    response = ask(serve())
    reference = zlib.compressobj(4, zlib.DEFLATED, 31, 8)
    assert len(response.body) <= len(reference.compress(PAGE) + reference.flush()) + 4


def test_a_slow_reader_gets_every_byte_and_takes_no_memory():
    blocks = [os.urandom(MEGABYTE // 2).hex().encode() for _ in range(4)]
    count, sent = 64, threading.Event()

    def script(one):
        one.read_request()
        one.send(f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {count * MEGABYTE}\r\n\r\n")
        for i in range(count):
            one.send(blocks[i % 4])
        sent.set()
        one.read_request()

    with Service(script) as service, Proxy(service.port, limits=ON) as proxy, \
            proxy.connect(receive_buffer=8192, timeout=60) as client:
        before = proxy.rss_bytes()
        client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        client.read_head()
        time.sleep(1)
        assert not sent.is_set()  # the service is held back
        assert proxy.rss_bytes() - before < GROWTH_MAX
        decoder, at, peak = zlib.decompressobj(31), 0, 0
        while chunk := client.read_chunk():
            text = decoder.decompress(chunk)
            while text:
                block = blocks[at // MEGABYTE % 4]
                piece, text = text[:MEGABYTE - at % MEGABYTE], text[MEGABYTE - at % MEGABYTE:]
                assert block[at % MEGABYTE:at % MEGABYTE + len(piece)] == piece
                at += len(piece)
            if at % 64 == 0:
                peak = max(peak, proxy.rss_bytes() - before)
        assert at == count * MEGABYTE and decoder.eof
        assert peak < GROWTH_MAX


def test_others_are_served_while_much_is_compressed():
    """Pieces are bounded: a visitor beside eight large downloads waits for a few milliseconds, not for them."""
    big = os.urandom(8 * MEGABYTE).hex().encode()

    def script(one):
        while True:
            request = one.read_request()
            if request.target == "/big":
                one.answer(big, fields="Content-Type: text/plain\r\n")
            else:
                one.answer("quick")

    def download():
        with proxy.connect(timeout=60) as client:
            client.send("GET /big HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n")
            client.read_head()
            while client.read_chunk():
                pass

    with Service(script) as service, Proxy(service.port, limits=ON) as proxy:
        threads = [threading.Thread(target=download, daemon=True) for _ in range(8)]
        all_began = time.monotonic()
        for one in threads:
            one.start()
        waits = []
        with proxy.connect(timeout=30) as client:
            while any(one.is_alive() for one in threads) and len(waits) < 200:
                began = time.monotonic()
                assert client.get("/").body == b"quick"
                waits.append(time.monotonic() - began)
        for one in threads:
            one.join()
        took = time.monotonic() - all_began
        waits.sort()
        assert waits[len(waits) // 2] < max(0.5, took / 20), (took, waits[-5:])


def test_encoders_are_bounded_beyond_that_it_goes_plain():
    gate = threading.Event()

    def script(one):
        request = one.read_request()
        one.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        if request.target == "/slow":
            gate.wait(30)
        one.send("0\r\n\r\n")

    with Service(script) as service, Proxy(service.port, limits={**ON, "encoders": 2}) as proxy:
        slow = [proxy.connect() for _ in range(2)]
        for client in slow:
            client.send("GET /slow HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
            assert client.read_head().field("content-encoding") == "gzip"
        plain = proxy.get(fields="Accept-Encoding: gzip\r\n")
        assert (plain.field("content-encoding"), plain.field("vary")) == (None, "accept-encoding")
        assert plain.body == b"abc"
        assert proxy.vitals()["compression"]["open"] == 2
        assert proxy.vitals()["compression"]["skipped"]["limit"] == 1
        gate.set()
        for client in slow:
            while client.read_chunk():
                pass
            client.close()
        proxy.wait(lambda v: v["compression"]["open"] == 0)
        assert proxy.get(fields="Accept-Encoding: gzip\r\n").field("content-encoding") == "gzip"


def test_a_cut_answer_never_looks_whole():
    def script(one):
        one.read_request()
        one.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n" + PAGE)

    with Service(script) as service, Proxy(service.port, limits=ON) as proxy, proxy.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        client.read_head()
        with pytest.raises((Closed, ConnectionResetError)):
            while client.read_chunk():
                pass
        proxy.wait(lambda v: v["compression"]["open"] == 0)
        assert proxy.records()[-1]["reason"] == "upstream_cut"


def test_who_leaves_gives_the_encoder_back():
    def script(one):
        one.read_request()
        one.send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        time.sleep(60)

    with Service(script) as service, Proxy(service.port, limits=ON) as proxy:
        for _ in range(20):
            with proxy.connect() as client:
                client.send("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n")
                client.read_head()
        proxy.wait(lambda v: v["compression"]["open"] == 0)


def test_bytes_are_counted_before_and_after():
    with Service(serve()) as service, Proxy(service.port, limits=ON) as proxy:
        body = proxy.get(fields="Accept-Encoding: zstd\r\n").body
        seen = proxy.vitals()["compression"]["zstd"]
        assert seen == {"responses": 1, "in": len(PAGE), "out": len(body)}
        assert proxy.records()[-1]["out"] == len(body)


def test_an_answer_may_end_before_its_upload():
    """The service has said all, the visitor still sends: nothing may go to a service that was let go."""
    body = os.urandom(50000).hex().encode()  # more than one turn encodes, and eight of them at once
    whole = []

    def script(one):
        one.read_head()
        reader = threading.Thread(target=read_on, args=(one,), daemon=True)
        reader.start()
        one.answer(body, fields="Content-Type: text/html\r\nConnection: close\r\n")
        reader.join(20)

    def read_on(one):
        with contextlib.suppress(OSError, ValueError):
            while one.raw.socket.recv(65536):
                pass

    def upload(client):
        with contextlib.suppress(OSError):
            for _ in range(20):
                client.send(b"x" * 100000)

    def visit(proxy):
        for _ in range(3):
            with proxy.connect() as client:
                client.send("POST / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nContent-Length: 2000000\r\n\r\n")
                sender = threading.Thread(target=upload, args=(client,), daemon=True)
                sender.start()
                whole.append(gzip.decompress(client.read_response().body) == body)
            sender.join()

    with Service(script) as service, Proxy(service.port, limits=ON) as proxy:
        visitors = [threading.Thread(target=visit, args=(proxy,), daemon=True) for _ in range(8)]
        for one in visitors:
            one.start()
        for one in visitors:
            one.join()
        assert whole == [True] * 24
        proxy.wait(lambda v: v["compression"]["open"] == 0)


CONFIG = """listen: [{ address: "127.0.0.1:{port}" }]
admin: { address: "127.0.0.1:{admin}" }
services:
  shop: { fleet: static, endpoints: [BACKEND] }
  plain: { fleet: static, endpoints: [BACKEND], compression: off }
routes:
  - { path: /, service: shop }
  - { path: /secret, service: shop, compression: off }
  - { path: /plain, service: plain }
  - { path: /plain/but, service: plain, compression: on }
compression: { enabled: true, algorithms: [br, gzip], min: 1KiB, types: [application/json], offer_to_services: false }
"""


def test_the_real_binary_by_its_configuration(tidegate):
    requests = []
    body = b'{"articles": [' + b'{"price": 1299},' * 100 + b"{}]}"
    with Service(serve(body, "Content-Type: application/json\r\n", requests=requests)) as service:
        one = tidegate(config=CONFIG.replace("BACKEND", f'"127.0.0.1:{service.port}"'))
        accept = {"Accept-Encoding": "zstd, gzip, br"}
        answer = one.get("/", accept)
        assert answer.headers["content-encoding"] == "br"  # zstd is not among ours
        assert decode("br", answer.body) == body
        for path in ("/secret", "/plain"):
            answer = one.get(path, accept)
            assert (answer.headers["content-encoding"], answer.headers["vary"], answer.body) == (None, None, body)
        assert one.get("/plain/but", accept).headers["content-encoding"] == "br"
        by_path = {r.target: r.field("accept-encoding") for r in requests}
        assert by_path["/"] == by_path["/plain/but"] == "identity"
        assert by_path["/secret"] == by_path["/plain"] == accept["Accept-Encoding"]
        metrics = metrics_of(one)
        assert metrics['tidegate_compressed_responses_total{algorithm="br"}'] == 2
        assert metrics['tidegate_compression_input_bytes_total{algorithm="br"}'] == 2 * len(body)
        assert metrics['tidegate_compression_skipped_total{reason="type"}'] >= 0


def metrics_of(one):
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in one.metrics().splitlines() if line and not line.startswith("#")}
