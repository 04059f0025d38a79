"""The processes of a rehearsal: all that is started here is gone in the end, however it ends."""
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

API_TIMEOUT_S = 3
STOP_S = 35          # Tidegate lets visitors finish and drains its instances
BACKTEST_S = 120


class Broke(Exception):
    """The rehearsal cannot go on; the text says why."""


def free_port(wanted=None):
    """`wanted` if nobody has it, else any below those that the kernel gives to outgoing connections."""
    for port in ([wanted] if wanted else []) + random.sample(range(15000, 20000), 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Broke("no port is free on 127.0.0.1")


def tail(path, lines=15):
    text = pathlib.Path(path).read_text(errors="replace") if os.path.exists(path) else ""
    return "\n".join(text.splitlines()[-lines:])


class Tidegate:
    """`tidegate run` on the rehearsal's configuration, in a session of its own: Ctrl-C is ours."""

    def __init__(self, binary, config, admin, mark, log):
        """`mark` is a path that stands in the command line of each instance, and nowhere else."""
        self.admin, self.mark, self.log = admin, mark, log
        with open(log, "wb") as out:
            self.process = subprocess.Popen([binary, "run", str(config)], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, start_new_session=True)

    def check_alive(self):
        if self.process.poll() is not None:
            raise Broke(f"tidegate ended with status {self.process.returncode}:\n{tail(self.log)}")

    def api(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=API_TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise Broke(f"{path}: {answer.status} {body[:200]!r}")
            return json.loads(body)
        finally:
            connection.close()

    def service(self):
        """The first service of the status, None when the API does not answer just now."""
        try:
            status = self.api("/api/v1/status")
        except (OSError, http.client.HTTPException, ValueError):
            self.check_alive()
            return None
        return status["services"][0] if status["services"] else None

    def decisions(self):
        return self.api("/api/v1/decisions?limit=1000")["decisions"]

    def stop(self):
        """As a service manager would; then whatever is still there."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                kill_session(self.process.pid)
                self.process.wait()
        kill_session(self.process.pid)
        kill_marked(self.mark)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def processes():
    return [int(folder.name) for folder in pathlib.Path("/proc").iterdir() if folder.name.isdigit()]


def kill_session(leader):
    """Members of the session that `leader` (a child of ours) opened."""
    for pid in processes():
        try:
            if os.getsid(pid) == leader:
                kill(pid)
        except OSError:
            continue


def kill_marked(mark):
    """Instances that outlived Tidegate, stopped ones too."""
    for pid in processes():
        try:
            arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(mark) in arguments:
            kill(pid)


class Replay:
    """Open-loop visitors, by `tidegate replay`."""

    def __init__(self, binary, trace, port, speed, scale, report, log):
        self.report, self.log = report, log
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                [binary, "replay", str(trace), "--to", f"http://127.0.0.1:{port}",
                 "--speed", str(speed), "--scale", str(scale), "--sessions",
                 "--report", str(report)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def running(self):
        return self.process.poll() is None

    def result(self):
        """The report, once it has ended."""
        if self.process.returncode != 0:
            raise Broke(f"tidegate replay ended with status {self.process.returncode}:\n"
                        f"{tail(self.log)}")
        found = json.loads(pathlib.Path(self.report).read_text())
        missing = [name for name in ("requests", "served", "refused", "failed", "latency_ms")
                   if name not in found]
        if missing:
            raise Broke(f"{self.report}: expected {', '.join(missing)}")
        return found

    def stop(self):
        kill_session(self.process.pid)
        self.process.wait()


def backtest(binary, trace, config, unit_rps, startup_ms):
    """What the policies would have done: {policy: result}, by `tidegate backtest`."""
    done = subprocess.run(
        [binary, "backtest", str(trace), "--config", str(config), "--policy", "reactive",
         "--policy", "predictive", "--unit-capacity", f"{unit_rps:.1f}/s",
         "--startup", f"{max(1, round(startup_ms))}ms", "--json"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BACKTEST_S, check=False)
    if done.returncode != 0:
        raise Broke(f"tidegate backtest ended with status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def wait_for(condition, deadline):
    """The first true value of condition() before the unix time `deadline`; else None."""
    while True:
        value = condition()
        if value or time.time() >= deadline:
            return value or None
        time.sleep(0.1)
