"""Connections to the instances are opened before a wave that was announced."""
import datetime
import http.client
import re

import pytest

from lib.checked import Checked
from lib.load import Load
from lib.tidegate import run_cli, wait_until

TEXT = """
listen:
  - { address: "127.0.0.1:{port}" }
admin: { address: "127.0.0.1:{admin}" }
workers: 1
demand: { step: 1s, seasons: [1m, 10m] }
services:
  shop:
    fleet: static
    endpoints: ["ENDPOINT"]
    instances: { capacity: 100/s }
routes:
  - { path: /, service: shop }
"""


@pytest.fixture(name="service")
def fixture_service():
    one = Checked("one", delay_s=0.1)
    yield one
    one.stop()


def connections(one, what):
    connection = http.client.HTTPConnection("127.0.0.1", one.admin, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return sum(float(value) for value in re.findall(rf"^tidegate_upstream_connections_{what}(?:{{.*}})? (\S+)", text, re.M))


def test_connections_are_open_before_the_wave(tidegate, service):
    one = tidegate(TEXT.replace("ENDPOINT", service.address))
    load = Load(one.port, 20, threads=8).start()
    try:
        shop = lambda: one.status()["services"][0]
        wait_until(lambda: shop()["forecast_rps"], 60, "a forecast")
        assert shop()["connections_ahead"] == 0
        assert connections(one, "open") <= 8, "as many as there are visitors at once"
        start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=20)
        done = run_cli("campaign", "add", "Sale", "--start", start.strftime("%Y-%m-%dT%H:%M:%SZ"), "--for", "1h",
                       "--kind", "mail", "--multiplier", "10", cwd=one.folder)
        assert done.returncode == 0, done.stderr
        # Ten times 20 requests/s of 0.1 s each are 20 under way. The crowd never comes.
        wait_until(lambda: shop()["connections_ahead"] >= 15, 60, "that the plan sees a wave")
        wait_until(lambda: connections(one, "open") >= 15, 20, "connections ahead of it")
        assert connections(one, "opened_total") <= 100, "they are kept, not opened again and again"
    finally:
        load.stop()
