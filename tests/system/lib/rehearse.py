"""One rehearsal of the example shop: started, always ended, nothing of it left."""
import os
import pathlib
import subprocess
import sys
import time

import pytest

from .tidegate import ROOT, alive

SHOP = ROOT / "examples" / "shop"
PRETEND = pathlib.Path(__file__).resolve().parent / "pretend_tidegate.py"
QUICK_S = 180
FIELDS = {"requests", "served", "refused", "failed", "latency_ms", "instance_hours", "cost",
          "max_instances", "reactive", "faults"}


class Run:
    def __init__(self, folder, *options, binary=PRETEND, mode=""):
        self.folder, self.out = folder, folder / "out" / "rehearsal.json"
        self.log_path = folder / "rehearse.log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SHOP / "rehearse.py"), "--binary", str(binary), "--quick",
                 "--state", str(folder / "state"), "--out", str(self.out), *options],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder,
                env={**os.environ, "PRETEND": mode})

    def log(self):
        return self.log_path.read_text()

    def until(self, text):
        """Waits for a text in the log; what it says instead, if it ends before or takes QUICK_S."""
        end = time.monotonic() + QUICK_S
        while text not in self.log():
            ended = self.process.poll()
            assert ended is None or text in self.log(), f"it ended with {ended}, without {text!r}:\n{self.log()}"
            assert time.monotonic() < end, f"not within {QUICK_S} s: {text!r}\n{self.log()}"
            time.sleep(0.05)

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(60)
            raise AssertionError(f"not done within {seconds} s:\n{self.log()}") from None

    def leftovers(self):
        """Processes whose command line names our folder, or that work in it."""
        found = []
        for folder in pathlib.Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and alive(int(folder.name)) and str(self.folder) in (
                        folder / "cmdline").read_text() + os.readlink(folder / "cwd"):
                    found.append(int(folder.name))
            except OSError:
                continue
        return found


@pytest.fixture
def rehearse(tmp_path):
    running = []

    def start(*options, **more):
        running.append(Run(tmp_path, *options, **more))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.terminate()
            one.process.wait(60)
        assert one.leftovers() == [], one.log()
