#include "decide/autoscale/ramp.h"

#include <math.h>
#include <string.h>

#define WINDOW_MS_MIN 120000.0
#define POINTS_MIN 4
#define GROWTH_MAX 4.0     /* of demand, at most, by the line */
#define CERTAIN_ERRORS 0.5 /* standard errors less than the slope seems to be */

void ramp_init(struct ramp *r) {
    *r = (struct ramp){ 0 };
}

static void begin_bucket(struct ramp *r, int64_t start_ms) {
    if (r->len > 0) {
        r->mean[r->len - 1] = r->sum / r->count;
    }
    if (r->len == RAMP_BUCKETS) {
        memmove(r->mean, r->mean + 1, sizeof r->mean - sizeof r->mean[0]);
        r->len--;
    }
    r->len++;
    r->sum = r->count = 0;
    r->last_start_ms = start_ms;
}

void ramp_observe(struct ramp *r, int64_t now_ms, double demand_rps, double lead_ms) {
    double window_ms = lead_ms > WINDOW_MS_MIN ? lead_ms : WINDOW_MS_MIN;
    int64_t width_ms = (int64_t)(window_ms / RAMP_BUCKETS);
    int64_t passed_ms = now_ms - r->last_start_ms;
    bool anew = r->len == 0 || passed_ms < 0 || passed_ms >= 2 * r->bucket_ms ||
                width_ms > 2 * r->bucket_ms || r->bucket_ms > 2 * width_ms;
    if (anew) {
        ramp_init(r);
        r->bucket_ms = width_ms;
        begin_bucket(r, now_ms);
    } else if (passed_ms >= r->bucket_ms) {
        begin_bucket(r, r->last_start_ms + r->bucket_ms);
    }
    r->sum += demand_rps;
    r->count++;
}

/* Inlined, so that a full ramp, the usual one, has a known length: no loops, no divisions by it. A
 * backtest has millions of moments. */
static inline __attribute__((always_inline)) double
ahead_by_line(const struct ramp *r, size_t len, double demand_rps, double lead_ms) {
    double y[RAMP_BUCKETS];
    double n = (double)len, mean_x = (n - 1) / 2, mean_y = 0, xx = 0, xy = 0, rest = 0;
    for (size_t i = 0; i < len; i++) {
        y[i] = i + 1 < len ? r->mean[i] : r->sum / r->count;
        mean_y += y[i] / n;
    }
    for (size_t i = 0; i < len; i++) {
        double x = (double)i - mean_x;
        xx += x * x;
        xy += x * (y[i] - mean_y);
    }
    double slope = xy / xx;
    if (!(slope > 0)) {
        return demand_rps; /* most moments */
    }
    for (size_t i = 0; i < len; i++) {
        double off = y[i] - mean_y - slope * ((double)i - mean_x);
        rest += off * off;
    }
    double certain = slope - CERTAIN_ERRORS * sqrt(rest / (n - 2) / xx);
    double ahead = demand_rps + certain * lead_ms / (double)r->bucket_ms;
    return fmin(fmax(ahead, demand_rps), demand_rps * GROWTH_MAX);
}

double ramp_ahead_rps(const struct ramp *r, double demand_rps, double lead_ms) {
    if (r->len < POINTS_MIN) {
        return demand_rps;
    }
    return r->len == RAMP_BUCKETS ? ahead_by_line(r, RAMP_BUCKETS, demand_rps, lead_ms)
                                  : ahead_by_line(r, r->len, demand_rps, lead_ms);
}
