/* What is ill and what is done about it: single cases, then sweeps that look for a broken promise.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/rand.h"
#include "decide/remediation/remedy.h"

#define WELL                                                                                       \
    { .window_ms = 1000, .awaiting = 3, .oldest_age_ms = 40, .answers = 100, .latency_ms_p50 = 50 }

static struct remedy_policy policy;

static int set_up(void **state) {
    (void)state;
    policy = remedy_policy_for(250);
    return 0;
}

/* One instance as given among `count` well ones. */
static struct remedy decide_one(struct remedy_evidence evidence, size_t others) {
    struct remedy_evidence all[REMEDY_ENDPOINTS_MAX];
    struct remedy remedies[REMEDY_ENDPOINTS_MAX];
    all[0] = evidence;
    for (size_t i = 1; i <= others; i++) {
        all[i] = (struct remedy_evidence)WELL;
    }
    remedy_decide(&policy, all, others + 1, 0, remedies);
    for (size_t i = 1; i <= others; i++) {
        assert_int_equal(remedies[i].finding, FINDING_NONE);
        assert_true(!remedies[i].eject && !remedies[i].held_back && remedies[i].reason[0] == '\0');
    }
    return remedies[0];
}

static void finds_what_is_ill(void **state) {
    static const struct {
        const char *name;
        struct remedy_evidence evidence;
        enum finding finding;
        const char *reason; /* within it */
    } cases[] = {
        { "well", WELL, FINDING_NONE, "" },
        { "idle", { .window_ms = 1000, .latency_ms_p50 = NAN }, FINDING_NONE, "" },
        { "crashed", { .crashed = true }, FINDING_CRASHED, "ended by itself" },
        { "unhealthy", { .unhealthy = true, .answers = 100 }, FINDING_UNHEALTHY, "health probes" },
        { "crashed says more than unhealthy",
          { .crashed = true, .unhealthy = true },
          FINDING_CRASHED,
          "ended by itself" },
        { "left alone for its silence, and tried in vain",
          { .left_alone = EJECTION_HUNG,
            .left_alone_ms = 600,
            .left_alone_times = 3,
            .latency_ms_p50 = NAN },
          FINDING_HUNG,
          "none of 2 tries was good" },
        { "left alone for a moment",
          { .left_alone = EJECTION_HUNG,
            .left_alone_ms = 300,
            .left_alone_times = 3,
            .latency_ms_p50 = NAN },
          FINDING_NONE,
          "" },
        { "left alone for its errors",
          { .left_alone = EJECTION_FAILURES,
            .left_alone_ms = 2500,
            .left_alone_times = 6,
            .latency_ms_p50 = NAN },
          FINDING_ERRORS,
          "answers with errors" },
        { "slower than its peers by less than anybody minds",
          { .left_alone = EJECTION_SLOW,
            .left_alone_ms = 9000,
            .left_alone_times = 6,
            .left_alone_latency_ms = 60,
            .latency_ms_p50 = NAN },
          FINDING_NONE,
          "" },
        { "slower than its peers by much",
          { .left_alone = EJECTION_SLOW,
            .left_alone_ms = 9000,
            .left_alone_times = 6,
            .left_alone_latency_ms = 900,
            .latency_ms_p50 = NAN },
          FINDING_SLOW,
          "far slower" },
        { "nobody can replace it",
          { .left_alone = EJECTION_HUNG,
            .left_alone_ms = 9000,
            .left_alone_times = 30,
            .latency_ms_p50 = NAN,
            .fixed = true },
          FINDING_NONE,
          "" },
        { "hangs, and needs no answer for that",
          { .window_ms = 1000, .awaiting = 4, .oldest_age_ms = 600, .latency_ms_p50 = NAN },
          FINDING_HUNG,
          "4 requests await an answer, the oldest for 600 ms" },
        { "one slow page is no hang",
          { .window_ms = 1000, .awaiting = 2, .oldest_age_ms = 9000, .latency_ms_p50 = NAN },
          FINDING_NONE,
          "" },
        { "hangs exactly so long",
          { .window_ms = 500, .awaiting = 3, .oldest_age_ms = 500, .latency_ms_p50 = NAN },
          FINDING_HUNG,
          "" },
        { "one answer in the meantime is no hang",
          { .window_ms = 1000, .awaiting = 4, .oldest_age_ms = 600, .answers = 1 },
          FINDING_NONE,
          "" },
        { "nothing in flight is no hang",
          { .window_ms = 9000, .oldest_age_ms = 600, .latency_ms_p50 = NAN },
          FINDING_NONE,
          "" },
        { "not old enough to be a hang",
          { .window_ms = 1000, .awaiting = 4, .oldest_age_ms = 499, .latency_ms_p50 = NAN },
          FINDING_NONE,
          "" },
        { "not watched for long enough to be a hang",
          { .window_ms = 499, .awaiting = 4, .oldest_age_ms = 600, .latency_ms_p50 = NAN },
          FINDING_NONE,
          "" },
        { "half of the answers are errors",
          { .window_ms = 1000, .answers = 20, .status_5xx = 10, .latency_ms_p50 = 50 },
          FINDING_ERRORS,
          "50 % of its 20 answers" },
        { "too few errors for a burst",
          { .window_ms = 1000, .answers = 9, .status_5xx = 9, .latency_ms_p50 = 50 },
          FINDING_NONE,
          "" },
        { "less than half are errors",
          { .window_ms = 1000, .answers = 21, .status_5xx = 10, .latency_ms_p50 = 50 },
          FINDING_NONE,
          "" },
        { "connections that break are errors too",
          { .window_ms = 1000, .failures = 10, .latency_ms_p50 = NAN },
          FINDING_ERRORS,
          "100 % of its 10" },
        { "slow for two seconds",
          { .window_ms = 1000, .answers = 9, .latency_ms_p50 = 900, .slow_since_ms = 2000 },
          FINDING_SLOW,
          "900 ms" },
        { "slow, but not for long",
          { .window_ms = 1000, .answers = 9, .latency_ms_p50 = 900, .slow_since_ms = 1999 },
          FINDING_NONE,
          "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct remedy r = decide_one(cases[i].evidence, 3);
        bool ill = cases[i].finding != FINDING_NONE;
        if (r.finding != cases[i].finding || r.eject != ill || r.held_back ||
            strstr(r.reason, cases[i].reason) == NULL || (r.reason[0] != '\0') != ill) {
            fail_msg("%s: %s, eject %d, held back %d, '%s'", cases[i].name, finding_name(r.finding),
                     r.eject, r.held_back, r.reason);
        }
    }
}

static void ejects_one_alone(void **state) {
    (void)state;
    assert_true(decide_one((struct remedy_evidence){ .unhealthy = true }, 0).eject);
    assert_true(decide_one((struct remedy_evidence){ .unhealthy = true }, 1).eject);
    struct remedy r = decide_one(
        (struct remedy_evidence){ .window_ms = 1000, .answers = 50, .status_5xx = 50 }, 0);
    assert_int_equal(r.finding, FINDING_NONE); /* nobody to compare with: it may be the database */
}

/* What stands still behind all of them (or before the only one) is not healed by taking them away.
 */
static void needs_peers_that_answer_to_call_it_hung(void **state) {
    const struct remedy_evidence hung = {
        .window_ms = 1000, .awaiting = 50, .oldest_age_ms = 5000, .latency_ms_p50 = NAN
    };
    struct remedy_evidence all[3] = { hung, hung, hung };
    struct remedy remedies[3];
    (void)state;
    assert_int_equal(decide_one(hung, 0).finding, FINDING_NONE);
    remedy_decide(&policy, all, 3, 0, remedies);
    assert_int_equal(remedies[0].finding, FINDING_NONE);
    all[1].answers = policy.hang_peers_least - 1;
    remedy_decide(&policy, all, 3, 0, remedies);
    assert_int_equal(remedies[0].finding, FINDING_NONE);
    all[2].answers = 1;
    remedy_decide(&policy, all, 3, 0, remedies);
    assert_int_equal(remedies[0].finding, FINDING_HUNG);
    assert_int_equal(remedies[1].finding, FINDING_NONE);
}

/* Their errors have a common cause when the others have them too. */
static void compares_errors_with_peers(void **state) {
    struct remedy_evidence all[4];
    struct remedy remedies[4];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        all[i] = (struct remedy_evidence)WELL;
        all[i].status_5xx = i == 0 ? 90 : 30;
    }
    remedy_decide(&policy, all, 4, 0, remedies);
    assert_int_equal(remedies[0].finding, FINDING_NONE);
    for (size_t i = 1; i < 4; i++) {
        all[i].status_5xx = 20;
    }
    remedy_decide(&policy, all, 4, 0, remedies);
    assert_int_equal(remedies[0].finding, FINDING_ERRORS);
}

static void holds_back_at_a_common_cause(void **state) {
    struct remedy_evidence all[5];
    struct remedy remedies[5];
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        all[i] = (struct remedy_evidence)WELL;
        all[i].unhealthy = i < 3;
    }
    all[4].crashed = true;
    remedy_decide(&policy, all, 5, 0, remedies);
    for (size_t i = 0; i < 3; i++) {
        assert_true(!remedies[i].eject && remedies[i].held_back);
    }
    assert_true(remedies[4].eject && !remedies[4].held_back); /* a dead one serves nobody */
    all[2].unhealthy = false;                                 /* two of five: not most of them */
    remedy_decide(&policy, all, 5, 0, remedies);
    assert_true(remedies[0].eject);
    assert_true(remedies[1].held_back); /* but a third of five is one */
}

static void counts_those_that_are_out(void **state) {
    struct remedy_evidence all[5];
    struct remedy remedies[5];
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        all[i] = (struct remedy_evidence)WELL;
        all[i].unhealthy = i == 0;
    }
    remedy_decide(&policy, all, 5, 1, remedies); /* of six, two */
    assert_true(remedies[0].eject);
    remedy_decide(&policy, all, 5, 2, remedies); /* of seven, two, and they are out */
    assert_true(remedies[0].held_back);
}

static void needs_peers_and_answers_to_call_it_slow(void **state) {
    struct remedy_evidence all[4] = { WELL, WELL, WELL, WELL };
    (void)state;
    all[0].latency_ms_p50 = 400;
    assert_true(remedy_is_slow(&policy, all, 4, 0));
    assert_false(remedy_is_slow(&policy, all, 4, 1));
    all[0].latency_ms_p50 = 150; /* exactly three times */
    assert_false(remedy_is_slow(&policy, all, 4, 0));
    all[0].latency_ms_p50 = 400;
    all[0].answers = policy.slow_answers_least - 1;
    assert_false(remedy_is_slow(&policy, all, 4, 0));
    all[0].answers = policy.slow_answers_least;
    assert_true(remedy_is_slow(&policy, all, 4, 0));
    all[1].answers = all[2].answers = 0; /* one peer left */
    assert_false(remedy_is_slow(&policy, all, 4, 0));
    all[0].latency_ms_p50 = NAN;
    assert_false(remedy_is_slow(&policy, all, 4, 0));
}

static void makes_a_policy_of_the_objective(void **state) {
    (void)state;
    assert_int_equal(remedy_policy_for(1000).hang_ms, 2000);
    assert_int_equal(remedy_policy_for(1000).slow_distance_ms, 500);
    assert_int_equal(remedy_policy_for(1).hang_ms, 500);
    assert_int_equal(remedy_policy_for(1).slow_distance_ms, 100);
    assert_int_equal(remedy_policy_for(UINT32_MAX).hang_ms, UINT32_MAX); /* not around the corner */
}

/* ---- sweeps ---- */

static struct remedy_evidence any_evidence(struct rand *rand, uint32_t ill_in_ten) {
    struct remedy_evidence e = WELL;
    if (rand_below(rand, 10) >= ill_in_ten) {
        return e;
    }
    switch (rand_below(rand, 6)) {
    case 0:
        e.crashed = true;
        break;
    case 1:
        e.unhealthy = true;
        break;
    case 2:
        e = (struct remedy_evidence){ .window_ms = rand_below(rand, 2000),
                                      .awaiting = rand_below(rand, 6),
                                      .oldest_age_ms = rand_below(rand, 2000),
                                      .latency_ms_p50 = NAN };
        break;
    case 3:
        e.failures = rand_below(rand, 200);
        e.status_5xx = rand_below(rand, 100);
        break;
    case 4:
        e.slow_since_ms = rand_below(rand, 5000);
        e.latency_ms_p50 = 5000 * rand_unit(rand);
        break;
    default: /* nonsense that a torn counter might give */
        e.answers = rand_next(rand);
        e.failures = rand_next(rand);
        e.status_5xx = rand_next(rand);
        e.latency_ms_p50 = rand_below(rand, 2) ? INFINITY : -INFINITY;
    }
    return e;
}

static void check_promises(const struct remedy_evidence *all, size_t count, size_t ejected,
                           const struct remedy *remedies, int round) {
    size_t ill = 0, out = ejected;
    size_t allowed = (size_t)(policy.blast_ratio * (double)(count + ejected));
    allowed = allowed == 0 ? 1 : allowed;
    for (size_t i = 0; i < count; i++) {
        const struct remedy *r = &remedies[i];
        bool found = r->finding != FINDING_NONE;
        bool fine = r->finding < FINDINGS && (all[i].crashed ? r->eject : true) &&
                    (r->eject + r->held_back == found) && (r->reason[0] != '\0') == found &&
                    strlen(r->reason) < REMEDY_REASON_BYTES - 1;
        if (!fine) {
            fail_msg("round %d: instance %zu of %zu: %s, eject %d, held back %d", round, i, count,
                     finding_name(r->finding), r->eject, r->held_back);
        }
        if (found && r->finding != FINDING_CRASHED) {
            ill++;
            out += r->eject;
        }
    }
    bool common_cause = ill > 1 && 2 * ill > count;
    if (out > ejected && (out > allowed || common_cause)) {
        fail_msg("round %d: %zu of %zu are ill, %zu were out, %zu are now", round, ill, count,
                 ejected, out);
    }
    /* And it is not caution alone: who may be ejected is. */
    if (ill > 0 && !common_cause && ejected < allowed && out == ejected) {
        fail_msg("round %d: nothing is done about %zu of %zu", round, ill, count);
    }
}

static void keeps_its_promises(void **state) {
    static struct remedy_evidence all[REMEDY_ENDPOINTS_MAX];
    static struct remedy remedies[REMEDY_ENDPOINTS_MAX];
    struct rand rand;
    (void)state;
    rand_init(&rand, 7041);
    for (int round = 0; round < 50000; round++) {
        size_t count = 1 + rand_below(&rand, rand_below(&rand, 100) == 0 ? 512 : 12);
        size_t ejected = rand_below(&rand, 4);
        uint32_t ill_in_ten = rand_below(&rand, 11);
        policy = remedy_policy_for(1 + rand_below(&rand, 5000));
        for (size_t i = 0; i < count; i++) {
            all[i] = any_evidence(&rand, ill_in_ten);
        }
        remedy_decide(&policy, all, count, ejected, remedies);
        check_promises(all, count, ejected, remedies, round);
        (void)remedy_is_slow(&policy, all, count, rand_below(&rand, (uint32_t)count));
    }
}

/* Minutes of life: an ill instance is replaced after a while; the service never loses more than
 * its blast radius at one time, and everybody ill is out in the end. */
static void heals_a_service_in_time(void **state) {
    struct rand rand;
    (void)state;
    rand_init(&rand, 5);
    for (int life = 0; life < 300; life++) {
        struct remedy_evidence all[20];
        struct remedy remedies[20];
        size_t count = 3 + rand_below(&rand, 17), ejected = 0, ill = count / 2;
        for (size_t i = 0; i < count; i++) {
            all[i] = (struct remedy_evidence)WELL;
            all[i].unhealthy = i < ill;
        }
        for (int tick = 0; tick < 100; tick++) {
            size_t left = 0;
            remedy_decide(&policy, all, count, ejected, remedies);
            for (size_t i = 0; i < count; i++) {
                if (remedies[i].eject) {
                    ejected++;
                } else {
                    all[left++] = all[i];
                }
            }
            count = left;
            size_t allowed = (size_t)(policy.blast_ratio * (double)(count + ejected));
            assert_true(ejected <= (allowed == 0 ? 1 : allowed));
            if (ejected > 0 && rand_below(&rand, 3) == 0) { /* its replacement is up */
                ejected--;
                all[count++] = (struct remedy_evidence)WELL;
            }
        }
        for (size_t i = 0; i < count; i++) {
            assert_false(all[i].unhealthy);
        }
    }
}

static void names_every_finding(void **state) {
    (void)state;
    for (int i = 0; i < FINDINGS; i++) {
        assert_true(strlen(finding_name((enum finding)i)) > 2);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(finding_name((enum finding)i), finding_name((enum finding)k));
        }
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(finds_what_is_ill),
        TEST(ejects_one_alone),
        TEST(needs_peers_that_answer_to_call_it_hung),
        TEST(compares_errors_with_peers),
        TEST(holds_back_at_a_common_cause),
        TEST(counts_those_that_are_out),
        TEST(needs_peers_and_answers_to_call_it_slow),
        TEST(makes_a_policy_of_the_objective),
        TEST(keeps_its_promises),
        TEST(heals_a_service_in_time),
        TEST(names_every_finding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
