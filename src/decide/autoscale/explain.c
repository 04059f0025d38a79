/* A decision in a sentence. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "decide/autoscale/autoscale.h"

#define AHEAD_BYTES 128 /* a name of 60 characters and its sentence */

static const char *const reason_names[AUTOSCALE_REASONS] = {
    [AUTOSCALE_STEADY] = "steady",     [AUTOSCALE_DEMAND] = "demand",
    [AUTOSCALE_FORECAST] = "forecast", [AUTOSCALE_CAMPAIGN] = "campaign",
    [AUTOSCALE_HOLDING] = "holding",   [AUTOSCALE_SHRINK] = "shrink",
    [AUTOSCALE_BLIND] = "blind",       [AUTOSCALE_AT_MIN] = "at_min",
    [AUTOSCALE_AT_MAX] = "at_max",     [AUTOSCALE_AT_BUDGET] = "at_budget",
};

const char *autoscale_reason_name(enum autoscale_reason reason) {
    return reason < AUTOSCALE_REASONS ? reason_names[reason] : "unknown";
}

/* "14:05", with seconds unless they are 0. */
static void clock_text(int64_t unix_ms, char out[16]) {
    char iso[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(unix_ms, iso);
    int len = strncmp(iso + 17, "00", 2) == 0 ? 5 : 8;
    snprintf(out, 16, "%.*s", len, iso + 11);
}

static void ahead_text(const struct autoscale_decision *d, char *out, size_t out_bytes) {
    char at[16], what[80] = "demand";
    clock_text(d->forecast_at_ms, at);
    if (d->campaign != NULL) {
        snprintf(what, sizeof what, "campaign '%.*s'",
                 SLICE_ARG(slice_sub(d->campaign->name, 0, 60)));
    }
    snprintf(out, out_bytes, "%s at %s is forecast at %.0f rps (q%.2f)", what, at, d->forecast_rps,
             d->quantile);
}

static void maximum_text(const struct autoscale_decision *d, char *out, size_t out_bytes) {
    char cause[AHEAD_BYTES];
    if (d->wanted_forecast > d->wanted_reactive) {
        ahead_text(d, cause, sizeof cause);
    } else {
        snprintf(cause, sizeof cause, "demand is %.0f rps", d->demand_rps);
    }
    snprintf(out, out_bytes, "%s and needs %u, the %s holds", cause,
             d->wanted_forecast > d->wanted_reactive ? d->wanted_forecast : d->wanted_reactive,
             d->reason == AUTOSCALE_AT_BUDGET ? "budget" : "maximum");
}

static void cause_text(const struct autoscale_decision *d, char *out, size_t out_bytes) {
    switch (d->reason) {
    case AUTOSCALE_FORECAST:
    case AUTOSCALE_CAMPAIGN:
        ahead_text(d, out, out_bytes);
        break;
    case AUTOSCALE_BLIND:
        snprintf(out, out_bytes, "%s, nothing is taken away",
                 isnan(d->demand_rps)     ? "demand is not known"
                 : isnan(d->forecast_rps) ? "nothing is forecast yet"
                                          : "what is known is stale");
        break;
    case AUTOSCALE_HOLDING:
        snprintf(out, out_bytes, "%.0f rps need fewer, but more was wanted a moment ago",
                 d->demand_rps);
        break;
    case AUTOSCALE_AT_MAX:
    case AUTOSCALE_AT_BUDGET:
        maximum_text(d, out, out_bytes);
        break;
    case AUTOSCALE_SHRINK:
        snprintf(out, out_bytes, "no more were wanted for a while, demand is %.0f rps",
                 d->demand_rps);
        break;
    case AUTOSCALE_AT_MIN:
        snprintf(out, out_bytes, "%.0f rps need no more than the minimum", d->demand_rps);
        break;
    default:
        snprintf(out, out_bytes, "demand is %.0f rps", d->demand_rps);
        break;
    }
}

void autoscale_explain(const struct autoscale_decision *d, char out[AUTOSCALE_REASON_BYTES]) {
    char cause[AHEAD_BYTES + 48];
    cause_text(d, cause, sizeof cause);
    snprintf(out, AUTOSCALE_REASON_BYTES,
             "%u instance%s: %s; one instance carries %.0f rps and takes %.1f s to start",
             d->instances, d->instances == 1 ? "" : "s", cause, d->capacity_rps, d->lead_ms / 1000);
}
