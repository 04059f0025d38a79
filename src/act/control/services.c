/* Services of shop.yaml at indices of plan and vitals: an index is a service's as long as its name
 * is configured. What was learned of it is remembered, what is known of its past is read in. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"

#define REMEMBER_SEASONS 5
#define REMEMBER_ROWS_MAX 18000
#define FAILING_SHARE 20 /* one in so many answers: then a second says nothing of capacity */
#define CAPACITY_KEEP_US 60000000 /* how often it goes into the store */
#define STARTS_REMEMBERED_MS (14 * MS_PER_DAY)

/* ---- what is known of the past ---- */

struct memory {
    struct foresee *foresee;
    int64_t first_ms; /* of the store's rows; INT64_MAX: none yet */
    size_t rows;
    const struct store_sample_query *query;
    double *called_rps; /* by other services, step by step of the query; NULL: by none */
    size_t called_steps;
};

/* Of a past rate, what it was asked for by visitors. */
static double own_rps(const struct memory *memory, const struct store_sample *sample) {
    int64_t step = (sample->time_ms - memory->query->from_ms) / 1000 / memory->query->step_s;
    bool called = memory->called_rps != NULL && step >= 0 && step < (int64_t)memory->called_steps;
    double own = sample->offered_rps - (called ? memory->called_rps[step] : 0);
    return isnan(own) ? own : fmax(own, 0);
}

static bool find_first(void *self, const struct store_sample *sample) {
    ((struct memory *)self)->first_ms = sample->time_ms;
    return false;
}

static bool remember_sample(void *self, const struct store_sample *sample) {
    struct memory *memory = self;
    foresee_remember(memory->foresee, sample->time_ms, own_rps(memory, sample));
    memory->rows++;
    return true;
}

static bool remember_start(void *self, const struct store_instance *instance) {
    if (isfinite(instance->startup_ms)) {
        foresee_observe_start(((struct memory *)self)->foresee, instance->startup_ms);
    }
    return true;
}

static int64_t span_ms(const struct demand_config *demand) {
    int64_t season = demand->season_count > 0 ? demand->season_ms[demand->season_count - 1] : 0;
    int64_t span = season * REMEMBER_SEASONS, most = demand->step_ms * REMEMBER_ROWS_MAX;
    return span < most ? span : most;
}

/* The file covers the time before the store's first row. Its values are counts per interval. */
static void remember_file(const struct controller *c, struct memory *memory) {
    const struct series *series = &c->inputs.history;
    const struct series_column *column = c->inputs.history_column;
    const struct demand_config *demand = &c->shop.demand;
    int64_t parts = series->step_ms / demand->step_ms;
    if (column == NULL) {
        return;
    }
    if (parts < 1 || series->step_ms % demand->step_ms != 0) {
        log_warn("history_ignored", "step_ms=%lld expected=\"a multiple of demand.step\"",
                 (long long)series->step_ms);
        return;
    }
    for (size_t i = 0; i < series->slots; i++) {
        double rps = column->values[i] * 1000 / (double)series->step_ms;
        for (int64_t part = 0; part < parts; part++) {
            int64_t slot_ms =
                series->start_ms + (int64_t)i * series->step_ms + part * demand->step_ms;
            slot_ms -= slot_ms % demand->step_ms;
            if (slot_ms < memory->first_ms) {
                foresee_remember(memory->foresee, slot_ms, rps);
            }
        }
    }
}

/* `first`: the history file, which knows no services, is that of the first one. */
static void remember(struct controller *c, struct controlled *s, bool first) {
    int64_t now_ms = clock_unix_ms();
    struct memory memory = { .foresee = &s->foresee, .first_ms = INT64_MAX };
    uint32_t step_s = (uint32_t)(c->shop.demand.step_ms / 1000);
    struct store_sample_query query = {
        .service = slice_from(s->name),
        .from_ms = now_ms - span_ms(&c->shop.demand),
        .to_ms = now_ms,
        .step_s = step_s > 0 ? step_s : 1,
    };
    struct error err = { 0 };
    if (c->store != NULL) {
        (void)store_read_samples(c->store, &query, find_first, &memory, &err);
    }
    if (first) {
        remember_file(c, &memory);
    }
    if (c->store == NULL) {
        return;
    }
    memory.query = &query;
    memory.called_rps = calls_read_past(c, s->name, &query, &memory.called_steps);
    bool read = store_read_samples(c->store, &query, remember_sample, &memory, &err) &&
                store_read_instances(c->store, slice_from(s->name), now_ms - STARTS_REMEMBERED_MS,
                                     now_ms, remember_start, &memory, &err);
    free(memory.called_rps);
    if (!read && err.kind != ERROR_NOT_FOUND) { /* a store that is still to be made has no past */
        log_warn("past_not_read", "service=%s error=\"%s\" action=go_on_without", s->name,
                 err.text);
    }
    log_info("past_read", "service=%s steps=%zu", s->name, memory.rows);
}

/* ---- what was learned of capacity ---- */

_Static_assert(CAPACITY_MEMORY_BYTES <= STORE_EVIDENCE_BYTES, "the store takes it whole");
_Static_assert(PLAN_NAME_BYTES <= VERSION_BYTES, "a version's name fits");

/* Rows come oldest first: the last ones are the version that ran, and the one before it. */
static bool remember_capacity(void *self, const struct store_capacity *kept) {
    struct foresee *f = self;
    versions_select(&f->versions, &f->capacity, kept->version);
    if (!capacity_restore(&f->capacity, kept->bytes, kept->len)) {
        log_warn("capacity_not_restored", "service=%s version=%s action=learn_it_anew",
                 kept->service, kept->version);
    }
    return true;
}

static void remember_capacities(struct controller *c, struct controlled *s) {
    struct error err = { 0 };
    bool read = c->store == NULL || store_read_capacities(c->store, slice_from(s->name),
                                                          remember_capacity, &s->foresee, &err);
    if (!read && err.kind != ERROR_NOT_FOUND) { /* none yet is no trouble */
        log_warn("capacity_not_read", "service=%s error=\"%s\" action=learn_it_anew", s->name,
                 err.text);
    }
}

static void keep_capacity(struct controller *c, const struct controlled *s) {
    const struct capacity *capacity = &s->foresee.capacity;
    const struct versions *versions = &s->foresee.versions;
    struct store_capacity row = { .time_ms = clock_unix_ms() };
    if (c->store == NULL || versions->name[0] == '\0' || capacity->observed == 0) {
        return; /* what was restored and not added to is there already */
    }
    memcpy(row.service, s->name, sizeof row.service);
    memcpy(row.version, versions->name, sizeof row.version);
    row.len = (uint32_t)capacity_save(capacity, row.bytes);
    store_put_capacity(c->store, &row);
}

/* ---- applying the configuration ---- */

static int find_index(const struct controller *c, const char *name) {
    for (int i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (c->services[i].used && strcmp(c->services[i].name, name) == 0) {
            return i;
        }
    }
    const struct plan *plan = plan_current(c->config.plans); /* of a predecessor */
    for (uint32_t i = 0; plan != NULL && i < plan->service_count; i++) {
        if (!c->services[i].used && strcmp(plan->services[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static bool is_reserved(const struct controller *c, unsigned index) {
    const struct plan *plan = plan_current(c->config.plans);
    return plan != NULL && index < plan->service_count && plan->services[index].name[0] != '\0' &&
           shop_service(&c->shop, slice_from(plan->services[index].name)) != NULL;
}

static int free_index(const struct controller *c) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (!c->services[i].used && !is_reserved(c, i)) {
            return (int)i;
        }
    }
    return -1;
}

static struct foresee_options foresee_options_of(const struct controller *c,
                                                 const struct service_config *config) {
    struct foresee_options options = {
        .policy =
            instances_policy(&config->instances, &config->unit, c->shop.demand.margin_per_request),
        .objective_ms = (double)config->objective.latency_ms,
        .capacity_rps = config->instances.capacity_rps,
        .step_ms = c->shop.demand.step_ms,
        .season_count = c->shop.demand.season_count,
        .calendar = &c->calendar,
    };
    memcpy(options.season_ms, c->shop.demand.season_ms, sizeof options.season_ms);
    return options;
}

static void begin(struct controller *c, struct controlled *s, const struct service_config *config,
                  bool first) {
    struct error err;
    struct foresee_options options = foresee_options_of(c, config);
    *s = (struct controlled){ .used = true };
    dependencies_forget(&c->dependencies, (unsigned)(s - c->services));
    snprintf(s->name, sizeof s->name, "%s", config->name);
    if (!foresee_init(&s->foresee, &options, &err)) {
        log_warn("no_forecast", "service=%s error=\"%s\" action=stay_reactive", s->name, err.text);
    }
    s->foresees = true;
    remember(c, s, first);
    const struct notebook_page *page = notebook_find(c->config.notebook, s->name);
    if (page != NULL) {
        s->foresee.capacity = page->capacity;
        s->foresee.versions = page->versions;
        s->foresee.lead = page->lead;
        capacity_set_objective(&s->foresee.capacity, options.objective_ms);
    } else {
        remember_capacities(c, s);
    }
}

static void end(struct controller *c, unsigned index) {
    struct controlled *s = &c->services[index];
    EACH_MEMBER(c, m, index) {
        if (!m->leaving) {
            member_drain(c, m, "its service is not configured any more");
        }
    }
    fleet_set_service(c->fleet, index, NULL, NULL);
    accounts_end(c, s);
    foresee_fini(&s->foresee);
    dependencies_forget(&c->dependencies, index);
    *s = (struct controlled){ .used = false };
}

void services_apply(struct controller *c) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (c->services[i].used &&
            shop_service(&c->shop, slice_from(c->services[i].name)) == NULL) {
            end(c, i);
        }
    }
    for (size_t i = 0; i < c->shop.service_count; i++) {
        const struct service_config *config = &c->shop.services[i];
        int index = find_index(c, config->name);
        index = index >= 0 ? index : free_index(c);
        if (index < 0) {
            continue; /* more than PLAN_SERVICES_MAX with those that are leaving */
        }
        struct controlled *s = &c->services[index];
        if (!s->used) {
            begin(c, s, config, i == 0);
        } else {
            struct foresee_options options = foresee_options_of(c, config);
            foresee_change(&s->foresee, &options.policy, options.calendar);
            capacity_set_objective(&s->foresee.capacity, options.objective_ms);
        }
        s->config = config;
        accounts_apply(c, s);
        s->remedy = remedy_policy_for((uint32_t)config->objective.latency_ms);
        fleet_set_service(c->fleet, (unsigned)index, config->name, &config->fleet);
        versions_select(&s->foresee.versions, &s->foresee.capacity,
                        fleet_version(c->fleet, (unsigned)index));
        if (config->fleet.kind == FLEET_PROCESS && config->fleet.user == NULL && geteuid() == 0) {
            log_warn("instances_run_as_root", "service=%s action=give_it_a_user_in_shop.yaml",
                     config->name);
        }
    }
    dependencies_recall(c);
    calls_apply(c);
    planner_change(c);
}

void services_keep(struct controller *c) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (c->services[i].used) {
            keep_capacity(c, &c->services[i]);
        }
    }
    calls_keep(c);
    c->capacity_kept_us = c->now_us;
}

void services_fini(struct controller *c) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (c->services[i].foresees) {
            foresee_fini(&c->services[i].foresee);
        }
    }
}

/* ---- each second ---- */

/* How full it is, is known only where the configuration says how many CPUs it has. */
static struct capacity_sample sample_of(const struct controlled *s, const struct instance *instance,
                                        const struct endpoint_window *window, double seconds) {
    return (struct capacity_sample){
        .load_rps = (double)window->answers / seconds,
        .latency_ms = (double)window->latency_us_sum / 1000 / (double)window->answers,
        .latency_ms_p99 = (double)window->latency_us_p99 / 1000,
        .in_flight = window->awaiting,
        .utilisation_ratio = instance->cpu_ratio / s->config->unit.cpu,
        .seconds = seconds,
    };
}

static void observe_members(struct controller *c, unsigned index) {
    struct controlled *s = &c->services[index];
    EACH_MEMBER(c, m, index) {
        static struct endpoint_reading now;
        struct endpoint_window window;
        double seconds = (double)(c->now_us - m->second_us) / 1e6;
        sense_read_endpoint(c->config.vitals, member_slot(c, m), m->generation, &now);
        sense_endpoint(c->config.vitals, member_slot(c, m), m->generation, &m->second, &now,
                       c->now_us, &window);
        bool comparable = m->second_us != 0 && m->second.generation == m->generation;
        m->second = now;
        m->second_us = c->now_us;
        if (!comparable || !(seconds > 0)) {
            m->requests_rps = m->errors_rps = 0;
            continue;
        }
        m->requests_rps = (double)window.requests / seconds;
        m->errors_rps = (double)(window.failures + window.status_5xx) / seconds;
        bool failing = window.status_5xx * FAILING_SHARE > window.answers; /* and quick at it */
        if (m->state == ENDPOINT_SERVING && window.answers > 0 && !failing) {
            struct capacity_sample sample = sample_of(s, m->instance, &window, seconds);
            foresee_observe_version(&s->foresee, m->instance->version, &sample);
        }
    }
}

static void observe_objective(struct controlled *s) {
    s->minute_at = (s->minute_at + 1) % OBJECTIVE_SECONDS;
    s->answers[s->minute_at] = s->second.answers;
    s->late[s->minute_at] = s->second.over_objective;
}

static void write_sample(struct controller *c, const struct controlled *s, unsigned index,
                         int64_t now_ms) {
    struct store_sample sample = {
        .step_s = 1,
        .time_ms = now_ms / 1000 * 1000 - 1000, /* the second that has just ended */
        .offered_rps = s->second.offered_rps,
        .served_rps = s->second.served_rps,
        .refused_rps = s->second.refused_rps,
        .failed_rps = s->second.failed_rps,
        .latency_ms_p50 = s->second.answers > 0 ? s->second.latency_us_p50 / 1000.0 : NAN,
        .latency_ms_p99 = s->second.answers > 0 ? s->second.latency_us_p99 / 1000.0 : NAN,
        .forecast_rps = foresee_at(&s->foresee, now_ms, 1),
        .capacity_rps =
            foresee_capacity_rps(&s->foresee) * members_count(c, index, ENDPOINT_SERVING),
    };
    memcpy(sample.service, s->name, sizeof sample.service);
    if (c->store != NULL) {
        store_append_sample(c->store, &sample);
    }
}

static void note(struct controller *c, const struct controlled *s) {
    struct notebook_page *page = notebook_take(c->config.notebook, s->name);
    if (page != NULL) {
        page->capacity = s->foresee.capacity;
        page->versions = s->foresee.versions;
        page->lead = s->foresee.lead;
    }
}

void services_second(struct controller *c, int64_t now_ms) {
    dependencies_second(c);
    calls_second(c);
    for (unsigned k = 0; k < c->order_count; k++) {
        unsigned i = c->order[k];
        struct controlled *s = &c->services[i];
        uint32_t objective_us = (uint32_t)(s->config->objective.latency_ms * 1000);
        s->has_second =
            sense_service(c->config.vitals, i, objective_us, c->now_us, &s->last, &s->second);
        if (s->has_second) {
            foresee_observe(&s->foresee, now_ms, &s->second);
            observe_objective(s);
            write_sample(c, s, i, now_ms);
            accounts_second(c, i, now_ms);
        }
        observe_members(c, i);
        note(c, s);
        scale_service(c, i);
        pools_second(c, i, now_ms);
    }
    if (c->now_us - c->capacity_kept_us >= CAPACITY_KEEP_US) {
        services_keep(c);
    }
}
