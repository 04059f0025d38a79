/* Sense: from the workers' vitals to what a service and an endpoint did in the last moments.
 * Counters only grow; what happened in a window is the difference of two readings. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/shm/vitals.h"
#include "base/histogram.h"

/* One service over one interval (about a second). */
struct service_second {
    double seconds; /* length of the interval */
    double offered_rps, served_rps, refused_rps, failed_rps;
    double offered_stage_rps[STAGE_COUNT];
    uint64_t served_stage[STAGE_COUNT];
    uint32_t latency_us_p50, latency_us_p95, latency_us_p99; /* of all stages; 0: none served */
    uint32_t stage_us_p50[STAGE_COUNT], stage_us_p95[STAGE_COUNT], stage_us_p99[STAGE_COUNT];
    double retries_rps, retries_refused_rps, hedges_rps, hedges_won_rps;
    uint32_t in_flight, waiting; /* now */
    uint32_t over_objective;     /* answers slower than the objective */
    uint64_t answers;
};

struct service_reading { /* sums over the workers */
    uint64_t offered[STAGE_COUNT], served[STAGE_COUNT], refused[STAGE_COUNT], failed[STAGE_COUNT];
    uint64_t retries, retries_refused, hedges, hedges_won;
    struct histogram latency_us[STAGE_COUNT];
    uint64_t at_us; /* monotonic; 0: never read */
};

/* Reads service `index` and says what happened since `last`, which becomes the new reading. The
 * first call only reads: false. */
bool sense_service(const struct vitals *vitals, unsigned index, uint32_t objective_us,
                   uint64_t now_us, struct service_reading *last, struct service_second *out);

/* Totals since the segment was made: for the report and /metrics. */
void sense_read_service(const struct vitals *vitals, unsigned index, struct service_reading *out);

struct endpoint_reading { /* sums over the workers, of one generation */
    uint32_t generation;
    uint64_t requests, failures, connect_failures, status_5xx, latency_us_sum, answers;
    struct histogram first_byte_us;
};

void sense_read_endpoint(const struct vitals *vitals, unsigned slot, uint32_t generation,
                         struct endpoint_reading *out);

/* One endpoint over a window that ends now. */
struct endpoint_window {
    uint64_t requests, failures, status_5xx, answers;
    uint64_t latency_us_sum;      /* time to first byte, of the answers */
    uint32_t in_flight, awaiting; /* awaiting: sent whole, and nothing has come back */
    uint32_t oldest_age_ms;       /* of the oldest request that awaits its answer; 0: none */
    uint32_t latency_us_p50, latency_us_p99;
};

/* What happened at the endpoint since `before`. */
void sense_endpoint(const struct vitals *vitals, unsigned slot, uint32_t generation,
                    const struct endpoint_reading *before, const struct endpoint_reading *now,
                    uint64_t now_us, struct endpoint_window *out);
