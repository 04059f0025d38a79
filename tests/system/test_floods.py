"""Floods from one address: their memory is bounded, and a bystander from another address is served as before. Frames
that flood HTTP/2 are in test_proxy_h2_abuse.py; figures in bench/floods."""
import contextlib
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time

import pytest

from lib import floods
from lib.certificates import shared
from lib.ports import free_port
from lib.proxy import REAL, Proxy
from lib.tidegate import wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "conformance" / "smuggling"))

import backends      # noqa: E402

pytestmark = pytest.mark.skipif(REAL, reason="looks at the worker's memory and counters")

FLOOD_S, CONNECTIONS = 3, 2000
# ASan keeps what was freed, and rounds up.
MEMORY_MAX_KB = (64 if "ASAN_OPTIONS" not in os.environ else 512) << 10
# A machine that is shared by six test files and the flood's own process; under a flood that is not held off the
# bystander waits for seconds, or for ever.
SLOWER_MAX_MS = 1500
LIMITS = {"connections_per_client": 256, "requests_per_client": 256, "handshakes_per_client": 50}
LARGE_BYTES = 8 << 20
WEBSOCKETS = 10000


class Large(backends.Nginx):
    """nginx: two bytes for everything, 8 MiB for /large."""

    def command(self):
        (self.folder / "large").write_bytes(bytes(LARGE_BYTES))
        words = super().command()
        config = self.folder / "nginx.conf"
        config.write_text(config.read_text().replace("location / {", f"root {self.folder}; location = /large {{ }} location / {{")
                          .replace("access_log seen.log seen", "access_log off"))
        return words


def private_kb(pid):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private"))


def start(*words):
    return subprocess.Popen([sys.executable, floods.__file__, *map(str, words)], stdout=subprocess.PIPE, text=True)


def told(process):
    return json.loads(process.communicate(timeout=120)[0])


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    with Large(tmp_path_factory.mktemp("large"), free_port()) as service:
        yield service


def watch(process, pid):
    """What it tells when it has ended, and the most memory that the worker had meanwhile."""
    most = 0
    while process.poll() is None:
        most = max(most, private_kb(pid))
        time.sleep(0.05)
    return told(process), most


@pytest.mark.parametrize("name", [name for name in floods.FLOODS if name != "websockets"])
def test_a_flood_harms_nobody_else(large, name):
    tls = ["tls"] if "handshakes" in name else []
    with Proxy(large.port, limits=LIMITS, tls=shared().pair if tls else None) as proxy:
        calm, before = watch(start("bystander", proxy.port, 1, *tls), proxy.worker_pid)
        flood = start("flood", name, proxy.port, FLOOD_S + 1, CONNECTIONS)
        wait_until(lambda: proxy.vitals()["accepted"] > CONNECTIONS / 4, 30, "the flood has begun")
        during, most = watch(start("bystander", proxy.port, FLOOD_S - 1, *tls), proxy.worker_pid)
        vitals = proxy.vitals()
        told(flood)
    assert calm["failed"] == 0 and during["failed"] == 0, (calm, during)
    assert during["p99_ms"] <= 2 * calm["p99_ms"] + SLOWER_MAX_MS, (calm, during)
    assert most - before <= MEMORY_MAX_KB, f"{most - before} KB more"
    assert vitals["open"] <= LIMITS["connections_per_client"] + 64, vitals["open"]


@pytest.fixture
def descriptors():
    """Two for each WebSocket: an ordinary user may not have as many as root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, max(hard, 2 * WEBSOCKETS + 2000)))
    yield resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_idle_websockets(descriptors):
    port, count = free_port(), min(WEBSOCKETS, descriptors // 2 - 1000)
    service = start("websockets", port)
    try:
        wait_until(lambda: answers(port), 20, "the service answers")
        with Proxy(port) as proxy:
            before = private_kb(proxy.worker_pid)
            flood = start("flood", "websockets", proxy.port, 60, count)
            wait_until(lambda: proxy.vitals()["upstream_open"] >= count, 60, "they are tunnels")
            seen = told(start("bystander", proxy.port, 2))
            more = private_kb(proxy.worker_pid) - before
            flood.terminate()
            flood.wait(20)
    finally:
        service.terminate()
        service.wait(20)
    assert seen["failed"] == 0, seen
    assert more <= MEMORY_MAX_KB * count / WEBSOCKETS, f"{more} KB more"


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
