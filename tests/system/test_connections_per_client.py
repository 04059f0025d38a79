"""One client's connections at its limit: an idle one gives way, else the new one is held for a second, then served or reset."""
import time

import pytest

from lib.proxy import REAL, Proxy, Service
from lib.raw import Raw
from lib.tidegate import wait_until

pytestmark = pytest.mark.skipif(REAL, reason="sets limits and looks at the worker's counters")

GET = "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
HALF = "GET / HTTP/1.1\r\n"
SETTLED_S = 0.6    # after half a second of nothing a connection gives way
HELD_S = 1


@pytest.fixture
def proxy():
    with Service() as service, Proxy(service.port, limits={"connections_per_client": 2}) as one:
        yield one


def served(connection):
    connection.send(GET)
    return connection.read_response().status == 200


def busy(proxy):
    """A connection that does not give way."""
    one = Raw(proxy.port)
    one.send(HALF)
    return one


def held(proxy, count):
    return proxy.wait(lambda v: v["client_held"] == count)


def test_an_idle_connection_gives_way_to_a_new_one(proxy):
    with Raw(proxy.port) as first, busy(proxy):
        assert served(first)
        time.sleep(SETTLED_S)
        with Raw(proxy.port) as third:
            assert served(third)
            assert first.ended()
    vitals = proxy.vitals()
    assert (vitals["client_gave_way"], vitals["client_held"], vitals["client_refused"]) == (1, 0, 0)


def test_one_that_was_just_opened_does_not_give_way(proxy):
    """Or a flood that opens anew what was closed would have us open and close without end."""
    with Raw(proxy.port) as first, Raw(proxy.port) as second, Raw(proxy.port) as third:
        held(proxy, 1)
        assert served(third)    # a second later the first has been idle for long enough
        assert first.ended() and served(second)
    assert proxy.vitals()["client_gave_way"] == 1


def test_who_is_held_is_served_when_there_is_room(proxy):
    with busy(proxy) as first, busy(proxy), Raw(proxy.port) as third:
        third.send(GET)
        held(proxy, 1)
        first.close()
        assert third.read_response().status == 200
    assert proxy.vitals()["client_refused"] == 0


def test_who_was_held_may_upload_as_before(proxy):
    with busy(proxy) as first, busy(proxy), Raw(proxy.port) as third:
        held(proxy, 1)
        first.close()
        body = bytes(8 << 20)
        third.send(f"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        assert third.read_response().body == body


def test_who_is_held_is_reset_when_there_is_none(proxy):
    with busy(proxy), busy(proxy):
        begun = time.monotonic()
        with Raw(proxy.port) as third:
            assert third.ended(10) and time.monotonic() - begun >= HELD_S * 0.9
        assert proxy.vitals()["client_refused"] == 1


def test_held_ones_are_not_waited_for(proxy):
    first, second, third = busy(proxy), busy(proxy), Raw(proxy.port)
    held(proxy, 1)
    for one in (first, second):
        one.close()
    begun = time.monotonic()
    assert proxy.stop() == 0
    assert third.ended() and time.monotonic() - begun < 5
    third.close()


def test_somebody_else_is_served_meanwhile(proxy):
    with busy(proxy), busy(proxy), Raw(proxy.port):
        held(proxy, 1)
        with Raw(proxy.port, source="127.0.0.2") as other:
            assert served(other)
    wait_until(lambda: proxy.vitals()["open"] == 0, 10, "all are gone")
