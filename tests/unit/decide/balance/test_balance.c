/* The choice of an endpoint: plain cases. Under load: test_balance_simulation.c. */
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
    static const struct balance_request request = { .policy = BALANCE_FASTEST };
    struct balance memory = { 0 };
    return balance_pick(&memory, &request, candidates, look, count, r);
}

/* Each: of two candidates the first is better. */
static void prefers(void **state) {
    static const struct {
        const char *name;
        struct balance_candidate better, worse;
    } cases[] = {
        { "the idle one", { .usual_us = 1000 }, { .usual_us = 1000, .in_flight = 1 } },
        { "the fast one", { .usual_us = 10000 }, { .usual_us = 20000 } },
        { "the fast one with more to do",
          { .usual_us = 1000, .in_flight = 3 },
          { .usual_us = 9000 } },
        { "the one without errors",
          { .usual_us = 5000 },
          { .usual_us = 100, .error_ppm = 1000000 } },
        { "the one with few errors",
          { .usual_us = 5000, .error_ppm = 500 },
          { .usual_us = 5000, .error_ppm = 150000 } },
        { "the one that does not fail, however much it carries",
          { .usual_us = 5000, .in_flight = 2000 },
          { .usual_us = 5000, .error_ppm = 300000 } },
        { "the idle one of unknown latency before a busy one",
          { .usual_us = 0 },
          { .usual_us = 90000, .in_flight = 2 } },
        { "the idle one before one of unknown latency",
          { .usual_us = 90000 },
          { .usual_us = 0, .in_flight = 1 } },
        { "by load where both are", { .in_flight = 1 }, { .in_flight = 2 } },
        { "the one that is not ejected",
          { .usual_us = 90000 },
          { .usual_us = 1000, .ejected = true } },
        { "the one not yet tried", { .usual_us = 90000 }, { .usual_us = 1000, .tried = true } },
        { "one tried before one ejected",
          { .usual_us = 90000, .tried = true },
          { .usual_us = 1000, .ejected = true } },
        { "the heavier one",
          { .usual_us = 1000, .in_flight = 3, .weight = 10 },
          { .usual_us = 1000, .in_flight = 1, .weight = 2 } },
        { "the usual one, however much it carries",
          { .usual_us = 5000, .in_flight = 100 },
          { .usual_us = 50000 } },
        { "one of unknown latency before a second request to another",
          { .usual_us = 5000, .in_flight = 9 },
          { .usual_us = 0, .in_flight = 1 } },
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

static float score(const struct balance_candidate *c) {
    static const struct balance_typical peers = { 5000, 0 };
    return balance_score(c, &peers);
}

static void forgets_in_silence(void **state) {
    struct balance_candidate slow = { .usual_us = 100000 };
    struct balance_candidate failing = { .usual_us = 5000, .error_ppm = 1000000 };
    (void)state;
    assert_true(score(&slow) > 100000 && score(&failing) > BALANCE_ERROR_COST_US);
    slow.idle_us = BALANCE_FADE_US;
    assert_float_equal(score(&slow), 5000 + 95000 / 2.0 + 1, 1);
    slow.idle_us = 3 * BALANCE_FADE_US / 2;
    assert_float_equal(score(&slow), 5000 + 95000 * 0.375 + 1, 1);
    slow.idle_us = failing.idle_us = UINT64_MAX;
    assert_float_equal(score(&slow), 5001, 1);
    assert_float_equal(score(&failing), 5001, 1);
    /* Silence makes nobody better than the others. */
    struct balance_candidate fast = { .usual_us = 1000, .idle_us = UINT64_MAX };
    assert_float_equal(score(&fast), 1001, 1);
}

/* A suspect gets a probe when that is paid for, and only of requests that may be sent twice. */
static void probes_are_paid_for(void **state) {
    struct balance_request request = { .policy = BALANCE_FASTEST, .may_probe = true };
    struct balance_candidate both[2] = { { .usual_us = 5000 }, { .usual_us = 50000 } };
    struct balance memory = { 0 };
    struct rand r;
    int requests = 0;
    (void)state;
    rand_init(&r, 6);
    while (balance_pick(&memory, &request, both, look, 2, &r).position == 0) {
        requests++;
    }
    assert_in_range(requests, 490, 510); /* ten answers' time is a fiftieth of 500 */
    request.may_probe = false;
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(balance_pick(&memory, &request, both, look, 2, &r).position, 0);
    }
    request.may_probe = true;
    both[1].in_flight = 1; /* one at a time */
    assert_int_equal(balance_pick(&memory, &request, both, look, 2, &r).position, 0);
    both[1].in_flight = 0;
    assert_int_equal(balance_pick(&memory, &request, both, look, 2, &r).position, 1);
    assert_int_equal(balance_pick(&memory, &request, both, look, 2, &r).position, 0);
    both[1].idle_us = BALANCE_SILENCE_US + 1; /* long unheard of: free */
    assert_int_equal(balance_pick(&memory, &request, both, look, 2, &r).position, 1);
}

/* At most half of them can be outliers: what most are is usual. */
static void half_are_never_suspect(void **state) {
    struct balance_candidate four[4] = {
        { .usual_us = 5000 }, { .usual_us = 50000 }, { .usual_us = 50000 }, { .usual_us = 50000 }
    };
    struct rand r;
    (void)state;
    rand_init(&r, 8);
    assert_int_equal(pick(four, 4, &r).position, 0);
    four[0].in_flight = 30; /* then the others help */
    assert_int_not_equal(pick(four, 4, &r).position, 0);
}

static void takes_turns(void **state) {
    static const struct {
        const char *name, *order;
        struct balance_candidate candidates[3];
    } cases[] = {
        { "equals", "012012012012", { { 0 }, { 0 }, { 0 } } },
        { "weights", "012020012020", { { .weight = 3 }, { .weight = 1 }, { .weight = 2 } } },
        { "one is out", "0202020202", { { 0 }, { .ejected = true }, { 0 } } },
        { "the heavy one is out",
          "121212",
          { { .weight = 9, .tried = true }, { .weight = 1 }, { .weight = 1 } } },
        { "whatever they carry", "012012", { { .in_flight = 9 }, { 0 }, { .usual_us = 1 } } },
    };
    struct balance_request request = { .policy = BALANCE_ROUND_ROBIN };
    struct rand r;
    (void)state;
    rand_init(&r, 9);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct balance memory = { 0 };
        for (const char *at = cases[i].order; *at != '\0'; at++) {
            struct balance_choice choice =
                balance_pick(&memory, &request, cases[i].candidates, look, 3, &r);
            if (choice.quality != BALANCE_GOOD || choice.position != (uint32_t)(*at - '0')) {
                fail_msg("%s: %u at step %d", cases[i].name, choice.position,
                         (int)(at - cases[i].order));
            }
        }
    }
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

    uint32_t usual = balance_add_usual(0, 0, 60000, 0);
    usual = balance_add_usual(usual, 1, 8000, 0); /* the least of the first three */
    usual = balance_add_usual(usual, 2, 9000, 0);
    assert_int_equal(usual, 8000);
    assert_int_equal(balance_add_usual(usual, 3, 900000, 0), 8501); /* a sixteenth */
    assert_int_equal(balance_add_usual(usual, 3, 8100, 0), 8100);   /* or less */
    assert_int_equal(balance_add_usual(usual, 3, 100, 0), 7499);
    assert_in_range(balance_add_usual(usual, 3, 1000, UINT64_MAX), 4000, 4500); /* half forgotten */
    assert_int_equal(balance_add_usual(UINT32_MAX, 3, UINT64_MAX, 0), UINT32_MAX);
    assert_int_equal(balance_add_usual(0, 0, 0, 0), 1);
    assert_int_equal(balance_add_usual(1, 3, 0, UINT64_MAX), 1);

    uint32_t ppm = 0;
    for (int i = 0; i < 200; i++) {
        ppm = balance_add_error(ppm, true, 0);
    }
    assert_in_range(ppm, 990000, 1000000);
    assert_in_range(balance_add_error(ppm, false, 0), 930000, 938000);
    assert_in_range(balance_add_error(ppm, false, BALANCE_FADE_US), 460000, 470000);
    for (int i = 0; i < 200; i++) {
        ppm = balance_add_error(ppm, false, 0);
    }
    assert_int_equal(ppm, 0); /* not merely small */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefers),
        cmocka_unit_test(says_how_good_the_choice_is),
        cmocka_unit_test(spreads_over_equals),
        cmocka_unit_test(never_takes_the_worst),
        cmocka_unit_test(forgets_in_silence),
        cmocka_unit_test(probes_are_paid_for),
        cmocka_unit_test(half_are_never_suspect),
        cmocka_unit_test(takes_turns),
        cmocka_unit_test(averages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
