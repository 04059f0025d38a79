/* Ledger: what each hour of a service cost and dropped, and what it would have with others at the
 * helm: Tidegate without forecast, a stock Kubernetes HPA, a static fleet sized for the peak, and
 * perfect foresight. All of them live through the same arrivals with the same start-up time and the
 * same capacity of an instance, in the world of `backtest` (autoscale/world.h) and by its rules:
 * ticks of LEDGER_TICK_MS; a policy knows the ticks before; paid from the order on. The account
 * without forecast hears each second of them, as the controller does. Tidegate's own
 * account has the instances that were really paid, and by the same world what those that could
 * serve would have left unserved; what was really turned away is beside it.
 *
 * Foresight needs what comes within one start-up: a tick is judged when so much has been seen after
 * it, for all policies at once, so that all accounts cover the same ticks. What is not seen (the
 * controller was away) is not judged: `seconds` says how much of the hour is.
 * Pure: no clock, no I/O. Not here: keeping it (record/store/), showing it (act/api/).
 * Left out: faults of instances, which only Tidegate's own account suffers from. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "decide/autoscale/autoscale.h"
#include "decide/autoscale/hpa.h"
#include "decide/autoscale/world.h"

#define LEDGER_TICK_MS 5000
#define LEDGER_PATIENCE_MS 2000
#define LEDGER_STARTUP_MAX_MS 1800000                  /* a longer one counts as this */
#define LEDGER_SECONDS_MAX (LEDGER_TICK_MS / 1000 + 1) /* that are heard of a tick */
#define LEDGER_GAP_MS MS_PER_MINUTE /* longer unseen: the what-if fleets begin anew */
#define LEDGER_PEAK_HOURS 168       /* a static fleet is sized for the highest of these */
#define LEDGER_TICKS_MAX (LEDGER_STARTUP_MAX_MS / LEDGER_TICK_MS + 2)

enum ledger_policy {
    LEDGER_TIDEGATE,
    LEDGER_REACTIVE,
    LEDGER_HPA,
    LEDGER_STATIC_PEAK,
    LEDGER_ORACLE,
    LEDGER_POLICIES,
};
extern const char *const ledger_policy_names[LEDGER_POLICIES]; /* "static_peak" */

struct ledger_account {
    double instance_hours;
    double unserved; /* requests beyond capacity and patience */
    uint32_t instances_max;
};

struct ledger_hour {
    int64_t start_ms;         /* unix */
    double seconds;           /* of it that were judged */
    double requests, refused; /* that arrived; that were really turned away */
    struct ledger_account accounts[LEDGER_POLICIES];
};

/* What was, over an interval that ended at now_ms. */
struct ledger_second {
    int64_t now_ms; /* unix */
    double seconds;
    double offered_rps, refused_rps;
    uint32_t paid;     /* instances that are there, in whatever state */
    uint32_t able;     /* that serve or could at once: in rotation and warm */
    double unit_rps;   /* what one carries, > 0 */
    double startup_ms; /* what one takes to start, typically */
};

struct ledger_tick {
    int64_t start_ms;
    float seconds, requests, refused, unit_rps; /* seconds: those that were seen */
    float paid_s, able_s;                       /* instance-seconds */
    uint32_t needed, startup_ms;
    uint32_t heard;
    float demand_rps[LEDGER_SECONDS_MAX]; /* second by second, `heard` of them */
};

struct ledger {
    struct autoscale_policy policy;
    struct world worlds[LEDGER_POLICIES];
    struct autoscale_state reactive;
    struct ledger_tick before; /* that was judged last; heard 0: none, or too long ago */
    struct hpa hpa;
    double utilisation_sum; /* since the last sync */
    unsigned ticks_synced;
    struct ledger_tick forming;
    struct ledger_tick waiting[LEDGER_TICKS_MAX]; /* ring: seen, not judged */
    size_t first, count;
    int64_t seen_ms, judged_ms; /* start of the last tick of each; INT64_MIN: none */
    double demand_rps;          /* of the tick that was judged last; NaN: unknown */
    bool ending;
    struct ledger_hour hour;             /* that is being filled */
    uint32_t peaks[LEDGER_PEAK_HOURS];   /* most needed, by hour */
    int64_t peaks_at[LEDGER_PEAK_HOURS]; /* which hour that is */
};

/* ERROR_LIMIT: no memory. */
bool ledger_init(struct ledger *l, const struct autoscale_policy *policy, struct error *err);
void ledger_fini(struct ledger *l);
void ledger_set_policy(struct ledger *l, const struct autoscale_policy *policy);

/* What an earlier ledger had: the most needed in an hour; the hour that is still going on. */
void ledger_remember_peak(struct ledger *l, int64_t hour_ms, uint32_t instances);
void ledger_resume(struct ledger *l, const struct ledger_hour *hour);

/* In order of time; what lies before the last one is ignored. */
void ledger_observe(struct ledger *l, const struct ledger_second *second);
/* Nothing more will come: what waits is judged as if nothing came after it. */
void ledger_end(struct ledger *l);

enum ledger_step { LEDGER_WAITS, LEDGER_JUDGED, LEDGER_HOUR_ENDED };
/* Judges the oldest tick for which enough is known; to be called until it waits. LEDGER_HOUR_ENDED:
 * `done` is a complete hour, l->hour the next. */
enum ledger_step ledger_step(struct ledger *l, struct ledger_hour *done);

/* ---- whether prediction paid ---- */

struct ledger_sum { /* over some hours */
    double instance_hours, cost /* NaN: no price */, unserved;
};
struct ledger_question {
    double seconds, requests; /* that were judged */
    struct ledger_sum tidegate, reactive;
    double margin_per_request; /* NaN: not known */
    const char *currency;      /* empty: not known */
};
enum ledger_paid { LEDGER_PAID, LEDGER_NOT_PAID, LEDGER_DEPENDS, LEDGER_TOO_EARLY };
#define LEDGER_TEXT_BYTES 384
struct ledger_verdict {
    enum ledger_paid paid;
    char text[LEDGER_TEXT_BYTES]; /* a sentence or two, with the numbers it came from */
};
struct ledger_verdict ledger_judge(const struct ledger_question *question);
