"""Which I/O backend a worker has: as the configuration says, as the kernel allows, and what it says
when that is not the same."""
import contextlib
import ctypes
import errno
import os
import pathlib
import re
import struct
import subprocess
import time

import pytest

from lib.proxy import Proxy, Service, harness_path
from lib.raw import Raw
from lib.tidegate import run_cli, wait_until

IO_URING_SETUP = 425
ALLOW, REFUSE = 0x7fff0000, 0x00050000

CONFIG = """
listen: [{ address: "127.0.0.1:{port}" }]
admin: { address: "127.0.0.1:{admin}" }
store: sqlite:var/tidegate.db
workers: 1
io: IO
services:
  shop: { fleet: static, endpoints: ["127.0.0.1:BACKEND"] }
routes: [{ path: /, service: shop }]
"""


def refuse_io_uring(number):
    """In a child before exec: io_uring_setup fails with this errno, as a container's filter does it."""
    filters = [struct.pack("HBBI", 0x20, 0, 0, 0),                      # the system call's number
               struct.pack("HBBI", 0x15, 0, 1, IO_URING_SETUP),
               struct.pack("HBBI", 0x06, 0, 0, REFUSE | number),
               struct.pack("HBBI", 0x06, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(filters))
    program = struct.pack("HxxxxxxP", len(filters), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0                              # no new privileges
    assert libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())


def io_uring_works():
    """Whether this machine has it at all: else there is nothing to choose."""
    with Service() as service, Proxy(service.port) as proxy:
        def target(link):
            with contextlib.suppress(FileNotFoundError):    # closed since it was listed
                return os.readlink(f"/proc/{proxy.worker_pid}/fd/{link}")
            return ""
        return any("io_uring" in target(link) for link in os.listdir(f"/proc/{proxy.worker_pid}/fd"))


@pytest.fixture
def io_uring(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("TIDEGATE_IO", "io_uring")
        if not io_uring_works():
            pytest.skip("io_uring is not allowed on this machine")


def harness(wanted, refused_with):
    """A worker to which io_uring is refused: what it logged, and whether it serves."""
    with Service() as service:
        process = subprocess.Popen(
            [harness_path(), "--listen", "127.0.0.1:0", "--endpoint", f"127.0.0.1:{service.port}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TIDEGATE_IO": wanted}, preexec_fn=lambda: refuse_io_uring(refused_with))
        with Raw(int(process.stdout.readline().split()[1])) as client:
            answer = client.get("/")
        _, log = process.communicate("")
        assert process.returncode == 0
        return answer, log


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.ENOMEM, errno.EINVAL])
def test_where_io_uring_is_refused_auto_takes_epoll_and_says_so(number, io_uring):
    answer, log = harness("io_uring", number)
    assert answer.status == 200
    assert re.search(r"WARN \S+ io_uring_refused reason=\".*io_uring_setup", log), log
    assert "io=epoll" in log
    answer, log = harness("auto", number)
    assert answer.status == 200
    assert re.search(r"INFO \S+ io_uring_not_available reason=\".*io_uring_setup", log), log
    assert "io=epoll" in log and "WARN" not in log, log


@pytest.mark.parametrize("io", ["epoll", "io_uring"])
def test_the_configuration_says_which(tidegate, io, io_uring, monkeypatch):
    monkeypatch.delenv("TIDEGATE_IO", raising=False)
    with Service() as service:
        one = tidegate(CONFIG.replace("BACKEND", str(service.port)).replace("IO", io), wait="up")
        found = wait_until(lambda: re.search(r"worker_ready .*io=(\S+)", one.log()), 20, "a worker")
        assert found[1] == io
        with Raw(one.port) as client:
            assert client.get("/").status == 200


def test_another_word_is_an_error_with_its_place(tmp_path):
    (tmp_path / "shop.yaml").write_text(CONFIG.replace("BACKEND", "1").replace("IO", "kqueue"))
    done = run_cli("check", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(r"shop\.yaml:6:5: .*auto.*epoll.*io_uring", done.stdout + done.stderr), done


@pytest.mark.parametrize("io", ["epoll", "io_uring"])
def test_idle_workers_take_turns_with_new_connections(io, io_uring, monkeypatch):
    monkeypatch.setenv("TIDEGATE_IO", io)
    with Service() as service, Proxy(service.port, workers=2) as proxy:
        task = pathlib.Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children")
        workers = task.read_text().split()
        assert len(workers) == 2

        def descriptors():
            return [len(os.listdir(f"/proc/{pid}/fd")) for pid in workers]

        def at_rest():
            """How many each has when it has started, and reads no file any more."""
            seen = descriptors()
            time.sleep(0.3)
            return seen if seen == descriptors() else None

        before, held = wait_until(at_rest, 20, "workers at rest"), []
        for number in range(60):
            held.append(proxy.connect())
            proxy.wait(lambda vitals, wanted=number + 1: vitals["open"] >= wanted)
        taken = [after - first for first, after in zip(before, descriptors())]
        assert abs(sum(taken) - 60) <= 2, taken     # a file may be open for a moment
        assert min(taken) >= 18, taken      # without turns one of them has all
