"""What workers do about an instance by the evidence of its requests: real processes, killed, stopped, slow, failing,
cold. Bounds are wide: the machine of a test may be ten times slower than a quiet one."""
import signal
import threading
import time

from lib.load import Load
from lib.origin import Origin
from lib.proxy import Proxy, Service, free_port

PATIENCE_S = 20


class Origins:
    """Several instances of a service, and what is known of them."""

    def __init__(self, count, log=None, **options):
        self.all = [Origin(log=log, **options) for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for one in self.all:
            one.stop()

    def __getitem__(self, index):
        return self.all[index]

    def proxy(self, **options):
        return Proxy(*(one.port for one in self.all), **options)


class Visitors:
    """A load that runs while something happens."""

    def __init__(self, proxy, rps=150, **options):
        self.load = Load(proxy.port, rps, timeout=20, **options)

    def __enter__(self):
        self.load.start()
        return self.load

    def __exit__(self, *exception):
        self.load.stop()


def endpoint(vitals, index):
    return vitals["endpoints"][index]


def wait_out(proxy, index):
    return proxy.wait(lambda v: endpoint(v, index)["out"], PATIENCE_S)


def wait_in(proxy, index):
    return proxy.wait(lambda v: not endpoint(v, index)["out"], PATIENCE_S)


def wait_answers(proxy, index, count):
    """Until it has given so many more."""
    before = endpoint(proxy.vitals(), index)["answers"]
    return proxy.wait(lambda v: endpoint(v, index)["answers"] >= before + count, PATIENCE_S)


def wait_warm(proxy, count=100):
    """Until enough is known of all of them."""
    proxy.wait(lambda v: v["served"] >= count, PATIENCE_S)


def kinds(events, kind):
    return [one for one in events if one["kind"] == kind]


# ---- killed ----

def test_a_killed_instance_costs_no_get():
    with Origins(3) as origins, origins.proxy() as proxy, Visitors(proxy) as load:
        wait_warm(proxy)
        for round_number in range(6):
            victim = round_number % 3
            origins[victim].kill()
            wait_out(proxy, victim)
            origins[victim].start()
            wait_in(proxy, victim)
    assert load.failures() == [] and len(load.results) > 100


class Orders(Load):
    """POSTs, each with an id of its own, at the moment of its sending."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, method="POST", **options)
        self.next_id, self.lock = 0, threading.Lock()

    def fields(self):
        with self.lock:
            self.next_id += 1
            return {"X-Id": str(self.next_id), "Content-Length": "0"}


def test_an_order_is_never_executed_twice_and_only_those_at_the_dead_one_fail(tmp_path):
    log = tmp_path / "ids"
    with Origins(3, log=log, delay_ms=40) as origins, origins.proxy() as proxy:
        load = Orders(proxy.port, 100)
        load.start()
        wait_warm(proxy, 30)
        for victim in range(3):
            origins[victim].kill()
            wait_out(proxy, victim)
            origins[victim].start()
            wait_in(proxy, victim)
        load.stop()
        begun, ended = origins[0].lines("begin"), origins[0].lines("end")
        lost = len(begun) - len(ended)
        assert len(set(begun)) == len(begun), "an order was executed twice"
        # Those that it had read, and what was in its sockets unread: a moment's worth.
        assert len(load.failures()) <= lost + 3 * 10, (load.failures(), lost)


# ---- stopped ----

def test_a_stopped_instance_is_out_before_anybody_minds_and_soon_back():
    with Origins(3, delay_ms=20) as origins, origins.proxy() as proxy, Visitors(proxy) as load:
        wait_warm(proxy)
        origins[1].signal(signal.SIGSTOP)
        wait_out(proxy, 1)
        time.sleep(1)  # it stays out: trials go unanswered, and are taken off it
        v = proxy.vitals()
        assert endpoint(v, 1)["out"] and endpoint(v, 1)["cause"] == "hung"
        assert endpoint(v, 1)["ejections"] >= 2
        origins[1].signal(signal.SIGCONT)
        wait_in(proxy, 1)
        wait_answers(proxy, 1, 20)
        events = proxy.events()
    assert load.failures() == []
    late = [one for one in load.results if one[1] > 2]
    assert len(late) <= 30, f"{len(late)} visitors waited"
    ejected = kinds(events, "ejected")
    assert ejected and ejected[0]["endpoint"] == 1 and ejected[0]["silent_us"] >= 200000
    assert [one["endpoint"] for one in kinds(events, "returned")].count(1) >= 1


def test_what_one_worker_finds_out_the_other_knows():
    """Each has visitors of its own; both take them off the instance that hangs."""
    with Origins(3, delay_ms=20) as origins, origins.proxy(workers=2) as proxy:
        with Visitors(proxy, threads=64) as load:
            proxy.wait(lambda v: min(v["accepted_by"]) >= 4 and v["served"] > 100, PATIENCE_S)
            origins[1].signal(signal.SIGSTOP)
            wait_out(proxy, 1)
            proxy.wait(lambda v: endpoint(v, 1)["awaiting"] <= 1, PATIENCE_S)  # a trial at most
            found_by = {one["worker"] for one in kinds(proxy.events(), "ejected")
                        if one["endpoint"] == 1}
            assert len(found_by) == 1, "it was put out once"
            origins[1].signal(signal.SIGCONT)
            wait_in(proxy, 1)
    assert load.failures() == []


def test_all_stopped_is_nobodys_hang():
    with Origins(3, delay_ms=20) as origins, origins.proxy() as proxy, Visitors(proxy, 60) as load:
        wait_warm(proxy, 40)
        for one in origins.all:
            one.signal(signal.SIGSTOP)
        time.sleep(1)
        hung = [one for one in kinds(proxy.events(), "ejected") if one["cause"] == "hung"]
        for one in origins.all:
            one.signal(signal.SIGCONT)
    assert len(hung) <= 1, hung  # the last to be stopped may have answered a moment longer
    assert load.failures() == []


# ---- what only looks like a hang ----

def test_slow_pages_and_tunnels_are_no_hang():
    """Pages of four seconds at one instance while visitors are answered there: were they taken for a hang,
    it would be put out again and again. Once a machine may really have held it up for so long."""
    with Origins(2, delay_ms=2) as origins, origins.proxy() as proxy, Visitors(proxy, 100) as load:
        wait_warm(proxy)
        slow = [proxy.connect() for _ in range(3)]
        for one in slow:
            one.send("GET /sleep/4000 HTTP/1.1\r\nHost: a\r\n\r\n")
        for one in slow:
            assert one.read_response().status == 200
            one.close()
        slow_begun = sum(len(one.lines("begin")) for one in origins.all)
        events = kinds(proxy.events(), "ejected")
    assert len([one for one in events if one["cause"] == "hung"]) <= 1, (events, slow_begun)
    assert load.failures() == []


# ---- slow and failing ----

def test_a_slow_instance_gets_little_until_it_is_fast_again():
    """Balancing avoids it before there are answers enough to put it out, where it may choose: both are well."""
    with Origins(4, delay_ms=10) as origins, origins.proxy() as proxy, Visitors(proxy, 200) as load:
        wait_warm(proxy, 200)
        origins[2].signal(signal.SIGUSR2)
        wait_answers(proxy, 0, 40)
        before = proxy.vitals()
        v = proxy.wait(lambda v: v["served"] >= before["served"] + 400, PATIENCE_S)
        sent = endpoint(v, 2)["requests"] - endpoint(before, 2)["requests"]
        assert sent <= 60, sent
        origins[2].signal(signal.SIGUSR2)
        wait_in(proxy, 2)
        wait_answers(proxy, 2, 20)
    assert load.failures() == []


def test_an_instance_that_fails_fast_gets_next_to_nothing():
    with Origins(4, delay_ms=10) as origins, origins.proxy() as proxy, Visitors(proxy, 200) as load:
        wait_warm(proxy, 200)
        origins[3].signal(signal.SIGUSR1)
        wait_out(proxy, 3)
        before = proxy.vitals()
        time.sleep(2)
        after = proxy.vitals()
        sent = [endpoint(after, i)["requests"] - endpoint(before, i)["requests"] for i in range(4)]
        assert sent[3] <= max(0.03 * sum(sent), 12), sent
        origins[3].signal(signal.SIGUSR1)
        wait_in(proxy, 3)
        wait_answers(proxy, 3, 20)
    assert len(load.failures()) <= 25, load.failures()  # a few in a row; trials cost nobody


def test_one_that_fails_half_is_left_out_by_one_way_or_the_other():
    """Balancing has it at a distance before there are failures enough to put it out: both are well."""
    with Origin(delay_ms=5, fail_ratio=0.5) as bad, Origins(3) as origins:
        with Proxy(bad.port, *(one.port for one in origins.all)) as proxy, Visitors(proxy, 200):
            wait_warm(proxy, 400)
            before = proxy.vitals()
            v = proxy.wait(lambda v: v["served"] >= before["served"] + 400, PATIENCE_S)
            sent = endpoint(v, 0)["requests"] - endpoint(before, 0)["requests"]
            assert sent <= 40, sent


# ---- how many ----

def test_never_more_than_half_is_out_and_a_panic_says_so():
    with Origins(4) as origins, origins.proxy() as proxy, Visitors(proxy, 200):
        wait_warm(proxy)
        for one in origins.all:
            one.signal(signal.SIGUSR1)
        proxy.wait(lambda v: v["panic"], PATIENCE_S)
        for _ in range(100):
            assert sum(one["out"] for one in proxy.vitals()["endpoints"]) <= 2
            time.sleep(0.01)
        for one in origins.all:
            one.signal(signal.SIGUSR1)
        proxy.wait(lambda v: not v["panic"] and not any(one["out"] for one in v["endpoints"]), PATIENCE_S)
        events = proxy.events()
    assert kinds(events, "panic") and kinds(events, "panic_over")
    assert all(one["out"] <= 2 for one in events), events


def test_the_only_instance_is_never_out():
    with Origins(1) as origins, origins.proxy() as proxy, Visitors(proxy, 60):
        wait_warm(proxy, 30)
        origins[0].signal(signal.SIGUSR1)
        wait_answers(proxy, 0, 40)
        v = proxy.vitals()
        assert not endpoint(v, 0)["out"] and not v["panic"]


def test_a_trial_that_fails_costs_no_visitor():
    """A failing answer of an instance on probation is not the visitor's, if he can be given another."""
    with Origins(2) as origins, origins.proxy() as proxy:
        with Visitors(proxy, 150):
            wait_warm(proxy)
            origins[1].signal(signal.SIGUSR1)
            wait_out(proxy, 1)
        with Visitors(proxy, 150) as load:
            proxy.wait(lambda v: endpoint(v, 1)["ejections"] >= 4, PATIENCE_S)
    assert load.failures() == []


# ---- new ones ----

def test_a_cold_instance_warms_up_on_few_requests():
    with Origins(3, delay_ms=10) as origins, Origin(delay_ms=10, cold=15) as cold:
        with origins.proxy() as proxy, Visitors(proxy, 200):
            wait_warm(proxy, 300)
            offered = proxy.vitals()["offered"]
            proxy.publish(f"endpoint 127.0.0.1:{cold.port}")
            assert endpoint(proxy.vitals(), 3)["cold"] > 0
            v = proxy.wait(lambda v: endpoint(v, 3)["answers"] >= 10, 60)
            share = endpoint(v, 3)["requests"] / (v["offered"] - offered)
            assert share < 0.05, share
            proxy.wait(lambda v: endpoint(v, 3)["cold"] == 0, 60)
            wait_answers(proxy, 3, 100)  # and then it has its share
            warm = kinds(proxy.events(), "warm")
    assert [one["endpoint"] for one in warm] == [3] and warm[0]["in_a_row"] >= 15


def test_a_cold_instance_whose_answers_hedges_take_off_gets_no_more_for_its_silence():
    with Origins(3, delay_ms=10) as origins, Origin(delay_ms=10, cold=1000) as cold:
        with origins.proxy() as proxy, Visitors(proxy, 200):
            wait_warm(proxy, 300)
            proxy.publish(f"endpoint 127.0.0.1:{cold.port}")
            began = time.monotonic()
            v = proxy.wait(lambda v: endpoint(v, 3)["requests"] >= 8, 60)
            assert time.monotonic() - began > 4     # one a second (WARMTH_SEEN_US)
            assert v["hedges_won"] > 0


def test_a_new_instance_as_fast_as_its_peers_has_its_share_at_once():
    with Origins(3, delay_ms=10) as origins, Origin(delay_ms=10) as new:
        with origins.proxy() as proxy, Visitors(proxy, 200):
            wait_warm(proxy, 300)
            proxy.publish(f"endpoint 127.0.0.1:{new.port}")
            v = proxy.wait(lambda v: endpoint(v, 3)["cold"] == 0, PATIENCE_S)
            assert endpoint(v, 3)["answers"] < 200


def test_connections_to_a_new_instance_are_opened_ahead():
    with Service() as first, Service() as second, Proxy(first.port) as proxy:
        def ask():
            with proxy.connect() as client:
                for _ in range(20):
                    client.get()
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert first.connections >= 1
        proxy.publish(f"endpoint 127.0.0.1:{second.port}")
        proxy.wait(lambda v: second.connections >= 1)
        assert second.requests == [] and second.connections <= 8


def test_an_instance_that_is_new_to_a_new_service_is_not_cold():
    with Origins(2) as origins, origins.proxy() as proxy:
        assert [one["cold"] for one in proxy.vitals()["endpoints"]] == [0, 0]
        proxy.publish(f"endpoint 127.0.0.1:{free_port()}")
        assert endpoint(proxy.vitals(), 2)["cold"] == 0, "there was nothing to compare it with"
