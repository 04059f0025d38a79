/* Maglev: shares, disruption when somebody comes or goes, bounded load; and the share of a zone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rand.h"
#include "decide/balance/locality.h"
#include "decide/balance/maglev.h"

#define MEMBERS_MAX 100

static uint64_t id_of(uint32_t i) {
    struct rand r;
    rand_init(&r, i + 1);
    return rand_next(&r);
}

static uint32_t list(struct maglev_member *members, uint32_t count, uint32_t without) {
    uint32_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i != without) {
            members[len++] =
                (struct maglev_member){ .id = id_of(i), .weight = 1, .position = (uint16_t)i };
        }
    }
    return len;
}

static void shares_are_fair(void **state) {
    static struct maglev m;
    (void)state;
    for (uint32_t count = 1; count <= MEMBERS_MAX; count += count < 10 ? 1 : 30) {
        struct maglev_member members[MEMBERS_MAX];
        uint32_t places[MEMBERS_MAX] = { 0 };
        maglev_build(&m, members, list(members, count, UINT32_MAX));
        for (uint32_t i = 0; i < MAGLEV_SIZE; i++) {
            assert_in_range(m.table[i], 0, count - 1);
            places[m.table[i]]++;
        }
        for (uint32_t i = 0; i < count; i++) {
            assert_in_range(places[i], MAGLEV_SIZE / count, MAGLEV_SIZE / count + 1);
        }
    }
}

static void weights_count(void **state) {
    static struct maglev m;
    struct maglev_member members[3];
    uint32_t places[3] = { 0 };
    (void)state;
    list(members, 3, UINT32_MAX);
    members[0].weight = 5;
    members[2].weight = 2;
    maglev_build(&m, members, 3);
    for (uint32_t i = 0; i < MAGLEV_SIZE; i++) {
        places[m.table[i]]++;
    }
    assert_in_range(places[0], MAGLEV_SIZE * 5 / 8 - 2, MAGLEV_SIZE * 5 / 8 + 2);
    assert_in_range(places[1], MAGLEV_SIZE / 8 - 2, MAGLEV_SIZE / 8 + 2);
}

/* Who stays keeps nearly all of its keys, whatever the order in which they are named. */
static void little_moves(void **state) {
    static struct maglev all, fewer, turned;
    struct maglev_member members[MEMBERS_MAX], other[MEMBERS_MAX];
    (void)state;
    for (uint32_t count = 2; count <= 20; count += 3) {
        uint32_t moved = 0;
        maglev_build(&all, members, list(members, count, UINT32_MAX));
        list(other, count, UINT32_MAX);
        for (uint32_t i = 0; i < count; i++) {
            members[i] = other[count - 1 - i];
        }
        maglev_build(&turned, members, count);
        assert_memory_equal(&all, &turned, sizeof all);
        maglev_build(&fewer, other, list(other, count, 1));
        for (uint32_t i = 0; i < MAGLEV_SIZE; i++) {
            moved += all.table[i] != 1 && all.table[i] != fewer.table[i];
        }
        if (moved > MAGLEV_SIZE / 20) {
            fail_msg("%u members: %u of %u places moved needlessly", count, moved, MAGLEV_SIZE);
        }
    }
}

struct load {
    uint32_t in_flight[8], total, count;
    bool out[8];
};

static bool has_room(const void *self, uint16_t position) {
    const struct load *load = self;
    return !load->out[position] &&
           load->in_flight[position] < maglev_bound(load->total, 1, load->count, 125);
}

/* One key that everybody asks for, and some others. */
static void load_is_bounded(void **state) {
    static struct maglev m;
    struct maglev_member members[8];
    struct load load = { .count = 8 };
    struct rand r;
    (void)state;
    rand_init(&r, 1);
    maglev_build(&m, members, list(members, 8, UINT32_MAX));
    load.out[3] = true;
    for (int i = 0; i < 4000; i++) {
        uint64_t key = i % 2 == 0 ? 4711 : rand_next(&r);
        uint16_t position;
        load.total++;
        assert_true(maglev_find(&m, key, has_room, &load, &position));
        load.in_flight[position]++;
    }
    assert_int_equal(load.in_flight[3], 0);
    for (int i = 0; i < 8; i++) {
        assert_in_range(load.in_flight[i], i == 3 ? 0 : 100, 4000 / 8 * 5 / 4 + 1);
    }
    memset(load.out, true, sizeof load.out);
    uint16_t position;
    assert_false(maglev_find(&m, 1, has_room, &load, &position));
}

static void bounds(void **state) {
    (void)state;
    assert_int_equal(maglev_bound(1, 1, 4, 125), MAGLEV_IN_FLIGHT_LEAST);
    assert_int_equal(maglev_bound(100, 1, 4, 125), 32); /* 31.25 */
    assert_int_equal(maglev_bound(100, 3, 4, 125), 94);
    assert_int_equal(maglev_bound(100, 1, 4, 0), UINT32_MAX);
}

static void zones_overflow_in_proportion(void **state) {
    (void)state;
    assert_true(locality_share(10, 10) >= 1);
    assert_true(locality_share(8, 10) >= 1);
    assert_float_equal(locality_share(5, 10), 0.7, 0.001);
    assert_float_equal(locality_share(1, 10), 0.14, 0.001);
    assert_true(locality_share(0, 10) <= 0);
    assert_true(locality_share(0, 0) <= 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_fair), cmocka_unit_test(weights_count),
        cmocka_unit_test(little_moves),    cmocka_unit_test(load_is_bounded),
        cmocka_unit_test(bounds),          cmocka_unit_test(zones_overflow_in_proportion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
