#include "decide/balance/outlier.h"

#include <math.h>

#include "base/median.h"

#define COUNT_BITS 20
#define COUNT_MAX ((1u << COUNT_BITS) - 1)
#define NUMBER_MASK ((1u << 24) - 1)
#define MAD_TO_SIGMA 1.4826
/* Endpoints that are alike to the microsecond must not make each other outliers. */
#define DEVIATION_LEAST 0.05

static uint32_t number_at(uint64_t now_us) {
    return (uint32_t)(now_us >> OUTLIER_BUCKET_US_LOG2) & NUMBER_MASK;
}

/* In 1/256; linear between powers of two, which is at most 0.09 too low. */
static uint64_t log2_of(uint64_t us) {
    uint64_t x = us | 1;
    unsigned power = 63 - (unsigned)__builtin_clzll(x);
    uint64_t rest = power >= 8 ? x >> (power - 8) : x << (8 - power); /* 256 to 511 */
    return ((uint64_t)power << 8) + (rest - 256);
}

struct outlier_bucket outlier_add(struct outlier_bucket b, bool failed, uint64_t latency_us,
                                  uint64_t now_us) {
    uint32_t number = number_at(now_us);
    if (b.counts >> (2 * COUNT_BITS) != number) {
        b = (struct outlier_bucket){ .counts = (uint64_t)number << (2 * COUNT_BITS) };
    }
    if ((b.counts >> COUNT_BITS & COUNT_MAX) == COUNT_MAX) {
        return b; /* full: a million answers say enough */
    }
    b.counts += (UINT64_C(1) << COUNT_BITS) + failed;
    b.logs += failed ? 0 : log2_of(latency_us);
    return b;
}

void outlier_sum(struct outlier_window *w, struct outlier_bucket b, uint64_t now_us) {
    uint32_t age = (number_at(now_us) - (uint32_t)(b.counts >> (2 * COUNT_BITS))) & NUMBER_MASK;
    if (age < OUTLIER_BUCKETS && b.counts != 0) {
        w->answers += (uint32_t)(b.counts >> COUNT_BITS) & COUNT_MAX;
        w->failures += (uint32_t)b.counts & COUNT_MAX;
        w->logs += (double)b.logs / 256;
    }
}

static double mean_log(const struct outlier_window *w) {
    uint32_t good = w->answers > w->failures ? w->answers - w->failures : 0;
    return good > 0 ? w->logs / good : NAN;
}

bool outlier_peers_are_well(const struct outlier_window *peers) {
    return peers->answers >= OUTLIER_ANSWERS_LEAST &&
           peers->failures <= OUTLIER_WELL_RATIO * peers->answers;
}

double outlier_latency_us(const struct outlier_window *w) {
    double mean = mean_log(w);
    return isnan(mean) ? 0 : exp2(mean);
}

static bool is_comparable(const struct outlier_window *w) {
    return w->answers - w->failures >= OUTLIER_ANSWERS_LEAST && w->answers > w->failures;
}

struct outlier_peers outlier_peers(const struct outlier_window *windows, size_t count,
                                   double *room) {
    struct outlier_peers peers = { .median = NAN, .deviation = NAN };
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        peers.answers += windows[i].answers;
        peers.failures += windows[i].failures;
        if (is_comparable(&windows[i])) {
            room[len++] = mean_log(&windows[i]);
        }
    }
    if (len >= 3) {
        peers.median = median(room, len);
        for (size_t i = 0; i < len; i++) {
            room[i] = fabs(room[i] - peers.median);
        }
        peers.deviation = fmax(median(room, len), DEVIATION_LEAST);
    }
    return peers;
}

static bool has_errors(const struct outlier_peers *peers, const struct outlier_window *one,
                       struct outlier_verdict *v) {
    double answers = (double)(peers->answers - one->answers);
    double failures = (double)(peers->failures - one->failures);
    v->error_ratio = one->answers > 0 ? one->failures / (double)one->answers : 0;
    v->peers_error_ratio = answers > 0 ? failures / answers : 0;
    if (one->answers < OUTLIER_ANSWERS_LEAST || one->failures < OUTLIER_ERRORS_LEAST ||
        answers < OUTLIER_ANSWERS_LEAST) {
        return false;
    }
    double usual = (failures + 0.5) / (answers + 1); /* never none at all */
    double sigma = sqrt(one->answers * usual * (1 - usual));
    v->sigmas = (one->failures - one->answers * usual) / sigma;
    return v->sigmas >= OUTLIER_ERRORS_SIGMA && v->error_ratio >= usual + OUTLIER_ERRORS_ABOVE;
}

static bool is_slow(const struct outlier_peers *peers, const struct outlier_window *one,
                    struct outlier_verdict *v) {
    v->latency_us = outlier_latency_us(one);
    v->peers_latency_us = isnan(peers->median) ? 0 : exp2(peers->median);
    if (isnan(peers->median) || !is_comparable(one)) {
        return false;
    }
    v->sigmas = (mean_log(one) - peers->median) / (MAD_TO_SIGMA * peers->deviation);
    return v->sigmas >= OUTLIER_SLOW_SIGMA &&
           v->latency_us >= OUTLIER_SLOW_RATIO * v->peers_latency_us &&
           v->latency_us >= v->peers_latency_us + OUTLIER_SLOW_ABOVE_US;
}

struct outlier_verdict outlier_judge(const struct outlier_peers *peers,
                                     const struct outlier_window *one) {
    struct outlier_verdict v = { .cause = EJECTION_NO_CAUSE };
    if (has_errors(peers, one, &v)) {
        v.cause = EJECTION_ERRORS;
        return v;
    }
    v.cause = is_slow(peers, one, &v) ? EJECTION_SLOW : EJECTION_NO_CAUSE;
    return v;
}
