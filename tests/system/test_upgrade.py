"""`tidegate upgrade`, USR2 and reload: the real binary, real signals, visitors who notice nothing."""
import http.client
import os
import pathlib
import random
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from lib.load import Load
from lib.proxy import Service
from lib.raw import Closed, Raw
from lib.tidegate import BINARY, alive, free_port, run_cli, wait_until

APP = pathlib.Path(__file__).parent / "lib" / "app.js"
SLOW = "asan" in str(BINARY)


def config(port, more="", listen=""):
    return (f'listen: [ {{ address: "127.0.0.1:{{port}}" }}{listen} ]\n'
            f'admin: {{ address: "127.0.0.1:{{admin}}" }}\nworkers: 2\n'
            f'services: {{ shop: {{ fleet: static, endpoints: ["127.0.0.1:{port}"] }} }}\n'
            f'routes: [ {{ path: /, service: shop }} ]\n'
            f'access_log: {{ file: access.log }}\n'
            f'{"" if "timeouts" in more else "timeouts: { drain: 3s }"}\n{more}')


PROCESSES = f"""
listen: [ {{ address: "127.0.0.1:{{port}}" }} ]
admin: {{ address: "127.0.0.1:{{admin}}" }}
workers: 2
services:
  shop:
    fleet: process
    command: [node, {APP}, --port, "$PORT"]
    instances: {{ min: 2, max: 3, spares: 0 }}
    health: {{ path: /healthz, interval: 1s }}
    unit: {{ cpu: 0.25, memory: 128MiB }}
routes: [ {{ path: /, service: shop }} ]
"""


def shop_script(one):
    """Echoes; a request with Upgrade becomes a tunnel that echoes."""
    while True:
        request = one.read_request()
        if request.field("upgrade"):
            one.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            one.raw.socket.settimeout(300)
            while data := one.raw.socket.recv(4096):
                one.raw.socket.sendall(data)
            return
        one.answer(request.target.encode())


@pytest.fixture
def service():
    with Service(shop_script) as one:
        yield one


@pytest.fixture
def static(tidegate, service):
    def start(more="", **options):
        return tidegate(config(service.port, more), **options)
    yield start


class WebSockets:
    """So many open tunnels; all of them must echo when asked."""

    def __init__(self, port, count):
        self.clients = []
        for _ in range(count):
            client = Raw(port, timeout=20)
            client.send("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            assert client.read_response().status == 101
            self.clients.append(client)

    def check(self):
        for number, client in enumerate(self.clients):
            client.send(f"ping {number:05d}")
        for number, client in enumerate(self.clients):
            assert client.read_exactly(10) == f"ping {number:05d}".encode()

    def close(self):
        for client in self.clients:
            client.close()


def upgrade(one, *arguments, timeout=90):
    return run_cli("upgrade", *arguments, cwd=one.folder, timeout=timeout)


def script(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def status(one):
    """Also while the API changes hands, which takes some ten milliseconds."""
    def answer():
        try:
            return one.status()
        except (OSError, ValueError, http.client.HTTPException):
            return None
    return wait_until(answer, 10, f"the API answers\n{one.log()}")


def serving_supervisor(one):
    return status(one)["supervisor"]


def count_supervisors(folder):
    """How many processes of this folder control: each has the lock of the one controller."""
    found = []
    for process in pathlib.Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if os.readlink(process / "cwd") == str(folder) and alive(int(process.name)) and any(
                    os.readlink(fd).endswith("/var/tidegate.sock") or
                    os.readlink(fd).endswith("/var/controller.lock")
                    for fd in (process / "fd").iterdir()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


# ---- upgrades ----

def test_five_upgrades_under_load_with_websockets(static):
    one = static()
    sockets = WebSockets(one.port, 60 if SLOW else 200)
    load = Load(one.port, 100 if SLOW else 200, path="/u", threads=8).start()
    seen = [serving_supervisor(one)]
    for _ in range(5):
        time.sleep(0.5)
        done = upgrade(one)
        assert done.returncode == 0, done.stderr + one.log()
        wait_until(lambda: serving_supervisor(one) not in seen, 20, "status shows the new one")
        seen.append(serving_supervisor(one))
        assert str(seen[-1]) in done.stdout
        sockets.check()
    time.sleep(6)           # older workers let go of what is idle for five seconds
    sockets.check()
    load.stop()
    assert load.failures() == [], f"{load.failures()[:5]} {one.log()}"
    assert one.process.poll() is None, "who started us still waits for us"

    def written():
        return (one.folder / "access.log").read_bytes().count(b'"target":"/u"')
    wait_until(lambda: written() >= len(load.results), 20, "every request has its line")
    assert written() == len(load.results), "whichever worker carried it"
    sockets.close()
    assert one.stop() == 0
    wait_until(lambda: (one.folder / "access.log").read_bytes().count(b'"outcome":"upgraded"') == len(sockets.clients),
               20, "every tunnel has its line")


def test_usr2_and_instances_keep_their_pids(tidegate):
    one = tidegate(PROCESSES)
    one.wait_serving(2)
    before = {i["pid"] for i in one.instances()}
    supervisor, first = serving_supervisor(one), status(one)
    load = Load(one.port, 100, threads=8).start()
    for _ in range(2):
        one.signal(signal.SIGUSR2)          # the second time the front hands it on
        wait_until(lambda: serving_supervisor(one) != supervisor, 20, f"the new one\n{one.log()}")
        supervisor = serving_supervisor(one)
        assert {i["pid"] for i in one.wait_serving(2)} == before
        wait_until(lambda: "took_over" in one.log(), 20, "it is told")
        time.sleep(1)
    load.stop()
    assert load.failures() == []
    after = status(one)
    assert not set(after["workers"]) & set(first["workers"])
    assert after["plan"] > first["plan"], "versions go on"
    assert one.stop() == 0
    assert not [pid for pid in before if alive(pid)], "the end is the end of the instances too"


BAD = {
    "exits at once": ("exit 7", "status 7"),
    "cannot be executed": (None, ""),
    "dies by a signal": ("kill -SEGV $$", "signal 11"),
    "hangs": ("exec sleep 60", "in time"),
    "does not know this version": ("exec env TIDEGATE_HANDOVER=0 sleep 60", "in time"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_binary_changes_nothing(static, name, tmp_path):
    one = static()
    text, expected = BAD[name]
    if text is None:
        path = tmp_path / "empty"
        path.write_text("")
        path.chmod(0o755)
    else:
        path = script(tmp_path, "bad", text)
    load = Load(one.port, 50, threads=4).start()
    before = status(one)
    done = upgrade(one, "--binary", path, "--patience", "1500ms")
    assert done.returncode == 1, (done, one.log())
    assert expected in done.stderr and "old one goes on" in done.stderr
    assert "upgrade_given_up" in one.log()
    time.sleep(0.5)
    after = status(one)
    assert (after["supervisor"], after["workers"]) == (before["supervisor"], before["workers"])
    load.stop()
    assert load.failures() == []
    assert upgrade(one).returncode == 0, "a good one is taken afterwards"


def test_a_configuration_that_the_new_one_does_not_like(static):
    one = static()
    before = serving_supervisor(one)
    good = one.config_path.read_text()
    one.config_path.write_text(good.replace("workers", "wrokers"))
    done = upgrade(one)
    assert done.returncode == 1 and "status 2" in done.stderr
    assert "'workers'" in one.log(), "what is wrong is in the log"
    assert serving_supervisor(one) == before and one.get().status == 200


@pytest.mark.parametrize("after_s", ["0.05", "3"])
def test_one_that_crashes_is_taken_back(static, after_s, tmp_path):
    """Killed before it serves, or seconds after everything was handed over to it."""
    one = static()
    path = script(tmp_path, "crashing", f'(sleep {after_s}; kill -9 $$) & exec {BINARY} "$@"')
    sockets = WebSockets(one.port, 10)
    load = Load(one.port, 50, path="/c", threads=4).start()
    done = upgrade(one, "--binary", path)
    assert done.returncode in (0, 1)
    time.sleep(float(after_s) + 0.5)
    wait_until(lambda: one.get("/again").status == 200, 10, "it serves")

    def back():
        try:
            return serving_supervisor(one) == one.process.pid
        except OSError:
            return False
    wait_until(back, 15, f"the old one again\n{one.log()}")
    time.sleep(1)
    sockets.check()
    load.stop()
    failures = load.failures()
    assert len(failures) <= 4, f"only what the crashed one carried\n{failures}\n{one.log()}"
    assert upgrade(one).returncode == 0, "a good one is taken afterwards"
    sockets.close()


def test_a_second_one_during_the_first_is_refused(static, tmp_path):
    one = static()
    path = script(tmp_path, "slow", f'sleep 2; exec {BINARY} "$@"')
    first = subprocess.Popen([str(BINARY), "upgrade", "--binary", str(path)], cwd=one.folder,
                             stdout=subprocess.PIPE, text=True)
    wait_until(lambda: " upgrading " in one.log(), 20, "the first began")
    second = upgrade(one)
    assert second.returncode == 1 and "under way" in second.stderr
    one.signal(signal.SIGUSR2)
    one.signal(signal.SIGHUP)           # for whoever serves then
    out, _ = first.communicate(timeout=30)
    assert first.returncode == 0, (out, one.log())
    assert one.log().count("upgrade_refused") >= 1
    wait_until(lambda: "read again" in one.log(), 20, "the reload was not lost")


def test_term_during_an_upgrade_ends_all(static, tmp_path):
    one = static()
    path = script(tmp_path, "slow", f'sleep 20; exec {BINARY} "$@"')
    asker = subprocess.Popen([str(BINARY), "upgrade", "--binary", str(path)], cwd=one.folder,
                             stderr=subprocess.DEVNULL)
    wait_until(lambda: " upgrading " in one.log(), 20, "it began")
    assert one.stop() == 0
    assert asker.wait(10) == 1


def test_a_hung_controller_is_no_obstacle(static):
    one = static()
    before = status(one)
    os.kill(before["controller"], signal.SIGSTOP)
    load = Load(one.port, 50, threads=4).start()
    done = upgrade(one)
    assert done.returncode == 0, done.stderr + one.log()
    after = status(one)
    assert after["supervisor"] != before["supervisor"] and not alive(before["controller"])
    load.stop()
    assert load.failures() == []


def test_without_a_tidegate_it_says_so(tmp_path):
    done = run_cli("upgrade", cwd=tmp_path)
    assert done.returncode == 3 and "no Tidegate runs here" in done.stderr
    assert run_cli("upgrade", "--patience", "never", cwd=tmp_path).returncode == 2
    assert "usage: tidegate upgrade" in run_cli("upgrade", "--help").stdout


def test_older_websockets_end_at_their_limit(static):
    one = static("timeouts: { upgrade: 2s, drain: 3s }\n")
    sockets = WebSockets(one.port, 5)
    before = status(one)["workers"]
    began = time.monotonic()            # before: how long it takes to answer is nobody's promise
    assert upgrade(one).returncode == 0
    for client in sockets.clients:
        assert client.ended(20)
    assert time.monotonic() - began > 1.9
    wait_until(lambda: not any(alive(pid) for pid in before), 20, "the older workers are gone")


@pytest.mark.parametrize("who", ["old", "new", "both at once"])
def test_a_kill_at_any_point_leaves_one_that_serves(static, who, tmp_path):
    """kill -9 of either side at random points of the hand-over. Who is left serves, alone; when the
    old one is killed its connections end, as with any supervisor that is killed."""
    one = static()
    rounds = int(os.environ.get("TIDEGATE_REPEATS", "8"))
    pick = random.Random(4711)
    for _ in range(rounds):
        old = serving_supervisor(one)
        began = one.log().count(" upgrading ")
        os.kill(old, signal.SIGUSR2)
        wait_until(lambda: one.log().count(" upgrading ") > began, 10, "it began")
        new = int(re.findall(r" upgrading .*pid=(\d+)", one.log())[-1])
        time.sleep(pick.uniform(0, 0.25 if not SLOW else 0.8))
        for victim in {"old": [old], "new": [new], "both at once": [old, new]}[who]:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if one.process.poll() is not None or who == "both at once":
            one.process.wait(30) if one.process.pid in (old, new) else None
        if who == "both at once":
            break

        def one_serves():
            try:
                supervisor = serving_supervisor(one)
                return alive(supervisor) and supervisor if one.get("/k").status == 200 else None
            except (OSError, ValueError, AssertionError):
                return None
        wait_until(one_serves, 20, f"somebody serves\n{one.log()}")
        wait_until(lambda: len(count_supervisors(one.folder)) == 1, 15,
                   f"exactly one controls: {count_supervisors(one.folder)}\n{one.log()}")
        time.sleep(0.3)
        assert len(count_supervisors(one.folder)) == 1
    if who == "both at once":           # a service manager would start it again
        one.process.kill()
        one.process.wait()
        wait_until(lambda: not count_supervisors(one.folder), 45, "all end by themselves")
        one.start()
        assert one.get("/k").status == 200
    else:
        last = serving_supervisor(one)
        os.kill(last, signal.SIGTERM)
        wait_until(lambda: not alive(last), 45, f"it ends\n{one.log()}")


def test_a_service_manager_is_told(tidegate, service, tmp_path):
    path = str(tmp_path / "n.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        one = tidegate(config(service.port), environment={"NOTIFY_SOCKET": path})
        assert manager.recv(1000) == b"READY=1"
        assert run_cli("reload", cwd=one.folder).returncode == 0
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(1000))
        assert manager.recv(1000) == b"READY=1"
        assert upgrade(one).returncode == 0
        told = manager.recv(1000).split(b"\n")
        new = int(told[0].removeprefix(b"MAINPID="))
        assert new == serving_supervisor(one) and b"READY=1" in told
        assert one.process.wait(30) == 0, "the front is not needed: the manager knows the new one"
        assert one.get("/m").status == 200
        os.kill(new, signal.SIGTERM)
        assert manager.recv(1000) == b"STOPPING=1"
        wait_until(lambda: not alive(new), 30, "it ends")


# ---- reload ----

def test_many_reloads_under_load_with_websockets(static, service):
    one = static()
    sockets = WebSockets(one.port, 50)
    load = Load(one.port, 100 if SLOW else 200, path="/r", threads=8).start()
    plan = status(one)["plan"]
    for number in range(20):
        one.write_config(config(service.port, f"limits: {{ fields: {50 + number} }}\n"
                                              f"overload: {{ queue: {100 + number} }}\n"))
        done = run_cli("reload", cwd=one.folder)
        assert done.returncode == 0, done.stderr
    wait_until(lambda: status(one)["plan"] >= plan + 5, 20, "plans were made")
    sockets.check()
    load.stop()
    sockets.check()
    assert load.failures() == []
    sockets.close()


def test_listen_addresses_come_and_go(static, service, tmp_path):
    one = static()
    kept = Raw(one.port)
    assert kept.get("/1").status == 200
    workers = status(one)["workers"]
    extra, path = free_port(), tmp_path / "x.sock"

    def reload(listen):
        one.write_config(config(service.port, listen=listen))
        done = run_cli("reload", cwd=one.folder)
        assert done.returncode == 0, done.stderr

    def connects(port):
        try:
            with Raw(port, timeout=2) as client:
                return client.get("/2").status == 200
        except (OSError, Closed):
            return False
    reload(f', {{ address: "127.0.0.1:{extra}" }}, {{ address: "unix:{path}" }}')
    wait_until(lambda: connects(extra), 20, f"the new address is served\n{one.log()}")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(b"GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    there = Raw(extra)
    assert there.get("/4").status == 200
    assert kept.get("/4").status == 200
    os.kill(workers[0], signal.SIGKILL)     # its successor has all of them
    wait_until(lambda: workers[0] not in status(one)["workers"], 20, "a new worker")
    workers = status(one)["workers"]
    try:
        there.get("/5")
    except (Closed, OSError):               # the killed worker had it
        there = Raw(extra)
        assert there.get("/5").status == 200
    reload("")
    wait_until(lambda: not connects(extra), 20, f"it is gone\n{one.log()}")
    wait_until(lambda: not path.exists(), 20, "its path is gone")
    assert there.get("/6").status == 200, "what is connected there goes on"
    assert status(one)["workers"] == workers, "no worker was restarted for it"
    reload(f', {{ address: "127.0.0.1:{extra}" }}')
    wait_until(lambda: connects(extra), 20, "and back again")
    assert upgrade(one).returncode == 0
    assert connects(extra), "an upgrade takes it along"


def test_a_listen_address_that_cannot_be_had_changes_nothing(static, service):
    one = static()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        one.write_config(config(service.port, "limits: { fields: 77 }\n",
                                f', {{ address: "127.0.0.1:{port}" }}'))
        done = run_cli("reload", cwd=one.folder)
        assert done.returncode == 1 and str(port) in done.stderr, done
        one.signal(signal.SIGHUP)
        wait_until(lambda: "reload_refused" in one.log() and str(port) in one.log(), 20, "it is told")
        assert one.get().status == 200
        done = upgrade(one)
        assert done.returncode == 1 and str(port) in done.stderr
    assert one.get().status == 200
