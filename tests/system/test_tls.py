"""TLS towards visitors, through the real binary, against openssl and Python's ssl."""
import contextlib
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import threading
import time

import pytest

from lib import certificates
from lib.certificates import Authority, Secure, context
from lib.raw import Closed
from lib.tidegate import run_cli, wait_until

CONFIG = """
listen:
  - {{ address: "127.0.0.1:{{port}}", tls: {tls} }}
admin: {{ address: "127.0.0.1:{{admin}}" }}
store: sqlite:var/tidegate.db
workers: {workers}
timeouts: {{ client_head: {head} }}
services: {{ shop: {{ fleet: static, endpoints: ["{backend}"] }} }}
routes: [ {{ path: /, service: shop }} ]
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def shop(tidegate, backend):
    """A function that starts Tidegate with a `tls:` block; certificates are (chain, key) paths."""
    def start(*pairs, more="", workers=2, head="10s"):
        blocks = [f"{{ certificate: {chain}, key: {key} }}" for chain, key in pairs]
        tls = f"{{ certificates: [ {', '.join(blocks)} ]{', ' if more else ''}{more} }}"
        behind = backend()
        one = tidegate(CONFIG.format(tls=tls, workers=workers, head=head, backend=behind.address))
        one.backend = behind
        return one
    return start


def secure(one, authority, name="shop.test", **options):
    made = options.pop("context", None) or context(authority)
    return Secure(one.port, name=name, context=made, **options)


def served(client):
    """The certificate that the server has shown."""
    return client.socket.getpeercert(binary_form=True)


def der(pair):
    return ssl.PEM_cert_to_DER_cert(pathlib.Path(pair[0]).read_text().split("-----END")[0]
                                    + "-----END CERTIFICATE-----\n")


def metric(one, name, labels=""):
    """The sum over all series of that name whose labels contain `labels`."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in one.metrics().splitlines()
               if line.split("{")[0].split(" ")[0] == name and labels in line)


# ---- what is shown to whom ----

def test_a_request_over_tls_tells_the_service_https(shop, authority):
    one = shop(authority.issue("shop.test"))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with secure(one, authority, context=context(authority, maximum_version=version)) as client:
            assert client.get("/").status == 200
            assert client.socket.version() == version.name.replace("v1_", "v1.")
    headers = one.backend.requests[-1][2]
    assert headers["x-forwarded-proto"] == "https" and "proto=https" in headers["forwarded"]


def test_the_name_chooses_the_certificate(shop, authority):
    first = authority.issue("shop.test", "www.shop.test")
    wild = authority.issue("*.shop.test")
    exact = authority.issue("pay.shop.test")
    one = shop(first, wild, exact)
    table = [("shop.test", first), ("WWW.shop.test", first), ("img.shop.test", wild),
             ("pay.shop.test", exact), ("a.b.shop.test", first), ("other.test", first),
             (None, first)]
    for name, expected in table:
        loose = context(authority, check_hostname=False)
        with secure(one, authority, name, context=loose) as client:
            assert served(client) == der(expected), name
            assert client.get("/").status == 200


def test_rsa_and_ecdsa_side_by_side(shop, authority):
    rsa = authority.issue("shop.test", kind="rsa")
    ecdsa = authority.issue("shop.test", "*.shop.test", kind="ecdsa")
    one = shop(rsa, ecdsa)
    for ciphers, expected in [("ECDHE-RSA-AES128-GCM-SHA256", rsa),
                              ("ECDHE-ECDSA-AES128-GCM-SHA256", ecdsa)]:
        old = context(authority, maximum_version=ssl.TLSVersion.TLSv1_2)
        old.set_ciphers(ciphers)
        with secure(one, authority, context=old) as client:
            assert served(client) == der(expected), ciphers
    # TLS 1.3: the signature algorithms decide
    for algorithm, kind in [("rsa_pss_rsae_sha256", "RSA"), ("ecdsa_secp256r1_sha256", "EC")]:
        text = s_client(one, "-sigalgs", algorithm, "-tls1_3")
        assert f"Peer signature type: {'RSA-PSS' if kind == 'RSA' else 'ECDSA'}" in text


def test_alpn_agrees_on_http_1_1_or_ends(shop, authority):
    one = shop(authority.issue("shop.test"))
    made = context(authority)
    made.set_alpn_protocols(["http/1.1"])
    with secure(one, authority, context=made) as client:
        assert client.socket.selected_alpn_protocol() == "http/1.1"
        assert client.get("/").status == 200
    made = context(authority)
    made.set_alpn_protocols(["imap"])
    with pytest.raises(ssl.SSLError):
        secure(one, authority, context=made)
    wait_until(lambda: metric(one, "tidegate_tls_handshake_failures_total", '"protocol"') == 1, 20,
               "the failure is counted")


def s_client(one, *arguments, data="", port=None):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port or one.port}",
                           "-servername", "shop.test", *arguments], input=data, timeout=20,
                          capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_old_versions_and_weak_suites_are_refused(shop, authority):
    one = shop(authority.issue("shop.test", kind="rsa"))
    for arguments in (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"],
                      ["-tls1", "-cipher", "DEFAULT@SECLEVEL=0"],
                      ["-tls1_2", "-cipher", "AES128-SHA256"],
                      ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA256"]):
        text = s_client(one, *arguments)
        assert "Cipher is (NONE)" in text and "alert" in text, text
    assert "Cipher is ECDHE-RSA-AES128-GCM-SHA256" in s_client(one, "-tls1_2", "-cipher", "ALL")
    wait_until(lambda: metric(one, "tidegate_tls_handshake_failures_total", '"version"') == 2 and
               metric(one, "tidegate_tls_handshake_failures_total", '"cipher"') == 2, 20, "counts")


def test_min_version_1_3(shop, authority):
    one = shop(authority.issue("shop.test"), more="min_version: 1.3")
    assert "Cipher is (NONE)" in s_client(one, "-tls1_2")
    assert "Cipher is TLS_" in s_client(one, "-tls1_3")


def test_renegotiation_is_refused(shop, authority):
    one = shop(authority.issue("shop.test"))
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{one.port}",
                                "-tls1_2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    said = bytearray()

    def listen():
        while piece := os.read(process.stdout.fileno(), 4096):
            said.extend(piece)

    def hears(words):
        wait_until(lambda: words in said.lower(), 20, f"{words}: {said}")

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        hears(b"verify return code")    # the last of what it tells of a handshake
        process.stdin.write(b"R\n")     # s_client's command: renegotiate
        process.stdin.flush()
        hears(b"renegotiating")
        hears(b"no renegotiation")
    finally:
        process.kill()
        process.wait()
        listener.join()
        process.stdin.close()
        process.stdout.close()


def test_ocsp_is_stapled(tidegate, backend, authority):
    chain, key = authority.issue("shop.test")
    response = authority.ocsp(chain)
    tls = f"{{ certificate: {chain}, key: {key}, ocsp: {response} }}"
    one = tidegate(CONFIG.format(tls=tls, workers=1, head="10s", backend=backend().address))
    text = s_client(one, "-status")
    assert "OCSP Response Status: successful" in text and "Cert Status: good" in text, text


# ---- resumption ----

def resumes(one, authority, session, version):
    made = session.context if session else context(authority, maximum_version=version)
    with Secure(one.port, context=made, session=session.session if session else None) as client:
        client.context, reused = made, None
        assert client.get("/").status == 200
        reused = client.socket.session_reused
        result = type("Session", (), {})()
        result.context, result.session = made, client.socket.session
        return reused, result


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_resume_at_every_worker(shop, authority, version):
    one = shop(authority.issue("shop.test"), workers=2)
    _, session = resumes(one, authority, None, version)
    reused = []

    def visit():
        for _ in range(5):
            reused.append(resumes(one, authority, session, version)[0])

    def workers():
        return sum(not line.endswith(" 0") for line in one.metrics().splitlines()
                   if line.startswith("tidegate_tls_handshakes_resumed_total{"))
    for _ in range(20):  # many at once, so that both workers accept some
        threads = [threading.Thread(target=visit) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if workers() == 2:
            break
    assert workers() == 2 and all(reused) and len(reused) >= 40
    assert metric(one, "tidegate_tls_handshakes_full_total") == 1


def test_sessions_resume_after_a_rotation_and_not_after_three():
    from lib.proxy import Proxy, Service
    shared = certificates.shared()
    with Service() as service, Proxy(service.port, tls=shared.pair, workers=2) as proxy:
        _, first = resumes(proxy, shared.authority, None, ssl.TLSVersion.TLSv1_2)
        for rotation in range(2):
            proxy.publish("rotate")
            reused, _ = resumes(proxy, shared.authority, first, None)
            assert reused, rotation
        proxy.publish("rotate")
        reused, _ = resumes(proxy, shared.authority, first, None)
        assert not reused, "a ticket under a key that is gone"


def test_a_restarted_controller_keeps_the_ticket_keys(shop, authority):
    one = shop(authority.issue("shop.test"))
    _, session = resumes(one, authority, None, ssl.TLSVersion.TLSv1_3)
    one.kill_controller()
    time.sleep(0.5)
    reused, _ = resumes(one, authority, session, None)
    assert reused


# ---- mTLS ----

def client_context(authority, pair=None, **settings):
    made = context(authority, **settings)
    if pair:
        made.load_cert_chain(*map(str, pair))
    return made


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_with_certificates(shop, authority, tmp_path, version):
    clients = Authority(tmp_path / "clients", "clients")
    good = clients.issue("good client", usage="clientAuth")
    bad = clients.issue("revoked client", usage="clientAuth")
    clients.revoked.append(clients.serial)
    strange = authority.issue("stranger", usage="clientAuth")
    one = shop(authority.issue("shop.test"),
               more=f"client_ca: {clients.ca}, client_crl: {clients.revocations()}")

    def ask(pair):
        made = client_context(authority, pair, maximum_version=version)
        with secure(one, authority, context=made) as client:
            return client.get("/").status

    assert ask(good) == 200
    for pair, reason in [(None, "certificate_missing"), (bad, "certificate_refused"),
                         (strange, "certificate_refused")]:
        before = metric(one, "tidegate_tls_handshake_failures_total", f'"{reason}"')
        with pytest.raises((ssl.SSLError, ConnectionError, Closed)):
            ask(pair)
        wait_until(lambda: metric(one, "tidegate_tls_handshake_failures_total", f'"{reason}"') ==
                   before + 1, 20, f"{reason} is counted")
    assert len(one.backend.requests) == 1


def test_a_client_that_is_revoked_cannot_resume(shop, authority, tmp_path):
    clients = Authority(tmp_path / "clients", "clients")
    pair = clients.issue("client", usage="clientAuth")
    revocations = clients.revocations()
    one = shop(authority.issue("shop.test"),
               more=f"client_ca: {clients.ca}, client_crl: {revocations}")
    made = client_context(authority, pair, maximum_version=ssl.TLSVersion.TLSv1_2)
    with Secure(one.port, context=made) as client:
        assert client.get("/").status == 200
        session = client.socket.session
    with Secure(one.port, context=made, session=session) as client:
        assert client.socket.session_reused
    clients.revoked.append(clients.serial)
    clients.revocations()
    wait_until(lambda: "action=replace" in one.log(), 20, "the list is taken up")

    def refused():
        try:
            with Secure(one.port, context=made, session=session) as client:
                client.get("/")
        except (ssl.SSLError, ConnectionError, Closed):
            return True
    for _ in range(10):     # each of the workers takes it up, and stays with it
        wait_until(refused, 10, "who is revoked cannot resume")
    assert all(refused() for _ in range(10))


def test_optional_clients(shop, authority, tmp_path):
    clients = Authority(tmp_path / "clients", "clients")
    one = shop(authority.issue("shop.test"), more=f"client_ca: {clients.ca}, client_verify: optional")
    for pair in (None, clients.issue("client", usage="clientAuth")):
        made = client_context(authority, pair)
        with secure(one, authority, context=made) as client:
            assert client.get("/").status == 200
    with pytest.raises((ssl.SSLError, ConnectionError, Closed)):
        made = client_context(authority, authority.issue("stranger", usage="clientAuth"))
        with secure(one, authority, context=made) as client:
            client.get("/")


# ---- certificates that are replaced ----

def put(pair, place):
    """Both files, each by rename, as every tool that renews does it."""
    for source, target in zip(pair, place):
        shutil.copy(source, f"{target}.new")
        os.rename(f"{target}.new", target)


def test_a_replaced_certificate_is_taken_up_under_load(shop, authority, tmp_path):
    place = (tmp_path / "live.pem", tmp_path / "live.key")
    old, new = authority.issue("shop.test"), authority.issue("shop.test", kind="rsa")
    put(old, place)
    one = shop(place)
    failures, answers, stop = [], [0], threading.Event()

    def visitor():
        while not stop.is_set():
            try:
                with secure(one, authority) as client:
                    for _ in range(3):
                        assert client.get("/").status == 200
                        answers[0] += 1
            except Exception as error:  # whatever it is, it is a failure
                failures.append(repr(error))

    threads = [threading.Thread(target=visitor) for _ in range(4)]
    with secure(one, authority) as kept:
        assert kept.get("/").status == 200
        for thread in threads:
            thread.start()
        for pair in (new, old, new):
            time.sleep(0.3)
            put(pair, place)

            def shown(expected=der(pair)):
                with secure(one, authority) as client:
                    return served(client) == expected
            wait_until(shown, 20, "the new certificate is shown")
        stop.set()
        for thread in threads:
            thread.join()
        assert kept.get("/").status == 200, "an open connection is not closed by it"
    assert failures == [] and answers[0] > 50
    wait_until(lambda: [d["action"] for d in one.decisions() if d["kind"] == "tls"].count("replace") == 3, 20, "all are told")


def test_a_broken_pair_keeps_the_old_one_and_says_so(shop, authority, tmp_path):
    place = (tmp_path / "live.pem", tmp_path / "live.key")
    old, other = authority.issue("shop.test"), authority.issue("shop.test")
    put(old, place)
    one = shop(place)

    def told(count):
        with contextlib.suppress(OSError):
            found = [d for d in one.decisions() if d["kind"] == "tls" and d["action"] == "keep"]
            return found if len(found) >= count else None

    shutil.copy(other[1], place[1])  # a key that is not the certificate's
    reason = wait_until(lambda: told(1), 20, "the mismatch is told")[0]["reason"]
    assert "does not belong" in reason
    place[0].write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    wait_until(lambda: told(2), 20, "the broken file is told")
    with secure(one, authority) as client:
        assert served(client) == der(old) and client.get("/").status == 200
    os.kill(one.status()["controller"], signal.SIGKILL)  # its successor finds only broken files
    wait_until(lambda: told(3), 20, "the new controller tells it too")
    time.sleep(0.5)
    with secure(one, authority) as client:
        assert served(client) == der(old) and client.get("/").status == 200
    put(other, place)
    wait_until(lambda: "action=replace" in one.log(), 20, "the repaired pair is taken up")

    def shown():
        with secure(one, authority) as client:
            return served(client) == der(other)
    wait_until(shown, 10, "the repaired pair is shown")


def test_expiry_is_a_metric_and_a_warning(shop, authority):
    soon, late = authority.issue("soon.test", days=10), authority.issue("late.test", days=60)
    one = shop(soon, late)
    expiry = metric(one, "tidegate_tls_certificate_expiry_seconds", 'name="soon.test"')
    assert abs(expiry - time.time() - 10 * 86400) < 3600
    warnings = [d for d in one.decisions() if d["kind"] == "tls" and d["action"] == "warn"]
    assert [(d["subject"], "within 14 days" in d["reason"]) for d in warnings] == [("soon.test", True)]


def test_check_says_where_a_certificate_is_wrong(tmp_path, authority):
    chain, key = authority.issue("shop.test")
    _, other = authority.issue("shop.test")
    config = """\
listen:
  - address: ":8443"
    tls:
      certificates:
        - { certificate: CERT, key: KEY }
services: { shop: { fleet: static, endpoints: ["127.0.0.1:1"] } }
routes: [ { path: /, service: shop } ]
"""
    table = [("missing.pem", key, "shop.yaml:5:26: certificate: ", "No such file"),
             (chain, "missing.key", None, "key: "),
             (chain, other, "shop.yaml:5:26: certificate: ", "does not belong"),
             (key, key, "shop.yaml:5:26: certificate: ", "not PEM certificates"),
             (chain, chain, "shop.yaml:5:26: certificate: ", "private key"),
             ("/dev/zero", key, "shop.yaml:5:26: certificate: ", "not a file")]
    for certificate, used, place, text in table:
        (tmp_path / "shop.yaml").write_text(config.replace("CERT", str(certificate))
                                            .replace("KEY", str(used)))
        done = run_cli("check", "shop.yaml", cwd=tmp_path)
        assert done.returncode == 1 and text in done.stderr, (certificate, used, done.stderr)
        assert place is None or place in done.stderr, done.stderr
    (tmp_path / "shop.yaml").write_text(config.replace("CERT", str(chain)).replace("KEY", str(key)))
    assert run_cli("check", "shop.yaml", cwd=tmp_path).returncode == 0


# ---- changes while it runs ----

def test_a_reload_brings_a_tls_listener_and_takes_it_away(tidegate, backend, authority):
    from lib.tidegate import free_port
    chain, key = authority.issue("shop.test")
    port = free_port()
    plain = """
listen:
  - { address: "127.0.0.1:{port}" }
admin: { address: "127.0.0.1:{admin}" }
store: sqlite:var/tidegate.db
workers: 2
services: { shop: { fleet: static, endpoints: ["BACKEND"] } }
routes: [ { path: /, service: shop } ]
""".replace("BACKEND", backend().address)
    secured = plain.replace("admin:", f'  - {{ address: "127.0.0.1:{port}", tls: '
                                      f'{{ certificate: {chain}, key: {key} }} }}\nadmin:', 1)
    one = tidegate(plain)
    one.write_config(secured)
    assert run_cli("reload", cwd=one.folder).returncode == 0

    def secure_answers():
        with contextlib.suppress(OSError):
            with Secure(port, context=context(authority)) as client:
                return client.get("/").status == 200
    wait_until(secure_answers, 20, f"the new listener speaks TLS\n{one.log()}")
    one.write_config(plain)
    assert run_cli("reload", cwd=one.folder).returncode == 0
    wait_until(lambda: not secure_answers(), 20, "it is gone")
    assert one.get("/").status == 200


def test_an_upgrade_keeps_tls_and_its_tickets(shop, authority):
    one = shop(authority.issue("shop.test"))
    _, session = resumes(one, authority, None, ssl.TLSVersion.TLSv1_3)
    before = one.status()["supervisor"]
    with secure(one, authority) as kept:
        assert kept.get("/").status == 200
        assert run_cli("upgrade", cwd=one.folder).returncode == 0
        wait_until(lambda: one.status()["supervisor"] != before, 20, f"another one\n{one.log()}")
        assert kept.get("/").status == 200, "an open connection is not closed by it"
    reused, _ = resumes(one, authority, session, None)
    assert reused
