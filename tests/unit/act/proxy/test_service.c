#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/proxy/exchange.h"
#include "act/proxy/service.h"
#include "act/proxy/upstream.h"
#include "act/proxy/upstream_protocols.h"
#include "act/proxy/worker_internal.h"

/* One worker of one, one service, one endpoint of it in slot 0, and requests that are there. */
#define MOST UPSTREAM_CONNECTIONS_LEAST
#define REQUESTS (3 * UPSTREAM_CONNECTIONS_LEAST)

static struct worker worker;
static struct endpoint *const endpoint = &worker.endpoints[0];
static struct attempt attempts[REQUESTS];

static int make_worker(void **state) {
    struct error err;
    int fd;
    (void)state;
    worker.vitals = vitals_new(1, &fd, &err);
    assert_non_null(worker.vitals);
    close(fd);
    *endpoint = (struct endpoint){ .vitals = &worker.vitals->workers[0].endpoints[0] };
    list_init(&endpoint->in_flight);
    list_init(&endpoint->awaiting);
    worker.services[0] = (struct service){ .worker = &worker };
    for (unsigned i = 0; i < REQUESTS; i++) {
        attempts[i] = (struct attempt){ .endpoint = NO_ENDPOINT };
        list_init(&attempts[i].in_flight);
        list_init(&attempts[i].awaiting);
    }
    return 0;
}

static int end_worker(void **state) {
    (void)state;
    vitals_free(worker.vitals);
    return 0;
}

/* Each on a connection of its own, as in HTTP/1. */
static void begin(unsigned from, unsigned to) {
    for (unsigned i = from; i < to; i++) {
        assert_true(upstream_may_connect(&worker, endpoint));
        endpoint_begin(&worker, &attempts[i], 0);
        endpoint->connections++;
    }
}

static void count_as(unsigned from, unsigned to, enum attempt_kind kind) {
    for (unsigned i = from; i < to; i++) {
        endpoint_counts_as(&worker, &attempts[i], kind);
    }
}

static uint32_t tunnels(void) {
    return atomic_load(&endpoint->vitals->tunnels);
}

static uint32_t in_flight(void) {
    return atomic_load(&endpoint->vitals->in_flight);
}

static void slow_visitors_take_no_connection_from_others(void **state) {
    (void)state;
    begin(0, MOST);
    assert_false(upstream_may_connect(&worker, endpoint));
    count_as(0, 10, ATTEMPT_HELD);
    count_as(0, 10, ATTEMPT_HELD); /* they are paused again and again */
    assert_int_equal(endpoint->held, 10);
    begin(MOST, MOST + 10);
    assert_false(upstream_may_connect(&worker, endpoint));
    assert_int_equal(in_flight(), MOST + 10);
}

static void a_limit_that_somebody_set_counts_them(void **state) {
    (void)state;
    begin(0, MOST);
    count_as(0, MOST, ATTEMPT_HELD);
    worker.services[0].plan.connections = MOST;
    assert_false(upstream_may_connect(&worker, endpoint));
}

static void what_ends_is_held_no_more(void **state) {
    (void)state;
    begin(0, 3);
    count_as(0, 2, ATTEMPT_HELD);
    endpoint_end(&worker, &attempts[0]);
    endpoint_end(&worker, &attempts[2]);
    assert_int_equal(endpoint->held, 1);
    endpoint_end(&worker, &attempts[1]);
    endpoint_end(&worker, &attempts[1]); /* of no endpoint: nothing */
    count_as(1, 2, ATTEMPT_HELD);
    assert_int_equal(endpoint->held, 0);
    assert_int_equal(in_flight(), 0);
    assert_int_equal(attempts[1].kind, ATTEMPT_WORK);
}

static void a_tunnel_is_not_held(void **state) {
    (void)state;
    begin(0, 2);
    count_as(0, 1, ATTEMPT_HELD);
    count_as(0, 2, ATTEMPT_TUNNEL);
    assert_int_equal(endpoint->held, 0);
    assert_int_equal(tunnels(), 2);
    assert_int_equal(in_flight(), 2);
    endpoint_end(&worker, &attempts[0]);
    assert_int_equal(tunnels(), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slow_visitors_take_no_connection_from_others, make_worker,
                                        end_worker),
        cmocka_unit_test_setup_teardown(a_limit_that_somebody_set_counts_them, make_worker,
                                        end_worker),
        cmocka_unit_test_setup_teardown(what_ends_is_held_no_more, make_worker, end_worker),
        cmocka_unit_test_setup_teardown(a_tunnel_is_not_held, make_worker, end_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
