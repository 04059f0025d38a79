"""Fixtures of the system tests: the real binary, real sockets, real signals, all on 127.0.0.1."""
import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib.backend import Backend          # noqa: E402
from lib.checked import Checked          # noqa: E402
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


def several(make):
    """What a fixture yields: a function that makes one more; all are stopped after the test."""
    with contextlib.ExitStack() as running:
        def start(*arguments, **options):
            one = make(*arguments, **options)
            running.callback(one.stop)
            return one

        yield start


@pytest.fixture
def backend():
    """Starts a small HTTP server in this process."""
    yield from several(Backend)


@pytest.fixture
def checked():
    """Starts a service whose health the test decides."""
    yield from several(Checked)


@pytest.fixture
def echo():
    """A proxy in front of a service that answers what it got."""
    with Service() as service, Proxy(service.port) as proxy:
        proxy.service = service
        yield proxy
