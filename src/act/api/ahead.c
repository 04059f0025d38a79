/* Of one service: the latency of its stages in the last minutes, and the forecast. */
#include "act/api/api_internal.h"
#include "act/api/query.h"

#define SHOWN_MS 600000

/* ---- latency by stage ---- */

static json_t *stage_columns(const struct history *h, int stage, int64_t from_ms) {
    json_t *p50 = json_array(), *p95 = json_array(), *p99 = json_array(), *json = json_object();
    for (size_t i = 0; i < h->len; i++) {
        const struct history_row *row = history_at(h, i);
        if (row->time_ms >= from_ms) {
            json_array_append_new(p50, json_known(row->stages[stage].latency_ms_p50));
            json_array_append_new(p95, json_known(row->stages[stage].latency_ms_p95));
            json_array_append_new(p99, json_known(row->stages[stage].latency_ms_p99));
        }
    }
    json_put(json, "p50", p50);
    json_put(json, "p95", p95);
    json_put(json, "p99", p99);
    return json;
}

/* The service that is asked for; false after an answer. */
static bool read_service(struct api_connection *c, const struct api_service **service) {
    struct error err = { 0 };
    struct query_parameter p[] = { { .name = "service", .type = QUERY_TEXT } };
    if (!query_parse(slice_from(c->request.query), p, 1, &err)) {
        answer_error(c, &err);
        return false;
    }
    if (!p[0].given) {
        answer_problem(c, 400, "service is missing: ?service=NAME");
        return false;
    }
    *service = find_service(c->api->view, slice_from(p[0].text));
    if (*service == NULL) {
        answer_problem(c, 404, "no service '%s'", p[0].text);
        return false;
    }
    return true;
}

void handle_latency(struct api_connection *c) {
    const struct api_service *service;
    if (!read_service(c, &service)) {
        return;
    }
    const struct history *h = history_of(c->api, slice_from(service->name));
    int64_t from_ms = c->api->view->now_ms - SHOWN_MS;
    json_t *json = json_object(), *times = json_array(), *stages = json_object();
    for (size_t i = 0; h != NULL && i < h->len; i++) {
        if (history_at(h, i)->time_ms >= from_ms) {
            json_array_append_new(times, json_integer(history_at(h, i)->time_ms));
        }
    }
    for (int stage = 0; h != NULL && stage < STAGE_COUNT; stage++) {
        json_put(stages, stage_name((enum stage)stage), stage_columns(h, stage, from_ms));
    }
    json_put(json, "service", json_text(service->name));
    json_put(json, "times_ms", times);
    json_put(json, "stages", stages);
    answer_json(c, 200, json);
}

/* ---- forecast ---- */

static json_t *column(const double *from, size_t stride, size_t steps) {
    json_t *values = json_array();
    for (size_t i = 0; i < steps; i++) {
        json_array_append_new(values, json_known(from[i * stride]));
    }
    return values;
}

static json_t *quantile_column(const struct api_forecast *f, size_t level) {
    return column(f->quantiles + level, f->quantile_stride, f->steps);
}

static json_t *accuracy_json(const struct api_accuracy *a) {
    json_t *json = json_object();
    json_put(json, "since", json_time(a->since_ms));
    json_put(json, "steps", json_integer((json_int_t)a->steps));
    json_put(json, "ahead_ms", json_integer(a->ahead_ms));
    json_put(json, "mase", json_known(a->mase));
    json_put(json, "wape", json_known(a->wape));
    json_put(json, "coverage_q0.1_q0.9", json_known(a->in_band));
    json_put(json, "coverage_q0.95", json_known(a->under_bound));
    return json;
}

static json_t *left_out_json(const struct api_forecast *f) {
    json_t *spans = json_array();
    for (size_t i = 0; i < f->left_out_count; i++) {
        json_t *span = json_object();
        json_put(span, "from", json_time(f->left_out[i].from_ms));
        json_put(span, "to", json_time(f->left_out[i].to_ms));
        json_put(span, "reason", json_text(f->left_out[i].reason));
        json_array_append_new(spans, span);
    }
    return spans;
}

void handle_forecast(struct api_connection *c) {
    const struct api_service *service;
    if (!read_service(c, &service)) {
        return;
    }
    const struct api_forecast *f = &service->forecast;
    json_t *json = json_object(), *times = json_array();
    for (size_t i = 0; i < f->steps; i++) {
        json_array_append_new(times, json_integer(f->start_ms + (int64_t)i * f->step_ms));
    }
    json_put(json, "service", json_text(service->name));
    json_put(json, "step_ms", json_integer(f->step_ms));
    json_put(json, "times_ms", times);
    json_put(json, "mean", column(f->mean, 1, f->steps));
    json_put(json, "q0.1", quantile_column(f, 0));
    json_put(json, "q0.5", quantile_column(f, 1));
    json_put(json, "q0.9", quantile_column(f, 2));
    json_put(json, "provision", column(f->provision, 1, f->steps));
    json_put(json, "provision_quantile", json_known(f->provision_quantile));
    json_put(json, "accuracy", accuracy_json(&f->accuracy));
    json_put(json, "knows", json_text(f->knows != NULL ? f->knows : "nothing"));
    json_put(json, "left_out", left_out_json(f));
    json_put(json, "campaigns", view_campaigns(c->api->view));
    answer_json(c, 200, json);
}
