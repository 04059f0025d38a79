"""What the processes of a running Tidegate can do, as the kernel says it; docs/threat-model.md promises it."""
import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from lib.certificates import Authority, openssl
from lib.tidegate import BINARY, Tidegate, alive, run_cli, wait_until

ROOT = os.geteuid() == 0
SANITIZED = "ASAN_OPTIONS" in os.environ
STATIC = """
listen: [ { address: "127.0.0.1:{port}" } ]
admin: { address: "127.0.0.1:{admin}" }
workers: 2
%s
services: { shop: { fleet: static, endpoints: ["%s"], health: { interval: 100ms } } }
routes: [ { path: /, service: shop } ]
"""
NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
not_sanitized = pytest.mark.skipif(SANITIZED, reason="a sanitizer needs what is forbidden here")


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def workers_of(one):
    return wait_until(lambda: (pids := one.status()["workers"]) and len(pids) == 2 and pids, 20, "both workers run")


def confined(pid):
    """The worker's status, once it has put everything on."""
    return wait_until(lambda: (s := status_of(pid))["Seccomp"].strip() == "2" and s, 20, "the worker is confined")


@pytest.fixture(name="one")
def fixture_one(tidegate, backend):
    return tidegate(STATIC % ("", backend().address))


@contextlib.contextmanager
def ordinary(config):
    """A Tidegate that an ordinary user starts, in a folder of his own."""
    folder = pathlib.Path(tempfile.mkdtemp())
    binary = folder / "tidegate"
    shutil.copy(BINARY, binary)   # the build folder may be root's alone
    if ROOT:
        for path in (folder, binary):
            os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)

    class Ordinary(Tidegate):
        def start(self):
            prefix = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"] if ROOT else []
            with open(self.log_path, "ab") as log:
                self.process = subprocess.Popen([*prefix, str(binary), "run", *self.arguments], cwd=self.folder,
                                                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            self.wait_serving(1)

    one = Ordinary(folder, config=config)
    one.start()
    try:
        yield one
    finally:
        one.stop()
        shutil.rmtree(folder, ignore_errors=True)


# ---- workers ----

def check_worker(pid):
    status = confined(pid)
    assert "0" not in status["Uid"].split(), status["Uid"]
    for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"].strip() == "1"
    return status


def test_workers_are_nobody_and_can_nothing(one):
    for pid in workers_of(one):
        status = check_worker(pid)
        if ROOT:
            assert set(status["Uid"].split()) == {str(NOBODY.pw_uid)}
            assert set(status["Gid"].split()) == {str(NOBODY.pw_gid)}
            assert int(status["CapBnd"], 16) == 0
    assert one.get().status == 200


def test_an_ordinary_user_is_confined_as_well(backend):
    with ordinary(STATIC % ("", backend().address)) as one:
        for pid in workers_of(one):
            check_worker(pid)
        assert one.get().status == 200
        assert one.status()["sandbox"]["missing"] == []


@as_root
@not_sanitized
def test_nobody_of_the_same_user_looks_into_our_memory(backend):
    with ordinary(STATIC % ("", backend().address)) as one:
        status = one.status()
        for pid in (status["supervisor"], status["controller"], *workers_of(one)):
            reading = subprocess.run(["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups",
                                      "cat", f"/proc/{pid}/environ", f"/proc/{pid}/maps"], capture_output=True, check=False)
            assert reading.returncode != 0 and reading.stdout == b"", f"process {pid} was read"


def test_status_and_metrics_say_what_is_in_force(one):
    workers_of(one)
    parts = {"user", "capabilities", "no_new_privs", "memory_hidden", "limits", "landlock", "seccomp"}

    def complete():
        sandbox = one.status()["sandbox"]
        return set(sandbox["in_force"]) | set(sandbox["missing"]) == parts and "seccomp" in sandbox["in_force"] and sandbox
    sandbox = wait_until(complete, 20, "all workers are confined")
    assert sandbox["mode"] == "strict"
    assert all(part in one.log() for part in sandbox["missing"]), "the log says why"


def test_descriptors_are_only_what_a_worker_needs(one):
    for pid in workers_of(one):
        confined(pid)
        names = [os.readlink(fd) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        files = [name for name in names if name.startswith("/") and not name.startswith(("/memfd:", "/dev/null"))]
        assert set(files) <= {str(one.log_path)}, files


def test_a_refused_call_ends_the_worker_and_another_comes(one):
    before = workers_of(one)
    confined(before[0])
    os.kill(before[0], signal.SIGSYS)
    wait_until(lambda: not alive(before[0]), 10, "the worker ends")
    line = wait_until(lambda: re.search(r"ERROR supervisor sandbox_violation child=worker-\d pid=%d syscall=\w+" % before[0],
                                        one.log()), 10, "the log says so")
    assert line
    after = wait_until(lambda: (now := one.status()["workers"]) and len(now) == 2 and before[0] not in now and now, 20,
                       "another worker runs")
    check_worker((set(after) - set(before)).pop())
    assert one.get().status == 200


def test_off_is_off(tidegate, backend):
    one = tidegate(STATIC % ("sandbox: off", backend().address))
    for pid in workers_of(one):
        assert status_of(pid)["Seccomp"].strip() == "0"
    assert one.status()["sandbox"]["mode"] == "off"
    assert "sandbox_off" in one.log()


def limit_of(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith(name):
            return line[len(name):].split()[:2]
    return None


def test_limits_are_the_configured_ones(tidegate, backend):
    one = tidegate(STATIC % ("limits: { memory: 512MiB, descriptors: 700 }", backend().address))
    for pid in workers_of(one):
        confined(pid)
        if not SANITIZED:
            assert limit_of(pid, "Max data size") == [str(512 << 20)] * 2
        assert limit_of(pid, "Max open files") == ["700", "700"]
        assert limit_of(pid, "Max core file size") == ["0", "0"]
    assert one.get().status == 200


@as_root
def test_the_user_is_the_configured_one(tidegate, backend):
    daemon = pwd.getpwnam("daemon")
    one = tidegate(STATIC % ("user: daemon", backend().address))
    for pid in workers_of(one):
        assert set(confined(pid)["Uid"].split()) == {str(daemon.pw_uid)}


def test_an_unknown_user_is_an_error_with_its_place(tmp_path):
    config = tmp_path / "shop.yaml"
    config.write_text((STATIC % ("user: nobody-at-all", "127.0.0.1:1")).replace("{port}", "8080").replace("{admin}", "9900"))
    done = run_cli("check", config)
    assert done.returncode != 0
    assert re.search(r"shop\.yaml:5:\d+: user: no user 'nobody-at-all' here", done.stderr + done.stdout)


# ---- the others ----

KEPT = {"chown": 0, "dac_override": 1, "dac_read_search": 2, "kill": 5, "setgid": 6, "setuid": 7, "setpcap": 8,
        "net_bind_service": 10, "sys_ptrace": 19}


@as_root
def test_supervisor_and_controller_keep_little(one):
    status = one.status()
    for pid in (status["supervisor"], status["controller"]):
        held = int(status_of(pid)["CapEff"], 16)
        assert held & ~sum(1 << bit for bit in KEPT.values()) == 0, hex(held)
        assert int(status_of(pid)["CapPrm"], 16) == held


SAYS = ("import http.server, json, os\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        b = json.dumps({'uid': os.getuid(), 'gid': os.getgid(), 'groups': os.getgroups(), 'home': os.environ.get('HOME'),\n"
        "            'fds': [os.readlink('/proc/self/fd/' + f) for f in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + f)],\n"
        "            'caps': open('/proc/self/status').read().split('CapEff:')[1].split()[0]}).encode()\n"
        "        self.send_response(200); self.send_header('Content-Length', str(len(b))); self.end_headers(); self.wfile.write(b)\n"
        "http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n")
PROCESSES = """
listen: [ { address: "127.0.0.1:{port}" } ]
admin: { address: "127.0.0.1:{admin}" }
workers: 1
services:
  shop: { command: [python3, -c, %s], folder: /, instances: { min: 1, max: 1 }, %s }
routes: [ { path: /, service: shop } ]
"""


@as_root
def test_instances_run_as_their_user_and_inherit_nothing(tidegate):
    python = shutil.which("python3", path="/usr/bin:/bin")
    config = (PROCESSES % (json.dumps(SAYS), "user: daemon")).replace("[python3", f"[{python}")
    one = tidegate(config)
    daemon = pwd.getpwnam("daemon")
    said = json.loads(one.get().body)
    assert (said["uid"], said["gid"], said["home"]) == (daemon.pw_uid, daemon.pw_gid, daemon.pw_dir)
    assert int(said["caps"], 16) == 0 and 0 not in said["groups"]
    ours = [fd for fd in said["fds"] if "tidegate" in fd or "eventfd" in fd or fd.endswith((".lock", ".db"))]
    assert not ours, said["fds"]
    # A new controller finds it in the process table, whoever's it is.
    pid, controller = one.instances()[0]["pid"], one.status()["controller"]
    os.kill(controller, signal.SIGKILL)
    wait_until(lambda: not alive(controller), 10, "the controller ends")
    one.wait_serving(1)
    assert [i["pid"] for i in one.instances()] == [pid]


@as_root
def test_instances_as_root_are_told_of_and_keep_what_root_has(tidegate):
    one = tidegate(PROCESSES % (json.dumps(SAYS), "version: one"))
    said = json.loads(one.get().body)
    full = int(status_of(os.getpid())["CapEff"], 16)
    assert said["uid"] == 0 and int(said["caps"], 16) == full
    assert "instances_run_as_root service=shop" in one.log()


# ---- secrets ----

def memory_has(pid, needles):
    """Which of the byte strings are in the writable memory of the process, its shared segments among it."""
    found = set()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            addresses, rights = line.split()[:2]
            if not rights.startswith("rw") or "[vvar" in line:
                continue
            start, end = (int(part, 16) for part in addresses.split("-"))
            for page_map_at, block in resident(pid, memory, start, end):
                del page_map_at
                found |= {name for name, needle in needles.items() if needle in block}
    return found


def resident(pid, memory, start, end):
    """Blocks of what is there: the segments are sparse, and reading a hole would fill it."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pages:
        pages.seek(start // 4096 * 8)
        entries = pages.read((end - start) // 4096 * 8)
    at = run_start = None
    for index in range(len(entries) // 8 + 1):
        there = index < len(entries) // 8 and entries[index * 8 + 7] & 0xC0
        at = start + index * 4096
        if there and run_start is None:
            run_start = at
        elif not there and run_start is not None:
            with contextlib.suppress(OSError, ValueError):
                memory.seek(run_start)
                yield run_start, memory.read(at - run_start)
            run_start = None


TLS = """
listen: [ { address: "127.0.0.1:{port}", tls: { certificate: shop.pem, key: shop.key } } ]
admin: { address: "127.0.0.1:{admin}" }
workers: 2
services: { shop: { fleet: static, endpoints: ["%s"] } }
routes: [ { path: /, service: shop } ]
"""


def needles_of(key):
    text = openssl("pkey", "-in", key, "-noout", "-text")
    scalar = bytes.fromhex(re.search(r"priv:\n([0-9a-f:\s]+)pub", text).group(1).replace(":", "").replace("\n", "").replace(" ", ""))[-32:]
    return {"PEM": key.read_bytes().splitlines()[1], "scalar": scalar, "reversed": scalar[::-1]}


@as_root
@not_sanitized
def test_an_old_key_is_nowhere_once_it_was_replaced(tidegate, backend, tmp_path):
    authority = Authority(tmp_path / "ca")
    old, new = authority.issue("shop.test"), authority.issue("shop.test")
    for name, path in zip(("shop.pem", "shop.key"), old):
        shutil.copy(path, tmp_path / name)
    one = tidegate(TLS % backend().address)
    needles = needles_of(old[1])
    status = one.status()
    everybody = [status["supervisor"], status["controller"], *workers_of(one)]
    plan = status["plan"]
    assert memory_has(status["controller"], needles), "this test sees the key while it is in use"
    assert memory_has(everybody[-1], needles)
    for name, path in zip(("shop.pem", "shop.key"), new):
        shutil.copy(path, tmp_path / f"{name}.new")
        os.replace(tmp_path / f"{name}.new", tmp_path / name)
    wait_until(lambda: one.status()["plan"] > plan, 20, "the new certificate is in the plan")
    wait_until(lambda: not any(memory_has(pid, needles) for pid in everybody), 20,
               "the old key is in no process")
    assert memory_has(status["controller"], needles_of(new[1]))
