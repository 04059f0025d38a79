"""Connections to the instances are opened before a wave that was announced."""
import re

from lib.load import Load
from lib.shops import static_shop
from lib.tidegate import wait_until

def connections(one, what):
    return sum(float(value) for value in
               re.findall(rf"^tidegate_upstream_connections_{what}(?:{{.*}})? (\S+)", one.metrics(), re.M))


def test_connections_are_open_before_the_wave(tidegate, checked):
    one = tidegate(static_shop(checked(delay_s=0.1), keys=["instances: { capacity: 100/s }"],
                               more="demand: { step: 1s, seasons: [1m, 10m] }"))
    load = Load(one.port, 20, threads=8).start()
    try:
        wait_until(lambda: one.service()["forecast_rps"], 60, "a forecast")
        assert one.service()["connections_ahead"] == 0
        assert connections(one, "open") <= 8, "as many as there are visitors at once"
        one.announce(20, multiplier=10)
        # Ten times 20 requests/s of 0.1 s each are 20 under way. The crowd never comes.
        wait_until(lambda: one.service()["connections_ahead"] >= 15, 60, "that the plan sees a wave")
        wait_until(lambda: connections(one, "open") >= 15, 20, "connections ahead of it")
        assert connections(one, "opened_total") <= 100, "they are kept, not opened again and again"
    finally:
        load.stop()
