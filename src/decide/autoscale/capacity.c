#include "decide/autoscale/capacity.h"

#include <math.h>
#include <string.h>

#define BIN_RATIO 1.1
#define MEMORY_SECONDS 900.0   /* of one instance's evidence */
#define TELLING_RATIO 0.4      /* of the estimate: less load says nothing about the limit */
#define START_WEIGHT 10.0      /* seconds of evidence a guess is worth */
#define START_UNKNOWN_RPS 10.0 /* without any guess: soon replaced by what was seen to go well */
#define START_UNKNOWN_WEIGHT 0.5
#define PRIOR_PER_BIN 0.1  /* cost of leaving the guess by one bin, in its weight */
#define CALM_RATIO 0.7     /* of the objective: well within it */
#define PROVEN_SECONDS 3.0 /* of calm before a load counts as proven */
#define PROBE_RATIO 1.25   /* how far beyond a proven load the estimate may go */
#define FULL_RATIO 0.85    /* of the load at which an instance would be full */
#define FULL_KEEP 0.98
#define UTILISATION_LEAST 0.3 /* below it load ÷ utilisation is mostly idle cost */

static size_t bin_of(double load_rps) {
    double bin = log(load_rps / CAPACITY_RPS_MIN) / log(BIN_RATIO);
    return bin < 0 ? 0 : bin >= CAPACITY_BINS ? CAPACITY_BINS - 1 : (size_t)bin;
}

static double bin_upper_rps(size_t bin) {
    return CAPACITY_RPS_MIN * pow(BIN_RATIO, (double)bin + 1);
}

void capacity_init(struct capacity *c, double objective_ms, double start_rps) {
    bool known = start_rps > 0 && isfinite(start_rps);
    *c = (struct capacity){
        .objective_ms = objective_ms,
        .start_rps = known ? start_rps : START_UNKNOWN_RPS,
        .start_weight = known ? START_WEIGHT : START_UNKNOWN_WEIGHT,
    };
    c->estimate_rps = c->low_rps = c->high_rps = c->start_rps;
}

double capacity_guess_rps(double concurrency, double service_ms) {
    bool known = concurrency > 0 && service_ms > 0 && isfinite(concurrency) && isfinite(service_ms);
    return known ? concurrency * 1000 / service_ms : 0;
}

static void fade(struct capacity *c, double seconds) {
    float keep = (float)exp(-seconds / MEMORY_SECONDS);
    for (size_t i = 0; i < CAPACITY_BINS; i++) {
        c->good[i] *= keep;
        c->bad[i] *= keep;
        c->calm[i] *= keep;
    }
    c->start_weight *= (double)keep;
}

static void note_utilisation(struct capacity *c, const struct capacity_sample *sample) {
    double ratio = sample->utilisation_ratio;
    if (!(ratio >= UTILISATION_LEAST) || ratio > 1) {
        return;
    }
    double full_rps = sample->load_rps / ratio;
    c->full_rps = c->full_rps > 0 ? c->full_rps * FULL_KEEP + full_rps * (1 - FULL_KEEP) : full_rps;
}

/* The bin up to which loads go well: the fewest seconds of evidence are then on the wrong side. */
static size_t separating_bin(const struct capacity *c) {
    size_t guess = bin_of(c->start_rps), best = guess;
    double good_above = 0, bad_below = 0, least = INFINITY;
    for (size_t i = 0; i < CAPACITY_BINS; i++) {
        good_above += (double)c->good[i];
    }
    for (size_t i = 0; i < CAPACITY_BINS; i++) {
        good_above -= (double)c->good[i];
        bad_below += (double)c->bad[i];
        double away = fabs((double)i - (double)guess);
        double wrong = good_above + bad_below + PRIOR_PER_BIN * c->start_weight * away;
        if (wrong < least - 1e-6) {
            least = wrong;
            best = i;
        }
    }
    return best;
}

/* Highest load with enough calm evidence at it or above; 0: none. */
static double proven_rps(const struct capacity *c) {
    double seconds = 0;
    for (size_t i = CAPACITY_BINS; i-- > 0;) {
        seconds += (double)c->calm[i];
        if (seconds >= PROVEN_SECONDS) {
            return bin_upper_rps(i);
        }
    }
    return 0;
}

/* Lowest load above `rps` at which it mostly went badly; 0: none seen. */
static double failing_rps(const struct capacity *c, double rps) {
    for (size_t i = bin_of(rps); i < CAPACITY_BINS; i++) {
        if (c->bad[i] > c->good[i] && c->bad[i] >= 1) {
            return bin_upper_rps(i) / BIN_RATIO;
        }
    }
    return 0;
}

static void estimate(struct capacity *c) {
    size_t bin = separating_bin(c);
    double rps = bin == bin_of(c->start_rps) ? c->start_rps : bin_upper_rps(bin);
    double proven = proven_rps(c), failing = failing_rps(c, fmin(rps, proven));
    double probe = proven * PROBE_RATIO;
    if (c->full_rps > 0) {
        probe = fmin(probe, fmax(c->full_rps * FULL_RATIO, proven));
    }
    if (failing == 0 || probe < failing) {
        rps = fmax(rps, probe);
    }
    c->estimate_rps = rps;
    c->low_rps = proven > 0 ? fmin(proven, rps) : rps / 2;
    c->high_rps = fmax(failing > 0 ? failing : rps * PROBE_RATIO, rps);
}

void capacity_observe(struct capacity *c, const struct capacity_sample *sample) {
    bool usable = sample->load_rps > 0 && isfinite(sample->load_rps) && sample->seconds > 0 &&
                  isfinite(sample->seconds) && sample->latency_ms_p99 >= 0;
    if (!usable) {
        return; /* no load or no answer says nothing about capacity */
    }
    size_t bin = bin_of(sample->load_rps);
    float seconds = (float)fmin(sample->seconds, MEMORY_SECONDS);
    /* A quiet night must not wash out what the busy day has taught. */
    if (sample->load_rps >= TELLING_RATIO * c->estimate_rps) {
        fade(c, (double)seconds);
    }
    if (sample->latency_ms_p99 > c->objective_ms) {
        c->bad[bin] += seconds;
    } else {
        c->good[bin] += seconds;
        c->calm[bin] += sample->latency_ms_p99 <= CALM_RATIO * c->objective_ms ? seconds : 0;
    }
    note_utilisation(c, sample);
    c->observed++;
    estimate(c);
}

double capacity_rps(const struct capacity *c) {
    return c->estimate_rps;
}

struct capacity_range capacity_range(const struct capacity *c) {
    return (struct capacity_range){ c->low_rps, c->high_rps };
}
