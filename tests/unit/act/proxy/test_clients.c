#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "act/proxy/clients.h"
#include "base/rand.h"

static void v4(uint8_t ip[16], uint32_t host) {
    memset(ip, 0, 16);
    ip[10] = ip[11] = 0xff;
    for (unsigned i = 0; i < 4; i++) {
        ip[12 + i] = (uint8_t)(host >> (24 - 8 * i));
    }
}

static struct clients *fresh(uint64_t seed) {
    struct clients *clients = malloc(sizeof *clients);
    assert_non_null(clients);
    clients_init(clients, seed);
    return clients;
}

static void done(struct clients *clients) {
    clients_fini(clients);
    free(clients);
}

static void one_entry_an_address(void **state) {
    (void)state;
    struct clients *clients = fresh(1);
    uint8_t a[16], b[16];
    v4(a, 1);
    v4(b, 2);
    struct client *first = clients_enter(clients, a), *other = clients_enter(clients, b);
    assert_ptr_equal(clients_enter(clients, a), first);
    assert_ptr_not_equal(first, other);
    assert_int_equal(first->connections, 2);
    assert_int_equal(clients->connections, 3);
    clients_leave(clients, first);
    clients_leave(clients, first);
    assert_int_equal(clients->connections, 1);
    assert_int_equal(clients_enter(clients, a)->connections, 1); /* a new one */
    done(clients);
}

static void ipv6_is_counted_by_its_64(void **state) {
    (void)state;
    struct clients *clients = fresh(1);
    uint8_t a[16] = { 0x20, 0x01, 0x0d, 0xb8 }, b[16], c[16];
    memcpy(b, a, sizeof b);
    memcpy(c, a, sizeof c);
    b[15] = 9;
    c[7] = 9;
    struct client *first = clients_enter(clients, a);
    assert_ptr_equal(clients_enter(clients, b), first);
    assert_ptr_not_equal(clients_enter(clients, c), first);
    done(clients);
}

static void the_unlimited_share_one_that_stays(void **state) {
    (void)state;
    struct clients *clients = fresh(1);
    struct client *all = clients_enter_unlimited(clients);
    assert_false(client_is_limited(clients, all));
    clients_leave(clients, all);
    assert_ptr_equal(clients_enter_unlimited(clients), all);
    done(clients);
}

static void clients_are_ranked_by_their_connections(void **state) {
    (void)state;
    struct clients *clients = fresh(1);
    uint8_t a[16], b[16];
    v4(a, 1);
    v4(b, 2);
    struct client *first = clients_enter(clients, a), *other = clients_enter(clients, b);
    clients_enter_unlimited(clients);
    assert_int_equal(clients_most(clients), 1);
    assert_ptr_equal(list_first(&clients->ranks[0]), &first->rank);
    for (unsigned connections = 2; connections <= 5; connections++) {
        clients_enter(clients, a);
        assert_int_equal(clients_rank(first), connections < 4 ? 1 : 2);
        assert_ptr_equal(list_first(&clients->ranks[clients_rank(first)]), &first->rank);
    }
    assert_ptr_equal(list_first(&clients->ranks[0]), &other->rank);
    assert_int_equal(clients_most(clients), 4);
    for (unsigned i = 0; i < 4; i++) {
        clients_leave(clients, first);
    }
    assert_int_equal(clients_rank(first), 0);
    assert_ptr_equal(list_first(&clients->ranks[0])->next, &first->rank);
    assert_true(list_empty(&clients->ranks[1]) && list_empty(&clients->ranks[2]));
    clients_leave(clients, other);
    clients_hold(first);
    clients_leave(clients, first);
    assert_int_equal(clients_most(clients), 0);
    clients_release(clients, first);
    done(clients);
}

static void who_is_held_stays_and_has_no_connection(void **state) {
    (void)state;
    struct clients *clients = fresh(1);
    uint8_t a[16];
    v4(a, 1);
    struct client *c = clients_enter(clients, a);
    clients_hold(c);
    clients_leave(clients, c);
    assert_int_equal(c->connections, 0);
    assert_int_equal(clients->connections, 0);
    assert_ptr_equal(clients_enter(clients, a), c); /* not another one of the same address */
    clients_release(clients, c);
    assert_int_equal(c->connections, 1);
    done(clients);
}

static void full_is_who_has_all_that_one_may_have(void **state) {
    (void)state;
    struct clients *clients = fresh(1);
    uint8_t a[16];
    v4(a, 1);
    struct client *c = clients_enter(clients, a), *all = clients_enter_unlimited(clients);
    c->requests = all->requests = 2;
    assert_true(client_is_full(clients, c, 2));
    assert_false(client_is_full(clients, c, 3));
    assert_false(client_is_full(clients, c, 0)); /* no limit */
    assert_false(client_is_full(clients, all, 2));
    done(clients);
}

/* Against a plain table: any order of coming and going. */
static void counts_are_those_of_a_plain_table(void **state) {
    (void)state;
    enum { ADDRESSES = 300, STEPS = 20000 };
    struct clients *clients = fresh(7);
    struct client *held[ADDRESSES] = { 0 };
    uint32_t count[ADDRESSES] = { 0 }, sum = 0;
    struct rand r;
    rand_init(&r, 7);
    for (unsigned step = 0; step < STEPS; step++) {
        uint32_t i = rand_below(&r, ADDRESSES);
        uint8_t ip[16];
        v4(ip, i);
        if (count[i] > 0 && rand_below(&r, 2) == 0) {
            clients_leave(clients, held[i]);
            count[i]--;
            sum--;
        } else {
            held[i] = clients_enter(clients, ip);
            count[i]++;
            sum++;
            assert_int_equal(held[i]->connections, count[i]);
        }
        assert_int_equal(clients->connections, sum);
    }
    done(clients);
}

static void handshakes_have_a_rate_and_a_burst(void **state) {
    (void)state;
    struct clients *clients = fresh(3);
    uint8_t busy[16], calm[16];
    v4(busy, 1);
    v4(calm, 2);
    unsigned passed = 0;
    uint64_t now_us = 1000000000;
    for (unsigned i = 0; i < 1000; i++) {
        passed += clients_may_handshake(clients, busy, 50, now_us);
    }
    assert_int_equal(passed, 50 * CLIENTS_BURST_S);
    assert_true(clients_may_handshake(clients, calm, 50, now_us));
    for (passed = 0; now_us < 1010000000; now_us += 1000) {
        passed += clients_may_handshake(clients, busy, 50, now_us);
    }
    assert_in_range(passed, 499, 501); /* 10 s */
    done(clients);
}

static void a_rest_is_twice_as_long_each_time(void **state) {
    (void)state;
    static const uint32_t lasts_us[] = { 20000, 40000, 80000, 160000, 320000, 320000 };
    struct client_rest rest = { 0 };
    uint64_t now_us = 5;
    for (size_t i = 0; i < sizeof lasts_us / sizeof lasts_us[0]; i++) {
        client_rest(&rest, now_us);
        assert_int_equal(rest.until_us, now_us + lasts_us[i]);
        now_us = rest.until_us + 7;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_entry_an_address),
        cmocka_unit_test(ipv6_is_counted_by_its_64),
        cmocka_unit_test(the_unlimited_share_one_that_stays),
        cmocka_unit_test(clients_are_ranked_by_their_connections),
        cmocka_unit_test(who_is_held_stays_and_has_no_connection),
        cmocka_unit_test(full_is_who_has_all_that_one_may_have),
        cmocka_unit_test(counts_are_those_of_a_plain_table),
        cmocka_unit_test(handshakes_have_a_rate_and_a_burst),
        cmocka_unit_test(a_rest_is_twice_as_long_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
