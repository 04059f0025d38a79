#include "decide/autoscale/usl.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define ROUNDS 5         /* of reweighting */
#define HUBER 1.5        /* deviations up to which a residual counts in full */
#define NOISE_START 0.2  /* relative, of one look */
#define NOISE_LEAST 0.05 /* the law itself is not truer */
#define NOISE_MOST 1.0
#define PRIOR_QUEUE 0.5      /* slope of the latency, in idle latencies for each in flight: */
#define PRIOR_QUEUE_DEV 0.5  /* between free and queueing */
#define PRIOR_CROSS_DEV 0.05 /* of the crosstalk, likewise; it is 0 unless seen */
#define PRIOR_LEVEL_DEV 10.0 /* of the idle latency: none, but the matrix stays regular */
#define FLOOR_RATIO 0.25     /* of what was fitted: no bound is below it */
#define STEP 1.15            /* of the search along the concurrency: flat where it matters */
#define CONCURRENCY_LEAST 0.01
#define BISECTIONS 24

static void terms_at(double n, double term[USL_TERMS]) {
    term[0] = 1;
    term[1] = n;
    term[2] = n * (n - 1);
}

/* Normal equations. */
struct normal {
    double a[USL_TERMS][USL_TERMS], b[USL_TERMS];
};

static bool is_usable(const struct usl_point *p) {
    return p->concurrency > 0 && p->latency_ms > 0 && p->weight > 0 && isfinite(p->concurrency) &&
           isfinite(p->latency_ms) && isfinite(p->weight);
}

/* The idle latency if the slope were the prior's. */
static double level_of(const struct usl_point *points, size_t count) {
    double sum = 0, weights = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_usable(&points[i])) {
            double idle = points[i].latency_ms / (1 + PRIOR_QUEUE * points[i].concurrency);
            sum += points[i].weight * log(idle);
            weights += points[i].weight;
        }
    }
    return weights > 0 ? exp(sum / weights) : NAN;
}

static void add_prior(struct normal *n, double level_ms) {
    const double mean[USL_TERMS] = { 1, PRIOR_QUEUE, 0 };
    const double deviation[USL_TERMS] = { PRIOR_LEVEL_DEV, PRIOR_QUEUE_DEV, PRIOR_CROSS_DEV };
    for (unsigned k = 0; k < USL_TERMS; k++) {
        double precision = 1 / (deviation[k] * level_ms * deviation[k] * level_ms);
        n->a[k][k] += precision;
        n->b[k] += precision * mean[k] * level_ms;
    }
}

static double residual_ratio(const struct usl *u, const struct usl_point *p) {
    double fitted = usl_latency_ms(u, p->concurrency, 0);
    return (p->latency_ms - fitted) / fmax(fitted, p->latency_ms / 4);
}

/* How much a point counts, given the fit so far. */
static double trust_in(const struct usl *u, const struct usl_point *p) {
    double away = fabs(residual_ratio(u, p)) * sqrt(p->weight) / u->noise_ratio;
    return away > HUBER ? HUBER / away : 1;
}

static struct normal normal_of(const struct usl_point *points, size_t count, const struct usl *u,
                               bool first, double level_ms) {
    struct normal n = { 0 };
    for (size_t i = 0; i < count; i++) {
        const struct usl_point *p = &points[i];
        double term[USL_TERMS];
        if (!is_usable(p)) {
            continue;
        }
        /* Relative to what was fitted: relative to what was seen, the fastest would weigh most. */
        double scale = first ? p->latency_ms : usl_latency_ms(u, p->concurrency, 0);
        double deviation = u->noise_ratio * fmax(scale, p->latency_ms / 4);
        double weight = p->weight * (first ? 1 : trust_in(u, p)) / (deviation * deviation);
        terms_at(p->concurrency, term);
        for (unsigned r = 0; r < USL_TERMS; r++) {
            for (unsigned c = 0; c < USL_TERMS; c++) {
                n.a[r][c] += weight * term[r] * term[c];
            }
            n.b[r] += weight * term[r] * p->latency_ms;
        }
    }
    add_prior(&n, level_ms);
    return n;
}

/* Inverse of a positive definite matrix, of the rows in `set`; the rest is 0. Scaled first, because
 * the terms are of very different size. */
static void invert(const double a[USL_TERMS][USL_TERMS], unsigned set,
                   double out[USL_TERMS][USL_TERMS]) {
    double m[USL_TERMS][2 * USL_TERMS] = { 0 }, scale[USL_TERMS];
    for (unsigned r = 0; r < USL_TERMS; r++) {
        scale[r] = 1 / sqrt(a[r][r]);
        m[r][USL_TERMS + r] = 1;
    }
    for (unsigned r = 0; r < USL_TERMS; r++) {
        for (unsigned c = 0; c < USL_TERMS; c++) {
            bool in = (set >> r & 1) != 0 && (set >> c & 1) != 0;
            m[r][c] = in ? a[r][c] * scale[r] * scale[c] : r == c;
        }
    }
    for (unsigned pivot = 0; pivot < USL_TERMS; pivot++) {
        double by = fmax(m[pivot][pivot], 1e-12); /* > 0 but for rounding */
        for (unsigned c = 0; c < 2 * USL_TERMS; c++) {
            m[pivot][c] /= by;
        }
        for (unsigned r = 0; r < USL_TERMS; r++) {
            double times = r == pivot ? 0 : m[r][pivot];
            for (unsigned c = 0; c < 2 * USL_TERMS; c++) {
                m[r][c] -= times * m[pivot][c];
            }
        }
    }
    for (unsigned r = 0; r < USL_TERMS; r++) {
        for (unsigned c = 0; c < USL_TERMS; c++) {
            bool in = (set >> r & 1) != 0 && (set >> c & 1) != 0;
            out[r][c] = in ? m[r][USL_TERMS + c] * scale[r] * scale[c] : 0;
        }
    }
}

/* Of the seven choices of terms that may differ from 0, the best one without a negative term. */
static void solve(const struct normal *n, double best[USL_TERMS]) {
    double least = INFINITY;
    for (unsigned set = 1; set < 1u << USL_TERMS; set++) {
        double inverse[USL_TERMS][USL_TERMS], term[USL_TERMS], loss = 0;
        bool feasible = true;
        invert(n->a, set, inverse);
        for (unsigned r = 0; r < USL_TERMS; r++) {
            term[r] = 0;
            for (unsigned c = 0; c < USL_TERMS; c++) {
                term[r] += inverse[r][c] * n->b[c];
            }
            feasible &= term[r] >= 0;
            loss -= term[r] * n->b[r]; /* of x'Ax - 2x'b at its minimum */
        }
        if (feasible && loss < least) {
            least = loss;
            memcpy(best, term, sizeof term);
        }
    }
}

static double noise_of(const struct usl *u, const struct usl_point *points, size_t count) {
    double sum = 0, seen = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_usable(&points[i])) {
            double ratio = residual_ratio(u, &points[i]);
            sum += points[i].weight * trust_in(u, &points[i]) * ratio * ratio;
            seen++;
        }
    }
    double known = seen - USL_TERMS; /* degrees of freedom; few say little */
    double noise = known > 0 ? sqrt((sum + NOISE_START * NOISE_START) / (known + 1)) : NOISE_START;
    return fmin(fmax(noise, NOISE_LEAST), NOISE_MOST);
}

bool usl_fit(const struct usl_point *points, size_t count, struct usl *out) {
    struct usl u = { .noise_ratio = NOISE_START };
    double level_ms = level_of(points, count);
    if (!(level_ms > 0) || !isfinite(level_ms)) {
        return false;
    }
    struct normal n = { 0 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        n = normal_of(points, count, &u, round == 0, level_ms);
        solve(&n, u.term);
        u.noise_ratio = noise_of(&u, points, count);
        level_ms = fmax(u.term[0] + u.term[1] / 2, 1e-6);
    }
    n = normal_of(points, count, &u, false, level_ms);
    invert(n.a, (1u << USL_TERMS) - 1, u.covariance);
    *out = u;
    return true;
}

static double error_ms(const struct usl *u, const double term[USL_TERMS]) {
    double variance = 0;
    for (unsigned r = 0; r < USL_TERMS; r++) {
        for (unsigned c = 0; c < USL_TERMS; c++) {
            variance += term[r] * u->covariance[r][c] * term[c];
        }
    }
    return sqrt(fmax(variance, 0));
}

double usl_latency_ms(const struct usl *u, double concurrency, double deviations) {
    double term[USL_TERMS];
    terms_at(concurrency, term);
    double latency = 0;
    for (unsigned k = 0; k < USL_TERMS; k++) {
        latency += u->term[k] * term[k];
    }
    latency = fmax(latency, 0);
    double moved = latency + (deviations == 0 ? 0 : deviations * error_ms(u, term));
    return fmax(moved, FLOOR_RATIO * latency);
}

static double throughput_rps(const struct usl *u, double concurrency, double deviations) {
    double latency_ms = usl_latency_ms(u, concurrency, deviations);
    return latency_ms > 0 ? concurrency * 1000 / latency_ms : INFINITY;
}

static double alone_ms(const struct usl *u) {
    return fmax(u->term[0] + u->term[1], 1e-9);
}

double usl_lambda_rps(const struct usl *u) {
    return 1000 / alone_ms(u);
}

double usl_sigma(const struct usl *u) {
    return u->term[1] / alone_ms(u);
}

double usl_kappa(const struct usl *u) {
    return u->term[2] / alone_ms(u);
}

static double crossing(const struct usl *tail, double objective_ms, double deviations,
                       double within, double beyond) {
    for (unsigned i = 0; i < BISECTIONS; i++) {
        double middle = sqrt(within * beyond);
        if (usl_latency_ms(tail, middle, deviations) <= objective_ms) {
            within = middle;
        } else {
            beyond = middle;
        }
    }
    return within;
}

static void take_better(struct usl_limit *best, const struct usl *mean, double n,
                        double deviations) {
    double rps = throughput_rps(mean, n, deviations);
    if (isfinite(rps) && rps > best->throughput_rps) {
        *best = (struct usl_limit){ rps, n };
    }
}

struct usl_limit usl_limit(const struct usl *mean, const struct usl *tail, double objective_ms,
                           double deviations, double concurrency_most) {
    struct usl_limit best = { 0 };
    double before = 0, n = CONCURRENCY_LEAST;
    while (n <= concurrency_most && usl_latency_ms(tail, n, deviations) <= objective_ms) {
        take_better(&best, mean, n, deviations);
        before = n;
        n *= STEP;
    }
    if (before > 0 && n <= concurrency_most) {
        take_better(&best, mean, crossing(tail, objective_ms, deviations, before, n), deviations);
    }
    return best;
}
