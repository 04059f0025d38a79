#include "decide/admission/limit.h"

#include <assert.h>

static double between(double value, double least, double most) {
    return value < least ? least : value > most ? most : value;
}

static void begin_window(struct admission_limit *l, uint64_t now_us) {
    l->window_start_us = now_us;
    l->latency_us_sum = 0;
    l->samples = l->late = l->in_flight_max = 0;
}

void admission_limit_init(struct admission_limit *l, double start, double least, double most,
                          uint64_t now_us) {
    assert(least >= 1 && least <= most);
    *l = (struct admission_limit){ .limit = between(start, least, most),
                                   .least = least,
                                   .most = most };
    begin_window(l, now_us);
}

void admission_limit_rescale(struct admission_limit *l, double ratio, double least, double most) {
    assert(ratio > 0 && least >= 1 && least <= most);
    l->least = least;
    l->most = most;
    l->limit = between(l->limit * ratio, least, most);
    l->bound *= ratio;
}

/* By how much the mean is beyond the objective: a queue twice too long is cut by half at once. */
static double shrink_ratio(const struct admission_limit *l,
                           const struct admission_objective *objective) {
    double mean_us = (double)l->latency_us_sum / l->samples;
    return between((double)objective->latency_us / mean_us, ADMISSION_SHRINK_RATIO_MOST,
                   ADMISSION_SHRINK_RATIO_LEAST);
}

static void shrink(struct admission_limit *l, const struct admission_objective *objective) {
    l->bound = l->limit;
    l->limit *= shrink_ratio(l, objective);
}

static void grow(struct admission_limit *l) {
    double below = l->bound * ADMISSION_BELOW_RATIO;
    if (l->limit > l->bound * ADMISSION_BEYOND_RATIO) {
        l->bound = 0; /* the service carries more than it did */
    }
    if (l->bound == 0) {
        l->limit += 1 + l->limit * ADMISSION_SEARCH_RATIO;
        return;
    }
    l->limit += l->limit * ADMISSION_PROBE_RATIO;
    if (l->limit < below) {
        l->limit += (below - l->limit) * ADMISSION_RETURN_RATIO;
    }
}

static void end_window(struct admission_limit *l, const struct admission_objective *objective) {
    double forgiven = (1 - objective->share) * l->samples;
    if (l->late > forgiven) {
        shrink(l, objective);
    } else if (l->in_flight_max >= l->limit * ADMISSION_IN_USE_RATIO) {
        grow(l);
    }
    l->limit = between(l->limit, l->least, l->most);
}

void admission_limit_observe(struct admission_limit *l, const struct admission_objective *objective,
                             uint64_t latency_us, bool overloaded, uint32_t in_flight,
                             uint64_t now_us) {
    assert(objective->latency_us > 0);
    l->samples++;
    l->late += overloaded || latency_us > objective->latency_us;
    /* A fast refusal is not a fast answer. */
    l->latency_us_sum +=
        overloaded && latency_us < objective->latency_us ? objective->latency_us : latency_us;
    if (in_flight > l->in_flight_max) {
        l->in_flight_max = in_flight;
    }
    if (l->samples >= ADMISSION_WINDOW_SAMPLES &&
        now_us - l->window_start_us >= ADMISSION_WINDOW_US) {
        end_window(l, objective);
        begin_window(l, now_us);
    }
}

uint32_t admission_limit_now(const struct admission_limit *l) {
    return (uint32_t)l->limit;
}
