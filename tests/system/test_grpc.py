"""gRPC end to end, with the real thing (Debian's python3-grpcio) on both sides: all four kinds of call,
metadata and trailers, deadlines, cancelling, our own answers, and health."""
import concurrent.futures
import threading
import time

import pytest

from lib import debian  # noqa: F401 (makes the next import work)
from lib.h2peer import Client, H2Service
from lib.proxy import REAL, Proxy
from lib.tidegate import free_port, wait_until

import grpc

harness_only = pytest.mark.skipif(REAL, reason="the service's protocol is set in the harness")


def unary(request, context):
    context.set_trailing_metadata((("x-trailing", "t"),))
    context.send_initial_metadata((("x-initial", dict(context.invocation_metadata()).get("x-asked", "-")),))
    return request[::-1]


def count(request, _):
    for i in range(int(request)):
        yield str(i).encode()


def total(requests, _):
    return str(sum(int(request) for request in requests)).encode()


def chat(requests, _):
    for request in requests:
        yield request.upper()


class Slow:
    def __init__(self):
        self.begun, self.cancelled = threading.Event(), threading.Event()

    def __call__(self, _, context):
        context.add_callback(self.cancelled.set)
        self.begun.set()
        for _ in range(1000):
            if not context.is_active():
                break
            time.sleep(0.02)
        return b"late"


def denied(_, context):
    context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you: ü%")


class GrpcServer:
    """`health` is what grpc.health.v1 answers: 1 SERVING, 2 NOT_SERVING."""

    def __init__(self):
        self.slow, self.health = Slow(), 1
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Test", {
            "Unary": grpc.unary_unary_rpc_method_handler(unary),
            "Count": grpc.unary_stream_rpc_method_handler(count),
            "Total": grpc.stream_unary_rpc_method_handler(total),
            "Chat": grpc.stream_stream_rpc_method_handler(chat),
            "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            "Denied": grpc.unary_unary_rpc_method_handler(denied),
        }), grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
            "Check": grpc.unary_unary_rpc_method_handler(lambda request, _: bytes([8, self.health])),
        })))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(0).wait(5)


@pytest.fixture
def server():
    with GrpcServer() as one:
        yield one


@pytest.fixture
def channel(server):
    if REAL:
        pytest.skip("the service's protocol is set in the harness")
    with Proxy(server.port, limits={"protocol": 1}) as proxy, \
            grpc.insecure_channel(f"127.0.0.1:{proxy.port}") as one:
        one.proxy = proxy
        yield one


def test_the_four_kinds_of_call(channel):
    answer, call = channel.unary_unary("/shop.Test/Unary").with_call(b"abc", metadata=(("x-asked", "a"),), timeout=10)
    assert answer == b"cba"
    assert dict(call.initial_metadata())["x-initial"] == "a"
    assert dict(call.trailing_metadata())["x-trailing"] == "t"
    assert list(channel.unary_stream("/shop.Test/Count")(b"1000", timeout=10)) == [str(i).encode() for i in range(1000)]
    assert channel.stream_unary("/shop.Test/Total")(iter([b"1", b"2", b"3"]), timeout=10) == b"6"
    large = b"x" * 1_000_000
    assert channel.unary_unary("/shop.Test/Unary")(large, timeout=10) == large


def test_a_conversation_goes_back_and_forth(channel):
    said, answers = iter([b"one", b"two", b"three"]), []
    turn = threading.Semaphore(1)

    def requests():
        for word in said:
            assert turn.acquire(timeout=10)
            yield word

    for answer in channel.stream_stream("/shop.Test/Chat")(requests(), timeout=10):
        answers.append(answer)
        turn.release()  # the next word only when this one was answered
    assert answers == [b"ONE", b"TWO", b"THREE"]


def test_many_calls_at_once(channel):
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        call = channel.unary_unary("/shop.Test/Unary")
        answers = list(pool.map(lambda i: call(f"{i:04d}".encode(), timeout=20), range(500)))
    assert answers == [f"{i:04d}".encode()[::-1] for i in range(500)]
    assert channel.proxy.vitals()["upstream_opened"] <= 2


def test_the_services_own_errors_come_through(channel):
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary("/shop.Test/Denied")(b"", timeout=10)
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.PERMISSION_DENIED, "not you: ü%")
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary("/shop.Test/Nothing")(b"", timeout=10)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_call_that_is_cancelled_is_cancelled_at_the_service(channel, server):
    call = channel.unary_unary("/shop.Test/Slow").future(b"")
    assert server.slow.begun.wait(10)
    call.cancel()
    assert server.slow.cancelled.wait(10)


def test_a_deadline_ends_the_call_and_blames_nobody(channel, server):
    for seconds in (0.3, 1, 3):  # where the machine took that time, the call has not come to the service: a longer one
        begun = time.monotonic()
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary("/shop.Test/Slow")(b"", timeout=seconds)
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - begun < seconds + 9
        if server.slow.begun.is_set():
            break
    assert server.slow.cancelled.wait(10)
    assert channel.proxy.vitals()["endpoints"][0]["failures"] == 0


def call_fields(timeout=None):
    fields = [(":method", "POST"), (":scheme", "http"), (":authority", "shop.test"), (":path", "/shop.Test/X"),
              ("content-type", "application/grpc+proto"), ("te", "trailers")]
    return fields + ([("grpc-timeout", timeout)] if timeout else [])


@harness_only
@pytest.mark.parametrize("timeout, seconds", [("200m", 0.2), ("200000u", 0.2), ("1S", 1.0)])
def test_a_deadline_is_kept_by_us_when_the_client_does_not(timeout, seconds):
    with H2Service(lambda peer, stream: None) as service, Proxy(service.port, limits={"protocol": 1}) as proxy, \
            Client(proxy.port) as client:
        for _ in range(5):  # where the machine took that time, the call has not come to the service: another one
            begun = time.monotonic()
            stream = client.wait(client.open_raw(call_fields(timeout)))
            assert seconds <= time.monotonic() - begun < seconds + 9
            assert (stream.status, stream.field("grpc-status"), stream.body) == (200, "4", b"")
            if service.requests:
                break
        wait_until(lambda: service.requests and service.requests[0].reset == 8, 10, "the service is told")


@harness_only
def test_our_own_answers_are_trailers_only():
    port = free_port()  # nobody is there
    with Proxy(port, limits={"protocol": 1, "patience_ms": 200}) as proxy, \
            grpc.insecure_channel(f"127.0.0.1:{proxy.port}") as channel:
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary("/shop.Test/Unary")(b"", timeout=10)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        with Client(proxy.port) as client:
            stream = client.wait(client.open_raw(call_fields()))
            assert (stream.status, stream.field("grpc-status")) == (200, "14")
            assert stream.field("content-type") == "application/grpc" and stream.field("content-length") is None
            assert stream.trailers is None
            # What is not gRPC gets what it always got.
            assert client.get("/").status == 503


CONFIG = """
listen: [ {{ address: "127.0.0.1:{{port}}" }} ]
admin: {{ address: "127.0.0.1:{{admin}}" }}
services:
  calls:
    fleet: static
    endpoints: ["127.0.0.1:{service}"]
    protocol: h2
    health: {{ {health}, interval: 50ms, failures: 1 }}
routes: [ {{ path: /, service: calls }} ]
"""


def test_the_whole_program_with_grpc_health(tidegate, server):
    one = tidegate(CONFIG.format(service=server.port, health='grpc: ""'))
    with grpc.insecure_channel(f"127.0.0.1:{one.port}") as channel:
        assert channel.unary_unary("/shop.Test/Unary")(b"abc", timeout=10) == b"cba"

    def state():
        return one.instances("calls")[0]["state"]

    server.health = 2
    wait_until(lambda: state() != "serving", 30, "grpc.health.v1 said NOT_SERVING and it went on serving")
    server.health = 1
    wait_until(lambda: state() == "serving", 30, "it serves again")


def test_the_whole_program_with_a_path_asked_in_h2(tidegate):
    def answer(peer, stream):
        peer.respond(stream.id, 204 if stream.field(":path") == "/healthz" else 200, b"" if stream.field(":path") == "/healthz" else b"hi")

    with H2Service(answer) as service:
        one = tidegate(CONFIG.format(service=service.port, health="path: /healthz"))
        assert one.get("/x").body == b"hi"
        with Client(one.port) as client:
            assert client.get("/y").body == b"hi"
