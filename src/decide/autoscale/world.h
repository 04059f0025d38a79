/* World: instances of one service under recorded demand, in virtual time. A fluid model: demand
 * flows in evenly over a tick, serving instances carry `unit_rps` each, what is above waits in a
 * backlog. The backlog is bounded by what the instances carry within `patience_ms`: a request
 * beyond that is unserved (nobody waits longer, and a real queue would be cut there too). A minute
 * counts as a violation while demand is above capacity or a backlog waits. An instance is paid from
 * its order to its stop, and serves `startup_ms` after the order. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define WORLD_STARTUP_TICKS_MAX 100000

struct world_options {
    int64_t tick_ms, startup_ms, patience_ms;
    int64_t startup_ms_max; /* when startup_ms is to vary from order to order; 0: it is constant */
    double unit_rps;
};

struct world_totals {
    double instance_hours, requests, unserved, violation_minutes;
    uint64_t scale_actions;
    uint32_t max_instances;
};

struct world {
    struct world_options options; /* startup_ms and unit_rps may change between two ticks */
    uint32_t serving, starting;
    uint32_t *ready_at; /* ring by tick: how many become ready then */
    size_t ring, tick;  /* its length; now, an index of it */
    double backlog;     /* requests */
    struct world_totals totals;
};

/* `serving` instances are there from the start. Fails with ERROR_LIMIT without memory, or when a
 * start-up takes more than WORLD_STARTUP_TICKS_MAX ticks. */
bool world_init(struct world *w, const struct world_options *options, uint32_t serving,
                struct error *err);
void world_fini(struct world *w);

/* Orders or stops instances until `instances` are there, serving or starting. What is stopped first
 * is what was ordered last. */
void world_scale(struct world *w, uint32_t instances);

/* Serving instances end without being asked to. */
void world_lose(struct world *w, uint32_t instances);

/* One tick under `demand_rps`. */
void world_tick(struct world *w, double demand_rps);
