#include "decide/forecast/uplift_kinds.h"

#include <math.h>
#include <string.h>

#define PRIOR_CAMPAIGNS 0.5 /* that what all kinds have in common is worth */
#define PRIOR_SPREADS 4.0   /* campaigns that the prior spread is worth; above 2 */
#define PLATEAU_DURATIONS 10

/* Of a kind and a shop of which nothing is known: half again as much demand, give or take; the
 * marketer may be wrong by half (of ×5: in one case of twenty); it rises within minutes. `sd` is
 * that of the next campaign, spread and ignorance together. */
static const struct {
    double mean, sd, sd_least;
} priors[UPLIFT_QUANTITIES] = {
    [UPLIFT_SIZE] = { -0.7, 0.8, 0.1 }, [UPLIFT_BIAS] = { 0, 0.6, 0.1 },
    [UPLIFT_RISE] = { 4.5, 0.7, 0.15 }, [UPLIFT_HALF] = { 0, 0.7, 0.2 },
    [UPLIFT_DELAY] = { 0, 30, 5 },
};

/* count: none. */
static size_t find_index(const struct uplift_kinds *k, struct slice kind) {
    kind = slice_sub(kind, 0, UPLIFT_NAME_BYTES - 1);
    for (size_t i = 0; i < k->count; i++) {
        if (slice_equal(slice_from(k->kinds[i].name), kind)) {
            return i;
        }
    }
    return k->count == UPLIFT_KINDS_MAX ? UPLIFT_KINDS_MAX - 1 : k->count;
}

static const struct uplift_kind *find(const struct uplift_kinds *k, struct slice kind) {
    size_t i = find_index(k, kind);
    return i < k->count ? &k->kinds[i] : NULL;
}

/* The mean over all kinds, each campaign counting once and the prior as one. */
static double common_mean(const struct uplift_kinds *k, enum uplift_quantity q, double prior) {
    double sum = prior, weight = 1;
    for (size_t i = 0; i < k->count; i++) {
        sum += k->kinds[i].of[q].n * k->kinds[i].of[q].mean;
        weight += k->kinds[i].of[q].n;
    }
    return sum / weight;
}

/* Posterior predictive of the next campaign (normal-inverse-gamma: a Student t, of which mean and
 * variance are used). */
static struct uplift_normal predict(const struct uplift_kinds *k, const struct uplift_kind *kind,
                                    enum uplift_quantity q, double prior_mean) {
    static const struct uplift_moments none = { 0 };
    const struct uplift_moments *seen = kind == NULL ? &none : &kind->of[q];
    double common = common_mean(k, q, prior_mean), n = PRIOR_CAMPAIGNS + seen->n;
    double prior_variance = priors[q].sd * priors[q].sd / (1 + 1 / PRIOR_CAMPAIGNS);
    double apart = seen->mean - common;
    double squares = (PRIOR_SPREADS - 2) * prior_variance + seen->squares +
                     PRIOR_CAMPAIGNS * seen->n / n * apart * apart;
    double variance = squares / (PRIOR_SPREADS + seen->n - 2) * (1 + 1 / n);
    return (struct uplift_normal){
        .mean = (PRIOR_CAMPAIGNS * common + seen->n * seen->mean) / n,
        .variance = fmax(variance, priors[q].sd_least * priors[q].sd_least),
    };
}

/* Two independent measurements of one thing; where they contradict each other neither is as good as
 * it says (Birge 1932). */
static struct uplift_normal combine(struct uplift_normal a, struct uplift_normal b) {
    double weight = 1 / a.variance + 1 / b.variance, apart = a.mean - b.mean;
    double birge = apart * apart / (a.variance + b.variance);
    return (struct uplift_normal){ (a.mean / a.variance + b.mean / b.variance) / weight,
                                   fmax(birge, 1) / weight };
}

struct uplift_belief uplift_kinds_expect(const struct uplift_kinds *k, struct slice kind,
                                         double said, double duration_s) {
    const struct uplift_kind *known = find(k, kind);
    struct uplift_belief belief = {
        .size = predict(k, known, UPLIFT_SIZE, priors[UPLIFT_SIZE].mean),
        .rise = predict(k, known, UPLIFT_RISE, priors[UPLIFT_RISE].mean),
        .half = { log(PLATEAU_DURATIONS * duration_s), 0 },
        .delay = predict(k, known, UPLIFT_DELAY, priors[UPLIFT_DELAY].mean),
    };
    if (known != NULL && known->of[UPLIFT_HALF].n > 0) {
        belief.half = predict(k, known, UPLIFT_HALF, known->of[UPLIFT_HALF].mean);
    }
    if (!isnan(said)) {
        struct uplift_normal marketer = predict(k, known, UPLIFT_BIAS, priors[UPLIFT_BIAS].mean);
        marketer.mean += said;
        bool alone = known == NULL || known->of[UPLIFT_SIZE].n == 0;
        belief.size = alone ? marketer : combine(belief.size, marketer);
    }
    return belief;
}

static void add(struct uplift_moments *m, double value) {
    double before = value - m->mean;
    m->n++;
    m->mean += before / m->n;
    m->squares += before * (value - m->mean);
}

void uplift_kinds_learn(struct uplift_kinds *k, struct slice name,
                        const struct uplift_outcome *outcome) {
    size_t i = find_index(k, name);
    struct uplift_kind *kind = &k->kinds[i];
    if (i == k->count) {
        k->count++;
        *kind = (struct uplift_kind){ .name = "" };
        slice_copy_text(slice_sub(name, 0, UPLIFT_NAME_BYTES - 1), kind->name, sizeof kind->name);
    }
    for (size_t q = 0; q < UPLIFT_QUANTITIES; q++) {
        if (!isnan(outcome->of[q])) {
            add(&kind->of[q], outcome->of[q]);
        }
    }
}

uint32_t uplift_kinds_count(const struct uplift_kinds *k, struct slice name) {
    const struct uplift_kind *kind = find(k, name);
    return kind == NULL ? 0 : (uint32_t)kind->of[UPLIFT_SIZE].n;
}
