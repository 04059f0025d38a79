#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "decide/cost/ledger.h"

#define NOON_MS (INT64_C(19675) * 86400000 + 43200000)
#define HOURS_KEPT 200

struct book {
    struct ledger ledger;
    struct ledger_hour hours[HOURS_KEPT];
    size_t len;
};

static void open_book(struct book *b, const struct autoscale_policy *policy) {
    struct error err;
    b->len = 0;
    assert_true(ledger_init(&b->ledger, policy, &err));
}

static void drain(struct book *b) {
    enum ledger_step step;
    while ((step = ledger_step(&b->ledger, &b->hours[b->len])) != LEDGER_WAITS) {
        b->len += step == LEDGER_HOUR_ENDED;
        assert_true(b->len < HOURS_KEPT);
    }
}

/* Judges the rest; the hour that was going on is the last. */
static void close_book(struct book *b) {
    ledger_end(&b->ledger);
    drain(b);
    b->hours[b->len++] = b->ledger.hour;
    ledger_fini(&b->ledger);
}

static struct autoscale_policy policy_of(uint32_t min, uint32_t max) {
    struct autoscale_policy p;
    autoscale_policy_init(&p);
    p.instances_min = min;
    p.instances_max = max;
    return p;
}

static void live(struct book *b, int64_t from_ms, unsigned seconds, struct ledger_second second) {
    second.seconds = 1;
    for (unsigned i = 1; i <= seconds; i++) {
        second.now_ms = from_ms + (int64_t)i * 1000;
        ledger_observe(&b->ledger, &second);
        drain(b);
    }
}

static void assert_near(double found, double wanted, const char *what) {
    if (!(fabs(found - wanted) < 1e-6 * fmax(1, fabs(wanted)))) {
        fail_msg("%s: expected %.9g, found %.9g", what, wanted, found);
    }
}

static double ticks(double instances) { /* a tick of so many instances, in instance-hours */
    return instances * LEDGER_TICK_MS / MS_PER_HOUR;
}

/* One hour by hand: 16 requests a second, 46 in its 31st minute; an instance carries 10 and takes
 * two ticks to start. */
static void an_hour_by_hand(void **state) {
    (void)state;
    static struct book b;
    struct autoscale_policy policy = policy_of(1, 20);
    struct ledger_second usual = { .offered_rps = 16,
                                   .refused_rps = 0.5,
                                   .paid = 3,
                                   .able = 2,
                                   .unit_rps = 10,
                                   .startup_ms = 2 * LEDGER_TICK_MS },
                         steep = usual;
    steep.offered_rps = 46;
    open_book(&b, &policy);
    live(&b, NOON_MS, 1800, usual);
    live(&b, NOON_MS + 1800000, 60, steep);
    live(&b, NOON_MS + 1860000, 1740, usual);
    live(&b, NOON_MS + 3600000, 60, usual); /* so that the hour is over */
    assert_int_equal(b.len, 1);
    const struct ledger_hour *h = &b.hours[0];
    const struct ledger_account *a = h->accounts;
    assert_true(h->start_ms == NOON_MS);
    assert_near(h->seconds, 3600, "seconds");
    assert_near(h->requests, 3540 * 16 + 60 * 46, "requests");
    assert_near(h->refused, 1800, "refused");
    /* Three were paid; two carry 20: of 26 too many, 2 s of capacity are patient. */
    assert_near(a[LEDGER_TIDEGATE].instance_hours, 3, "paid");
    assert_near(a[LEDGER_TIDEGATE].unserved, 60 * 26 - 40, "tidegate unserved");
    assert_int_equal(a[LEDGER_TIDEGATE].instances_max, 3);
    /* Five from two ticks before the minute until its end, else two. */
    assert_near(a[LEDGER_ORACLE].instance_hours, ticks(14 * 5 + 706 * 2), "oracle");
    assert_near(a[LEDGER_ORACLE].unserved, 0, "oracle unserved");
    assert_near(a[LEDGER_STATIC_PEAK].instance_hours, 5, "static");
    assert_near(a[LEDGER_STATIC_PEAK].unserved, 0, "static unserved");
    /* Syncs at ticks 362, 365, …: 3 (0.933 / 0.8), 4, 5, 7 (0.973 / 0.8); after 21 syncs the 5 of
     * tick 374 is the highest of the window, a sync later 2. */
    assert_near(a[LEDGER_HPA].instance_hours,
                ticks(362 * 2 + 3 * 3 + 3 * 4 + 3 * 5 + 63 * 7 + 3 * 5 + 283 * 2), "hpa");
    assert_near(a[LEDGER_HPA].unserved, 90 + 3 * 130 + 60 + 80 + 80 + 10 + 30 + 30, "hpa unserved");
    assert_int_equal(a[LEDGER_HPA].instances_max, 7);
    assert_true(a[LEDGER_REACTIVE].instance_hours > a[LEDGER_ORACLE].instance_hours);
    assert_true(a[LEDGER_REACTIVE].unserved > 0);
    assert_true(a[LEDGER_REACTIVE].unserved < a[LEDGER_HPA].unserved);
    close_book(&b);
}

/* Whatever comes: arrivals that jump, an estimate that moves, seconds that nobody saw. */
static void the_oracle_is_never_dearer_than_the_peak_and_drops_nothing(void **state) {
    (void)state;
    static struct book b;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rand r;
        rand_init(&r, seed);
        struct autoscale_policy policy = policy_of(1 + (uint32_t)rand_below(&r, 3), 100000);
        policy.spares = (uint32_t)rand_below(&r, 3);
        struct ledger_second s = { .offered_rps = 20,
                                   .paid = 4,
                                   .able = 4,
                                   .unit_rps = 10,
                                   .startup_ms = (double)rand_below(&r, 400000) };
        int64_t at_ms = NOON_MS + (int64_t)rand_below(&r, 3600000);
        open_book(&b, &policy);
        for (int i = 0; i < 400; i++) {
            unsigned seconds = 1 + (unsigned)rand_below(&r, 60);
            live(&b, at_ms, seconds, s);
            at_ms += seconds * 1000;
            at_ms += rand_below(&r, 50) == 0 ? (int64_t)rand_below(&r, 200000) : 0;
            s.offered_rps = rand_below(&r, 10) == 0 ? (double)rand_below(&r, 3000)
                                                    : s.offered_rps * (0.8 + 0.4 * rand_unit(&r));
            s.unit_rps = rand_below(&r, 20) == 0 ? 5 + 10 * rand_unit(&r) : s.unit_rps;
            s.startup_ms = rand_below(&r, 40) == 0 ? (double)rand_below(&r, 400000) : s.startup_ms;
        }
        close_book(&b);
        assert_true(b.len > 2);
        for (size_t i = 0; i < b.len; i++) {
            const struct ledger_account *a = b.hours[i].accounts;
            if (a[LEDGER_ORACLE].instance_hours > a[LEDGER_STATIC_PEAK].instance_hours + 1e-9 ||
                a[LEDGER_ORACLE].unserved > 1e-6 * b.hours[i].requests ||
                a[LEDGER_STATIC_PEAK].unserved > 1e-6 * b.hours[i].requests) {
                fail_msg("seed %d, hour %zu", (int)seed, i);
            }
        }
    }
}

static const struct ledger_second calm = {
    .offered_rps = 16, .paid = 2, .able = 2, .unit_rps = 10, .startup_ms = 10000
};

static void the_peak_of_a_week_is_remembered_and_forgotten(void **state) {
    (void)state;
    static struct book b;
    struct autoscale_policy policy = policy_of(1, 20);
    open_book(&b, &policy);
    ledger_remember_peak(&b.ledger, NOON_MS - 167 * MS_PER_HOUR, 9);
    ledger_remember_peak(&b.ledger, NOON_MS - 169 * MS_PER_HOUR, 12); /* too old */
    live(&b, NOON_MS, 3600, calm);
    live(&b, NOON_MS + MS_PER_HOUR, 600, calm);
    close_book(&b);
    assert_int_equal(b.len, 2);
    assert_near(b.hours[0].accounts[LEDGER_STATIC_PEAK].instance_hours, 9, "remembered");
    assert_int_equal(b.hours[1].accounts[LEDGER_STATIC_PEAK].instances_max, 2);
}

static void an_hour_goes_on_after_a_restart(void **state) {
    (void)state;
    static struct book first, second, whole;
    struct autoscale_policy policy = policy_of(1, 20);
    open_book(&whole, &policy);
    live(&whole, NOON_MS, 3000, calm);
    close_book(&whole);
    open_book(&first, &policy);
    live(&first, NOON_MS, 1502, calm); /* the tick that is broken is the successor's */
    close_book(&first);
    open_book(&second, &policy);
    ledger_resume(&second.ledger, &first.hours[0]);
    live(&second, NOON_MS + 1502000, 1498, calm);
    close_book(&second);
    assert_int_equal(second.len, 1);
    assert_near(second.hours[0].seconds, whole.hours[0].seconds, "seconds");
    assert_near(second.hours[0].requests, whole.hours[0].requests, "requests");
    for (int i = 0; i < LEDGER_POLICIES; i++) {
        assert_near(second.hours[0].accounts[i].instance_hours,
                    whole.hours[0].accounts[i].instance_hours, ledger_policy_names[i]);
    }
}

static void what_nobody_saw_is_not_judged(void **state) {
    (void)state;
    static struct book b;
    struct autoscale_policy policy = policy_of(1, 20);
    open_book(&b, &policy);
    live(&b, NOON_MS, 600, calm);
    live(&b, NOON_MS + 1200000, 600, calm);
    live(&b, NOON_MS + 1700000, 100, calm); /* the clock went back: seen already */
    close_book(&b);
    assert_near(b.hours[0].seconds, 1200, "seconds");
    assert_near(b.hours[0].accounts[LEDGER_ORACLE].instance_hours, 2 * 1200 / 3600.0, "oracle");
}

static void nothing_is_judged_before_a_start_up_has_passed(void **state) {
    (void)state;
    static struct book b;
    struct ledger_hour done;
    struct autoscale_policy policy = policy_of(1, 20);
    open_book(&b, &policy);
    live(&b, NOON_MS, 15, calm); /* two whole ticks, and one that may go on */
    assert_near(b.ledger.hour.seconds, 0, "seconds");
    live(&b, NOON_MS + 15000, 6, calm);
    assert_near(b.ledger.hour.seconds, 10, "seconds");
    assert_int_equal(ledger_step(&b.ledger, &done), LEDGER_WAITS);
    close_book(&b);
}

static void spares_are_in_the_reactive_account(void **state) {
    (void)state;
    static struct book b;
    struct autoscale_policy policy = policy_of(1, 20);
    policy.spares = 3;
    open_book(&b, &policy);
    live(&b, NOON_MS, 3600, calm);
    close_book(&b);
    assert_near(b.hours[0].accounts[LEDGER_REACTIVE].instance_hours, 5, "reactive");
    assert_near(b.hours[0].accounts[LEDGER_HPA].instance_hours, 2, "hpa");
}

/* Five and twenty-five by turns: a tick's mean is at most 17, what the controller hears is 25. */
static void the_account_without_forecast_hears_each_second(void **state) {
    (void)state;
    static struct book b;
    struct autoscale_policy policy = policy_of(1, 20);
    open_book(&b, &policy);
    for (unsigned i = 0; i < 3600; i++) {
        struct ledger_second second = calm;
        second.offered_rps = i % 2 == 0 ? 5 : 25;
        live(&b, NOON_MS + (int64_t)i * 1000, 1, second);
    }
    close_book(&b);
    assert_true(b.hours[0].accounts[LEDGER_REACTIVE].instance_hours > 2.9);
    assert_near(b.hours[0].accounts[LEDGER_ORACLE].instance_hours, 2, "oracle");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_by_hand),
        cmocka_unit_test(the_oracle_is_never_dearer_than_the_peak_and_drops_nothing),
        cmocka_unit_test(the_peak_of_a_week_is_remembered_and_forgotten),
        cmocka_unit_test(an_hour_goes_on_after_a_restart),
        cmocka_unit_test(what_nobody_saw_is_not_judged),
        cmocka_unit_test(nothing_is_judged_before_a_start_up_has_passed),
        cmocka_unit_test(spares_are_in_the_reactive_account),
        cmocka_unit_test(the_account_without_forecast_hears_each_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
