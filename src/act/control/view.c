/* What is, as plain values for the API. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "act/control/controller_internal.h"

#define LEFT_ALONE_SHOWN_US 500000

static double ms_of(uint32_t us, uint64_t answers) {
    return answers > 0 ? us / 1000.0 : NAN;
}

static void fill_stages(const struct controlled *s, struct api_service *out) {
    for (int i = 0; i < STAGE_COUNT; i++) {
        uint64_t served = s->has_second ? s->second.served_stage[i] : 0;
        out->stages[i] = (struct api_stage){
            .offered_rps = s->has_second ? s->second.offered_stage_rps[i] : NAN,
            .served_rps = s->has_second ? (double)served / s->second.seconds : NAN,
            .latency_ms_p50 = ms_of(s->second.stage_us_p50[i], served),
            .latency_ms_p95 = ms_of(s->second.stage_us_p95[i], served),
            .latency_ms_p99 = ms_of(s->second.stage_us_p99[i], served),
        };
    }
}

static void fill_demand(const struct controlled *s, struct api_service *out) {
    const struct service_second *second = &s->second;
    out->demand_rps = s->has_second ? second->offered_rps : NAN;
    out->served_rps = s->has_second ? second->served_rps : NAN;
    out->refused_rps = s->has_second ? second->refused_rps : NAN;
    out->failed_rps = s->has_second ? second->failed_rps : NAN;
    out->retries_rps = s->has_second ? second->retries_rps : NAN;
    out->retries_refused_rps = s->has_second ? second->retries_refused_rps : NAN;
    out->hedges_rps = s->has_second ? second->hedges_rps : NAN;
    out->hedges_won_rps = s->has_second ? second->hedges_won_rps : NAN;
    uint64_t answers = s->has_second ? second->answers : 0;
    out->latency_ms_p50 = ms_of(second->latency_us_p50, answers);
    out->latency_ms_p95 = ms_of(second->latency_us_p95, answers);
    out->latency_ms_p99 = ms_of(second->latency_us_p99, answers);
    out->in_flight = second->in_flight;
    out->waiting = second->waiting;
    uint64_t minute = 0, late = 0;
    for (unsigned i = 0; i < OBJECTIVE_SECONDS; i++) {
        minute += s->answers[i];
        late += s->late[i];
    }
    out->within_objective_ratio = minute > 0 ? 1 - (double)late / (double)minute : NAN;
    fill_stages(s, out);
}

static void fill_left_out(const struct forecast *f, struct api_forecast *out) {
    struct forecast_left_out spans[API_LEFT_OUT_MAX];
    out->left_out_count = forecast_left_out(f, spans, API_LEFT_OUT_MAX);
    for (size_t i = 0; i < out->left_out_count; i++) {
        out->left_out[i] =
            (struct api_left_out){ spans[i].from_ms, spans[i].to_ms, spans[i].reason };
    }
}

static void fill_forecast(const struct controlled *s, int64_t now_ms, struct api_service *out) {
    const struct foresee *f = &s->foresee;
    struct accuracy_score score = accuracy_score(&f->accuracy);
    out->forecast_rps_low = foresee_at(f, now_ms, 0);
    out->forecast_rps = foresee_at(f, now_ms, 1);
    out->forecast_rps_high = foresee_at(f, now_ms, 2);
    out->forecast = (struct api_forecast){
        .start_ms = f->shown.start_ms,
        .step_ms = f->step_ms,
        .steps = f->shown.steps,
        .mean = f->shown.mean,
        .quantiles = f->shown.path,
        .quantile_stride = FORESEE_LEVELS,
        .provision = f->shown.provision,
        .provision_quantile = f->quantile,
        .accuracy = { .since_ms = score.since_ms,
                      .ahead_ms = (int64_t)foresee_horizon_steps(f) * f->step_ms,
                      .steps = score.steps,
                      .mase = score.mase,
                      .wape = score.wape,
                      .in_band = score.in_band,
                      .under_bound = score.under_bound },
    };
    if (f->forecast != NULL) {
        out->forecast.knows = forecast_knows(f->forecast);
        fill_left_out(f->forecast, &out->forecast);
    }
}

static void fill_capacity(const struct controlled *s, unsigned serving, struct api_service *out) {
    const struct capacity *capacity = &s->foresee.capacity;
    struct capacity_range range = capacity_range(capacity);
    out->instance_capacity_rps = foresee_capacity_rps(&s->foresee);
    out->capacity_rps = out->instance_capacity_rps * serving;
    out->instance_capacity = (struct api_capacity){
        .low_rps = range.low_rps,
        .likely_rps = range.likely_rps,
        .high_rps = range.high_rps,
        .lambda_rps = capacity->lambda_rps,
        .sigma = capacity->sigma,
        .kappa = capacity->kappa,
        .objective_ms = capacity->objective_used_ms,
    };
    snprintf(out->instance_capacity.source, sizeof out->instance_capacity.source, "%s",
             capacity_source_name(capacity->source));
}

static double called_rps(const struct foresee *f) {
    double called = f->call_count > 0 ? 0 : NAN;
    for (size_t i = 0; i < f->call_count; i++) {
        double demand = f->calls[i].caller->demand_rps;
        called += f->calls[i].ratio * (isnan(demand) ? 0 : demand);
    }
    return called;
}

static void fill_service(const struct controller *c, unsigned index, int64_t now_ms,
                         struct api_service *out) {
    const struct controlled *s = &c->services[index];
    const struct service_config *config = s->config;
    *out = (struct api_service){ .name = "" };
    if (!s->used) {
        return;
    }
    unsigned serving = members_count(c, index, ENDPOINT_SERVING);
    memcpy(out->name, s->name, sizeof out->name);
    snprintf(out->fleet, sizeof out->fleet, "%s", fleet_kind_name(config->fleet.kind));
    snprintf(out->balance, sizeof out->balance, "%s", balance_policy_names[config->balance.policy]);
    snprintf(out->trouble, sizeof out->trouble, "%s", fleet_trouble(c->fleet, index));
    fill_demand(s, out);
    fill_forecast(s, now_ms, out);
    fill_capacity(s, serving, out);
    out->called_rps = called_rps(&s->foresee);
    out->objective_ms = (double)config->objective.latency_ms;
    out->objective_share_ratio = config->objective.share_ratio;
    out->lead_ms = lead_time_quantile_ms(&s->foresee.lead, FORESEE_LEAD_QUANTILE);
    bool fixed = config->fleet.kind == FLEET_STATIC;
    out->instances_min = fixed ? serving : config->instances.min;
    out->instances_max = fixed ? serving : instances_most(&config->instances, &config->unit);
    out->instances_wanted = fixed        ? serving
                            : s->decided ? s->foresee.decision.instances
                                         : config->instances.min;
    out->spares_wanted = fixed ? 0 : config->instances.spares;
    out->connections_ahead = s->pool.ahead;
    out->probes = *fleet_probes(c->fleet, index);
    if (s->decided && !fixed) {
        autoscale_explain(&s->foresee.decision, out->reason);
    }
}

/* The view's copy: an entry of the book may end before the next one is drawn. */
static const struct api_maintenance *find_maintenance(const struct controller *c,
                                                      const struct member *m) {
    for (uint32_t i = 0; m->maintenance != NULL && i < c->view.maintenance_count; i++) {
        const struct api_maintenance *shown = &c->view.maintenance[i];
        if (strcmp(shown->service, m->maintenance->service) == 0 &&
            strcmp(shown->instance, m->maintenance->instance) == 0) {
            return shown;
        }
    }
    return NULL;
}

/* By the workers, and for more than a moment: then it is out of rotation too, though the plan knows
 * nothing of it. */
static bool is_left_alone(const struct controller *c, const struct member *m,
                          const struct vitals_shared_endpoint *shared) {
    return m->state == ENDPOINT_SERVING &&
           atomic_load_explicit(&shared->generation, memory_order_relaxed) == m->generation &&
           vitals_get(&shared->ejected_until_us) != 0 &&
           vitals_get(&shared->changed_us) + LEFT_ALONE_SHOWN_US < c->now_us;
}

static void fill_instance(const struct controller *c, const struct member *m,
                          struct api_instance *out) {
    const struct instance *i = m->instance;
    unsigned slot = member_slot(c, m);
    const struct vitals_shared_endpoint *shared = &c->config.vitals->shared[slot];
    uint32_t ewma_us =
        atomic_load_explicit(&shared->generation, memory_order_relaxed) == m->generation
            ? atomic_load_explicit(&shared->ewma_us, memory_order_relaxed)
            : 0;
    bool left_alone = is_left_alone(c, m, shared);
    char address[ADDRESS_TEXT_BYTES];
    address_format(&i->address, address);
    *out = (struct api_instance){
        .service = (uint16_t)i->service,
        .state = (uint8_t)(left_alone ? ENDPOINT_EJECTED : m->state),
        .weight = i->weight > 0 ? i->weight : 1,
        .pid = i->pid,
        .in_flight = vitals_endpoint_in_flight(c->config.vitals, slot, m->generation),
        .latency_ms = ewma_us > 0 ? ewma_us / 1000.0 : NAN,
        .requests_rps = m->requests_rps,
        .errors_rps = m->errors_rps,
        .cpu_ratio = i->cpu_ratio,
        .memory_bytes = i->memory_bytes,
        .startup_ms = i->startup_ms,
        .healthy = i->healthy,
        .suspicious = i->suspicious,
        .probe_ms = i->probe_ms,
        .probe_result = i->probe_result,
        .maintenance = find_maintenance(c, m),
        .started_ms = i->started_ms,
    };
    memcpy(out->id, i->id, sizeof out->id);
    memcpy(out->version, i->version, sizeof out->version);
    memcpy(out->zone, i->zone, sizeof out->zone);
    snprintf(out->address, sizeof out->address, "%.63s", address);
    if (left_alone) {
        snprintf(out->note, sizeof out->note, "left alone by the workers: %s",
                 ejection_cause_name((enum ejection_cause)atomic_load(&shared->cause)));
    } else {
        snprintf(out->note, sizeof out->note, "%s", m->note);
    }
}

/* Those whose instance is not there (yet) among them. */
static void fill_maintenance(const struct controller *c, struct api_view *view) {
    view->maintenance_count = 0;
    for (size_t i = 0; i < API_MAINTENANCE_MAX; i++) {
        if (c->maintenance.entries[i].service[0] != '\0') {
            view->maintenance[view->maintenance_count++] = c->maintenance.entries[i];
        }
    }
}

static void copy_words(struct slice from, char *to, size_t to_bytes) {
    slice_copy_text(slice_sub(from, 0, to_bytes - 1), to, to_bytes);
}

static void show_words(const struct calendar_event *event, struct api_campaign *out) {
    copy_words(event->uid, out->id, sizeof out->id);
    copy_words(event->name, out->name, sizeof out->name);
    copy_words(event->kind, out->kind, sizeof out->kind);
    copy_words(event->channel, out->channel, sizeof out->channel);
    copy_words(event->audience, out->audience, sizeof out->audience);
}

/* Campaigns are for the shop; of its services the busiest one speaks. */
static const struct foresee *find_busiest(const struct controller *c) {
    const struct foresee *found = NULL;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        const struct foresee *f = &c->services[i].foresee;
        if (c->services[i].used && (found == NULL || f->demand_rps > found->demand_rps)) {
            found = f;
        }
    }
    return found;
}

static void show_expected(const struct foresee *f, const struct calendar_event *event,
                          struct api_campaign *out) {
    static const char *const phases[] = {
        [UPLIFT_WAITING] = "waiting", [UPLIFT_RUNNING] = "running", [UPLIFT_OVER] = "over"
    };
    struct uplift_opinion opinion = uplift_think(&f->uplift, event);
    out->expected.peak = opinion.peak;
    out->expected.low = opinion.peak_low;
    out->expected.high = opinion.peak_high;
    out->expected.learned_from = opinion.learned_from;
    out->expected.onset_ms = opinion.onset_ms;
    snprintf(out->expected.phase, sizeof out->expected.phase, "%s", phases[opinion.phase]);
}

static void fill_campaigns(const struct controller *c, int64_t now_ms, struct api_view *view) {
    const struct calendar *calendar = &c->calendar;
    const struct foresee *busiest = find_busiest(c);
    view->campaign_count = 0;
    for (size_t i = calendar_first_touching(calendar, now_ms);
         i < calendar->len && view->campaign_count < API_CAMPAIGNS_MAX; i++) {
        const struct calendar_event *event = &calendar->events[i];
        if (event->end_ms <= now_ms) {
            continue;
        }
        struct api_campaign *out = &view->campaigns[view->campaign_count++];
        *out = (struct api_campaign){ .expected = { .peak = NAN, .low = NAN, .high = NAN } };
        show_words(event, out);
        if (busiest != NULL && !calendar_is_ordinary(event)) {
            show_expected(busiest, event, out);
        }
        out->start_ms = event->start_ms;
        out->end_ms = event->end_ms;
        out->multiplier = event->multiplier;
    }
}

/* The one that expires first, of each name and kind. */
static void show_certificate(const struct held *h, struct api_view *view) {
    struct api_certificate fresh = { .not_after_ms = h->info.not_after_ms };
    snprintf(fresh.name, sizeof fresh.name, "%.*s", (int)sizeof fresh.name - 1, h->info.name);
    snprintf(fresh.kind, sizeof fresh.kind, "%s", h->info.kind);
    for (uint32_t i = 0; i < view->certificate_count; i++) {
        struct api_certificate *known = &view->certificates[i];
        if (strcmp(known->name, fresh.name) == 0 && strcmp(known->kind, fresh.kind) == 0) {
            known->not_after_ms =
                fresh.not_after_ms < known->not_after_ms ? fresh.not_after_ms : known->not_after_ms;
            return;
        }
    }
    if (view->certificate_count < API_CERTIFICATES_MAX) {
        view->certificates[view->certificate_count++] = fresh;
    }
}

static void fill_certificates(const struct controller *c, struct api_view *view) {
    view->certificate_count = 0;
    for (size_t i = 0; i < c->certificates.count; i++) {
        const struct held *h = &c->certificates.held[i];
        if (!h->is_clients && h->usable) {
            show_certificate(h, view);
        }
    }
}

void view_fill(struct controller *c, int64_t now_ms) {
    struct api_view *view = &c->view;
    view->now_ms = now_ms;
    view->supervisor = c->config.supervisor_pid;
    view->controller = getpid();
    view->started_ms = c->started_ms;
    view->plan_version = plan_version(c->config.plans);
    view->draining = c->stopping;
    view->worker_count = c->config.worker_count;
    view->sandboxed = c->shop.sandbox == GUARD_STRICT;
    view->sandbox_parts = GUARD_ALL;
    snprintf(view->currency, sizeof view->currency, "%s", c->shop.currency);
    for (unsigned i = 0; i < c->config.worker_count; i++) {
        const struct vitals_worker *w = &c->config.vitals->workers[i];
        view->workers[i] = (pid_t)atomic_load(&w->pid);
        view->sandbox_parts &= view->workers[i] == 0 ? GUARD_ALL : atomic_load(&w->guard);
    }
    view->margin_per_request = c->shop.demand.margin_per_request;
    view->service_count = 0;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        fill_service(c, i, now_ms, &view->services[i]);
        view->service_count = c->services[i].used ? i + 1 : view->service_count;
    }
    fill_maintenance(c, view); /* which instances refer to */
    view->instance_count = 0;
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        if (c->members[i].instance != NULL && c->services[c->members[i].instance->service].used) {
            fill_instance(c, &c->members[i], &view->instances[view->instance_count++]);
        }
    }
    fill_campaigns(c, now_ms, view);
    fill_certificates(c, view);
    rates_fill_view(c, view);
    dependencies_fill_view(c, view);
    storage_fill_view(c, view);
    calendar_feed_fill_view(c, &view->calendar);
}
