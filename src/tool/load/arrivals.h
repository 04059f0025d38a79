/* Arrivals: when a recorded trace makes its requests, as a stream in order of time.
 * A trace is counts per interval (CSV) or the requests themselves (an access log, whose interval is
 * the second its times are written to). Within an interval the times are those of a Poisson process
 * of which the count is known: uniform, independent, sorted. So the trace is kept exactly, and what
 * a fraction of --scale leaves over is carried into the next interval. Seeded: same seed, same
 * times. Not here: who makes the request (visitor.h), sending it (load.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/rand.h"
#include "base/slice.h"
#include "wire/http/message.h"

#define ARRIVALS_RATE_RPS_MAX 1000000 /* no machine sends more: a wrong --scale or --speed */

struct arrivals_options {
    double speed;        /* 60: a minute of the trace takes a second */
    double scale;        /* of the counts */
    struct slice column; /* of a CSV; empty: the first numeric one */
    uint64_t seed;
};

struct arrival {
    uint64_t at_us; /* since the start */
    enum http_method method;
    struct slice target; /* empty when the trace does not say */
};

struct arrivals_entry;

struct arrivals {
    double *counts; /* requests in each interval, before scaling */
    size_t len;
    double interval_us; /* in the replay's time */
    double scale;
    size_t missing; /* intervals of which nothing is known: nobody comes */
    /* Of an access log. */
    struct arrivals_entry *entries; /* by time; NULL when the trace is counts */
    size_t entry_count, skipped;
    char *text; /* what the entries' targets point into */
    /* Where the stream is. */
    struct rand rand;
    size_t next_interval, first_entry;
    uint64_t in_interval, given; /* arrivals of the current interval, and how many were given */
    double position;             /* in it, in [0, 1) */
    double carry;
};

/* From a file, plain or gzip; its first line says which kind it is. ERROR_INVALID with name, line
 * and column. Needs arrivals_fini only after success. */
bool arrivals_read(struct arrivals *a, const char *path, const struct arrivals_options *options,
                   struct error *err);
/* From memory; `text` is copied where needed. */
bool arrivals_parse(struct arrivals *a, struct slice text, const char *name,
                    const struct arrivals_options *options, struct error *err);
void arrivals_fini(struct arrivals *a);

/* False when the trace has ended. Targets stay valid until arrivals_fini. */
bool arrivals_next(struct arrivals *a, struct arrival *out);

uint64_t arrivals_duration_us(const struct arrivals *a);
double arrivals_total(const struct arrivals *a); /* requests in all, give or take one */
