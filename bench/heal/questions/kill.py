"""One of three is killed, twenty times, and started again: what it costs visitors, and whether an order runs twice.

What was in flight there is asked a moment before it is killed: about one more for every ten kills has come since."""
import collections
import pathlib
import signal
import time

from service import Backend
from visitors import visit

TITLE = "600 requests/s over three backends of 50 ms; one is killed and started again, twenty times (half of it GET, half POST)"
COLUMNS = ["get_errors", "post_errors", "post_in_flight_there", "post_duplicates"]
BARS = {"get_errors": "0", "post_errors": "≤ in flight there", "post_duplicates": "0"}
RATE, KILLS, EVERY_S, FIRST_S = 600, 10, 1.0, 2.0


class Mortal:
    """A backend that comes back on its port."""

    def __init__(self, bench, name, log):
        self.options = {"delay_ms": 50, "id_log": log}
        self.bench, self.name = bench, name
        self.one = Backend(bench, name, **self.options)
        self.port = self.one.port
        self.running_at_death = 0

    def kill(self):
        self.running_at_death += self.one.running()
        self.one.signal(signal.SIGKILL)
        self.one.process.wait()
        self.bench.processes.remove(self.one.process)
        time.sleep(EVERY_S / 2)
        self.one = Backend(self.bench, self.name, port=self.port, **self.options)

    def requests(self):
        return self.one.requests()

    def stop(self):
        self.one.stop()


def half(bench, start, method):
    log = pathlib.Path(bench.dir) / f"ids-{method}-{time.monotonic_ns()}"
    backends = [Mortal(bench, f"b{i}", log) for i in (1, 2, 3)]
    proxy = start(backends)
    events = [(FIRST_S + i * EVERY_S, backends[i % 3].kill) for i in range(KILLS)]
    visits, _ = visit(proxy.port, RATE, FIRST_S + (KILLS + 1) * EVERY_S, events, method)
    for one in (proxy, *backends):
        one.stop()
    ids = collections.Counter(log.read_text().split()) if log.exists() else {}
    return (sum(one.status != 200 for one in visits), sum(b.running_at_death for b in backends),
            sum(n - 1 for n in ids.values()), len(visits))


def ask(bench, start):
    get_errors, _, _, gets = half(bench, start, "GET")
    post_errors, in_flight, duplicates, posts = half(bench, start, "POST")
    return {"requests": gets + posts, "get_errors": get_errors, "post_errors": post_errors,
            "post_in_flight_there": in_flight, "post_duplicates": duplicates}
