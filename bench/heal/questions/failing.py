"""One of four begins to answer 500 at once, a hundred times as fast as the others answer at all."""
import asyncio
import signal

from service import Backend, closed_loop

TITLE = "Four backends of 20 ms, 32 clients; from the third second on the fourth fails at once"
COLUMNS = ["rps", "errors_1s", "errors_1s_share", "share_after_100ms", "errors_later_share"]
BARS = {"errors_1s_share": "≤ 0.002", "share_after_100ms": "≤ 0.02"}
BEGINS_S, SECONDS = 3, 7


def ask(bench, start):
    backends = [Backend(bench, f"b{i}", delay_ms=20) for i in (1, 2, 3, 4)]
    proxy = start(backends)
    seen = {}

    def fail():
        seen["at_100ms"] = None
        backends[3].signal(signal.SIGUSR1)

    def count(key):
        seen[key] = [b.requests() for b in backends]

    answers, times = asyncio.run(closed_loop(
        proxy.port, 32, SECONDS, [(BEGINS_S, fail), (BEGINS_S + 0.1, lambda: count("at_100ms")),
                                  (SECONDS - 0.1, lambda: count("end"))]))
    begin = times[0]
    first = [a for a in answers if begin <= a.done < begin + 1]
    later = [a for a in answers if a.done >= begin + 1]
    served = [end - before for end, before in zip(seen["end"], seen["at_100ms"])]
    errors = sum(a.status != 200 for a in first)
    row = {"rps": len(answers) / SECONDS, "requests": len(answers),
           "errors_1s": errors, "errors_1s_share": errors / max(1, len(first)),
           "share_after_100ms": served[3] / max(1, sum(served)),
           "errors_later_share": sum(a.status != 200 for a in later) / max(1, len(later))}
    for one in (proxy, *backends):
        one.stop()
    return row
