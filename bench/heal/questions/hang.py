"""One of three is stopped: it takes connections and answers nothing. Then it goes on."""
import signal
import time

from service import Backend
from visitors import percentile_ms, visit

TITLE = "600 GETs/s over three backends of 50 ms; one is stopped for five seconds, then goes on"
COLUMNS = ["bad", "slow_500ms", "p99_ms", "max_ms", "back_ms"]
BARS = {"bad": "0", "slow_500ms": "≤ 30", "back_ms": "≤ 1000"}
RATE, STOP_S, CONT_S, END_S = 600, 3, 8, 14
STEADY = 5      # requests in each of so many windows of 100 ms are traffic again


def ask(bench, start):
    backends = [Backend(bench, f"b{i}", delay_ms=50) for i in (1, 2, 3)]
    proxy = start(backends)
    back = []

    def resume():
        backends[1].signal(signal.SIGCONT)
        began, before, steady = time.monotonic(), None, 0
        while steady < STEADY and time.monotonic() - began < END_S - CONT_S - 1:
            time.sleep(0.1)
            now = backends[1].requests()
            steady = steady + 1 if before is not None and now - before >= STEADY else 0
            before = now
        back.append(1000 * (time.monotonic() - began - 0.1 * STEADY) if steady == STEADY else 99999)

    visits, _ = visit(proxy.port, RATE, END_S,
                      [(STOP_S, lambda: backends[1].signal(signal.SIGSTOP)), (CONT_S, resume)])
    for one in (proxy, *backends):
        one.stop()
    return {"requests": len(visits), "bad": sum(one.status != 200 for one in visits),
            "slow_500ms": sum(one.ms > 500 for one in visits), "p99_ms": percentile_ms(visits, 0.99),
            "max_ms": percentile_ms(visits, 1), "back_ms": back[0]}
