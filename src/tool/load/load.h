/* A load: recorded arrivals, sent at their time whether or not earlier ones were answered (open
 * loop), each request's latency counted from the time it was wanted. A server that stalls is not
 * spared the requests that would have come meanwhile ("coordinated omission").
 *
 *   arrivals ──▶ a visitor whose thinking is over ─┐
 *            └─▶ else a new visitor ───────────────┴──▶ client ──▶ tally
 *
 * With sessions each arrival is a turn for a visitor's next step, so the requests offered a second
 * are those of the trace, whatever the visitors do. One process, one thread, one loop. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "tool/load/arrivals.h"
#include "tool/load/tally.h"
#include "tool/load/target.h"
#include "tool/load/visitor.h"

#define LOAD_VISITORS_MAX 200000   /* in the shop at a time; then no one thinks for long */
#define LOAD_PATIENCE_US 60000000u /* a visitor who gets no turn for so long has left */

struct load_options {
    struct target target;
    bool sessions, progress; /* progress: a line on stderr, rewritten each second */
    struct visitor_habits habits;
    uint32_t connections_max;
    uint64_t timeout_us; /* from the wish to the end of the answer */
    uint64_t seed;
};

/* Sends all arrivals and waits for the last answer. SIGINT and SIGTERM end it early: *tally then
 * says `interrupted`. `tally` is initialised here; tally_fini is the caller's, after success. */
bool load_run(const struct load_options *options, struct arrivals *arrivals, struct tally *tally,
              struct error *err);
