#include "act/fleet/fleet.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "act/fleet/provider.h"
#include "base/clock.h"
#include "base/log.h"

static const struct provider *const providers[] = {
    [FLEET_PROCESS] = &process_provider,
    [FLEET_STATIC] = &static_provider,
    [FLEET_PODMAN] = NULL, /* refused by the configuration */
    [FLEET_KUBERNETES] = NULL,
};

struct fleet_service *instance_service(const struct instance *instance) {
    return &instance->internal->fleet->services[instance->service];
}

/* ---- trouble and back-off ---- */

static void back_off(struct fleet *fleet, struct fleet_service *s) {
    unsigned doublings = s->failed_starts < 10 ? s->failed_starts : 10;
    uint64_t delay_ms = (uint64_t)FLEET_BACKOFF_FIRST_MS << doublings;
    delay_ms = delay_ms > FLEET_BACKOFF_MAX_MS ? FLEET_BACKOFF_MAX_MS : delay_ms;
    s->failed_starts++;
    s->start_after_us = loop_now_us(fleet->loop) + delay_ms * 1000;
    log_warn("start_failed", "service=%s failures=%u again_in_ms=%llu trouble=\"%s\"", s->name,
             s->failed_starts, (unsigned long long)delay_ms, s->trouble);
}

static void describe_end(int status, char *text, size_t text_bytes) {
    if (status == -1) {
        snprintf(text, text_bytes, "it ended");
    } else if (WIFSIGNALED(status)) {
        snprintf(text, text_bytes, "it was ended by signal %d", WTERMSIG(status));
    } else {
        snprintf(text, text_bytes, "it ended with status %d", WEXITSTATUS(status));
    }
}

static void report_failed_start(struct instance *instance, int status) {
    struct fleet_service *s = instance_service(instance);
    struct instance_internal *in = instance->internal;
    uint64_t lived_ms = (loop_now_us(in->fleet->loop) - in->ordered_us) / 1000;
    struct slice last = output_last_line(&in->output);
    char end[64];
    if (in->told_to_stop) {
        snprintf(end, sizeof end, "it was not healthy in time (%.30s)", instance->health_note);
    } else {
        describe_end(status, end, sizeof end);
    }
    snprintf(s->trouble, sizeof s->trouble, "%s did not start: %s after %llu ms%s%.*s",
             instance->id, end, (unsigned long long)lived_ms, last.len > 0 ? "; it said: " : "",
             (int)(last.len < 200 ? last.len : 200), last.data);
    back_off(in->fleet, s);
}

const char *fleet_trouble(const struct fleet *fleet, unsigned service) {
    return fleet->services[service].trouble;
}

const char *fleet_version(const struct fleet *fleet, unsigned service) {
    return fleet->services[service].version;
}

/* ---- coming and going ---- */

struct instance *instance_new(struct fleet *fleet, unsigned service,
                              const struct provider *provider) {
    struct instance *instance = calloc(1, sizeof *instance);
    struct instance_internal *in = calloc(1, sizeof *in);
    if (instance == NULL || in == NULL) {
        free(instance);
        free(in);
        return NULL;
    }
    *instance = (struct instance){
        .service = service,
        .startup_ms = NAN,
        .cpu_ratio = NAN,
        .memory_bytes = NAN,
        .probe_ms = NAN,
        .internal = in,
    };
    snprintf(instance->version, sizeof instance->version, "%s", fleet->services[service].version);
    *in = (struct instance_internal){
        .instance = instance,
        .fleet = fleet,
        .provider = provider,
        .pidfd = -1,
        .ordered_us = loop_now_us(fleet->loop),
        .exit_status = -1,
    };
    in->exited.fd = -1;
    output_init(&in->output);
    health_init(instance);
    list_append(&fleet->instances, &instance->link);
    fleet->instance_count++;
    return instance;
}

static void instance_delete(struct instance *instance) {
    free(instance->internal);
    free(instance);
}

static void on_probe_released(struct probe *probe) {
    struct instance_internal *in =
        (struct instance_internal *)((char *)probe - offsetof(struct instance_internal, probe));
    instance_delete(in->instance);
}

static void instance_free(struct instance *instance) {
    struct instance_internal *in = instance->internal;
    list_remove(&instance->link);
    in->fleet->instance_count--;
    timer_stop(in->fleet->loop, &in->next_probe);
    timer_stop(in->fleet->loop, &in->patience);
    loop_cancel(in->fleet->loop, &in->removal);
    in->provider->release(instance);
    output_fini(&in->output);
    in->probe.on_released = on_probe_released;
    if (probe_stop(&in->probe)) {
        instance_delete(instance);
    }
}

static void on_removal(struct task *task) {
    struct instance_internal *in =
        (struct instance_internal *)((char *)task - offsetof(struct instance_internal, removal));
    struct instance *instance = in->instance;
    struct fleet *fleet = in->fleet;
    bool failed_start = instance->phase == INSTANCE_STARTING && instance->pid != 0;
    if (failed_start) {
        report_failed_start(instance, in->exit_status);
    }
    fleet->handler.on_exit(fleet->handler.self, instance, in->exit_status);
    instance_free(instance);
}

void instance_ended(struct instance *instance, int status) {
    struct instance_internal *in = instance->internal;
    in->exit_status = status;
    output_read(&in->output, true);
    loop_defer(in->fleet->loop, &in->removal, on_removal);
}

bool fleet_may_start(const struct fleet *fleet, unsigned service) {
    const struct fleet_service *s = &fleet->services[service];
    return s->config != NULL && s->config->kind != FLEET_STATIC &&
           loop_now_us(fleet->loop) >= s->start_after_us;
}

struct instance *fleet_start(struct fleet *fleet, unsigned service) {
    struct fleet_service *s = &fleet->services[service];
    struct error err;
    if (!fleet_may_start(fleet, service)) {
        return NULL;
    }
    struct instance *instance = instance_new(fleet, service, providers[s->config->kind]);
    if (instance == NULL) {
        return NULL;
    }
    snprintf(instance->id, sizeof instance->id, "%.40s-%llu", s->name,
             (unsigned long long)++s->next_number);
    instance->started_ms = clock_unix_ms();
    if (!instance->internal->provider->start(fleet, instance, &err)) {
        snprintf(s->trouble, sizeof s->trouble, "%s did not start: %.400s", instance->id, err.text);
        back_off(fleet, s);
        instance_free(instance);
        return NULL;
    }
    instance_watch_health(instance);
    return instance;
}

static void on_grace_over(struct timer *timer) {
    struct instance_internal *in =
        (struct instance_internal *)((char *)timer - offsetof(struct instance_internal, patience));
    log_warn("stop_timeout", "instance=%s action=kill", in->instance->id);
    in->provider->stop(in->instance, true);
}

static void end_instance(struct fleet *fleet, struct instance *instance, bool at_once) {
    struct instance_internal *in = instance->internal;
    in->told_to_stop = true;
    instance->phase = INSTANCE_STOPPING;
    timer_stop(fleet->loop, &in->next_probe);
    if (!at_once) {
        timer_start(fleet->loop, &in->patience,
                    (uint64_t)instance_service(instance)->config->grace_ms * 1000, on_grace_over);
    }
    in->provider->stop(instance, at_once);
}

void fleet_stop(struct fleet *fleet, struct instance *instance) {
    if (instance->phase != INSTANCE_STOPPING) {
        end_instance(fleet, instance, false);
    }
}

void fleet_kill(struct fleet *fleet, struct instance *instance) {
    end_instance(fleet, instance, true);
}

/* ---- services ---- */

/* What differs makes a different version; the port does not. */
static void name_version(struct fleet_service *s) {
    const struct fleet_config *c = s->config;
    if (c->version != NULL) {
        snprintf(s->version, sizeof s->version, "%s", c->version);
        return;
    }
    XXH64_hash_t hash = 0;
    for (size_t i = 0; i < c->command_len; i++) {
        hash = XXH3_64bits_withSeed(c->command[i], strlen(c->command[i]) + 1, hash);
    }
    for (size_t i = 0; i < c->environment_len; i++) {
        const struct config_pair *pair = &c->environment[i];
        hash = XXH3_64bits_withSeed(pair->name, strlen(pair->name) + 1, hash);
        hash = XXH3_64bits_withSeed(pair->value, strlen(pair->value) + 1, hash);
    }
    if (c->user != NULL) {
        hash = XXH3_64bits_withSeed(c->user, strlen(c->user) + 1, hash);
    }
    snprintf(s->version, sizeof s->version, "%08x", (unsigned)(hash & 0xffffffffu));
}

void fleet_set_dial(struct fleet *fleet, unsigned service, const struct probe_dial *dial) {
    struct probe_dial *own = &fleet->services[service].dial;
    tls_client_free(own->tls);
    *own = *dial;
    if (dial->tls != NULL) {
        tls_client_hold(dial->tls);
    }
}

/* The configuration was checked: it can only be out of memory, and then any answer is one. */
static void set_expectation(struct fleet_service *s) {
    struct error err;
    expectation_free(s->expectation);
    s->expectation = expectation_new(&s->config->health.expect, &err);
    if (s->expectation == NULL) {
        log_error("expectation_lost", "service=%s error=\"%s\" action=any_200_to_399", s->name,
                  err.text);
    }
}

void fleet_set_service(struct fleet *fleet, unsigned service, const char *name,
                       const struct fleet_config *config) {
    static const struct fleet_config gone = { .kind = FLEET_STATIC,
                                              .grace_ms = 10000,
                                              .health = { .interval_ms = 1000,
                                                          .timeout_ms = 1000,
                                                          .startup_ms = 60000,
                                                          .rise = 1,
                                                          .fall = 2 } };
    assert(fleet != NULL && service < PLAN_SERVICES_MAX);
    struct fleet_service *s = &fleet->services[service];
    if (config == NULL) {
        s->config = s->config == NULL ? NULL : &gone;
        static_refresh(fleet, service);
        return;
    }
    snprintf(s->name, sizeof s->name, "%s", name);
    s->config = config;
    name_version(s);
    set_expectation(s);
    s->start_after_us = 0; /* what was wrong may have been put right */
    s->failed_starts = 0;
    static_refresh(fleet, service);
}

/* ---- life ---- */

struct fleet *fleet_new(const struct fleet_options *options, struct error *err) {
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (fleet == NULL) {
        error_set(err, ERROR_LIMIT, "memory is out");
        return NULL;
    }
    fleet->loop = options->loop;
    fleet->state_folder = options->state_folder;
    fleet->handler = options->handler;
    list_init(&fleet->instances);
    rand_init(&fleet->rand, clock_monotonic_us() ^ ((uint64_t)getpid() << 32));
    return fleet;
}

void fleet_free(struct fleet *fleet) {
    struct error err;
    if (fleet == NULL) {
        return;
    }
    timer_stop(fleet->loop, &fleet->resolve_again);
    LIST_EACH(&fleet->instances, item, saved) {
        instance_free(LIST_ITEM(item, struct instance, link));
    }
    (void)loop_turn(fleet->loop, 0, &err); /* probes that close give their memory back */
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        tls_client_free(fleet->services[i].dial.tls);
        expectation_free(fleet->services[i].expectation);
    }
    free(fleet);
}

struct instance *fleet_first(struct fleet *fleet) {
    struct list *first = list_first(&fleet->instances);
    return first == NULL ? NULL : LIST_ITEM(first, struct instance, link);
}

struct instance *fleet_next(struct fleet *fleet, const struct instance *instance) {
    struct list *next = instance->link.next;
    return next == &fleet->instances ? NULL : LIST_ITEM(next, struct instance, link);
}

struct instance *fleet_find(struct fleet *fleet, struct slice id) {
    for (struct instance *i = fleet_first(fleet); i != NULL; i = fleet_next(fleet, i)) {
        if (slice_equal(slice_from(i->id), id)) {
            return i;
        }
    }
    return NULL;
}

void fleet_output(struct instance *instance, struct buffer *out) {
    output_read(&instance->internal->output, false);
    (void)buffer_append(out, buffer_slice(&instance->internal->output.lines));
}

void fleet_sample(struct fleet *fleet) {
    for (struct instance *i = fleet_first(fleet); i != NULL; i = fleet_next(fleet, i)) {
        if (i->pid != 0) {
            sample_instance(i, loop_now_us(fleet->loop));
            output_read(&i->internal->output, false);
        }
    }
}
