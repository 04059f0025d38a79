#include "decide/autoscale/world.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"

#define FULL 1e-6 /* share of a tick's requests: demand equal to capacity is carried */

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t ticks_of(const struct world_options *o, int64_t ms) {
    return (ms + o->tick_ms - 1) / o->tick_ms;
}

bool world_init(struct world *w, const struct world_options *options, uint32_t serving,
                struct error *err) {
    assert(options->tick_ms > 0 && options->unit_rps > 0 && options->startup_ms >= 0);
    int64_t ticks = ticks_of(options, larger(options->startup_ms, options->startup_ms_max));
    *w = (struct world){ .options = *options, .serving = serving };
    if (ticks > WORLD_STARTUP_TICKS_MAX) {
        return error_set(err, ERROR_LIMIT, "expected a start-up of at most %d ticks of %g s",
                         WORLD_STARTUP_TICKS_MAX, (double)options->tick_ms / 1000);
    }
    w->ring = (size_t)ticks + 1;
    w->ready_at = calloc(w->ring, sizeof *w->ready_at);
    w->totals.max_instances = serving;
    return w->ready_at != NULL || error_set(err, ERROR_LIMIT, "no memory for %zu ticks", w->ring);
}

void world_fini(struct world *w) {
    if (w != NULL) {
        free(w->ready_at);
        w->ready_at = NULL;
    }
}

static void order(struct world *w, uint32_t count) {
    size_t ticks = (size_t)ticks_of(&w->options, w->options.startup_ms);
    if (ticks == 0) {
        w->serving += count;
        return;
    }
    assert(ticks < w->ring);
    size_t at = w->tick + ticks;
    w->ready_at[at < w->ring ? at : at - w->ring] += count;
    w->starting += count;
}

static void stop(struct world *w, uint32_t count) {
    for (size_t back = 1; back < w->ring && count > 0 && w->starting > 0; back++) {
        uint32_t *batch = &w->ready_at[w->tick >= back ? w->tick - back : w->tick + w->ring - back];
        uint32_t taken = *batch < count ? *batch : count;
        *batch -= taken;
        w->starting -= taken;
        count -= taken;
    }
    w->serving -= count;
}

void world_scale(struct world *w, uint32_t instances) {
    uint32_t current = w->serving + w->starting;
    if (instances > current) {
        order(w, instances - current);
    } else if (instances < current) {
        stop(w, current - instances);
    }
    w->totals.scale_actions += instances != current;
    if (instances > w->totals.max_instances) {
        w->totals.max_instances = instances;
    }
}

void world_lose(struct world *w, uint32_t instances) {
    w->serving -= instances < w->serving ? instances : w->serving;
}

void world_tick(struct world *w, double demand_rps) {
    uint32_t *ready = &w->ready_at[w->tick];
    w->serving += *ready;
    w->starting -= *ready;
    *ready = 0;
    double seconds = (double)w->options.tick_ms / 1000;
    double capacity_rps = w->serving * w->options.unit_rps;
    double arrived = demand_rps * seconds;
    double left = w->backlog + arrived - capacity_rps * seconds, waiting = left > 0 ? left : 0;
    double backlog_max = capacity_rps * (double)w->options.patience_ms / 1000;
    w->backlog = waiting < backlog_max ? waiting : backlog_max;
    w->totals.unserved += waiting - w->backlog;
    w->totals.requests += arrived;
    if (waiting > FULL * (arrived + 1)) {
        w->totals.violation_minutes += (double)w->options.tick_ms / MS_PER_MINUTE;
    }
    w->totals.instance_hours +=
        (w->serving + w->starting) * (double)w->options.tick_ms / MS_PER_HOUR;
    w->tick = w->tick + 1 < w->ring ? w->tick + 1 : 0;
}
