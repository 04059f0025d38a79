/* Connections that workers open ahead of a wave that the plan sees (decide/autoscale/pool.h). */
#include <math.h>

#include "act/control/controller_internal.h"

#define AHEAD_MS 30000 /* so far is looked; at least to the end of the forecast's next step */

/* The most that is provisioned for in the next moments; NaN: the forecast is not followed there,
 * and nothing is announced. */
static double peak_ahead(const struct foresee *f, int64_t now_ms) {
    int64_t ahead_ms = f->step_ms > AHEAD_MS ? f->step_ms : AHEAD_MS;
    double peak = NAN;
    for (size_t i = 0; i < f->shown.steps; i++) {
        int64_t start_ms = f->shown.start_ms + (int64_t)i * f->step_ms;
        if (start_ms + f->step_ms > now_ms && start_ms <= now_ms + ahead_ms) {
            peak = fmax(peak, f->shown.provision[i]); /* of a number and NaN: the number */
        }
    }
    return peak;
}

void pools_second(struct controller *c, unsigned service, int64_t now_ms) {
    struct controlled *s = &c->services[service];
    const struct service_second *second = &s->second;
    bool answered = s->has_second && second->answers > 0;
    struct pool_input input = {
        .now_ms = now_ms,
        .now_rps = s->foresee.demand_rps,
        .peak_rps = peak_ahead(&s->foresee, now_ms),
        .latency_ms =
            answered ? (second->latency_us_p50 + (double)second->latency_us_p95) / 2000 : NAN,
        .serving = members_count(c, service, ENDPOINT_SERVING),
    };
    if (pool_decide(&s->pool, &input)) {
        log_info("connections_ahead", "service=%s connections=%u peak_rps=%.0f instances=%u",
                 s->name, s->pool.ahead, input.peak_rps, input.serving);
        planner_change(c);
    }
}
