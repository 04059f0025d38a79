/* What a sample of demand says of a campaign: that it has begun, how large it is, that it is over.
 */
#include <math.h>

#include "decide/forecast/uplift_internal.h"
#include "decide/forecast/uplift_shape.h"

#define ONSET_EXCESS_LEAST 0.15
#define ONSET_THRESHOLD 6.0   /* of the log likelihood ratio: one false alarm in e^6 samples */
#define ONSET_DISPERSION 0.05 /* variance of a count ÷ its mean grows by this with each request */
#define ONSET_UNSURE_S 10.0   /* how well the onset is known */
#define CORRELATION_S 10.0    /* seconds within it tell the same */
#define DRIFT_PER_S 4e-4      /* variance that log E gains each second: shapes are only models */
#define NOISE 0.08            /* of log E, in a sample */
#define VARIANCE_LEAST 1e-4
#define AGE_LEAST_S 0.5

/* The logarithm of the likelihood ratio: that it goes on, against that it does not. */
static double evidence(const struct uplift_run *r, const struct uplift_sample *s, double ordinary) {
    double expected = ordinary * s->seconds, seen = s->demand_rps * s->seconds;
    double ratio = 1 + fmax(fmin(r->sought, 2), ONSET_EXCESS_LEAST);
    return (seen * log(ratio) - expected * (ratio - 1)) / (1 + ONSET_DISPERSION * expected);
}

/* What looked like the onset and is not borne out was chance: the send is still to come. */
static void doubt_onset(const struct uplift *u, struct uplift_run *r, const struct uplift_sample *s,
                        double ordinary) {
    r->cusum += evidence(r, s, ordinary);
    if (r->cusum <= 0) {
        double length_s = (double)(r->end_ms - r->start_ms) / 1000;
        uplift_wait(r, uplift_kinds_expect(&u->kinds, slice_from(r->kind), r->said, length_s));
    }
}

static void look_for_onset(struct uplift_run *r, const struct uplift_sample *s, double ordinary) {
    if (r->cusum <= 0) {
        r->cusum = 0;
        r->cusum_ms = s->end_ms - (int64_t)(s->seconds * 1000);
    }
    r->cusum = fmax(r->cusum + evidence(r, s, ordinary), 0);
    if (r->cusum > ONSET_THRESHOLD) {
        r->phase = UPLIFT_RUNNING;
        r->onset_ms = r->cusum_ms;
    }
}

/* Extended Kalman filter on log E and log rise: demand that goes on rising says that the rise is
 * long, demand that stays says that the peak is there. */
static void filter(struct uplift_belief *b, double age_s, double seconds, double excess,
                   double variance) {
    struct uplift_shape shape = uplift_shape_at(b, age_s);
    double onset = ONSET_UNSURE_S / age_s; /* of the logarithm of the age */
    double linear = shape.rising * shape.rising * b->rise.variance;
    double noise = fmax(shape.variance - linear, 0) +
                   (onset * onset + NOISE * NOISE + variance / (excess * excess)) *
                       fmax(CORRELATION_S / seconds, 1);
    b->size.variance += DRIFT_PER_S * seconds;
    double size = b->size.variance - shape.rising * b->covariance;
    double rise = b->covariance - shape.rising * b->rise.variance;
    double whole = fmax(size - shape.rising * rise, 0) + noise;
    double surprise = log(excess) - shape.mean - b->size.mean;
    b->size.mean += size / whole * surprise;
    b->rise.mean += rise / whole * surprise;
    b->size.variance = fmax(b->size.variance - size * size / whole, VARIANCE_LEAST);
    b->rise.variance = fmax(b->rise.variance - rise * rise / whole, VARIANCE_LEAST);
    b->covariance -= size * rise / whole;
}

static void correct(struct uplift_run *r, const struct uplift_sample *s, double ordinary) {
    double age_s = (double)(s->end_ms - r->onset_ms) / 1000 - s->seconds / 2;
    double expected = ordinary * s->seconds, seen = s->demand_rps * s->seconds;
    double excess = fmin(seen / expected - 1, UPLIFT_EXCESS_MOST);
    uplift_curve_add(r, age_s, excess, s->seconds);
    filter(&r->belief, fmax(age_s, AGE_LEAST_S), s->seconds, fmax(excess, UPLIFT_EXCESS_LEAST),
           fmax(seen, 1) / (expected * expected));
    r->seen_s = fmax(age_s, AGE_LEAST_S);
}

void uplift_observe_run(struct uplift *u, struct uplift_run *r, const struct uplift_sample *s) {
    double ordinary = s->ordinary_rps * uplift_of_others(u, r, s);
    if (r->phase == UPLIFT_WAITING && ordinary > 0) {
        look_for_onset(r, s, ordinary);
    } else if (r->phase == UPLIFT_RUNNING && ordinary > 0 && s->end_ms < uplift_patience_until(r)) {
        doubt_onset(u, r, s, ordinary);
    }
    struct uplift_onset onset = { r->start_ms, 0 };
    (void)uplift_onset_of(r, s->end_ms, &onset);
    if (r->phase == UPLIFT_RUNNING && s->end_ms > uplift_ends_ms(r, &onset)) {
        struct uplift_outcome outcome;
        if (uplift_curve_outcome(r, &outcome)) {
            uplift_kinds_learn(&u->kinds, slice_from(r->kind), &outcome);
        }
        r->phase = UPLIFT_OVER;
    } else if (r->phase == UPLIFT_RUNNING && ordinary > 0) {
        correct(r, s, ordinary);
    }
    int64_t last_ms = r->end_ms + UPLIFT_PATIENCE_MS;
    if ((r->phase == UPLIFT_WAITING && s->end_ms > r->end_ms) ||
        (r->phase == UPLIFT_OVER && s->end_ms > last_ms)) {
        *r = (struct uplift_run){ 0 };
    }
}
