"""TLS 1.3 behind the handshake, where our own record layer carries it (docs/decisions/0028): through the real
binary, against openssl, curl, h2load and Python's ssl."""
import re
import shutil
import ssl
import subprocess
import threading

import pytest

from lib import certificates
from lib.certificates import Secure, context
from lib.proxy import Proxy, Service
from lib.raw import Closed
from lib.tidegate import wait_until
from test_tls import authority, client_context, secure, shop  # noqa: F401  fixtures, too

SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
REQUEST = "GET /{path} HTTP/1.1\r\nHost: shop.test\r\n\r\n"


class OpensslClient:
    """The openssl program, one line a time: it reads its commands (K, k, R) from lines of their own."""

    def __init__(self, port, *arguments):
        self.process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername",
                                         "shop.test", "-msg", *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.text = ""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while data := self.process.stdout.read1(65536):
            self.text += data.decode(errors="replace")

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def expect(self, pattern, count=1):
        wait_until(lambda: len(re.findall(pattern, self.text)) >= count, 15,
                   f"{count} of {pattern} in {self.text[-1500:]}")

    def __enter__(self):
        self.expect("New, TLSv1.3")
        self.expect("NewSessionTicket", 2)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(15)
        self.reader.join(15)


@pytest.mark.parametrize("suite", SUITES)
def test_keys_are_renewed_in_the_middle(shop, authority, suite):
    one = shop(authority.issue("shop.test"), workers=1)
    with OpensslClient(one.port, "-ciphersuites", suite) as client:
        client.expect(f"Cipher is {suite}")
        for turn in range(1, 5):
            client.say("K\n" if turn % 2 else "k\n")  # with the wish that we renew ours, or without
            client.expect(">>> TLS 1.3, Handshake .*KeyUpdate", turn)
            client.say(REQUEST.format(path=f"turn-{turn}"))
            client.expect("HTTP/1.1 200 OK", turn)
            client.expect("<<< TLS 1.3, Handshake .*KeyUpdate", (turn + 1) // 2)
    assert [request[1] for request in one.backend.requests] == [f"/turn-{turn}" for turn in range(1, 5)]
    assert "fatal" not in client.text


@pytest.mark.parametrize("suite", SUITES)
def test_bodies_of_each_suite(suite, tmp_path):
    """Up and down, larger than every buffer on the way."""
    body = bytes(range(251)) * 12000
    (tmp_path / "body").write_bytes(body)
    shared = certificates.shared()

    def echo(one):
        request = one.read_request()
        one.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(request.body) + request.body)
    with Service(echo) as service, Proxy(service.port, tls=shared.pair) as proxy:
        done = subprocess.run(["curl", "-sS", "--http1.1", "--cacert", str(shared.authority.ca), "--tls13-ciphers", suite,
                               "--resolve", f"shop.test:{proxy.port}:127.0.0.1", "-H", "Expect:",
                               "--data-binary", f"@{tmp_path}/body", f"https://shop.test:{proxy.port}/"],
                              capture_output=True, timeout=60, check=False)
        assert done.returncode == 0 and done.stdout == body, done.stderr


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
def test_h2load_finds_no_fault(shop, authority):
    """Whether the service could follow is not asked: each request is answered, and none is an error of the connection."""
    one = shop(authority.issue("shop.test"))
    for arguments in (["-c", "8", "-m", "8"], ["--h1", "-c", "50", "-m", "1"]):
        done = subprocess.run(["h2load", "-n", "400", *arguments, f"https://127.0.0.1:{one.port}/"],
                              capture_output=True, text=True, timeout=120, check=True)
        assert "400 done" in done.stdout and " 0 errored, 0 timeout" in done.stdout, done.stdout


def test_a_client_certificate_whose_tickets_fill_several_records(shop, authority, tmp_path):
    """OpenSSL puts the client's certificate into the ticket; each record has moved the sequence number."""
    names = ["client"] + [f"a-rather-long-name-{i}.of-one-client.test" for i in range(700)]
    pair = authority.issue(*names, usage="clientAuth")
    one = shop(authority.issue("shop.test"), workers=1, more=f"client_ca: {authority.ca}")
    made = client_context(authority, pair)
    with Secure(one.port, context=made) as client:
        assert client.get("/").status == 200
        session = client.socket.session
        assert client.get("/again").status == 200
    with Secure(one.port, context=made, session=session) as client:
        assert client.get("/resumed").status == 200 and client.socket.session_reused


def test_every_part_of_a_request_may_be_forged_and_none_arrives(shop, authority):
    """Head, text and tag of a record: the client is told bad_record_mac (or what is wrong with a head), and is ended."""
    one = shop(authority.issue("shop.test"), workers=1)
    before = one.status()["workers"]
    told = set()
    for at in (0, 1, 3, 4, 5, 20, -16, -1):
        with secure(one, authority) as client:
            client.socket.raw.settimeout(10)
            client.socket.tls.write(REQUEST.format(path="forged").encode())
            record = bytearray(client.socket.outgoing.read())
            record[at] ^= 1
            client.socket.raw.sendall(record + bytes(300))  # so that no length waits for more
            with pytest.raises((ssl.SSLError, ConnectionError, Closed)) as ended:
                client.read_response()
            told.add(getattr(ended.value, "reason", None))
    assert told <= {"SSLV3_ALERT_BAD_RECORD_MAC", "TLSV1_ALERT_RECORD_OVERFLOW", "SSLV3_ALERT_UNEXPECTED_MESSAGE",
                    "SSL/TLS_ALERT_UNEXPECTED_MESSAGE"} | {None}, told
    assert "SSLV3_ALERT_BAD_RECORD_MAC" in told
    assert one.backend.requests == [] and one.status()["workers"] == before
    with Secure(one.port, context=context(authority)) as client:
        assert client.get("/").status == 200
