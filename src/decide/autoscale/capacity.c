#include "decide/autoscale/capacity.h"

#include <math.h>
#include <string.h>

#include "decide/autoscale/usl.h"

#define BIN_RATIO 1.1
#define MEMORY_SECONDS 900.0    /* of one instance's evidence */
#define DISTANT_SECONDS 86400.0 /* of what went well at loads beyond those seen since */
#define DISTANT_RATIO 1.3
#define CONTRADICTED_SECONDS 300.0 /* of what went well at a higher load than one that did not */
#define TELLING_RATIO 0.4          /* of the estimate: less load says nothing about the limit */
#define SECONDS_MAX 120.0          /* of evidence in a bin: what came often is not known better */
#define START_WEIGHT 10.0          /* seconds of evidence a guess is worth */
#define START_UNKNOWN_RPS 10.0 /* without any guess: soon replaced by what was seen to go well */
#define START_UNKNOWN_WEIGHT 0.5
#define START_WEIGHT_LEAST 0.05 /* where nothing else speaks, the guess does for ever */
#define PRIOR_PER_BIN 0.1       /* cost of leaving the guess by one bin, in its weight */
#define CALM_RATIO 0.7          /* of the objective: well within it */
#define PROVEN_SECONDS 3.0      /* of calm before a load counts as proven */
#define FAILING_SECONDS 3.0     /* likewise, beyond the objective */
#define PROBE_RATIO 1.25        /* how far beyond a proven load plans may go */
#define REACH_RATIO 2.0         /* and how far the law is believed at all */
#define FULL_RATIO 0.85         /* of the load at which an instance would be full */
#define FULL_KEEP 0.98
#define UTILISATION_LEAST 0.3 /* below it load ÷ utilisation is mostly idle cost */
#define HOPELESS_SPAN 2.0     /* of loads, the lightest among them, that are all about as slow: */
#define HOPELESS_FLAT 2.0     /* more instances would not make them faster */
#define HOPELESS_RATIO 1.5    /* of the latency there: what is aimed at instead */
#define DEVIATIONS 1.3        /* of the bounds: each side holds in nine cases of ten */
#define CONCURRENCY_MOST 100000.0
#define LOOK_SECONDS 4.0   /* of neighbouring seconds are one independent look */
#define FIT_SECONDS 5.0    /* of evidence before the law is fitted */
#define DOUBT_SECONDS 30.0 /* before it speaks against a guess: cold starts are slow, too */
#define INHERITED_RATIO 0.15
#define STEADY_RATIO 0.5 /* Little: what is in flight may differ so much from load x latency */

static void conclude(struct capacity *c);

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
        .start_source = known ? CAPACITY_CONFIGURED : CAPACITY_DEFAULT,
        .objective_used_ms = objective_ms,
    };
    conclude(c);
}

void capacity_inherit(struct capacity *c, const struct capacity *before) {
    *c = *before;
    for (size_t i = 0; i < CAPACITY_BINS; i++) {
        c->bins[i].within.seconds *= (float)INHERITED_RATIO;
        c->bins[i].beyond.seconds *= (float)INHERITED_RATIO;
        c->bins[i].calm_seconds = 0; /* nothing is proven of it */
    }
    c->start_rps = before->low_rps;
    c->start_weight = before->start_weight > 0 ? START_WEIGHT : START_UNKNOWN_WEIGHT;
    c->start_source = before->source == CAPACITY_LEARNED ? CAPACITY_INHERITED : before->source;
    c->full_rps = 0;
    c->observed = c->concluded = 0;
    conclude(c);
}

/* ---- evidence ---- */

static void take(struct capacity_seen *seen, const struct capacity_sample *sample) {
    double seconds = fmin(sample->seconds, SECONDS_MAX);
    double share = seconds / ((double)seen->seconds + seconds);
    double latency = isfinite(sample->latency_ms) ? sample->latency_ms : 0;
    bool law_known = latency > 0 && (seen->latency_ms > 0 || share >= 1);
    seen->load_rps += (float)(share * (sample->load_rps - (double)seen->load_rps));
    seen->latency_ms =
        law_known ? (float)((double)seen->latency_ms + share * (latency - (double)seen->latency_ms))
                  : 0;
    seen->tail_ms += (float)(share * (sample->latency_ms_p99 - (double)seen->tail_ms));
    seen->seconds = (float)fmin((double)seen->seconds + seconds, SECONDS_MAX);
}

static void merge(struct capacity_seen *to, const struct capacity_seen *from) {
    if (from->seconds > 0) {
        const struct capacity_sample sample = {
            .load_rps = (double)from->load_rps,
            .latency_ms = (double)from->latency_ms,
            .latency_ms_p99 = (double)from->tail_ms,
            .seconds = (double)from->seconds,
        };
        take(to, &sample);
    }
}

void capacity_set_objective(struct capacity *c, double objective_ms) {
    if (c->objective_ms == objective_ms) {
        return;
    }
    c->objective_ms = objective_ms;
    for (size_t i = 0; i < CAPACITY_BINS; i++) {
        struct capacity_bin before = c->bins[i], *bin = &c->bins[i];
        const struct capacity_seen *both[] = { &before.within, &before.beyond };
        *bin = (struct capacity_bin){ 0 };
        for (unsigned k = 0; k < 2; k++) {
            bool good = (double)both[k]->tail_ms <= objective_ms;
            bool calm = (double)both[k]->tail_ms <= CALM_RATIO * objective_ms;
            merge(good ? &bin->within : &bin->beyond, both[k]);
            bin->calm_seconds += calm ? both[k]->seconds : 0;
        }
    }
    conclude(c);
}

static void fade_seen(struct capacity_bin *bin, double keep) {
    bin->within.seconds *= (float)keep;
    bin->calm_seconds *= (float)keep;
}

/* What went badly fades with whatever is seen, or a load that once failed would never be tried
 * again. What went well at a load that nothing comes near any more fades in days. */
static void fade(struct capacity *c, double load_rps, double seconds) {
    double keep = exp(-seconds / MEMORY_SECONDS), distant = exp(-seconds / DISTANT_SECONDS);
    size_t near = bin_of(load_rps * DISTANT_RATIO);
    for (size_t i = 0; i < CAPACITY_BINS; i++) {
        c->bins[i].beyond.seconds *= (float)keep;
        fade_seen(&c->bins[i], i <= near ? keep : distant);
    }
    c->start_weight = fmax(c->start_weight * keep, START_WEIGHT_LEAST);
}

static void contradict(struct capacity *c, size_t from, double seconds) {
    double keep = exp(-seconds / CONTRADICTED_SECONDS);
    for (size_t i = from + 1; i < CAPACITY_BINS; i++) {
        fade_seen(&c->bins[i], keep);
    }
}

static void note_utilisation(struct capacity *c, const struct capacity_sample *sample) {
    double ratio = sample->utilisation_ratio;
    if (!(ratio >= UTILISATION_LEAST) || ratio > 1) {
        return;
    }
    double full_rps = sample->load_rps / ratio;
    c->full_rps = c->full_rps > 0 ? c->full_rps * FULL_KEEP + full_rps * (1 - FULL_KEEP) : full_rps;
}

/* Little's law holds of a steady second: load times latency is what is in flight. When a queue
 * grows or drains in it, or most of what is in flight streams for minutes, its means are of no
 * state. */
static bool is_steady(const struct capacity_sample *sample) {
    double expected = sample->load_rps * sample->latency_ms / 1000;
    double away = fabs(sample->in_flight - expected);
    return !(away > STEADY_RATIO * expected + 3 * sqrt(expected + 1));
}

void capacity_observe(struct capacity *c, const struct capacity_sample *given) {
    bool usable = given->load_rps > 0 && isfinite(given->load_rps) && given->seconds > 0 &&
                  isfinite(given->seconds) && given->latency_ms_p99 >= 0 &&
                  isfinite(given->latency_ms_p99);
    if (!usable) {
        return; /* no load or no answer says nothing about capacity */
    }
    struct capacity_sample sample = *given;
    struct capacity_bin *bin = &c->bins[bin_of(sample.load_rps)];
    bool telling = sample.load_rps >= TELLING_RATIO * c->low_rps;
    bool good = sample.latency_ms_p99 <= c->objective_ms;
    sample.seconds = fmin(sample.seconds, MEMORY_SECONDS);
    /* A quiet night must not wash out what the busy day has taught. */
    if (telling) {
        fade(c, sample.load_rps, sample.seconds);
    }
    /* Light load or not: one that is full answers little. */
    if (sample.latency_ms_p99 > c->objective_used_ms) {
        contradict(c, (size_t)(bin - c->bins), sample.seconds);
    }
    if (!is_steady(&sample)) {
        sample.latency_ms = NAN;
    }
    struct capacity_seen *seen = good ? &bin->within : &bin->beyond;
    if (isfinite(sample.latency_ms) || !(seen->latency_ms > 0)) {
        take(seen, &sample);
    } else {
        seen->seconds = (float)fmin((double)seen->seconds + sample.seconds, SECONDS_MAX);
    }
    if (sample.latency_ms_p99 <= CALM_RATIO * c->objective_used_ms) {
        double calm = (double)bin->calm_seconds + sample.seconds;
        bin->calm_seconds = (float)fmin(calm, SECONDS_MAX);
    }
    note_utilisation(c, &sample);
    c->observed++;
}

/* ---- what was seen ---- */

/* Seconds beyond the objective count as good ones when even an idle instance is no faster. */
static double good_seconds(const struct capacity *c, const struct capacity_bin *bin) {
    bool forgiven = (double)bin->beyond.tail_ms <= c->objective_used_ms;
    return (double)bin->within.seconds + (forgiven ? (double)bin->beyond.seconds : 0);
}

static double bad_seconds(const struct capacity *c, const struct capacity_bin *bin) {
    bool forgiven = (double)bin->beyond.tail_ms <= c->objective_used_ms;
    return forgiven ? 0 : (double)bin->beyond.seconds;
}

/* The bin up to which loads go well: the fewest seconds of evidence are then on the wrong side. */
static size_t separating_bin(const struct capacity *c) {
    size_t guess = bin_of(c->start_rps), best = guess;
    double good_above = 0, bad_below = 0, least = INFINITY;
    for (size_t i = 0; i < CAPACITY_BINS; i++) {
        good_above += good_seconds(c, &c->bins[i]);
    }
    for (size_t i = 0; i < CAPACITY_BINS; i++) {
        good_above -= good_seconds(c, &c->bins[i]);
        bad_below += bad_seconds(c, &c->bins[i]);
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
        seconds += (double)c->bins[i].calm_seconds;
        if (seconds >= PROVEN_SECONDS) {
            return bin_upper_rps(i);
        }
    }
    return 0;
}

/* Lowest load above `rps` at which it mostly went badly; 0: none seen. */
static double failing_rps(const struct capacity *c, double rps) {
    for (size_t i = bin_of(rps); i < CAPACITY_BINS; i++) {
        double bad = bad_seconds(c, &c->bins[i]);
        if (bad > good_seconds(c, &c->bins[i]) && bad >= FAILING_SECONDS) {
            return bin_upper_rps(i) / BIN_RATIO;
        }
    }
    return 0;
}

/* ---- what the law says ---- */

struct law {
    struct usl mean, tail;
    double seconds; /* of evidence */
    bool known;
};

static void add_points(const struct capacity_seen *seen, struct usl_point *mean,
                       struct usl_point *tail, size_t *count) {
    if (!(seen->seconds > 0) || !(seen->latency_ms > 0) || !(seen->tail_ms > 0)) {
        return;
    }
    double concurrency = (double)seen->load_rps * (double)seen->latency_ms / 1000;
    double looks = (double)seen->seconds / LOOK_SECONDS;
    mean[*count] = (struct usl_point){ concurrency, (double)seen->latency_ms, looks };
    tail[*count] = (struct usl_point){ concurrency, (double)seen->tail_ms, looks };
    (*count)++;
}

/* Points are means of a load, not of a concurrency: load is given from outside, while a second in
 * which everything was slow for another reason has much in flight, which would look like queueing.
 * For the same reason seconds beyond the objective count only where they are the rule. */
static void fit_law(const struct capacity *c, struct law *law) {
    static struct usl_point mean[2 * CAPACITY_BINS], tail[2 * CAPACITY_BINS];
    double seconds = 0;
    size_t count = 0;
    for (size_t i = 0; i < CAPACITY_BINS; i++) {
        const struct capacity_bin *bin = &c->bins[i];
        bool failing = bin->beyond.seconds > bin->within.seconds;
        add_points(&bin->within, mean, tail, &count);
        if (failing) {
            add_points(&bin->beyond, mean, tail, &count);
        }
        seconds += (double)bin->within.seconds + (failing ? (double)bin->beyond.seconds : 0);
    }
    law->seconds = seconds;
    law->known = seconds >= FIT_SECONDS && usl_fit(mean, count, &law->mean) &&
                 usl_fit(tail, count, &law->tail);
}

static double limit_rps(const struct law *law, double objective_ms, double deviations) {
    return usl_limit(&law->mean, &law->tail, objective_ms, deviations, CONCURRENCY_MOST)
        .throughput_rps;
}

/* A slow dependency, or an objective that an idle instance does not meet: from the lightest load on
 * all is beyond it, and not much slower for being more. NaN: there is hope. */
static double hopeless_ms(const struct capacity *c) {
    const struct capacity_seen *first = NULL, *last = NULL;
    for (size_t i = 0; i < CAPACITY_BINS; i++) {
        const struct capacity_bin *bin = &c->bins[i];
        if (bin->within.seconds + bin->beyond.seconds < 1) {
            continue;
        }
        if (bin->within.seconds >= bin->beyond.seconds) {
            break;
        }
        first = first == NULL ? &bin->beyond : first;
        last = &bin->beyond;
    }
    bool flat = first != NULL && last->load_rps >= (float)HOPELESS_SPAN * first->load_rps &&
                last->tail_ms <= (float)HOPELESS_FLAT * first->tail_ms;
    return flat ? (double)first->tail_ms : NAN;
}

/* ---- both together ---- */

static void put(struct capacity *c, double low, double likely, double high) {
    c->likely_rps = fmax(likely, CAPACITY_RPS_MIN);
    c->low_rps = fmin(fmax(low, CAPACITY_RPS_MIN), c->likely_rps);
    c->high_rps = fmax(high, c->likely_rps);
}

struct seen {
    double proven_rps, failing_rps; /* 0: none */
    double rps;                     /* plans may go so far */
    bool telling;                   /* it is more than the guess */
};

/* As far as was seen, and a step beyond it: so that the limit is found without an overload. */
static struct seen look_back(const struct capacity *c) {
    size_t bin = separating_bin(c);
    double rps = bin == bin_of(c->start_rps) ? c->start_rps : bin_upper_rps(bin);
    struct seen seen = { .proven_rps = proven_rps(c) };
    seen.failing_rps = failing_rps(c, fmin(rps, seen.proven_rps));
    double probe = seen.proven_rps * PROBE_RATIO;
    if (c->full_rps > 0) {
        probe = fmin(probe, fmax(c->full_rps * FULL_RATIO, seen.proven_rps));
    }
    bool free = seen.failing_rps == 0 || probe < seen.failing_rps;
    seen.rps = free ? fmax(rps, probe) : rps;
    seen.telling = seen.rps != c->start_rps && (seen.proven_rps > 0 || seen.failing_rps > 0);
    return seen;
}

/* The law, believed as far as what was seen allows. */
static void conclude_by_law(struct capacity *c, const struct law *law, const struct seen *seen) {
    double proven = seen->proven_rps, failing = seen->failing_rps;
    double most = fmax(proven * REACH_RATIO, seen->rps);
    most = failing > 0 ? fmin(most, fmax(failing, proven)) : most;
    if (c->full_rps > 0) {
        most = fmin(most, fmax(c->full_rps * FULL_RATIO, proven));
    }
    double likely = limit_rps(law, c->objective_used_ms, 0);
    double low = limit_rps(law, c->objective_used_ms, DEVIATIONS);
    double high = limit_rps(law, c->objective_used_ms, -DEVIATIONS);
    likely = fmin(fmax(likely, proven), most);
    low = fmin(fmax(low, proven), fmin(seen->rps, likely));
    put(c, low, likely, failing > 0 ? fmin(high, failing) : high);
}

static void conclude_by_sight(struct capacity *c, const struct seen *seen) {
    double high = seen->failing_rps > 0 ? seen->failing_rps : seen->rps * PROBE_RATIO;
    put(c, seen->rps, seen->rps, high);
}

static void conclude(struct capacity *c) {
    struct law law;
    c->lambda_rps = c->sigma = c->kappa = NAN;
    c->objective_used_ms = fmax(c->objective_ms, HOPELESS_RATIO * hopeless_ms(c));
    fit_law(c, &law);
    if (law.known) {
        c->lambda_rps = usl_lambda_rps(&law.mean);
        c->sigma = usl_sigma(&law.mean);
        c->kappa = usl_kappa(&law.mean);
    }
    struct seen seen = look_back(c);
    /* Light load, too, may say that the guess is too much. */
    bool doubted = law.known && law.seconds >= DOUBT_SECONDS &&
                   limit_rps(&law, c->objective_used_ms, -DEVIATIONS) < c->start_rps;
    c->source = seen.telling || doubted ? CAPACITY_LEARNED : c->start_source;
    if (law.known && c->source == CAPACITY_LEARNED) {
        conclude_by_law(c, &law, &seen);
    } else {
        conclude_by_sight(c, &seen);
    }
}

void capacity_conclude(struct capacity *c) {
    if (c->observed != c->concluded) {
        c->concluded = c->observed;
        conclude(c);
    }
}

double capacity_rps(const struct capacity *c) {
    return c->low_rps;
}

struct capacity_range capacity_range(const struct capacity *c) {
    return (struct capacity_range){ c->low_rps, c->likely_rps, c->high_rps };
}

const char *capacity_source_name(enum capacity_source source) {
    static const char *const names[CAPACITY_SOURCES] = {
        [CAPACITY_DEFAULT] = "default",
        [CAPACITY_CONFIGURED] = "configured",
        [CAPACITY_INHERITED] = "inherited",
        [CAPACITY_LEARNED] = "learned",
    };
    return names[source];
}
