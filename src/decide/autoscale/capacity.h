/* Capacity: what one instance can carry within the objective, in requests per second, learned
 * online for one version of a service. Evidence: each second, for each instance, its load, its
 * latency, its concurrency and how full it is.
 * Two views of the same evidence, kept in bins of load, are put together:
 * - what was seen: the load that best separates seconds within the objective from seconds beyond
 *   it; what went well with room to spare is proven;
 * - the Universal Scalability Law fitted to mean and tail latency (usl.h), solved for the
 * objective. The law says how far beyond the seen one may go; the seen says how far the law is
 * believed. The answer is a likely value with a bound on each side; plans use the lower one. What
 * nobody ever loaded keeps its guess: given, of the version before, or a default; `source` says
 * which. Bounded forgetting: a slow dependency or a crowded machine is forgotten within an hour or
 * two of better seconds, a busy day is not washed out by a quiet night. Never NaN. Not here:
 * measuring (record/telemetry/), deciding how many instances (autoscale.h), which version is which
 * (versions.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPACITY_BINS 128 /* of load, each 10 % wide, from CAPACITY_RPS_MIN on */
#define CAPACITY_RPS_MIN 0.1

enum capacity_source {
    CAPACITY_DEFAULT,    /* nothing is known */
    CAPACITY_CONFIGURED, /* instances.capacity; never loaded enough to say more */
    CAPACITY_INHERITED,  /* of the version before */
    CAPACITY_LEARNED,
    CAPACITY_SOURCES,
};

struct capacity_seen { /* of a bin: seconds on one side of the objective, means over them */
    float seconds;     /* fading */
    float load_rps, latency_ms, tail_ms;
};

struct capacity_bin {
    struct capacity_seen within, beyond;
    float calm_seconds; /* of those within, the ones far within */
};

struct capacity {
    double objective_ms;
    double start_rps;    /* the guess at the start */
    double start_weight; /* seconds of evidence the guess is worth; fades like the rest */
    enum capacity_source start_source;
    struct capacity_bin bins[CAPACITY_BINS];
    double full_rps; /* load ÷ utilisation, robust mean; 0: not known */
    double likely_rps, low_rps, high_rps;
    enum capacity_source source;
    double lambda_rps, sigma, kappa; /* of the law; NaN: not fitted */
    double objective_used_ms;        /* larger than objective_ms when an idle one is not faster */
    uint64_t observed, concluded;    /* samples; of them in the conclusions */
};

struct capacity_sample {      /* of one instance over `seconds` */
    double load_rps;          /* answered by it */
    double latency_ms;        /* mean; NaN: not known, then only the seen counts */
    double latency_ms_p99;    /* NaN: no answer in that time */
    double in_flight;         /* at its end; NaN: not known */
    double utilisation_ratio; /* CPU or pool in use, in [0, 1]; NaN: not known */
    double seconds;
};

/* `start_rps` <= 0: unknown, a cautious default is used until there is evidence. */
void capacity_init(struct capacity *c, double objective_ms, double start_rps);
/* For a version that nobody has seen yet: what is known of `before`, with most of its weight gone,
 * so that its bounds are wider and new evidence soon prevails. */
void capacity_inherit(struct capacity *c, const struct capacity *before);
/* The objective of the service changed: the evidence is put on its sides anew. */
void capacity_set_objective(struct capacity *c, double objective_ms);

void capacity_observe(struct capacity *c, const struct capacity_sample *sample);
/* Draws the conclusions of what was observed since the last time; once a second is enough. */
void capacity_conclude(struct capacity *c);

double capacity_rps(const struct capacity *c); /* to plan with: the lower bound, > 0 */

struct capacity_range {
    double low_rps, likely_rps, high_rps; /* ascending */
};
struct capacity_range capacity_range(const struct capacity *c);
const char *capacity_source_name(enum capacity_source source);

/* ---- to be kept (capacity_memory.c) ---- */

#define CAPACITY_MEMORY_BINS 48 /* those with the most evidence */
#define CAPACITY_MEMORY_BYTES (16 + CAPACITY_MEMORY_BINS * 40)

/* Its evidence as bytes; returns how many, <= CAPACITY_MEMORY_BYTES. */
size_t capacity_save(const struct capacity *c, uint8_t out[CAPACITY_MEMORY_BYTES]);
/* Evidence into an initialised `c`, which stays as it is when the bytes make no sense (false). Its
 * objective stays its own. */
bool capacity_restore(struct capacity *c, const uint8_t *bytes, size_t len);
