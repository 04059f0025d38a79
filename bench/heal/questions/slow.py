"""One of four is ten times as slow as the others. It is not broken: who leaves it out is faster."""
import re

from service import Backend

TITLE = "Four backends of 5, 5, 5 and 50 ms, 32 clients in a closed loop"
COLUMNS = ["rps", "p50_ms", "p99_ms", "slow_share", "bad"]
BARS = {"p99_ms": "≤ 10", "rps": "≥ 1.15 of the best peer"}
SECONDS = 4
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def wrk(bench, port, seconds):
    output = bench.load(["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency",
                         f"http://127.0.0.1:{port}/"])
    row = {"requests": int(re.search(r"(\d+) requests in", output)[1]),
           "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]),
           "bad": sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", output))}
    for share, value, unit in re.findall(r"\s(50|99)%\s+([\d.]+)(us|ms|s)", output):
        row[f"p{share}_ms"] = float(value) * UNITS[unit]
    return row


def ask(bench, start):
    backends = [Backend(bench, f"b{i}", delay_ms=50 if i == 4 else 5) for i in (1, 2, 3, 4)]
    proxy = start(backends)
    wrk(bench, proxy.port, 1)       # what it learns in the first second is its to keep
    before = [b.requests() for b in backends]
    row = wrk(bench, proxy.port, SECONDS)
    served = [b.requests() - n for b, n in zip(backends, before)]
    row["slow_share"] = served[3] / max(1, sum(served))
    for one in (proxy, *backends):
        one.stop()
    return row
