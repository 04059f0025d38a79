"""Fixtures of the system tests: the real binary, real sockets, real signals, all on 127.0.0.1."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib.backend import Backend          # noqa: E402
from lib.proxy import Proxy, Service     # noqa: E402
from lib.tidegate import Tidegate        # noqa: E402


@pytest.fixture
def tidegate(tmp_path):
    """A function that starts Tidegate in a fresh folder; everything it started ends with the test."""
    running = []

    def start(config=None, arguments=None, **options):
        one = Tidegate(tmp_path, config=config, arguments=arguments, **options)
        running.append(one)
        one.start()
        return one

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def backend():
    """A function that starts a small HTTP server in this process."""
    running = []

    def start(**options):
        one = Backend(**options)
        running.append(one)
        return one

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def echo():
    """A proxy in front of a service that answers what it got."""
    with Service() as service, Proxy(service.port) as proxy:
        proxy.service = service
        yield proxy
