/* The choice of an endpoint: plain cases, and four simulated services under load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "decide/balance/balance.h"

static struct balance_candidate look(const void *self, uint32_t position) {
    const struct balance_candidate *candidates = self;
    return candidates[position];
}

static struct balance_choice pick(const struct balance_candidate *candidates, uint32_t count,
                                  struct rand *r) {
    return balance_pick(candidates, look, count, r);
}

/* Each: of two candidates the first is better. */
static void prefers(void **state) {
    static const struct {
        const char *name;
        struct balance_candidate better, worse;
    } cases[] = {
        { "the idle one", { .ewma_us = 1000 }, { .ewma_us = 1000, .in_flight = 1 } },
        { "the fast one", { .ewma_us = 1000 }, { .ewma_us = 2000 } },
        { "the fast one with more to do",
          { .ewma_us = 1000, .in_flight = 3 },
          { .ewma_us = 9000 } },
        { "the one without errors", { .ewma_us = 5000 }, { .ewma_us = 100, .error_ppm = 1000000 } },
        { "the one with few errors",
          { .ewma_us = 5000, .error_ppm = 1000 },
          { .ewma_us = 5000, .error_ppm = 10000 } },
        { "by load where one latency is unknown",
          { .ewma_us = 0, .in_flight = 1 },
          { .ewma_us = 90000, .in_flight = 2 } },
        { "the idle one before one of unknown latency",
          { .ewma_us = 90000 },
          { .ewma_us = 0, .in_flight = 1 } },
        { "by load where both are", { .in_flight = 1 }, { .in_flight = 2 } },
        { "the one that is not ejected",
          { .ewma_us = 90000 },
          { .ewma_us = 1000, .ejected = true } },
        { "the one not yet tried", { .ewma_us = 90000 }, { .ewma_us = 1000, .tried = true } },
        { "one tried before one ejected",
          { .ewma_us = 90000, .tried = true },
          { .ewma_us = 1000, .ejected = true } },
        { "the warm one", { .ewma_us = 1000 }, { .ewma_us = 1000, .weight = 0.2F } },
    };
    struct rand r;
    (void)state;
    rand_init(&r, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct balance_candidate both[2] = { cases[i].better, cases[i].worse };
        for (int round = 0; round < 20; round++) {
            if (pick(both, 2, &r).position != 0) {
                fail_msg("%s", cases[i].name);
            }
        }
        struct balance_candidate turned[2] = { cases[i].worse, cases[i].better };
        assert_int_equal(pick(turned, 2, &r).position, 1);
    }
}

static void says_how_good_the_choice_is(void **state) {
    static const struct {
        const char *name;
        struct balance_candidate candidates[3];
        uint32_t count;
        enum balance_quality quality;
        uint32_t position;
    } cases[] = {
        { "nobody", { { 0 } }, 0, BALANCE_NOBODY, 0 },
        { "one", { { 0 } }, 1, BALANCE_GOOD, 0 },
        { "only tried ones", { { .tried = true } }, 1, BALANCE_TRIED, 0 },
        { "one of three is left",
          { { .tried = true }, { .ejected = true }, { .in_flight = 9 } },
          3,
          BALANCE_GOOD,
          2 },
        { "all ejected: panic",
          { { .ejected = true, .in_flight = 2 },
            { .ejected = true },
            { .ejected = true, .in_flight = 1 } },
          3,
          BALANCE_PANIC,
          1 },
        { "in panic not the same again",
          { { .ejected = true, .tried = true }, { .ejected = true, .in_flight = 9 } },
          2,
          BALANCE_PANIC,
          1 },
        { "all ejected and tried",
          { { .ejected = true, .tried = true }, { .ejected = true, .tried = true } },
          2,
          BALANCE_NOBODY,
          0 },
    };
    struct rand r;
    (void)state;
    rand_init(&r, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int round = 0; round < 50; round++) {
            struct balance_choice choice = pick(cases[i].candidates, cases[i].count, &r);
            if (choice.quality != cases[i].quality ||
                (choice.quality != BALANCE_NOBODY && choice.position != cases[i].position)) {
                fail_msg("%s: quality %d, position %u", cases[i].name, choice.quality,
                         choice.position);
            }
        }
    }
}

/* Many candidates: whoever is chosen may be used, and equals are used alike. */
static void spreads_over_equals(void **state) {
    struct balance_candidate candidates[10] = { 0 };
    uint32_t chosen[10] = { 0 };
    struct rand r;
    (void)state;
    rand_init(&r, 3);
    candidates[3].ejected = candidates[7].ejected = true;
    for (int round = 0; round < 80000; round++) {
        struct balance_choice choice = pick(candidates, 10, &r);
        assert_int_equal(choice.quality, BALANCE_GOOD);
        chosen[choice.position]++;
    }
    for (int i = 0; i < 10; i++) {
        bool ejected = i == 3 || i == 7;
        assert_true(ejected ? chosen[i] == 0 : chosen[i] > 8000 && chosen[i] < 12000);
    }
}

/* Two different ones are compared: the worst of all can only lose. */
static void never_takes_the_worst(void **state) {
    struct rand r;
    (void)state;
    rand_init(&r, 4);
    for (uint32_t count = 2; count < 6; count++) {
        for (uint32_t worst = 0; worst < count; worst++) {
            struct balance_candidate candidates[6] = { 0 };
            candidates[worst].in_flight = 1;
            for (int round = 0; round < 300; round++) {
                assert_int_not_equal(pick(candidates, count, &r).position, worst);
            }
        }
    }
}

static void forgets_in_silence(void **state) {
    struct balance_candidate slow = { .ewma_us = 100000 };
    struct balance_candidate failing = { .ewma_us = 5000, .error_ppm = 1000000 };
    double before = balance_score(&slow, 5000), failing_before = balance_score(&failing, 5000);
    (void)state;
    slow.idle_us = failing.idle_us = BALANCE_FADE_US;
    assert_float_equal(balance_score(&slow, 5000), 5000 + 95000 / 2.0 + 1, 1);
    slow.idle_us = 3 * BALANCE_FADE_US / 2;
    assert_float_equal(balance_score(&slow, 5000), 5000 + 95000 * 0.375 + 1, 1);
    slow.idle_us = failing.idle_us = UINT64_MAX;
    assert_float_equal(balance_score(&slow, 5000), 5001, 1);
    assert_float_equal(balance_score(&failing, 5000), 5001, 1);
    assert_true(before > 100000 && failing_before > 1000000);
    /* Silence makes nobody better than the others. */
    struct balance_candidate fast = { .ewma_us = 1000, .idle_us = UINT64_MAX };
    assert_float_equal(balance_score(&fast, 5000), 1001, 1);
}

static void averages(void **state) {
    uint32_t us = balance_add_latency(0, 8000, 0);
    (void)state;
    assert_int_equal(us, 8000);
    assert_int_equal(balance_add_latency(us, 16000, 0), 12000); /* a peak counts half */
    assert_int_equal(balance_add_latency(us, 0, 0), 7000);      /* the rest an eighth */
    assert_int_equal(balance_add_latency(us, 0, BALANCE_FADE_US), 3500);
    assert_int_equal(balance_add_latency(us, 100, UINT64_MAX), 100); /* the past is forgotten */
    assert_int_equal(balance_add_latency(0, 0, 0), 1);               /* 0 would be "not known" */
    assert_int_equal(balance_add_latency(UINT32_MAX, UINT64_MAX, 0), UINT32_MAX);
    for (int i = 0; i < 200; i++) {
        us = balance_add_latency(us, 3000, 0);
    }
    assert_in_range(us, 3000, 3008);

    uint32_t ppm = 0;
    for (int i = 0; i < 200; i++) {
        ppm = balance_add_error(ppm, true, 0);
    }
    assert_in_range(ppm, 990000, 1000000);
    assert_in_range(balance_add_error(ppm, false, BALANCE_FADE_US), 430000, 440000);
    for (int i = 0; i < 200; i++) {
        ppm = balance_add_error(ppm, false, 0);
    }
    assert_int_equal(ppm, 0); /* not merely small */
}

/* ---- simulation: four services, open arrivals, each answers one request after another ---- */

#define SERVERS 4
#define IN_FLIGHT_MAX 4096

struct server {
    uint64_t service_us, busy_until_us, last_us;
    bool failing;
    struct balance_candidate seen;
    uint64_t due_us[IN_FLIGHT_MAX], sent_us[IN_FLIGHT_MAX]; /* a ring, in order of arrival */
    uint32_t head, tail;
    uint32_t requests;
};

static void answer_until(struct server *s, uint64_t now_us) {
    while (s->head != s->tail && s->due_us[s->head % IN_FLIGHT_MAX] <= now_us) {
        uint32_t at = s->head++ % IN_FLIGHT_MAX;
        s->seen.in_flight--;
        uint64_t idle_us = s->due_us[at] - s->last_us;
        s->seen.ewma_us =
            balance_add_latency(s->seen.ewma_us, s->due_us[at] - s->sent_us[at], idle_us);
        s->seen.error_ppm = balance_add_error(s->seen.error_ppm, s->failing, idle_us);
        s->last_us = s->due_us[at];
    }
    s->seen.idle_us = s->seen.in_flight > 0 ? 0 : now_us - s->last_us;
}

static struct balance_candidate look_at_server(const void *self, uint32_t position) {
    const struct server *servers = self;
    return servers[position].seen;
}

/* 20 s at `rps`; returns the share of the last server among the requests after `from_us`. */
static double simulate(struct server *servers, double rps, uint64_t from_us, uint64_t seed) {
    uint64_t now_us = 0;
    uint32_t total = 0, last = 0;
    struct rand r;
    rand_init(&r, seed);
    while (now_us < 20000000) {
        now_us += (uint64_t)(rand_exponential(&r) * 1e6 / rps);
        for (int i = 0; i < SERVERS; i++) {
            answer_until(&servers[i], now_us);
        }
        uint32_t position = balance_pick(servers, look_at_server, SERVERS, &r).position;
        struct server *s = &servers[position];
        uint64_t start_us = s->busy_until_us > now_us ? s->busy_until_us : now_us;
        s->busy_until_us = start_us + s->service_us;
        s->due_us[s->tail % IN_FLIGHT_MAX] = s->busy_until_us;
        s->sent_us[s->tail++ % IN_FLIGHT_MAX] = now_us;
        s->seen.in_flight++;
        s->requests++;
        total += now_us >= from_us;
        last += now_us >= from_us && position == SERVERS - 1;
    }
    return (double)last / total;
}

static void avoids_the_slow_one(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        static struct server servers[SERVERS];
        memset(servers, 0, sizeof servers);
        for (int i = 0; i < SERVERS; i++) {
            servers[i].service_us = i == SERVERS - 1 ? 50000 : 5000;
        }
        double share = simulate(servers, 300, 1000000, seed);
        if (share >= 0.05) {
            fail_msg("seed %d: %.3f of the requests", (int)seed, share);
        }
        assert_true(servers[SERVERS - 1].requests > 3); /* it is looked at from time to time */
        for (int i = 0; i < SERVERS - 1; i++) {
            assert_in_range(servers[i].requests, 1500, 2600);
        }
    }
}

/* It answers errors ten times faster than the others answer at all. */
static void avoids_the_one_that_fails_fast(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        static struct server servers[SERVERS];
        memset(servers, 0, sizeof servers);
        for (int i = 0; i < SERVERS; i++) {
            servers[i].service_us = i == SERVERS - 1 ? 100 : 5000;
        }
        servers[SERVERS - 1].failing = true;
        double share = simulate(servers, 400, 100000, seed);
        if (share > 0.02) {
            fail_msg("seed %d: %.3f of the requests", (int)seed, share);
        }
    }
}

/* Once it was slow; it is not any more, and gets its part again. */
static void comes_back_to_the_recovered(void **state) {
    static struct server servers[SERVERS];
    (void)state;
    memset(servers, 0, sizeof servers);
    for (int i = 0; i < SERVERS; i++) {
        servers[i].service_us = 5000;
        servers[i].seen.ewma_us = i == SERVERS - 1 ? 400000 : 5000;
    }
    double share = simulate(servers, 300, 10000000, 7041);
    assert_true(share > 0.2 && share < 0.3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefers),
        cmocka_unit_test(says_how_good_the_choice_is),
        cmocka_unit_test(spreads_over_equals),
        cmocka_unit_test(never_takes_the_worst),
        cmocka_unit_test(forgets_in_silence),
        cmocka_unit_test(averages),
        cmocka_unit_test(avoids_the_slow_one),
        cmocka_unit_test(avoids_the_one_that_fails_fast),
        cmocka_unit_test(comes_back_to_the_recovered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
