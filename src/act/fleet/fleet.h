/* Fleet: the instances of all services, wherever they run. Starts them, asks them how they are,
 * keeps their last words, and sees them end. It does not decide how many there are or which one
 * gets requests: the controller does, and hears of everything through the handler.
 *
 *   STARTING ── first healthy probe ──▶ READY ── fleet_stop ──▶ STOPPING ──▶ gone
 *       └──────────── died, or not healthy in time ────────────────────────────┘
 *
 * A provider (provider.h) is where they run: process, static. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "act/fleet/fleet_config.h"
#include "act/fleet/probe.h"
#include "act/shm/plan.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/list.h"
#include "wire/net/address.h"
#include "wire/net/loop.h"

#define FLEET_TROUBLE_BYTES 512
#define FLEET_OUTPUT_BYTES 65536   /* of the newest output that is kept of an instance */
#define FLEET_BACKOFF_FIRST_MS 500 /* after a start that failed; doubles */
#define FLEET_BACKOFF_MAX_MS 30000
#define FLEET_RESOLVE_AGAIN_MS 5000

enum instance_phase { INSTANCE_STARTING, INSTANCE_READY, INSTANCE_STOPPING };

struct fleet;
struct instance_internal;

struct instance {
    char id[PLAN_NAME_BYTES]; /* "storefront-3"; of a static one its address */
    char version[PLAN_NAME_BYTES];
    unsigned service; /* index, as in the plan */
    struct address address;
    uint32_t weight;                 /* 0: as 1 */
    char zone[BALANCE_ZONE_MAX + 1]; /* empty: not said */
    enum instance_phase phase;
    bool healthy;       /* by its probes */
    bool adopted;       /* of an earlier controller */
    pid_t pid;          /* 0: not ours */
    int64_t started_ms; /* unix; 0: not known */
    double startup_ms;  /* NaN: not ready yet, or adopted */
    double cpu_ratio;   /* of one CPU, since the last sample; NaN: not measured */
    double memory_bytes;
    char health_note[128]; /* why the last probe failed; empty: it did not */
    enum probe_result probe_result;
    double probe_ms;                       /* how long the last one took; NaN: none has ended */
    uint32_t probes_failed, probes_passed; /* in a row */
    bool suspicious;                       /* it is probed more often than usual */
    void *user;                            /* the handler's own */
    struct list link;                      /* in fleet */
    struct instance_internal *internal;
};

enum fleet_probed { FLEET_PROBED_STARTING, FLEET_PROBED_HEALTHY, FLEET_PROBED_ILL, FLEET_PROBED };
struct fleet_probes { /* that have ended, of a service, by what was known before */
    uint64_t count[FLEET_PROBED][PROBE_RESULTS];
};

/* Called from the loop, never inside a call into the fleet. */
struct fleet_handler {
    void *self;
    void (*on_ready)(void *self, struct instance *instance);
    /* Healthy again, or not any more (health_note says why). */
    void (*on_health)(void *self, struct instance *instance);
    /* It ended: `status` of wait(2), -1 when nobody told. The instance is gone when this returns.
     */
    void (*on_exit)(void *self, struct instance *instance, int status);
    /* A probe has ended, before what follows from it. NULL: nobody wants to know. */
    void (*on_probed)(void *self, struct instance *instance, bool well);
};

struct fleet_options {
    struct loop *loop;
    const char *state_folder; /* absolute: marks what is ours */
    struct fleet_handler handler;
};

struct fleet *fleet_new(const struct fleet_options *options, struct error *err);
/* Lets go of everything; processes run on. */
void fleet_free(struct fleet *fleet);

/* The service at that index is, or is now, configured like this; `config` must outlive it. Static
 * instances appear and go by it. NULL: there is no such service any more; its instances stay until
 * they are stopped. */
void fleet_set_service(struct fleet *fleet, unsigned service, const char *name,
                       const struct fleet_config *config);

/* How its instances are probed; the fleet holds on to dial->tls. */
void fleet_set_dial(struct fleet *fleet, unsigned service, const struct probe_dial *dial);

/* Finds the processes of an earlier controller of this state folder. Those of services that are not
 * configured are told to end. Returns how many were adopted. */
unsigned fleet_adopt(struct fleet *fleet);

/* Whether one may be started now: a process fleet that is not backing off. */
bool fleet_may_start(const struct fleet *fleet, unsigned service);
/* NULL when it cannot be started: fleet_trouble says why, and fleet_may_start when again. */
struct instance *fleet_start(struct fleet *fleet, unsigned service);
/* TERM, and KILL after the grace. A static one is forgotten. on_exit comes. */
void fleet_stop(struct fleet *fleet, struct instance *instance);
/* KILL: for one that hangs, stopped or not. on_exit comes. */
void fleet_kill(struct fleet *fleet, struct instance *instance);

/* What the requests of an instance say: it fails some, or it answers them well. */
enum fleet_evidence { FLEET_SILENT, FLEET_VOUCHED, FLEET_SUSPECT };
/* Suspicion is looked into: probes come quickly for a while, the first one at once if it was not
 * suspicious before, or `at_once`. */
void fleet_hear(struct fleet *fleet, struct instance *instance, enum fleet_evidence evidence,
                bool at_once);
const struct fleet_probes *fleet_probes(const struct fleet *fleet, unsigned service);
const char *fleet_probed_name(enum fleet_probed state);

/* Why the service's instances do not come up; "" when they do. */
const char *fleet_trouble(const struct fleet *fleet, unsigned service);
/* The version a new instance would have. */
const char *fleet_version(const struct fleet *fleet, unsigned service);

struct instance *fleet_find(struct fleet *fleet, struct slice id);
struct instance *fleet_first(struct fleet *fleet); /* NULL: none */
struct instance *fleet_next(struct fleet *fleet, const struct instance *instance);

/* Appends the newest lines of its output, oldest first. */
void fleet_output(struct instance *instance, struct buffer *out);

/* Once a second: CPU and memory of all; reads their output. */
void fleet_sample(struct fleet *fleet);
