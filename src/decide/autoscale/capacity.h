/* Capacity: what one instance can carry within the objective, in requests per second, learned
 * online. Evidence: each second, for each instance, its load, its latency and how full it is.
 * The estimate is the load that best separates seconds within the objective from seconds beyond it
 * (weights fade, so a new version is learned anew); a few odd seconds at low load (a sick instance)
 * do not move it. Nothing bad seen yet: it may grow a step beyond the highest load that was proven
 * good, so that it is found without an overload; fullness (utilisation) bounds that step.
 * Starts from a guess: given, or by Little's law from concurrency and service time. Never NaN.
 * Not here: measuring (record/telemetry/), deciding how many instances (autoscale.h). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define CAPACITY_BINS 128 /* of load, each 10 % wide, from CAPACITY_RPS_MIN on */
#define CAPACITY_RPS_MIN 0.1

struct capacity {
    double objective_ms;
    double start_rps;    /* the guess at the start */
    double start_weight; /* seconds of evidence the guess is worth; fades like the rest */
    float good[CAPACITY_BINS], bad[CAPACITY_BINS]; /* seconds of evidence, fading */
    float calm[CAPACITY_BINS]; /* of the good ones those well within the objective */
    double full_rps;           /* load ÷ utilisation, robust mean; 0: not known */
    double estimate_rps, low_rps, high_rps;
    uint64_t observed;
};

struct capacity_sample {      /* of one instance over `seconds` */
    double load_rps;          /* sent to it */
    double latency_ms_p99;    /* NaN: no answer in that time */
    double utilisation_ratio; /* CPU or pool in use, in [0, 1]; NaN: not known */
    double seconds;
};

/* `start_rps` <= 0: unknown, a cautious default is used until there is evidence. */
void capacity_init(struct capacity *c, double objective_ms, double start_rps);

/* Little's law: `concurrency` requests at once, each `service_ms` long. 0 when unknown. */
double capacity_guess_rps(double concurrency, double service_ms);

void capacity_observe(struct capacity *c, const struct capacity_sample *sample);

double capacity_rps(const struct capacity *c); /* > 0 */

/* Between which loads it lies, as far as seen: the proven good and the nearest proven bad. */
struct capacity_range {
    double low_rps, high_rps;
};
struct capacity_range capacity_range(const struct capacity *c);
