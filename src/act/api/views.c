/* The view as JSON: status, services, instances, campaigns. */
#include <math.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "act/guard/guard.h"

static json_t *latency_json(double p50, double p95, double p99) {
    json_t *latency = json_object();
    json_put(latency, "p50", json_known(p50));
    json_put(latency, "p95", json_known(p95));
    json_put(latency, "p99", json_known(p99));
    return latency;
}

static json_t *stages_json(const struct api_service *s) {
    json_t *stages = json_array();
    for (int i = 0; i < STAGE_COUNT; i++) {
        const struct api_stage *stage = &s->stages[i];
        json_t *json = json_object();
        json_put(json, "stage", json_string(stage_name((enum stage)i)));
        json_put(json, "offered_rps", json_known(stage->offered_rps));
        json_put(json, "served_rps", json_known(stage->served_rps));
        json_put(json, "latency_ms",
                 latency_json(stage->latency_ms_p50, stage->latency_ms_p95, stage->latency_ms_p99));
        json_array_append_new(stages, json);
    }
    return stages;
}

json_t *view_instance(const struct api_view *view, const struct api_instance *i) {
    json_t *json = json_object();
    json_put(json, "id", json_text(i->id));
    json_put(json, "service", json_text(view->services[i->service].name));
    json_put(json, "pid", i->pid > 0 ? json_integer(i->pid) : json_null());
    json_put(json, "address", json_text(i->address));
    json_put(json, "version", json_text(i->version));
    json_put(json, "state", json_string(endpoint_state_name((enum endpoint_state)i->state)));
    json_put(json, "weight", json_integer(i->weight));
    json_put(json, "zone", json_text(i->zone));
    json_put(json, "in_flight", json_integer(i->in_flight));
    json_put(json, "latency_ms", json_known(i->latency_ms));
    json_put(json, "requests_rps", json_known(i->requests_rps));
    json_put(json, "errors_rps", json_known(i->errors_rps));
    json_put(json, "cpu_ratio", json_known(i->cpu_ratio));
    json_put(json, "memory_bytes",
             isfinite(i->memory_bytes) ? json_integer((json_int_t)i->memory_bytes) : json_null());
    json_put(json, "startup_ms", json_known(i->startup_ms));
    json_put(json, "started", json_time(i->started_ms));
    json_put(json, "note", json_text(i->note));
    json_t *check = json_object();
    json_put(check, "healthy", json_boolean(i->healthy));
    json_put(check, "suspicious", json_boolean(i->suspicious));
    json_put(check, "result", json_string(probe_result_name(i->probe_result)));
    json_put(check, "probe_ms", json_known(i->probe_ms));
    json_put(json, "check", check);
    json_put(json, "maintenance", maintenance_json(i->maintenance));
    return json;
}

static json_t *instances_of(const struct api_view *view, const struct api_service *service) {
    json_t *instances = json_array();
    for (uint32_t i = 0; i < view->instance_count; i++) {
        const struct api_instance *instance = &view->instances[i];
        if (service == NULL || &view->services[instance->service] == service) {
            json_array_append_new(instances, view_instance(view, instance));
        }
    }
    return instances;
}

static json_t *capacity_json(const struct api_capacity *c) {
    json_t *json = json_object();
    json_put(json, "low_rps", json_known(c->low_rps));
    json_put(json, "likely_rps", json_known(c->likely_rps));
    json_put(json, "high_rps", json_known(c->high_rps));
    json_put(json, "source", json_text(c->source));
    json_put(json, "lambda_rps", json_known(c->lambda_rps));
    json_put(json, "sigma", json_known(c->sigma));
    json_put(json, "kappa", json_known(c->kappa));
    json_put(json, "objective_ms", json_known(c->objective_ms));
    return json;
}

static json_t *calls_of(const struct api_view *view, const struct api_service *caller) {
    json_t *calls = json_array();
    for (uint32_t i = 0; i < view->call_count; i++) {
        const struct api_call *call = &view->calls[i];
        if (&view->services[call->caller] != caller) {
            continue;
        }
        json_t *json = json_object();
        json_put(json, "service", json_text(view->services[call->called].name));
        json_put(json, "ratio",
                 json_known(isnan(call->configured) ? call->likely : call->configured));
        json_put(json, "source", json_string(call->source));
        json_put(json, "planned", json_boolean(call->planned));
        json_put(json, "learned", json_known(call->likely));
        json_put(json, "learned_low", json_known(call->low));
        json_put(json, "learned_high", json_known(call->high));
        json_put(json, "requests", json_integer((json_int_t)call->requests));
        json_array_append_new(calls, json);
    }
    return calls;
}

json_t *view_service(const struct api_view *view, const struct api_service *s) {
    json_t *json = json_object();
    json_put(json, "name", json_text(s->name));
    json_put(json, "fleet", json_text(s->fleet));
    json_put(json, "balance", json_text(s->balance));
    json_put(json, "trouble", json_text(s->trouble));
    json_put(json, "demand_rps", json_known(s->demand_rps));
    json_put(json, "served_rps", json_known(s->served_rps));
    json_put(json, "refused_rps", json_known(s->refused_rps));
    json_put(json, "failed_rps", json_known(s->failed_rps));
    json_put(json, "retries_rps", json_known(s->retries_rps));
    json_put(json, "retries_refused_rps", json_known(s->retries_refused_rps));
    json_put(json, "hedges_rps", json_known(s->hedges_rps));
    json_put(json, "hedges_won_rps", json_known(s->hedges_won_rps));
    json_put(json, "called_rps", json_known(s->called_rps));
    json_put(json, "calls", calls_of(view, s));
    json_put(json, "forecast_rps", json_known(s->forecast_rps));
    json_put(json, "forecast_rps_low", json_known(s->forecast_rps_low));
    json_put(json, "forecast_rps_high", json_known(s->forecast_rps_high));
    json_put(json, "capacity_rps", json_known(s->capacity_rps));
    json_put(json, "instance_capacity_rps", json_known(s->instance_capacity_rps));
    json_put(json, "instance_capacity", capacity_json(&s->instance_capacity));
    json_put(json, "objective_ms", json_known(s->objective_ms));
    json_put(json, "objective_share_ratio", json_known(s->objective_share_ratio));
    json_put(json, "within_objective_ratio", json_known(s->within_objective_ratio));
    json_put(json, "latency_ms",
             latency_json(s->latency_ms_p50, s->latency_ms_p95, s->latency_ms_p99));
    json_put(json, "stages", stages_json(s));
    json_put(json, "in_flight", json_integer(s->in_flight));
    json_put(json, "waiting", json_integer(s->waiting));
    json_put(json, "lead_ms", json_known(s->lead_ms));
    json_put(json, "instances_min", json_integer(s->instances_min));
    json_put(json, "instances_max", json_integer(s->instances_max));
    json_put(json, "instances_wanted", json_integer(s->instances_wanted));
    json_put(json, "spares_wanted", json_integer(s->spares_wanted));
    json_put(json, "connections_ahead", json_integer(s->connections_ahead));
    json_put(json, "reason", json_text(s->reason));
    json_put(json, "instances", instances_of(view, s));
    return json;
}

static json_t *store_json(struct store *store) {
    if (store == NULL) {
        return json_null();
    }
    struct store_health health = store_health(store);
    json_t *json = json_object();
    json_put(json, "writing", json_boolean(health.writing));
    json_put(json, "trouble", json_text(health.trouble));
    json_put(json, "queued_rows", json_integer((json_int_t)health.queued_rows));
    json_put(json, "written_rows", json_integer((json_int_t)health.written_rows));
    json_put(json, "failed_attempts", json_integer((json_int_t)health.failed_attempts));
    json_put(json, "dropped_samples", json_integer((json_int_t)health.dropped_samples));
    json_put(json, "dropped_decisions", json_integer((json_int_t)health.dropped_decisions));
    json_put(json, "bytes", json_integer((json_int_t)health.bytes));
    return json;
}

static json_t *services_json(const struct api_view *view) {
    json_t *services = json_array();
    for (uint32_t i = 0; i < view->service_count; i++) {
        if (view->services[i].name[0] != '\0') { /* else the index is free */
            json_array_append_new(services, view_service(view, &view->services[i]));
        }
    }
    return services;
}

static json_t *sandbox_json(const struct api_view *view) {
    json_t *json = json_object(), *there = json_array(), *missing = json_array();
    for (unsigned part = 0; part < GUARD_PARTS; part++) {
        bool is_there = (view->sandbox_parts & 1u << part) != 0;
        json_array_append_new(is_there ? there : missing,
                              json_string(guard_part_name((enum guard_part)part)));
    }
    json_put(json, "mode", json_string(view->sandboxed ? "strict" : "off"));
    json_put(json, "in_force", there);
    json_put(json, "missing", missing);
    return json;
}

static json_t *volumes_json(const struct api_view *view) {
    json_t *volumes = json_array();
    for (uint32_t i = 0; i < view->volume_count; i++) {
        const struct api_volume *v = &view->volumes[i];
        json_t *json = json_object();
        json_put(json, "path", json_text(v->path));
        json_put(json, "state", json_string(v->state));
        json_put(json, "configured", json_boolean(v->configured));
        json_put(json, "used_bytes", json_known(v->used_bytes));
        json_put(json, "size_bytes", json_known(v->size_bytes));
        json_put(json, "inodes_ratio", json_known(v->inodes_ratio));
        json_put(json, "full_at_ratio", json_known(v->full_at_ratio));
        json_put(json, "full_in_s", json_known(v->full_in_s));
        json_put(json, "full_in_s_low", json_known(v->full_in_s_low));
        json_put(json, "full_in_s_high", json_known(v->full_in_s_high));
        json_put(json, "growth_bytes_per_s", json_known(v->growth));
        json_put(json, "growth_bytes_per_s_low", json_known(v->growth_low));
        json_put(json, "growth_bytes_per_s_high", json_known(v->growth_high));
        json_put(json, "seen_s", json_known(v->seen_s));
        json_put(json, "size_wanted_bytes", json_known(v->size_wanted_bytes));
        json_put(json, "limited", json_boolean(v->limited));
        json_put(json, "text", json_text(v->text));
        json_array_append_new(volumes, json);
    }
    return volumes;
}

static json_t *rates_json(const struct api_view *view) {
    json_t *rates = json_array();
    for (uint32_t i = 0; i < view->rate_count; i++) {
        const struct api_rate *rate = &view->rates[i];
        json_t *json = json_object();
        json_put(json, "name", json_text(rate->name));
        json_put(json, "by", json_text(rate->by));
        json_put(json, "rate_rps", json_known(rate->rate_rps));
        json_put(json, "burst", json_integer(rate->burst));
        json_put(json, "dry_run", json_boolean(rate->dry_run));
        json_put(json, "allowed", json_integer((json_int_t)rate->allowed));
        json_put(json, "refused", json_integer((json_int_t)rate->refused));
        json_put(json, "allowed_rps", json_known(rate->allowed_rps));
        json_put(json, "refused_rps", json_known(rate->refused_rps));
        json_array_append_new(rates, json);
    }
    return rates;
}

static json_t *rate_table_json(const struct api_view *view) {
    json_t *json = json_object();
    json_put(json, "keys", json_integer(view->rate_keys));
    json_put(json, "used_ratio", json_known(view->rate_table_used_ratio));
    return json;
}

json_t *view_status(struct api *api) {
    const struct api_view *view = api->view;
    json_t *json = json_object(), *workers = json_array();
    for (uint32_t i = 0; i < view->worker_count; i++) {
        if (view->workers[i] > 0) {
            json_array_append_new(workers, json_integer(view->workers[i]));
        }
    }
    json_put(json, "release", json_string(TIDEGATE_VERSION));
    json_put(json, "time", json_time(view->now_ms));
    json_put(json, "started", json_time(view->started_ms));
    json_put(json, "supervisor", json_integer(view->supervisor));
    json_put(json, "controller", json_integer(view->controller));
    json_put(json, "workers", workers);
    json_put(json, "sandbox", sandbox_json(view));
    json_put(json, "plan", json_integer((json_int_t)view->plan_version));
    json_put(json, "draining", json_boolean(view->draining));
    json_put(json, "currency", json_text(view->currency));
    json_put(json, "verdict", verdict_json(api));
    json_put(json, "store", store_json(api->store));
    json_put(json, "services", services_json(view));
    json_put(json, "storage", volumes_json(view));
    json_put(json, "rate_limits", rates_json(view));
    json_put(json, "rate_limit_table", rate_table_json(view));
    json_put(json, "campaigns", view_campaigns(view));
    return json;
}

const struct api_service *find_service(const struct api_view *view, struct slice name) {
    for (uint32_t i = 0; i < view->service_count; i++) {
        if (name.len > 0 && slice_equal(name, slice_from(view->services[i].name))) {
            return &view->services[i];
        }
    }
    return NULL;
}

const struct api_instance *find_instance(const struct api_view *view, struct slice id) {
    for (uint32_t i = 0; i < view->instance_count; i++) {
        if (slice_equal(id, slice_from(view->instances[i].id))) {
            return &view->instances[i];
        }
    }
    return NULL;
}

/* ---- handlers ---- */

void handle_status(struct api_connection *c) {
    answer_json(c, 200, view_status(c->api));
}

static void answer_wrapped(struct api_connection *c, const char *key, json_t *value) {
    json_t *json = json_object();
    json_put(json, key, value);
    answer_json(c, 200, json);
}

void handle_services(struct api_connection *c) {
    answer_wrapped(c, "services", services_json(c->api->view));
}

void handle_service(struct api_connection *c) {
    const struct api_service *service = find_service(c->api->view, c->request.rest);
    if (service == NULL) {
        answer_problem(c, 404, "no service '%.*s'", SLICE_ARG(c->request.rest));
        return;
    }
    answer_json(c, 200, view_service(c->api->view, service));
}

void handle_instances(struct api_connection *c) {
    answer_wrapped(c, "instances", instances_of(c->api->view, NULL));
}

#define OUTPUT_BYTES_MAX 65536

static json_t *output_json(struct api *api, struct slice id) {
    struct buffer output;
    struct slice line, rest;
    json_t *lines = json_array();
    buffer_init(&output, OUTPUT_BYTES_MAX);
    if (api->source.instance_output != NULL) {
        api->source.instance_output(api->source.self, id, &output);
    }
    rest = buffer_slice(&output);
    while (rest.len > 0 && slice_cut(&rest, '\n', &line)) {
        char text[1024];
        slice_copy_text(slice_sub(line, 0, sizeof text - 1), text, sizeof text);
        json_array_append_new(lines, text[0] == '\0' ? json_string("") : json_text(text));
    }
    buffer_fini(&output);
    return lines;
}

void handle_instance(struct api_connection *c) {
    const struct api_instance *instance = find_instance(c->api->view, c->request.rest);
    if (instance == NULL) {
        answer_problem(c, 404, "no instance '%.*s'", SLICE_ARG(c->request.rest));
        return;
    }
    json_t *json = view_instance(c->api->view, instance);
    json_put(json, "output", output_json(c->api, c->request.rest));
    answer_json(c, 200, json);
}

void handle_health(struct api_connection *c) {
    bool up = c->api->view != NULL;
    json_t *json = json_object();
    json_put(json, "status", json_string(up ? "ok" : "starting"));
    answer_json(c, up ? 200 : 503, json);
}
