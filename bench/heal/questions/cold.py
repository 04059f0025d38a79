"""A fourth backend joins three under load. It is cold: its first 200 requests take ten times as long.

A 99th percentile does not feel what fewer than one in a hundred meets: cold_share is of all requests, from its coming to
its last cold one, those that it got. p99 is the median of windows of five seconds: a burst of other work on the machine is in
few of them."""
import statistics
import time

from service import Backend
from visitors import percentile_ms, visit

TITLE = "600 GETs/s over three backends of 5 ms; a fourth joins whose first 200 requests take 50 ms"
COLUMNS = ["p99_before_ms", "p99_after_ms", "p99_ratio", "cold_share", "warm_after_s", "new_share_end", "bad"]
BARS = {"p99_ratio": "≤ 1.3", "cold_share": "< 0.01", "bad": "0"}
RATE, COLD, BEGIN_S, JOIN_S, END_S, WINDOW_S = 600, 200, 1, 11, 136, 5


def p99_ms(visits, begin, end):
    windows, at = [], begin
    while at + WINDOW_S <= end:
        windows.append(percentile_ms([one for one in visits if at <= one.due < at + WINDOW_S], 0.99))
        at += WINDOW_S
    return statistics.median(windows)


def ask(bench, start):
    backends = [Backend(bench, f"b{i}", delay_ms=5) for i in (1, 2, 3)]
    cold = Backend(bench, "b4", delay_ms=5, cold=COLD)
    proxy = start(backends)
    seen = {}

    def all_requests():
        return sum(b.requests() for b in (*backends, cold))

    def join():
        began, before = time.monotonic(), all_requests()
        proxy.reload([*backends, cold])
        while cold.requests() < COLD and time.monotonic() - began < END_S - JOIN_S - 4:
            time.sleep(0.1)
        seen["cold"] = min(cold.requests(), COLD) / max(1, all_requests() - before)
        seen["after"] = time.monotonic() - began

    def mark(name):
        seen[name] = [b.requests() for b in (*backends, cold)]

    visits, times = visit(proxy.port, RATE, END_S, [
        (BEGIN_S, lambda: None), (JOIN_S, join), (END_S - 3, lambda: mark("near")), (END_S - 0.2, lambda: mark("end"))])
    begun, joined = sorted(times)[:2]
    served = [end - near for end, near in zip(seen["end"], seen["near"])]
    for one in (proxy, *backends, cold):
        one.stop()
    before, after = p99_ms(visits, begun, joined), p99_ms(visits, joined, joined + seen["after"] + WINDOW_S)
    return {"requests": len(visits), "bad": sum(one.status != 200 for one in visits),
            "p99_before_ms": before, "p99_after_ms": after, "p99_ratio": after / before,
            "cold_share": seen["cold"], "warm_after_s": seen["after"],
            "new_share_end": served[3] / max(1, sum(served))}
