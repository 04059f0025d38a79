/* Faults in a made-up fortnight and more, and what is said of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/cleaning.h"

#define SEASON 96 /* quarters of an hour */
#define WEEK (7 * SEASON)
#define HOUR_STEPS 4
#define DAYS 20
#define LEN (DAYS * SEASON)

static const uint32_t seasons[] = { SEASON, WEEK };

struct run {
    struct cleaning cleaning;
    struct members members;
    struct history history;
    struct rand rand;
    double unit; /* of what is expected */
    double values[LEN];
    enum cleaning_use use[LEN];
};

static double usual(int64_t slot) {
    return 1000 - 600 * cos(2 * M_PI * (double)(slot % SEASON) / SEASON);
}

static void fill(struct run *r, uint64_t seed) {
    memset(r, 0, sizeof *r);
    rand_init(&r->rand, seed);
    r->unit = 1;
    for (int64_t i = 0; i < LEN; i++) {
        r->values[i] = usual(i) * (0.9 + 0.2 * rand_unit(&r->rand));
    }
}

/* Everything is expected as usual, from the second day on. */
static void observe(struct run *r, bool explained) {
    struct origin origin;
    struct origins origins;
    assert_true(history_init(&r->history, &(struct history_span){ .keep = LEN }) &&
                origins_init(&origins, 1, SEASON));
    members_init(&r->members, seasons, 2);
    anomalies_init(&r->cleaning.anomalies, seasons, 2, SEASON, HOUR_STEPS);
    shift_init(&r->cleaning.shift, seasons, 2);
    struct cleaning_memory memory = { &r->members, &r->history, &origins };
    for (int64_t i = 0; i < LEN; i++) {
        struct anomaly_sample s = { .slot = i,
                                    .value = r->values[i],
                                    .expected = i < SEASON ? (double)NAN : usual(i) * r->unit,
                                    .scale = 0.05 * usual(i) * r->unit,
                                    .scale_usual = 50 * r->unit,
                                    .demand_usual = 1000 * r->unit,
                                    .counts = r->unit < 1,
                                    .explained = explained };
        r->use[i] = cleaning_observe(&r->cleaning, &s, &memory).use;
        bool leave = r->use[i] == CLEANING_LEAVE;
        members_observe(&r->members, &r->history, i, leave ? (double)NAN : r->values[i], &origin);
        history_append(&r->history, r->values[i]);
        if (leave) {
            history_set_aside(&r->history, i, i + 1, true);
        }
    }
    origins_fini(&origins);
}

static void multiply(struct run *r, int64_t from, int64_t slots, double factor) {
    for (int64_t i = from; i < from + slots && i < LEN; i++) {
        r->values[i] *= factor;
    }
}

/* Exactly these slots are set aside at the end. */
static void assert_aside(const struct run *r, int64_t from, int64_t to) {
    for (int64_t i = 0; i < LEN; i++) {
        assert_int_equal(history_is_aside(&r->history, i), i >= from && i < to);
    }
}

static void assert_one_span(const struct run *r, int64_t from, int64_t to,
                            enum anomaly_reason reason) {
    struct anomaly_span spans[ANOMALY_SPANS];
    assert_int_equal(anomalies_spans(&r->cleaning.anomalies, spans, ANOMALY_SPANS), 1);
    assert_int_equal(spans[0].from, from);
    assert_int_equal(spans[0].to, to);
    assert_int_equal(spans[0].reason, reason);
}

static void nothing_is_left_out_of_ordinary_days(void **state) {
    (void)state;
    static struct run r;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        fill(&r, seed);
        observe(&r, false);
        assert_aside(&r, 0, 0);
        assert_int_equal(r.cleaning.anomalies.span_count, 0);
        history_fini(&r.history);
    }
}

#define NOON (15 * (int64_t)SEASON + SEASON / 2)

static void what_was_no_demand_is_left_out(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t slots;
        double factor;
        enum anomaly_reason reason;
        enum cleaning_use meanwhile;
    } cases[] = {
        { "an outage", 12, 0, ANOMALY_OUTAGE, CLEANING_LEAVE },
        { "most of demand is gone", 12, 0.1, ANOMALY_OUTAGE, CLEANING_LEAVE },
        { "a burst", 3, 4, ANOMALY_BURST, CLEANING_FOLLOW },
        { "a burst of hours", 20, 4, ANOMALY_BURST, CLEANING_FOLLOW },
    };
    static struct run r;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fill(&r, 1);
        multiply(&r, NOON, cases[i].slots, cases[i].factor);
        observe(&r, false);
        assert_aside(&r, NOON, NOON + cases[i].slots);
        assert_one_span(&r, NOON, NOON + cases[i].slots, cases[i].reason);
        for (int64_t j = NOON; j < NOON + cases[i].slots; j++) {
            assert_int_equal(r.use[j], cases[i].meanwhile);
        }
        assert_int_equal(r.use[NOON + cases[i].slots], CLEANING_LEARN);
        history_fini(&r.history);
    }
}

static void what_stays_is_learned(void **state) {
    (void)state;
    static struct run r;
    for (int i = 0; i < 2; i++) {
        fill(&r, 2);
        multiply(&r, NOON, LEN, i == 0 ? 0.1 : 5);
        observe(&r, false);
        assert_aside(&r, 0, 0);
        assert_int_equal(r.cleaning.anomalies.span_count, 0);
        for (int64_t j = NOON + SEASON / 2 + 1; j < LEN; j++) {
            assert_int_equal(r.use[j], CLEANING_LEARN);
        }
        history_fini(&r.history);
    }
}

static void levels_after_it_are_those_before(void **state) {
    (void)state;
    static struct run r;
    static const double factors[] = { 0, 8 };
    for (size_t i = 0; i < 2; i++) {
        fill(&r, 3);
        multiply(&r, LEN - 13, 12, factors[i]);
        observe(&r, false); /* the last slot is ordinary again */
        double before = usual(LEN - 14), after = usual(LEN - 1);
        assert_true(r.members.recent_fast > 0.8 * fmin(before, after));
        assert_true(r.members.recent_fast < 1.2 * fmax(before, after));
        history_fini(&r.history);
    }
}

static void a_burst_every_night_is_a_pattern(void **state) {
    (void)state;
    static struct run r;
    fill(&r, 4);
    for (int64_t i = 15 * (int64_t)SEASON + 8; i < LEN; i += SEASON) {
        multiply(&r, i, 3, 4);
    }
    observe(&r, false);
    assert_aside(&r, 0, 0); /* the first one is put back */
    assert_int_equal(r.use[15 * SEASON + 8], CLEANING_FOLLOW);
    assert_int_equal(r.use[16 * SEASON + 8], CLEANING_LEARN);
    struct anomaly_span spans[ANOMALY_SPANS];
    assert_int_equal(anomalies_spans(&r.cleaning.anomalies, spans, ANOMALY_SPANS), 0);
    history_fini(&r.history);
}

/* One repetition is not enough to believe that nobody will come. */
static void outages_become_a_pattern_the_third_time(void **state) {
    (void)state;
    static struct run r;
    for (int64_t times = 2; times <= 3; times++) {
        fill(&r, 5);
        for (int64_t i = 0; i < times; i++) {
            multiply(&r, NOON + i * SEASON, 8, 0);
        }
        observe(&r, false);
        assert_int_equal(r.use[NOON + SEASON], CLEANING_LEAVE);
        assert_int_equal(r.use[NOON + 2 * SEASON], CLEANING_LEARN);
        assert_int_equal(history_is_aside(&r.history, NOON + SEASON), times == 2);
        history_fini(&r.history);
    }
}

static void a_calendar_explains_it(void **state) {
    (void)state;
    static struct run r;
    fill(&r, 6);
    multiply(&r, NOON, 6, 5);
    observe(&r, true);
    assert_aside(&r, 0, 0);
    history_fini(&r.history);
}

static void a_stuck_gauge_is_left_out(void **state) {
    (void)state;
    static struct run r;
    int64_t morning = 15 * (int64_t)SEASON + 20;
    fill(&r, 7);
    for (int64_t i = morning; i < morning + 24; i++) {
        r.values[i] = r.values[morning];
    }
    observe(&r, false);
    assert_aside(&r, morning + 1, morning + 24); /* the first was measured */
    assert_one_span(&r, morning + 1, morning + 24, ANOMALY_STUCK);
    history_fini(&r.history);
}

/* Counts that are small repeat by nature. */
static void small_counts_are_left_alone(void **state) {
    (void)state;
    static struct run r;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        fill(&r, seed);
        for (int64_t i = 0; i < LEN; i++) {
            r.values[i] = floor(r.values[i] / 400 + 6 * rand_unit(&r.rand) - 3);
            r.values[i] = fmax(r.values[i], 0);
        }
        r.unit = 1 / 400.0;
        observe(&r, false);
        assert_aside(&r, 0, 0);
        history_fini(&r.history);
    }
}

static void an_hour_that_repeats_is_left_out(void **state) {
    (void)state;
    static struct run r;
    fill(&r, 8);
    memmove(&r.values[NOON], &r.values[NOON - HOUR_STEPS], HOUR_STEPS * sizeof *r.values);
    observe(&r, false);
    assert_aside(&r, NOON, NOON + HOUR_STEPS);
    assert_one_span(&r, NOON, NOON + HOUR_STEPS, ANOMALY_REPEATED);
    history_fini(&r.history);
}

/* Nobody knows yet what is usual. */
static void nothing_is_suspect_in_the_first_week(void **state) {
    (void)state;
    static struct run r;
    fill(&r, 9);
    multiply(&r, 3 * SEASON + 48, 10, 0);
    multiply(&r, 5 * SEASON + 48, 10, 6);
    observe(&r, false);
    assert_aside(&r, 0, 0);
    history_fini(&r.history);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left_out_of_ordinary_days),
        cmocka_unit_test(what_was_no_demand_is_left_out),
        cmocka_unit_test(what_stays_is_learned),
        cmocka_unit_test(levels_after_it_are_those_before),
        cmocka_unit_test(a_burst_every_night_is_a_pattern),
        cmocka_unit_test(outages_become_a_pattern_the_third_time),
        cmocka_unit_test(a_calendar_explains_it),
        cmocka_unit_test(a_stuck_gauge_is_left_out),
        cmocka_unit_test(small_counts_are_left_alone),
        cmocka_unit_test(an_hour_that_repeats_is_left_out),
        cmocka_unit_test(nothing_is_suspect_in_the_first_week),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
