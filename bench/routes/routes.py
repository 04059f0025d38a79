#!/usr/bin/env python3
"""What 5,000 routes cost beside 5: instructions a request, time to apply, memory.

  bench/routes/routes.py [--build build] [--many 5000] [--json FILE]

Instructions are counted by callgrind in one worker (tests/system/worker_harness), as the difference
of a long and a short run over one connection, so that start and end do not count. Time and memory are
those of the real binary: from SIGHUP to the first answer of the new routes, and the proportional set
size (PSS) of all its processes."""
import argparse
import http.client
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
from lib.backend import Backend  # noqa: E402
from lib.proxy import Service  # noqa: E402

FEW = 5
REQUESTS_SHORT, REQUESTS_LONG = 200, 1200
BAR_INSTRUCTIONS, BAR_APPLY_MS, BAR_MEMORY_MIB = 1.03, 200, 40
RELOADS = 7


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- instructions ----

def ask_often(port, path, count):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(count):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        answer.read()
    connection.close()


def instructions(build, routes, requests):
    """Of a worker that carried so many requests."""
    with Service() as service, tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out",
             str(build / "tests/system/worker_harness"), "--listen", "127.0.0.1:0", "--in-process",
             "--many-routes", str(routes), "--endpoint", f"127.0.0.1:{service.port}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = int(process.stdout.readline().split()[1])
        ask_often(port, f"/shop-{routes // 2}/articles/7?size=4", requests)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        return int(re.search(r"^(?:summary|totals): (\d+)",
                             pathlib.Path(folder, "out").read_text(), re.M).group(1))


def instructions_per_request(build, routes):
    short, long = (instructions(build, routes, count) for count in (REQUESTS_SHORT, REQUESTS_LONG))
    return (long - short) / (REQUESTS_LONG - REQUESTS_SHORT)


# ---- time and memory ----

def config(port, admin, backend, routes, marker):
    lines = [f'listen: [ {{ address: "127.0.0.1:{port}" }} ]', f'admin: {{ address: "127.0.0.1:{admin}" }}',
             "workers: 1", f'services: {{ shop: {{ fleet: static, endpoints: ["{backend}"] }} }}', "routes:"]
    lines += [f"  - {{ path: /shop-{i}/articles, service: shop }}" for i in range(routes - 1)]
    return "\n".join([*lines, f"  - {{ path: /{marker}, service: shop }}", ""])


def status(port, path):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def wait(port, path, seconds=30):
    end = time.monotonic() + seconds
    while status(port, path) != 200:
        assert time.monotonic() < end, f"{path} is not answered"


def tree(pid):
    found = [pid]
    for each in found:
        found += [int(child) for task in pathlib.Path(f"/proc/{each}/task").glob("*")
                  for child in (task / "children").read_text().split()]
    return found


def pss_mib(pid):
    return sum(int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{each}/smaps_rollup").read_text(),
                             re.M).group(1)) for each in tree(pid)) / 1024


def apply_and_weigh(build, routes):
    """Milliseconds of the median reload, and MiB after all of them."""
    backend, port, admin = Backend(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "shop.yaml")
        file.write_text(config(port, admin, backend.address, routes, "marker-0"))
        process = subprocess.Popen([str(build / "tidegate"), "run", "shop.yaml"], cwd=folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait(port, "/marker-0")
            times = []
            for number in range(1, RELOADS + 1):
                file.write_text(config(port, admin, backend.address, routes, f"marker-{number}"))
                began = time.monotonic()
                process.send_signal(signal.SIGHUP)
                wait(port, f"/marker-{number}")
                times.append((time.monotonic() - began) * 1000)
            return sorted(times)[RELOADS // 2], pss_mib(process.pid)
        finally:
            process.terminate()
            process.wait(30)
            backend.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=ROOT / "build", type=pathlib.Path)
    parser.add_argument("--many", default=5000, type=int)
    parser.add_argument("--json", type=pathlib.Path)
    asked = parser.parse_args()
    build = asked.build.resolve()
    few, many = (instructions_per_request(build, count) for count in (FEW, asked.many))
    (few_ms, few_mib), (many_ms, many_mib) = (apply_and_weigh(build, count) for count in (FEW, asked.many))
    result = {"routes": asked.many, "instructions_few": round(few), "instructions_many": round(many),
              "ratio": round(many / few, 4), "apply_ms_few": round(few_ms, 1), "apply_ms": round(many_ms, 1),
              "memory_mib_few": round(few_mib, 1), "memory_mib": round(many_mib, 1),
              "memory_mib_of_routes": round(many_mib - few_mib, 1)}
    print(json.dumps(result, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")
    met = (result["ratio"] <= BAR_INSTRUCTIONS and result["apply_ms"] <= BAR_APPLY_MS
           and result["memory_mib_of_routes"] <= BAR_MEMORY_MIB)
    print(f"bars (ratio <= {BAR_INSTRUCTIONS}, apply <= {BAR_APPLY_MS} ms, memory <= {BAR_MEMORY_MIB} MiB): "
          f"{'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
