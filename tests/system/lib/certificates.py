"""Certificates for tests, made by the openssl program, and connections that speak TLS."""
import contextlib
import functools
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading

from .raw import Raw


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True,
                          text=True, timeout=60, **options).stdout


class Authority:
    """Signs certificates in a folder; `ca` is its own certificate."""

    def __init__(self, folder, name="test authority"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        self.serial = 1000
        self.revoked = []
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "100", "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:true",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-keyout", self.key, "-out", self.ca)

    def issue(self, *names, kind="ecdsa", days=30, file=None, usage="serverAuth"):
        """(chain, key): paths."""
        self.serial += 1
        base = self.folder / (file or f"{names[0].replace('*', 'any')}-{kind}-{self.serial}")
        chain, key, request, extensions = (base.with_name(base.name + end)
                                           for end in (".pem", ".key", ".csr", ".ext"))
        algorithm = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
                     "rsa": ["rsa:2048"], "ed25519": ["ed25519"]}[kind]
        openssl("req", "-newkey", *algorithm, "-nodes", "-subj", f"/CN={names[0]}",
                "-keyout", key, "-out", request)
        alternative = ",".join(f"DNS:{name}" for name in names)
        extensions.write_text(f"subjectAltName={alternative}\nbasicConstraints=CA:false\n"
                              f"keyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key, "-days", days,
                "-set_serial", self.serial, "-extfile", extensions, "-out", chain)
        return chain, key

    def database(self):
        """What `openssl ca` and `openssl ocsp` want to know."""
        index = self.folder / "index.txt"
        lines = [f"{'R' if serial in self.revoked else 'V'}\t391231235959Z\t"
                 f"{'250101000000Z' if serial in self.revoked else ''}\t{serial:04X}\tunknown\t"
                 f"/CN={serial}\n" for serial in range(1001, self.serial + 1)]
        index.write_text("".join(lines))
        (self.folder / "index.txt.attr").write_text("unique_subject = no\n")
        return index

    def revocations(self):
        """The path of a revocation list with those in `revoked`."""
        self.database()
        settings, out = self.folder / "ca.cnf", self.folder / "crl.pem"
        settings.write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.folder}/index.txt\n"
                            "default_md=sha256\ndefault_crl_days=30\n")
        openssl("ca", "-gencrl", "-config", settings, "-keyfile", self.key, "-cert", self.ca,
                "-out", out)
        return out

    def ocsp(self, chain):
        """The path of a DER response about a certificate of ours."""
        index, out = self.database(), pathlib.Path(str(chain) + ".ocsp")
        request = pathlib.Path(str(chain) + ".ocspreq")
        openssl("ocsp", "-issuer", self.ca, "-cert", chain, "-reqout", request, "-no_nonce")
        openssl("ocsp", "-index", index, "-CA", self.ca, "-rsigner", self.ca, "-rkey", self.key,
                "-reqin", request, "-respout", out, "-ndays", "7")
        return out


class Shared:
    """One authority and one pair for tests to which certificates do not matter."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tidegate-tls-")
        self.authority = Authority(self.folder.name)
        self.pair = self.authority.issue("shop.test", "*.shop.test")


@functools.lru_cache(1)
def shared():
    return Shared()


def context(authority=None, **settings):
    """A client's; trusts the authority's certificates."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(str((authority or shared().authority).ca))
    for name, value in settings.items():
        setattr(made, name, value)
    return made


class HalfClosing:
    """A TLS client's socket that can end its direction and read on, which Python's own cannot."""

    def __init__(self, raw, context, name, session=None):
        self.raw, self.context = raw, context
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name,
                                    session=session)
        self.clean = False  # the peer has sent close_notify
        self.lock = threading.RLock()
        self.run(self.tls.do_handshake)

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.raw.sendall(data)

    def run(self, operation, *arguments):
        """Feeds the operation until it is done."""
        while True:
            try:
                with self.lock:
                    result = operation(*arguments)
                    self.flush()
                return result
            except ssl.SSLWantReadError:
                with self.lock:
                    self.flush()
                data = self.raw.recv(65536)
                if not data:
                    raise ssl.SSLEOFError("EOF without close_notify") from None
                with self.lock:
                    self.incoming.write(data)
            except ssl.SSLZeroReturnError:
                self.clean = True
                return b""
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self.flush()  # the alert
                raise

    def recv(self, size):
        data = self.run(self.tls.read, size)
        self.clean |= data == b""
        return data

    def sendall(self, data):
        view = memoryview(data)
        for at in range(0, len(view), 16384):
            with self.lock:
                self.tls.write(view[at:at + 16384])
                data = self.outgoing.read()
            self.raw.sendall(data)

    def shutdown(self, _how):
        with self.lock:
            try:
                self.tls.unwrap()
            except ssl.SSLWantReadError:
                pass  # it is said; the peer's own end comes when it comes
            self.flush()

    unwrap = None

    def settimeout(self, seconds):
        self.raw.settimeout(seconds)

    def close(self):
        self.raw.close()

    def detach(self):
        return self.raw.detach()

    def __getattr__(self, name):  # version, session, session_reused, getpeercert, …
        return getattr(self.__dict__["tls"] if hasattr(ssl.SSLObject, name) else
                       self.__dict__["raw"], name)


class Secure(Raw):
    """As Raw, through TLS. finish() sends close_notify and goes on reading, as TLS 1.3 allows."""

    def __init__(self, port, host="127.0.0.1", timeout=10.0, receive_buffer=None, name="shop.test",
                 context=None, session=None, before=b""):
        raw = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(timeout)
        raw.connect((host, port))
        raw.sendall(before)
        try:
            self.socket = HalfClosing(raw, context or globals()["context"](), name, session)
        except BaseException:
            raw.close()
            raise
        self.buffer = b""

    def ended(self, timeout=5.0):
        try:
            return super().ended(timeout)
        except ssl.SSLEOFError:
            return True
