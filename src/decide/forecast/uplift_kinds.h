/* Kinds of campaigns: what past ones of a kind have taught about the next one. Inside of uplift. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "decide/forecast/calendar.h"

#define UPLIFT_KINDS_MAX CALENDAR_KINDS_MAX /* further ones share the last */
#define UPLIFT_NAME_BYTES 32

struct uplift_normal {
    double mean, variance;
};

/* Count, mean and sum of squared deviations (Welford). */
struct uplift_moments {
    double n, mean, squares;
};

enum uplift_quantity {
    UPLIFT_SIZE,  /* log E */
    UPLIFT_BIAS,  /* log E − log (said multiplier − 1) */
    UPLIFT_RISE,  /* log s */
    UPLIFT_HALF,  /* log s */
    UPLIFT_DELAY, /* s; negative: early */
    UPLIFT_QUANTITIES,
};

struct uplift_kind {
    char name[UPLIFT_NAME_BYTES];
    struct uplift_moments of[UPLIFT_QUANTITIES];
};

struct uplift_kinds {
    struct uplift_kind kinds[UPLIFT_KINDS_MAX];
    size_t count;
};

/* What is believed of one campaign. */
struct uplift_belief {
    struct uplift_normal size, rise, half, delay;
    double covariance; /* of size and rise, when both were seen */
};

/* Before the send. `said`: log (the marketer's multiplier − 1), NaN: not given; `duration_s`: a
 * kind of which nothing is known does not decay before its end. */
struct uplift_belief uplift_kinds_expect(const struct uplift_kinds *k, struct slice kind,
                                         double said, double duration_s);

/* A campaign is over. NaN in a member: not seen. */
struct uplift_outcome {
    double of[UPLIFT_QUANTITIES];
};
void uplift_kinds_learn(struct uplift_kinds *k, struct slice kind,
                        const struct uplift_outcome *outcome);

/* Past campaigns of the kind. */
uint32_t uplift_kinds_count(const struct uplift_kinds *k, struct slice kind);
