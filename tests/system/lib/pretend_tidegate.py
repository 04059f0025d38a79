#!/usr/bin/env python3
"""Stands in for the binary where only rehearse.py is under test: `run` answers the API from
processes that sleep, notices those that die or stop, and starts others; `replay` waits and reports;
`backtest` prints fixed numbers. PRETEND=die-early|replay-fails|never-opens|opens-late|leaves-orphans makes it
misbehave; opens-late serves the second time that it is started."""
import datetime
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

MODE = os.environ.get("PRETEND", "")


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")


class Fleet:
    def __init__(self, mark, late):
        self.late = late
        self.lock, self.number, self.mark = threading.RLock(), 0, mark
        self.instances, self.decisions = {}, []
        for _ in range(3):
            self.add()

    def add(self):
        self.number += 1
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", self.mark],
                                 start_new_session=True)
        self.instances[f"storefront-{self.number}"] = child

    def stopped(self, child):
        stat = pathlib.Path(f"/proc/{child.pid}/stat").read_text()
        return stat.rsplit(")", 1)[1].split()[0] == "T"

    def watch(self):
        while True:
            time.sleep(0.05)
            with self.lock:
                for name, child in list(self.instances.items()):
                    if child.poll() is not None or self.stopped(child):
                        child.kill()
                        del self.instances[name]
                        self.add()
                        self.decide(name, "eject", 3.0, None)
                        self.decide(f"storefront-{self.number}", "promote", 3.0, 33.0)

    def decide(self, subject, action, noticed_ms, healed_ms):
        self.decisions.append({
            "id": len(self.decisions) + 1, "time": now(), "kind": "heal", "subject": subject,
            "action": action, "noticed_ms": noticed_ms, "healed_ms": healed_ms})

    def status(self):
        with self.lock:
            state = "starting" if MODE == "never-opens" or self.late else "serving"
            instances = [{"id": name, "pid": child.pid, "state": state}
                         for name, child in self.instances.items()]
        return {"services": [{
            "name": "storefront", "demand_rps": 90, "forecast_rps": 95, "capacity_rps": 300,
            "refused_rps": 0, "failed_rps": 0, "latency_ms": {"p50": 30, "p95": 60, "p99": None},
            "instance_capacity_rps": 100, "lead_ms": 2500, "instances": instances}]}


def run(config):
    text = pathlib.Path(config).read_text()
    admin = int(re.search(r"^admin: .*127\.0\.0\.1:(\d+)", text, re.M)[1])
    first = pathlib.Path(config).with_name("was-started")
    late = MODE == "opens-late" and not first.exists()
    first.touch()
    fleet = Fleet(re.search(r'--orders, "([^"]+)"', text)[1], late)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            found = fleet.status() if "status" in self.path else {"decisions": fleet.decisions}
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def stop(*_):
        if MODE != "leaves-orphans":
            for child in fleet.instances.values():
                child.kill()
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=fleet.watch, daemon=True).start()
    if MODE == "die-early":
        threading.Timer(7, lambda: (print("tidegate: the end", flush=True), stop())).start()
    http.server.ThreadingHTTPServer(("127.0.0.1", admin), Handler).serve_forever()


def replay(arguments):
    rows = pathlib.Path(arguments[0]).read_text().splitlines()[1:]
    time.sleep(len(rows) * 300 / float(arguments[arguments.index("--speed") + 1]))
    if MODE == "replay-fails":
        print("replay: no")
        return 3
    pathlib.Path(arguments[arguments.index("--report") + 1]).write_text(json.dumps({
        "requests": 5000, "served": 4990, "refused": 10, "failed": 0,
        "latency_ms": {"browse": {"p50": 30.04, "p95": 50, "p99": 90}}}))
    return 0


def backtest():
    policy = {"instance_hours": 0.05, "cost": 0.005, "unserved_requests": 700, "max_instances": 6}
    print(json.dumps({"reactive": policy, "predictive": {**policy, "unserved_requests": 100}}))
    return 0


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    sys.exit({"run": lambda: run(rest[0]), "replay": lambda: replay(rest),
              "backtest": backtest}[verb]())
