/* Inside of the fleet: what a provider does, and what the files share. A new provider is one file
 * and one line in fleet.c's table. */
#pragma once
#include "act/fleet/fleet.h"
#include "act/fleet/output.h"
#include "act/fleet/probe.h"
#include "base/rand.h"
#include "decide/remediation/cadence.h"

struct fleet_service {
    char name[PLAN_NAME_BYTES]; /* empty: none */
    const struct fleet_config *config;
    char version[PLAN_NAME_BYTES];
    char trouble[FLEET_TROUBLE_BYTES];
    unsigned failed_starts; /* in a row */
    uint64_t start_after_us;
    uint64_t next_number; /* of instance ids */
    struct probe_dial dial;
    struct expectation *expectation;
    struct fleet_probes probes;
};

struct instance_internal {
    struct instance *instance;
    struct fleet *fleet;
    const struct provider *provider;
    struct probe probe;
    struct timer next_probe, patience; /* patience: of starting, or of stopping */
    struct task removal;
    uint64_t ordered_us;
    struct cadence cadence;
    bool vouched; /* it answers requests well right now, says the controller */
    int exit_status;
    bool told_to_stop;
    /* process */
    int pidfd;
    struct watch exited;
    struct output output;
    uint64_t cpu_us, cpu_at_us; /* at the last sample */
};

struct provider {
    /* Starts an instance that has id, service and version; sets pid and address. */
    bool (*start)(struct fleet *fleet, struct instance *instance, struct error *err);
    void (*stop)(struct instance *instance, bool at_once);
    void (*release)(struct instance *instance); /* descriptors; the process runs on */
};

struct fleet {
    struct loop *loop;
    const char *state_folder;
    struct fleet_handler handler;
    struct list instances;
    uint32_t instance_count; /* all are probed */
    struct rand rand;        /* jitter */
    struct fleet_service services[PLAN_SERVICES_MAX];
    struct timer resolve_again;
};

extern const struct provider process_provider, static_provider;

/* fleet.c */
struct instance *instance_new(struct fleet *fleet, unsigned service,
                              const struct provider *provider);
struct fleet_service *instance_service(const struct instance *instance);
/* It ended, or is none of ours any more: on_exit comes at the end of this turn. */
void instance_ended(struct instance *instance, int status);

/* health.c */
void health_init(struct instance *instance);
/* It is up (as far as is known), from now on it is probed. */
void instance_watch_health(struct instance *instance);

/* process.c: watches a running process, started or adopted. */
bool process_attach(struct fleet *fleet, struct instance *instance, struct error *err);

/* static.c. Of a service that is configured as something else now it leaves all as they are: the
 * controller lets go of them, once others serve. */
void static_refresh(struct fleet *fleet, unsigned service);

/* sample.c */
void sample_instance(struct instance *instance, uint64_t now_us);
/* Unix time at which the process started; 0: not known. */
int64_t sample_started_ms(pid_t pid);
