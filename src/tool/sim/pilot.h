/* Pilot: one policy at the helm of a world: from what is known at a tick to the number of
 * instances. Inside tool/sim only. */
#pragma once
#include "act/control/foresee.h"
#include "decide/autoscale/hpa.h"
#include "tool/sim/backtest.h"

struct pilot {
    const struct backtest_input *in;
    struct backtest_policy policy;
    struct foresee *foresee; /* of predictive and reactive: the live code; NULL else */
    struct hpa hpa;
    double utilisation_sum;
    size_t ticks_seen, sync_ticks;
    uint32_t *needed; /* instances by interval: what the oracle knows */
    int64_t tick_ms;
};

bool pilot_init(struct pilot *p, const struct backtest_input *in,
                const struct backtest_policy *policy, int64_t tick_ms, struct error *err);
void pilot_fini(struct pilot *p);

struct pilot_moment {
    size_t slot, part; /* the tick within the interval */
    int64_t now_ms;
    double demand_rps; /* what came in the tick before; NaN: unknown */
};

uint32_t pilot_decide(struct pilot *p, const struct world *world, const struct pilot_moment *at,
                      struct backtest_result *out);

/* Shared with backtest.c. */
int64_t backtest_tick_ms(const struct backtest_input *in);
double backtest_rps(const struct backtest_input *in, size_t slot);
uint32_t backtest_needed(const struct backtest_input *in, size_t slot); /* within min and max */
