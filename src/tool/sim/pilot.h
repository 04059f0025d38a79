/* Pilot: one policy at the helm of a world: from what is known at a tick to the number of
 * instances. Inside tool/sim only. */
#pragma once
#include "decide/autoscale/hpa.h"
#include "tool/sim/backtest.h"

struct pilot {
    const struct backtest_input *in;
    struct backtest_policy policy;
    struct autoscale_policy autoscale;
    struct autoscale_state state;
    struct forecast *forecast;         /* of the predictive policy */
    double *path, *values, *provision; /* what it says now */
    size_t path_steps, lead_steps;
    bool foresees; /* the path is there */
    double quantile;
    struct hpa hpa;
    double utilisation_sum;
    size_t ticks_seen, sync_ticks;
    uint32_t *needed; /* instances by interval: what the oracle knows */
    int64_t tick_ms;
};

bool pilot_init(struct pilot *p, const struct backtest_input *in,
                const struct backtest_policy *policy, int64_t tick_ms, struct error *err);
void pilot_fini(struct pilot *p);

/* An interval begins: the one before it is known now. */
void pilot_note_slot(struct pilot *p, size_t slot, struct backtest_result *out);

/* `part` is the tick within the interval; `demand_rps` what came in the tick before (NaN: unknown).
 */
uint32_t pilot_decide(struct pilot *p, const struct world *world, size_t slot, size_t part,
                      int64_t now_ms, double demand_rps);

/* Shared with backtest.c. */
int64_t backtest_tick_ms(const struct backtest_input *in);
double backtest_rps(const struct backtest_input *in, size_t slot);
uint32_t backtest_needed(const struct backtest_input *in, size_t slot); /* within min and max */
