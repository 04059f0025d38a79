"""One running Tidegate: started in a folder of its own, asked over its API, always stopped."""
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

from .ports import free_port

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("TIDEGATE", ROOT / "build" / "tidegate")).resolve()
START_S = 60


def wait_until(condition, seconds, what):
    """The first true value of condition(); fails the test when `seconds` have gone."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def run_cli(*arguments, timeout=240, **options):
    return subprocess.run([str(BINARY), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, check=False, **options)


def alive(pid):
    """Whether the process runs: a zombie does not."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


class Tidegate:
    """`config` is the text of shop.yaml, with {port} and {admin} for its ports; without one,
    `arguments` follow `run` (e.g. ["--to", "127.0.0.1:3000"])."""

    def __init__(self, folder, config=None, arguments=None, wait="serving", environment=None):
        self.folder = pathlib.Path(folder)
        self.port, self.admin = free_port(), free_port()
        self.config_path = self.folder / "shop.yaml"
        self.wait, self.environment = wait, environment or {}
        if config is not None:
            self.write_config(config)
            self.arguments = ["shop.yaml"]
        else:
            self.arguments = [*arguments, "--listen", f"127.0.0.1:{self.port}"]
        self.log_path = self.folder / "tidegate.log"
        self.process = None

    def write_config(self, text):
        text = text.replace("{port}", str(self.port)).replace("{admin}", str(self.admin))
        self.config_path.write_text(text)

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(BINARY), "run", *self.arguments], cwd=self.folder,
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.environment})
        if self.wait == "serving":
            self.wait_serving(1)
        elif self.wait == "up":
            self.wait_api()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_api(self):
        def ready():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()}"
            with contextlib.suppress(OSError, ValueError):
                return self.status()
            return None
        return wait_until(ready, START_S, f"the API answers\n{self.log()}")

    def wait_serving(self, count, service=None, seconds=START_S):
        """Waits until `count` instances of the service (of the first one) serve; returns them."""
        self.wait_api()

        def serving():
            found = [each for each in self.instances(service) if each["state"] == "serving"]
            return found if len(found) >= count else None
        return wait_until(serving, seconds, f"{count} instances serve\n{self.log()}")

    def api(self, path, method="GET"):
        """An answer of the API, over the control socket in the state folder."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(str(self.folder / "var" / "tidegate.sock"))
            connection = http.client.HTTPConnection("localhost")
            connection.sock = s
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status < 400, f"{path}: {answer.status} {body[:300]}"
            return json.loads(body) if body else None

    def status(self):
        return self.api("/api/v1/status")

    def instances(self, service=None):
        services = self.status()["services"]
        return [i for s in services if service in (None, s["name"]) for i in s["instances"]]

    def service(self, name=None):
        """The status of the service of that name, or of the first one."""
        return next(s for s in self.status()["services"] if name in (None, s["name"]))

    def kill_controller(self):
        """Returns when another one answers."""
        killed = self.status()["controller"]
        os.kill(killed, signal.SIGKILL)

        def succeeded():
            with contextlib.suppress(OSError, ValueError):
                return self.status()["controller"] != killed
            return False
        wait_until(succeeded, START_S, f"another controller answers\n{self.log()}")

    def metrics(self):
        """The text of /metrics."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def announce(self, ahead_s, multiplier):
        """A campaign of an hour that begins in `ahead_s` seconds."""
        start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=ahead_s)
        done = run_cli("campaign", "add", "Sale", "--start", start.strftime("%Y-%m-%dT%H:%M:%SZ"), "--for", "1h",
                       "--kind", "mail", "--multiplier", multiplier, cwd=self.folder)
        assert done.returncode == 0, done.stderr

    def decisions(self):
        return self.api("/api/v1/decisions?limit=500")["decisions"]

    def get(self, path="/", headers=None, method="GET", body=None, timeout=10):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            answer.body = answer.read()
            return answer
        finally:
            connection.close()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, seconds=30):
        """Ends it as a service manager would; kills what is left. Returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise
        finally:
            self.kill_everything()
        return self.process.returncode

    def kill_everything(self):
        """Whatever still runs with this folder's mark or as our child: a failed test must not leak."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for folder in pathlib.Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if os.readlink(folder / "cwd") == str(self.folder) and int(folder.name) != os.getpid():
                    os.kill(int(folder.name), signal.SIGKILL)
