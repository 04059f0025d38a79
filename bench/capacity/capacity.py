"""Real instances of the example shop, one at a time, whose database pool bounds what they carry.

Measured: open-loop load straight to the instance, bisected to the highest rate whose p99 is within the objective.
Predicted: the same instance behind a fresh Tidegate that has never seen it, load rising in steps from a tenth of that;
what the API says of its capacity is noted at the end of each step. Error: of the likely value, against the measured."""
import argparse
import contextlib
import http.client
import json
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
NOTED = [0.3, 0.5, 0.7, 0.9]
CONFIG = """
listen: [ { address: "127.0.0.1:%(port)d" } ]
admin: { address: "127.0.0.1:%(admin)d" }
workers: 1
services:
  shop:
    fleet: static
    endpoints: ["127.0.0.1:%(instance)d"]
    objective: { latency: %(objective)dms, share: 99%% }
routes: [ { path: /, service: shop } ]
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port, path, patience):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    sys.exit(f"capacity.py: port {port} does not answer {path} within {patience} s")


@contextlib.contextmanager
def running(command, folder):
    with open(pathlib.Path(folder) / "log", "ab") as log, \
            subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder, self.seed = options, pathlib.Path(folder), 1

    def load(self, port, rps, seconds):
        """Open loop at `rps`; what replay reports."""
        trace, report = self.folder / "trace.csv", self.folder / "report.json"
        trace.write_text("time,requests\n" + "".join(f"{i},{rps:.2f}\n" for i in range(seconds)))
        self.seed += 1
        subprocess.run([self.options.tidegate, "replay", trace, "--to", f"http://127.0.0.1:{port}", "--seed", str(self.seed),
                        "--report", report], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return json.loads(report.read_text())

    def within(self, port, rps):
        """Whether p99 is within the objective at that rate, by the majority of three: a second is noisy."""
        votes = 0
        for _ in range(3):
            seen = self.load(port, rps, self.options.seconds)
            p99 = max((each["p99"] for each in seen["latency_ms"].values()), default=None)
            votes += p99 is not None and p99 <= self.options.objective and seen["served"] >= 0.99 * seen["requests"]
            if votes == 2:
                return True
        return False

    def measure(self, port):
        low, high = 0.0, 20.0
        while self.within(port, high):
            low, high = high, 2 * high
        while high / max(low, 1e-9) > 1.08:
            middle = (low * high) ** 0.5 if low > 0 else high / 2
            low, high = (middle, high) if self.within(port, middle) else (low, middle)
        return (low * high) ** 0.5

    def predict(self, instance, measured):
        port, admin = free_port(), free_port()
        home = self.folder / f"tidegate-{instance}"
        home.mkdir()
        (home / "shop.yaml").write_text(CONFIG % {"port": port, "admin": admin, "instance": instance,
                                                  "objective": self.options.objective})
        notes = []
        with running([self.options.tidegate, "run", "shop.yaml"], home):
            answers(port, "/", 20)
            for step in STEPS:
                self.load(port, step * measured, self.options.seconds)
                connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=5)
                connection.request("GET", "/api/v1/status")
                service = json.loads(connection.getresponse().read())["services"][0]
                notes.append({"load_ratio": step, **service["instance_capacity"]})
                print(f"  {step:.0%}: {service['instance_capacity']}", file=sys.stderr)
        return notes


def one_instance(bench, pool, seed):
    port = free_port()
    command = ["node", str(ROOT / "examples/shop/server.js"), "--port", str(port), "--pool", str(pool), "--seed", str(seed),
               "--orders", str(bench.folder / "orders.jsonl")]
    with running(command, bench.folder):
        answers(port, "/healthz", 60)
        measured = bench.measure(port)
        print(f"pool {pool}: measured {measured:.1f}/s", file=sys.stderr)
        notes = bench.predict(port, measured)
    return {"pool": pool, "measured_rps": measured, "steps": notes}


def table(rows, options):
    lines = [f"p99 within {options.objective} ms, steps of {options.seconds} s; error of the likely value, and the lower bound as a "
             "share of what was measured.", "", "| database pool | measured | " +
             " | ".join(f"seen up to {share:.0%}" for share in NOTED) + " |", "| --- | --- |" + " --- |" * len(NOTED)]
    errors = {share: [] for share in NOTED}
    for row in rows:
        cells = []
        for share in NOTED:
            note = next(n for n in row["steps"] if n["load_ratio"] == share)
            error = note["likely_rps"] / row["measured_rps"] - 1
            errors[share].append(abs(error))
            cells.append(f"{error:+.0%}, low {note['low_rps'] / row['measured_rps']:.0%} ({note['source']})")
        lines.append(f"| {row['pool']} | {row['measured_rps']:.0f}/s | " + " | ".join(cells) + " |")
    lines.append("| mean of errors | | " + " | ".join(f"{statistics.mean(errors[share]):.0%}" for share in NOTED) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tidegate", required=True)
    parser.add_argument("--json", required=True)
    parser.add_argument("--markdown", required=True)
    parser.add_argument("--pools", default="1,2,4,8")
    parser.add_argument("--objective", type=int, default=250)
    parser.add_argument("--seconds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, folder)
        rows = [one_instance(bench, int(pool), 11 + i) for i, pool in enumerate(options.pools.split(","))]
    pathlib.Path(options.json).write_text(json.dumps({"objective_ms": options.objective, "seconds": options.seconds, "instances": rows},
                                                     indent=1) + "\n")
    text = table(rows, options)
    pathlib.Path(options.markdown).write_text(text)
    print(text)


if __name__ == "__main__":
    main()
