#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "decide/forecast/uplift.h"
#include "record/series/series.h"

#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define START INT64_C(1767225600000)
#define BASE_HOURS_MAX 1400

/* Real demand by the hour: what there would be without campaigns, about 100 in a second. */
static double base[BASE_HOURS_MAX];
static size_t base_len;

static void load_base(void) {
    struct series series;
    const struct series_column *column = NULL;
    double sum = 0;
    assert_true(series_read(&series, "tests/data/bike_share_8weeks.csv", NULL));
    assert_true(series_column(&series, SLICE("rentals"), &column, NULL));
    assert_non_null(column);
    base_len = series.slots < BASE_HOURS_MAX ? series.slots : BASE_HOURS_MAX;
    for (size_t i = 0; i < base_len; i++) {
        base[i] = isnan(column->values[i]) ? 5 : column->values[i] + 5;
        sum += base[i];
    }
    for (size_t i = 0; i < base_len; i++) {
        base[i] *= 100 * (double)base_len / sum;
    }
    series_fini(&series);
}

static void begin(struct uplift *u, struct calendar *c, struct rand *random) {
    load_base();
    rand_init(random, 3);
    calendar_init(c);
    uplift_init(u);
}

static double base_at(int64_t at_ms) {
    return base[(size_t)((at_ms - START) / HOUR) % base_len];
}

struct send {
    int64_t onset_ms;
    double peak, rise_s, half_s;
};

static double factor_of(const struct send *s, int64_t at_ms) {
    double age_s = (double)(at_ms - s->onset_ms) / 1000;
    if (age_s <= 0) {
        return 1;
    }
    return 1 + (s->peak - 1) * fmin(age_s / s->rise_s, 1) *
                   exp2(-fmax(age_s - s->rise_s, 0) / s->half_s);
}

static void announce(struct calendar *c, int64_t start_ms, const char *kind, double multiplier) {
    const struct calendar_event event = { .start_ms = start_ms,
                                          .end_ms = start_ms + HOUR,
                                          .name = SLICE("newsletter"),
                                          .kind = slice_from(kind),
                                          .multiplier = multiplier };
    assert_true(calendar_add(c, &event, NULL));
    calendar_sort(c);
}

static double poisson(struct rand *random, double mean) {
    return fmax(mean + sqrt(mean) * rand_normal(random), 0);
}

/* Lives through [from, to) in steps of `step_ms`; the ordinary demand is known up to `error`. */
static void live(struct uplift *u, const struct send *send, int64_t from_ms, int64_t to_ms,
                 int64_t step_ms, struct rand *random) {
    for (int64_t at = from_ms; at < to_ms; at += step_ms) {
        double seconds = (double)step_ms / 1000, ordinary = base_at(at);
        double rps = ordinary * factor_of(send, at + step_ms / 2);
        const struct uplift_sample sample = { .end_ms = at + step_ms,
                                              .seconds = seconds,
                                              .demand_rps =
                                                  poisson(random, rps * seconds) / seconds,
                                              .ordinary_rps = ordinary };
        uplift_observe(u, &sample);
    }
}

static const struct send none = { .onset_ms = INT64_MAX / 2, .peak = 1, .rise_s = 1, .half_s = 1 };

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Three past ones of a kind, then a fourth: how far off is the peak that is predicted for it? With
 * a marketer who is wrong by half each time, with one who always says twice as much, and without.
 */
enum marketer { SILENT, WRONG_BY_HALF, TWICE, MARKETERS };

static double off_after_three(enum marketer marketer, uint64_t seed) {
    struct uplift u;
    struct calendar c;
    struct rand random;
    struct uplift_opinion opinion;
    double peak = 0;
    rand_init(&random, seed);
    calendar_init(&c);
    uplift_init(&u);
    uplift_set_calendar(&u, &c);
    double kind = 2 + 6 * rand_unit(&random), rise_s = 30 + 200 * rand_unit(&random);
    for (int i = 0; i < 4; i++) {
        int64_t start = START + (3 + 4 * i) * DAY + (8 + rand_below(&random, 10)) * HOUR;
        peak = 1 + (kind - 1) * exp(0.2 * rand_normal(&random));
        double wrong = rand_below(&random, 2) == 0 ? 0.5 : 1.5;
        double said = marketer == SILENT          ? (double)NAN
                      : marketer == WRONG_BY_HALF ? 1 + (peak - 1) * wrong
                                                  : 1 + (peak - 1) * 2;
        const struct send send = { start + rand_below(&random, 60) * SECOND, peak, rise_s,
                                   600 + 3000 * rand_unit(&random) };
        announce(&c, start, "mail", said);
        uplift_set_calendar(&u, &c);
        opinion = uplift_think(&u, &c.events[c.len - 1]);
        live(&u, &send, start - HOUR / 2, start + 2 * HOUR, i % 2 == 0 ? 5 * SECOND : 60 * SECOND,
             &random);
    }
    assert_int_equal(opinion.learned_from, 3);
    calendar_fini(&c);
    return fabs(opinion.peak / peak - 1);
}

static void after_three_the_peak_is_known_within_a_quarter(void **state) {
    (void)state;
    enum { SEEDS = 60 };
    load_base();
    for (int marketer = SILENT; marketer < MARKETERS; marketer++) {
        double off[SEEDS];
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            off[seed] = off_after_three(marketer, seed + 1);
        }
        qsort(off, SEEDS, sizeof off[0], by_value);
        print_message("marketer %d: median %.3f, worst %.3f\n", marketer, off[SEEDS / 2],
                      off[SEEDS - 1]);
        assert_true(off[SEEDS / 2] <= 0.25);
    }
}

static void within_a_minute_of_the_send_the_size_is_corrected(void **state) {
    (void)state;
    static const double wrong[] = { 0.5, 1.5 };
    load_base();
    for (size_t i = 0; i < 2; i++) {
        struct uplift u;
        struct calendar c;
        struct rand random;
        rand_init(&random, 7 + i);
        calendar_init(&c);
        uplift_init(&u);
        int64_t start = START + 3 * DAY + 12 * HOUR;
        const struct send send = { start, 6, 20, 1e6 };
        announce(&c, start, "push", 6 * wrong[i]);
        uplift_set_calendar(&u, &c);
        live(&u, &send, start - HOUR / 4, start + 60 * SECOND, SECOND, &random);
        struct uplift_opinion opinion = uplift_think(&u, &c.events[0]);
        assert_int_equal(opinion.phase, UPLIFT_RUNNING);
        assert_true(llabs(opinion.onset_ms - start) <= 10 * SECOND);
        if (fabs(opinion.peak / 6 - 1) > 0.25) {
            fail_msg("said %g, is 6, thought %g", 6 * wrong[i], opinion.peak);
        }
        calendar_fini(&c);
    }
}

static double lifted(const struct uplift *u, int64_t now_ms, int64_t at_ms, double level) {
    double values[] = { 100, 100, 100 };
    const double levels[] = { 0.1, 0.5, 0.95 };
    const struct uplift_path path = { at_ms, 60 * SECOND, 1, levels, 3 };
    uplift_apply(u, now_ms, &path, NULL, values);
    assert_true(values[0] <= values[1] && values[1] <= values[2]);
    return level < 0.5 ? values[0] : level > 0.5 ? values[2] : values[1];
}

static void a_late_send_is_waited_for_and_one_that_does_not_come_is_given_up(void **state) {
    (void)state;
    struct uplift u;
    struct calendar c;
    struct rand random;
    begin(&u, &c, &random);
    int64_t start = START + 3 * DAY + 12 * HOUR;
    announce(&c, start, "push", 5);
    uplift_set_calendar(&u, &c);
    assert_true(lifted(&u, start - HOUR, start - 20 * 60 * SECOND, 0.95) < 101); /* not yet */
    assert_true(lifted(&u, start - HOUR, start + 5 * 60 * SECOND, 0.5) > 400);
    live(&u, &none, start - HOUR / 4, start + 8 * 60 * SECOND, SECOND, &random);
    int64_t now = start + 8 * 60 * SECOND;
    assert_int_equal(uplift_think(&u, &c.events[0]).phase, UPLIFT_WAITING);
    assert_true(lifted(&u, now, now + 4 * 60 * SECOND, 0.95) > 400); /* any moment now */
    struct uplift waited = u;
    const struct send late = { now, 5, 60, 1e6 };
    live(&u, &late, now, now + 120 * SECOND, SECOND, &random);
    assert_int_equal(uplift_think(&u, &c.events[0]).phase, UPLIFT_RUNNING);
    int64_t end = start + HOUR + 7 * 60 * SECOND; /* it ends as late as it began */
    assert_true(lifted(&u, now + 120 * SECOND, end - 60 * SECOND, 0.5) > 400);
    live(&waited, &none, now, start + 16 * 60 * SECOND, SECOND, &random);
    now = start + 16 * 60 * SECOND;
    assert_true(lifted(&waited, now, now + 60 * SECOND, 0.95) < 101);
    live(&waited, &none, now, start + 2 * HOUR, SECOND, &random);
    assert_int_equal(uplift_kinds_count(&waited.kinds, SLICE("push")), 0); /* nothing to learn */
    calendar_fini(&c);
}

static void one_that_is_cancelled_or_moved(void **state) {
    (void)state;
    struct uplift u;
    struct calendar c, empty, moved;
    struct rand random;
    load_base();
    rand_init(&random, 3);
    calendar_init(&c);
    calendar_init(&empty);
    calendar_init(&moved);
    uplift_init(&u);
    int64_t start = START + 3 * DAY + 12 * HOUR, now = start - 60 * SECOND;
    announce(&c, start, "push", 5);
    announce(&moved, start + 5 * HOUR, "push", 5);
    uplift_set_calendar(&u, &c);
    live(&u, &none, start - HOUR / 4, now, SECOND, &random);
    assert_true(lifted(&u, now, start + 60 * SECOND, 0.95) > 200);
    uplift_set_calendar(&u, &empty);
    assert_true(lifted(&u, now, start + 60 * SECOND, 0.95) < 101);
    uplift_set_calendar(&u, &moved);
    assert_true(lifted(&u, now, start + 60 * SECOND, 0.95) < 101);
    assert_true(lifted(&u, now, start + 5 * HOUR + 300 * SECOND, 0.95) > 400);
    /* One that has begun all the same goes on, whatever the calendar says. */
    uplift_set_calendar(&u, &c);
    const struct send send = { start, 5, 30, 1e6 };
    live(&u, &send, now, start + 60 * SECOND, SECOND, &random);
    uplift_set_calendar(&u, &empty);
    assert_true(lifted(&u, start + 60 * SECOND, start + 120 * SECOND, 0.5) > 400);
    calendar_fini(&c);
    calendar_fini(&empty);
    calendar_fini(&moved);
}

/* What the campaigns that begin may come to in the minute from `at_ms` on; NaN: none begins. */
static double announced(const struct uplift *u, int64_t now_ms, int64_t at_ms, double quantile) {
    double factor;
    const struct uplift_path path = { .start_ms = at_ms, .step_ms = 60 * SECOND, .steps = 1 };
    const struct uplift_begin begin = { quantile, 60 * SECOND };
    uplift_announced(u, now_ms, &path, &begin, &factor);
    return factor;
}

static void what_is_announced_is_said_apart_from_what_is_learned(void **state) {
    (void)state;
    struct uplift u;
    struct calendar c;
    struct rand random;
    begin(&u, &c, &random);
    int64_t start = START + 3 * DAY + 12 * HOUR, now = start - 60 * SECOND;
    assert_true(isnan(announced(&u, now, start, 0.5)));
    announce(&c, start, "push", 5);
    uplift_set_calendar(&u, &c);
    assert_true(isnan(announced(&u, now, start - 60 * SECOND, 0.99)));  /* not yet */
    assert_true(isnan(announced(&u, now, start + 180 * SECOND, 0.99))); /* known by then */
    assert_true(fabs(announced(&u, now, start, 0.5) - 5) < 0.01); /* from its first second on */
    assert_true(fabs(announced(&u, now, start + 179 * SECOND, 0.5) - 5) < 0.01);
    assert_true(announced(&u, now, start, 0.99) > 10); /* the marketer may be wrong */
    live(&u, &none, start - HOUR / 4, start + 8 * 60 * SECOND, SECOND, &random);
    now = start + 8 * 60 * SECOND;
    assert_true(fabs(announced(&u, now, now, 0.5) - 5) < 0.01); /* late: any moment now */
    const struct send send = { now, 2.5, 20, 1e6 };
    live(&u, &send, now, now + 120 * SECOND, SECOND, &random);
    now += 120 * SECOND;
    double seen = announced(&u, now, now, 0.99);
    assert_true(seen > 2 && seen < 3.5); /* demand has said that it is half as large */
    assert_true(isnan(announced(&u, now, now + 75 * SECOND, 0.99)));
    calendar_fini(&c);
}

static void an_onset_that_was_chance_is_taken_back(void **state) {
    (void)state;
    struct uplift u;
    struct calendar c;
    struct rand random;
    begin(&u, &c, &random);
    int64_t start = START + 3 * DAY + 12 * HOUR, burst = start - 8 * 60 * SECOND;
    announce(&c, start, "push", 5);
    uplift_set_calendar(&u, &c);
    const struct send chance = { burst, 4, 1, 5 }; /* nobody announced that */
    live(&u, &none, start - HOUR / 4, burst, SECOND, &random);
    live(&u, &chance, burst, burst + 20 * SECOND, SECOND, &random);
    assert_int_equal(uplift_think(&u, &c.events[0]).phase, UPLIFT_RUNNING);
    live(&u, &none, burst + 20 * SECOND, start - 60 * SECOND, SECOND, &random);
    struct uplift_opinion opinion = uplift_think(&u, &c.events[0]);
    assert_int_equal(opinion.phase, UPLIFT_WAITING);
    assert_true(fabs(opinion.peak - 5) < 0.01 && opinion.onset_ms == 0);
    assert_true(fabs(announced(&u, start - 60 * SECOND, start, 0.5) - 5) < 0.01);
    const struct send send = { start, 5, 60, 1e6 };
    live(&u, &send, start - 60 * SECOND, start + 120 * SECOND, SECOND, &random);
    opinion = uplift_think(&u, &c.events[0]);
    assert_int_equal(opinion.phase, UPLIFT_RUNNING);
    assert_true(llabs(opinion.onset_ms - start) <= 20 * SECOND);
    calendar_fini(&c);
}

static void what_a_campaign_brings_is_not_learned_as_ordinary(void **state) {
    (void)state;
    struct uplift u;
    struct calendar c;
    struct rand random;
    begin(&u, &c, &random);
    int64_t start = START + 3 * DAY + 12 * HOUR;
    announce(&c, start, "push", 5);
    uplift_set_calendar(&u, &c);
    live(&u, &none, start - HOUR / 4, start, SECOND, &random);
    assert_true(uplift_ordinary(&u, start - 60 * SECOND, start, 77) == 77);
    const struct send send = { start, 5, 30, 1e6 };
    live(&u, &send, start, start + 300 * SECOND, SECOND, &random);
    assert_true(isnan(uplift_ordinary(&u, start + 240 * SECOND, start + 300 * SECOND, 500)));
    calendar_fini(&c);
}

/* Whatever comes: no answer that is not a number, nothing below what there would be anyway. */
static void nonsense_does_no_harm(void **state) {
    (void)state;
    static const double odd[] = { 0, NAN, 1e300, -5, 1e-300, INFINITY, 50 };
    struct rand random;
    rand_init(&random, 11);
    for (int round = 0; round < 200; round++) {
        struct uplift u;
        struct calendar c;
        calendar_init(&c);
        uplift_init(&u);
        for (int i = 0; i < 12; i++) { /* more at once than there are runs */
            announce(&c, START + (int64_t)rand_below(&random, 600) * SECOND,
                     rand_below(&random, 2) == 0 ? "a" : "b", i % 3 == 0 ? (double)NAN : 1 + i);
        }
        uplift_set_calendar(&u, &c);
        int64_t at = START - 700 * SECOND;
        for (int i = 0; i < 400; i++) {
            at += (int64_t)rand_below(&random, 20) * SECOND - 2 * SECOND;
            const struct uplift_sample sample = { at, i % 7, odd[rand_below(&random, 7)],
                                                  odd[rand_below(&random, 7)] };
            uplift_observe(&u, &sample);
        }
        for (int64_t minute = 0; minute < 90; minute++) {
            double high = lifted(&u, at, at + minute * 60 * SECOND, 0.95);
            double middle = lifted(&u, at, at + minute * 60 * SECOND, 0.5);
            assert_true(isfinite(high) && middle >= 99.9 && high >= middle);
        }
        calendar_fini(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_three_the_peak_is_known_within_a_quarter),
        cmocka_unit_test(within_a_minute_of_the_send_the_size_is_corrected),
        cmocka_unit_test(a_late_send_is_waited_for_and_one_that_does_not_come_is_given_up),
        cmocka_unit_test(one_that_is_cancelled_or_moved),
        cmocka_unit_test(what_is_announced_is_said_apart_from_what_is_learned),
        cmocka_unit_test(an_onset_that_was_chance_is_taken_back),
        cmocka_unit_test(what_a_campaign_brings_is_not_learned_as_ordinary),
        cmocka_unit_test(nonsense_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
