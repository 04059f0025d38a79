"""Starts what a measurement needs and reads what it cost: backend, peers, load, CPU time.

Everything listens on 127.0.0.1, is pinned (the proxy to one CPU, backend and load to the other),
lives in one temporary folder, and is stopped by the process id it was started with.
"""
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = {"backend": [], "visits": [], "relay_epoll": [], "relay_uring": ["-luring"]}
CFLAGS = ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Wshadow"]
START_S_MAX = 15.0
STOP_S_MAX = 5.0
LOAD_S_MAX = 90.0


class Unavailable(Exception):
    """A peer or tool is not on this machine; the measurement goes on without it."""


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def tree(pid):
    """The process and all its descendants."""
    pids = [pid]
    for each in pids:
        pids += children(each)
    return pids


def cpu_us(pids):
    """User and system time of these processes so far, all threads, from the scheduler's own clock:
    the sum that /proc/PID/stat gives in ticks of 10 ms, in nanoseconds."""
    total_ns = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bench:
    """One run: its folder, its programs, its running processes."""

    def __init__(self):
        cpus = sorted(os.sched_getaffinity(0))
        self.proxy_cpu, self.load_cpu = cpus[0], cpus[-1]
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tidegate-bench-"))
        self.dir.chmod(0o755)   # nginx's worker is not root
        self.processes = []

    def build(self):
        """Compiles the backend, the visitors and the relays; names those that cannot be had."""
        missing = []
        for name, libraries in PROGRAMS.items():
            command = ["cc", *CFLAGS, "-o", self.dir / name, HERE / f"{name}.c", *libraries]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0 and name != "relay_uring":
                raise RuntimeError(f"{name}.c: {done.stderr.strip()}")
            if done.returncode != 0:
                missing.append(f"{name}: needs liburing-dev")
        return missing

    def spawn(self, command, cpu, folder=None, **streams):
        process = subprocess.Popen([str(part) for part in command], cwd=folder or self.dir,
                                   preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
                                   stdin=subprocess.DEVNULL, **streams)
        self.processes.append(process)
        return process

    def load(self, command):
        """Runs a load tool to its end on the load's CPU and returns what it printed."""
        process = self.spawn(command, self.load_cpu, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        output, _ = process.communicate(timeout=LOAD_S_MAX)
        self.processes.remove(process)
        if process.returncode != 0:
            raise RuntimeError(f"{process.args[0]} failed: {output[-400:]}")
        return output

    def start_backend(self):
        port = free_port()
        process = self.spawn([self.dir / "backend", "--port", port], self.load_cpu,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_answer(process, port)
        return port

    def stop(self, process):
        """Ends a process tree that we started: asked first, then forced."""
        pids = tree(process.pid)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S_MAX)
        for pid in pids if process.poll() is None else pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        process.wait()
        self.processes.remove(process)

    def close(self):
        for process in list(self.processes):
            self.stop(process)
        shutil.rmtree(self.dir, ignore_errors=True)


class Peer:
    """A running proxy, as peers/peers.toml describes it."""

    def __init__(self, bench, name, backend_port, binary=None):
        spec = tomllib.loads((HERE / "peers" / "peers.toml").read_text())[name]
        self.bench, self.name, self.spec = bench, name, spec
        self.binary = binary or self.find_binary()
        self.port = free_port()
        self.dir = bench.dir / f"{name}.run"
        self.dir.mkdir()
        self.dir.chmod(0o777)
        self.values = {"BINARY": self.binary, "DIR": self.dir, "PORT": self.port,
                       "BACKEND_PORT": backend_port}
        self.configure()
        self.start()

    def find_binary(self):
        built = self.bench.dir / self.spec["binary"]
        found = built if built.is_file() else shutil.which(self.spec["binary"])
        if not found:
            raise Unavailable(f"{self.name}: no executable '{self.spec['binary']}'")
        return found

    def fill(self, text):
        return re.sub(r"@([A-Z_]+)@", lambda m: str(self.values[m[1]]), text)

    def configure(self):
        if "template" not in self.spec:
            return
        kept = []
        for line in (HERE / "peers" / self.spec["template"]).read_text().splitlines():
            if "%large%" not in line or self.spec.get("large"):
                kept.append(self.fill(line.replace("%large% ", "")))
        (self.dir / self.spec["template"]).write_text("\n".join(kept) + "\n")

    def start(self):
        self.log = self.dir / "output.log"
        with open(self.log, "ab") as stream:
            self.process = self.bench.spawn([self.fill(part) for part in self.spec["command"]],
                                            self.bench.proxy_cpu, self.dir,
                                            stdout=stream, stderr=stream)
        try:
            wait_for_answer(self.process, self.port)
        except RuntimeError as error:
            raise RuntimeError(f"{self.name}: {error}\n{self.log.read_text()[-1500:]}") from None

    def worker_pids(self):
        """Who carries the traffic: what Tidegate's log calls a worker, the one child of the masters
        of nginx and HAProxy, a relay itself."""
        if self.name.startswith("tidegate"):
            pids = [int(pid) for pid in re.findall(r"worker_ready pid=(\d+)", self.log.read_text())]
        else:
            pids = children(self.process.pid) or [self.process.pid]
        if len(pids) != 1:
            raise RuntimeError(f"{self.name}: {len(pids)} workers, one was meant")
        return pids

    def version(self):
        if "version" not in self.spec:
            return ""
        shown = subprocess.run([self.binary, *self.spec["version"]], capture_output=True, text=True,
                               check=True)
        return re.search(r"\d+\.\d+\.\d+[^\s/]*", shown.stdout + shown.stderr)[0]


def get(port, path, body=None):
    """Status and length of one answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        answer = connection.getresponse()
        return answer.status, len(answer.read())
    finally:
        connection.close()


def wait_for_answer(process, port):
    end = time.monotonic() + START_S_MAX
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"exited with {process.returncode}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            if get(port, "/b/1") == (200, 1):
                return
        time.sleep(0.05)
    raise RuntimeError(f"no 200 on port {port} within {START_S_MAX} s")
