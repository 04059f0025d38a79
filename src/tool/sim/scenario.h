/* Scenario: seeded days of a shop and what goes wrong in them. Demand has the shape of day and
 * week, slow drift and the noise of single requests; on top come announced campaigns (the first in
 * the very first hour; the marketer's multiplier is wrong, some are late or never happen) and flash
 * crowds that nobody announced. Same options, same days. Faults come from the seed or from a file.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/rand.h"
#include "decide/forecast/calendar.h"

#define SCENARIO_START_MS INT64_C(1767571200000) /* 2026-01-05, a Monday */
#define SCENARIO_DAY_S 86400
#define SCENARIO_DAYS_MAX 366
#define SCENARIO_FAULTS_MAX 4096
#define SCENARIO_AMOUNT_MAX 1e8 /* of a fault */

enum scenario_fault_kind {
    FAULT_STALE_METRIC,    /* demand is not measured any more */
    FAULT_UNKNOWN_METRIC,  /* demand is measured as not a number */
    FAULT_DEAD_FORECASTER, /* nothing is forecast */
    FAULT_CLOCK_JUMP,      /* the clock goes `amount` seconds ahead, for good */
    FAULT_RESTART,         /* the controller begins without history */
    FAULT_CRASH,           /* `amount` instances end */
    FAULT_SLOW_START,      /* starting takes `amount` times as long */
    FAULT_SLOW_INSTANCES,  /* an instance carries `amount` times what it carried */
    FAULT_KINDS,
};

const char *scenario_fault_name(enum scenario_fault_kind kind); /* "stale_metric" */

struct scenario_fault {
    int64_t at_s, for_s; /* since the start; for_s 0: at once over */
    enum scenario_fault_kind kind;
    double amount;
};

struct scenario_surge { /* a campaign or a crowd as it really comes */
    int64_t start_s, rise_s, hold_s, decay_s;
    double factor; /* of the demand at its height */
};

struct scenario {
    uint64_t seed;
    uint32_t days;
    double peak_rps;          /* of an ordinary day, about */
    struct calendar calendar; /* what was announced */
    struct scenario_surge *surges;
    size_t surge_count;
    struct scenario_fault *faults; /* by at_s */
    size_t fault_count;
    double drift; /* log, of the day that was made last */
    struct rand noise;
};

/* Faults of the seed, unless `faults_path` names a file: CSV `at,for,fault,amount`, the first two
 * durations since the start. Errors are ERROR_INVALID with file, line and column. */
bool scenario_init(struct scenario *s, uint64_t seed, uint32_t days, double peak_rps,
                   const char *faults_path, struct error *err);
void scenario_fini(struct scenario *s);

/* No campaign and no crowd goes on at that second. */
bool scenario_is_calm(const struct scenario *s, int64_t at_s);

/* Requests per second of each second of the next day; days come in order. */
void scenario_day(struct scenario *s, uint32_t day, float rps[SCENARIO_DAY_S]);
