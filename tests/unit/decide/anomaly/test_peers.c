/* One among its peers: far above them or not, whatever they all do. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/rand.h"
#include "decide/anomaly/peers.h"

#define LEN_MAX 64

static const struct peers_tolerance tolerance = { .ratio = 3, .distance = 100 };

static struct peers_verdict compare(const double *values, size_t len, size_t index) {
    double room[LEN_MAX], before[LEN_MAX];
    memcpy(before, values, len * sizeof *values);
    struct peers_verdict verdict = peers_compare(values, len, index, tolerance, room);
    assert_memory_equal(before, values, len * sizeof *values); /* the caller's stay as they are */
    return verdict;
}

static void judges_the_first(void **state) {
    static const struct {
        const char *name;
        double values[6]; /* ended by -1 */
        bool outlier;
        double median; /* NaN: too few */
    } cases[] = {
        { "far above", { 900, 50, 60, 55, -1 }, true, 55 },
        { "one other is too few", { 900, 50, -1 }, false, NAN },
        { "two others are enough", { 900, 50, 60, -1 }, true, 55 },
        { "alone", { 900, -1 }, false, NAN },
        { "unknown others are none", { 900, 50, NAN, NAN, -1 }, false, NAN },
        { "unknown itself", { NAN, 50, 60, 55, -1 }, false, NAN },
        { "far below is well", { 1, 900, 950, 920, -1 }, false, 920 },
        { "within the ratio", { 290, 100, 101, 99, -1 }, false, 100 },
        { "within the distance", { 109, 10, 11, 9, -1 }, false, 10 },
        { "all others the same", { 900, 50, 50, 50, -1 }, true, 50 },
        { "all the same", { 50, 50, 50, 50, -1 }, false, 50 },
        { "a bit above others that are the same", { 51, 50, 50, 50, -1 }, false, 50 },
        { "others that differ a lot", { 900, 50, 400, 850, 20, -1 }, false, 225 },
        { "all slow together", { 5000, 4800, 5100, 4900, -1 }, false, 4900 },
        { "another one is ill too", { 900, 50, 950, 55, -1 }, true, 55 },
        { "others answer in no time", { 900, 0, 0, 0, -1 }, true, 0 },
        { "no time at all", { 0, 0, 0, 0, -1 }, false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = 0;
        while (cases[i].values[len] != -1) {
            len++;
        }
        struct peers_verdict verdict = compare(cases[i].values, len, 0);
        bool same = isnan(cases[i].median)
                        ? isnan(verdict.median) && isnan(verdict.score) && !verdict.outlier
                        : verdict.median == cases[i].median && !isnan(verdict.score);
        if (verdict.outlier != cases[i].outlier || !same) {
            fail_msg("%s: %d, median %g, score %g", cases[i].name, verdict.outlier, verdict.median,
                     verdict.score);
        }
    }
}

/* The score as its authors define it, by hand: median 12, deviations 0 1 1 2 2, MAD 1. */
static void scores_by_the_book(void **state) {
    static const double values[] = { 20, 10, 11, 12, 13, 14 };
    (void)state;
    struct peers_verdict verdict = compare(values, 6, 0);
    assert_true(verdict.median == 12);
    assert_true(fabs(verdict.score - 0.6745 * 8) < 1e-12);
}

static double any_value(struct rand *rand) {
    static const double odd[] = { NAN, INFINITY, 0, 1e308, -1, -INFINITY };
    return rand_below(rand, 8) == 0 ? odd[rand_below(rand, 6)] : 1000 * rand_unit(rand);
}

static void holds_for_anything(void **state) {
    struct rand rand;
    (void)state;
    rand_init(&rand, 7041);
    for (int i = 0; i < 50000; i++) {
        double values[LEN_MAX], shuffled[LEN_MAX];
        size_t len = 1 + rand_below(&rand, 12), index = rand_below(&rand, (uint32_t)len);
        for (size_t k = 0; k < len; k++) {
            values[k] = any_value(&rand);
        }
        struct peers_verdict verdict = compare(values, len, index);
        if (verdict.outlier) {
            assert_true(values[index] > tolerance.ratio * verdict.median);
            assert_true(values[index] > verdict.median + tolerance.distance);
        }
        assert_false(isnan(values[index]) && (verdict.outlier || !isnan(verdict.score)));
        /* Where it stands in the list does not matter: turn the list round. */
        for (size_t k = 0; k < len; k++) {
            shuffled[k] = values[len - 1 - k];
        }
        struct peers_verdict other = compare(shuffled, len, len - 1 - index);
        assert_int_equal(verdict.outlier, other.outlier);
        assert_true(verdict.median == other.median || isnan(verdict.median));
    }
}

/* Of instances that do the same work, at most half can be far above "the others". */
static void never_condemns_most(void **state) {
    struct rand rand;
    (void)state;
    rand_init(&rand, 11);
    for (int i = 0; i < 5000; i++) {
        double values[LEN_MAX];
        size_t len = 3 + rand_below(&rand, 20), outliers = 0;
        for (size_t k = 0; k < len; k++) {
            values[k] = (rand_below(&rand, 2) ? 10 : 3000) + 50 * rand_unit(&rand);
        }
        for (size_t k = 0; k < len; k++) {
            outliers += compare(values, len, k).outlier;
        }
        assert_true(2 * outliers <= len);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_the_first),
        cmocka_unit_test(scores_by_the_book),
        cmocka_unit_test(holds_for_anything),
        cmocka_unit_test(never_condemns_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
