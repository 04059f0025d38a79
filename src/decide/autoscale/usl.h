/* USL: latency of one instance as a function of its concurrency, after the Universal Scalability
 * Law: X(N) = l N / (1 + s (N - 1) + k N (N - 1)) with contention s and crosstalk k. By Little's
 * law the latency is N / X(N), and that is linear in three terms that are all >= 0:
 *   R(N) = (1 - s)/l + s/l N + k/l N (N - 1)
 * so a fit is a small non-negative least squares, exact and without a starting point. Errors are
 * relative (slow is noisy), outliers weigh less (Huber), and what the points do not say is held by
 * a prior between a free and a queueing server (R = S (1 + N)), wide enough to give way.
 * The same shape serves for a high quantile of the latency. Pure; no state.
 * After: Gunther, "Guerrilla Capacity Planning", 2007. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define USL_TERMS 3

struct usl_point {
    double concurrency, latency_ms; /* means */
    double weight;                  /* independent looks that they are worth, > 0 */
};

struct usl {
    double term[USL_TERMS];                  /* ms, >= 0 */
    double covariance[USL_TERMS][USL_TERMS]; /* of them, prior included */
    double noise_ratio;                      /* of one look */
};

/* False when no point is usable (finite, > 0); `out` is untouched then. */
bool usl_fit(const struct usl_point *points, size_t count, struct usl *out);

/* At `concurrency`, `deviations` standard errors of the fit above (below when negative); >= 0. */
double usl_latency_ms(const struct usl *u, double concurrency, double deviations);

/* In Gunther's terms. */
double usl_lambda_rps(const struct usl *u);
double usl_sigma(const struct usl *u);
double usl_kappa(const struct usl *u);

struct usl_limit {
    double throughput_rps; /* 0: even one alone takes longer */
    double concurrency;    /* there */
};
/* Most throughput at which `tail` stays within objective_ms; both curves `deviations` errors above
 * what was fitted. Nothing is looked at past `concurrency_most`. */
struct usl_limit usl_limit(const struct usl *mean, const struct usl *tail, double objective_ms,
                           double deviations, double concurrency_most);
