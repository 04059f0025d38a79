/* How instances are: probed at a cadence (decide/remediation/cadence.h), and what that makes of
 * them. */
#include <stdio.h>

#include "act/fleet/provider.h"

static void on_probe_due(struct timer *timer);

static struct cadence_policy policy_of(const struct instance *instance) {
    const struct health_config *health = &instance_service(instance)->config->health;
    return (struct cadence_policy){ (uint64_t)health->interval_ms * 1000, health->rise,
                                    health->fall };
}

static void schedule_probe(struct instance *instance) {
    struct instance_internal *in = instance->internal;
    const struct cadence_policy policy = policy_of(instance);
    uint64_t gap_us = cadence_gap_us(&in->cadence, &policy, in->fleet->instance_count, in->vouched,
                                     loop_now_us(in->fleet->loop), rand_unit(&in->fleet->rand));
    timer_start(in->fleet->loop, &in->next_probe, gap_us, on_probe_due);
}

static void probe_soon(struct instance *instance) {
    struct fleet *fleet = instance->internal->fleet;
    timer_start(fleet->loop, &instance->internal->next_probe,
                cadence_at_once_us(fleet->instance_count, rand_unit(&fleet->rand)), on_probe_due);
}

static struct address address_to_probe(const struct instance *instance) {
    struct address address = instance->address;
    uint32_t port = instance_service(instance)->config->health.port;
    if (port > 0) {
        address_set_port(&address, (uint16_t)port);
    }
    return address;
}

static void on_probe_due(struct timer *timer) {
    struct instance_internal *in =
        (struct instance_internal *)((char *)timer -
                                     offsetof(struct instance_internal, next_probe));
    struct fleet_service *s = instance_service(in->instance);
    const struct health_config *health = &s->config->health;
    const struct address address = address_to_probe(in->instance);
    const struct probe_question question = {
        .path = health->path,
        .grpc = health->grpc,
        .host = health->host,
        .h2 = s->config->protocol == FLEET_PROTOCOL_H2,
        .head_only = health->method != 0,
        .headers = health->headers,
        .header_count = health->header_count,
        .expectation = s->expectation,
    };
    if (in->probe.running || in->probe.closing) {
        schedule_probe(in->instance); /* somebody was impatient */
        return;
    }
    probe_start(&in->probe, &address, &question, &s->dial, (uint64_t)health->timeout_ms * 1000);
}

static void became_ready(struct instance *instance) {
    struct instance_internal *in = instance->internal;
    struct fleet_service *s = instance_service(instance);
    timer_stop(in->fleet->loop, &in->patience);
    instance->phase = INSTANCE_READY;
    instance->healthy = true;
    if (!instance->adopted && instance->pid != 0) {
        instance->startup_ms = (double)(loop_now_us(in->fleet->loop) - in->ordered_us) / 1000;
    }
    s->failed_starts = 0;
    s->start_after_us = 0;
    s->trouble[0] = '\0';
    in->fleet->handler.on_ready(in->fleet->handler.self, instance);
}

static void count_probe(struct instance *instance, enum probe_result result) {
    enum fleet_probed before = instance->phase == INSTANCE_STARTING ? FLEET_PROBED_STARTING
                               : instance->healthy                  ? FLEET_PROBED_HEALTHY
                                                                    : FLEET_PROBED_ILL;
    instance_service(instance)->probes.count[before][result]++;
}

static void note_probe(struct instance *instance, const struct probe *probe, bool well) {
    struct instance_internal *in = instance->internal;
    snprintf(instance->health_note, sizeof instance->health_note, "%s", well ? "" : probe->note);
    instance->probe_result = probe->result;
    instance->probe_ms = (double)probe->took_us / 1000;
    instance->probes_failed = in->cadence.failed;
    instance->probes_passed = in->cadence.passed;
    instance->suspicious = in->cadence.alert > 0;
}

static void on_probe_done(struct probe *probe, bool well) {
    struct instance_internal *in =
        (struct instance_internal *)((char *)probe - offsetof(struct instance_internal, probe));
    struct instance *instance = in->instance;
    const struct cadence_policy policy = policy_of(instance);
    count_probe(instance, probe->result);
    enum cadence_change change =
        cadence_observe(&in->cadence, &policy, well, loop_now_us(in->fleet->loop));
    note_probe(instance, probe, well);
    if (in->fleet->handler.on_probed != NULL) {
        in->fleet->handler.on_probed(in->fleet->handler.self, instance, well);
    }
    if (instance->phase == INSTANCE_STARTING) {
        if (well) {
            became_ready(instance);
        } else if (instance->pid == 0) { /* static: somebody else's, we wait and say so */
            struct fleet_service *s = instance_service(instance);
            snprintf(s->trouble, sizeof s->trouble, "%s is not healthy: %s", instance->id,
                     probe->note);
        }
    } else if (instance->phase == INSTANCE_READY && change != CADENCE_SAME) {
        instance->healthy = change == CADENCE_UP;
        in->fleet->handler.on_health(in->fleet->handler.self, instance);
    }
    if (instance->phase != INSTANCE_STOPPING) {
        schedule_probe(instance);
    }
}

void fleet_hear(struct fleet *fleet, struct instance *instance, enum fleet_evidence evidence,
                bool at_once) {
    struct instance_internal *in = instance->internal;
    in->vouched = evidence == FLEET_VOUCHED;
    if (evidence != FLEET_SUSPECT || instance->phase != INSTANCE_READY) {
        return;
    }
    bool calm = cadence_suspect(&in->cadence);
    uint64_t since_us = loop_now_us(fleet->loop) - in->probe.began_us;
    instance->suspicious = true;
    if ((calm || at_once) && !in->probe.running && since_us >= CADENCE_QUICK_LEAST_US) {
        probe_soon(instance);
    }
}

const struct fleet_probes *fleet_probes(const struct fleet *fleet, unsigned service) {
    return &fleet->services[service].probes;
}

const char *fleet_probed_name(enum fleet_probed state) {
    static const char *const names[] = { "starting", "healthy", "ill" };
    return names[state];
}

static void on_startup_over(struct timer *timer) {
    struct instance_internal *in =
        (struct instance_internal *)((char *)timer - offsetof(struct instance_internal, patience));
    in->told_to_stop = true;
    in->provider->stop(in->instance, true);
}

void instance_watch_health(struct instance *instance) {
    struct instance_internal *in = instance->internal;
    const struct fleet_config *config = instance_service(instance)->config;
    if (instance->pid != 0) {
        timer_start(in->fleet->loop, &in->patience, (uint64_t)config->health.startup_ms * 1000,
                    on_startup_over);
    }
    probe_soon(instance);
}

void health_init(struct instance *instance) {
    struct instance_internal *in = instance->internal;
    probe_init(&in->probe, in->fleet->loop, on_probe_done);
}
