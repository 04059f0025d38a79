/* Demand as columns for charts. What the histories in memory cover is
 * answered at once, what is older comes from the store. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "act/api/query.h"
#include "base/clock.h"

#define POINTS_MAX 2000 /* of one answer: more than a screen has columns */
#define POINTS_DEFAULT 600
#define RANGE_DEFAULT_MS 600000

struct range {
    char service[STORE_NAME_BYTES];
    int64_t from_ms, to_ms;
    uint32_t step_s;
};

/* ---- the histories ---- */

struct history *history_of(struct api *api, struct slice service) {
    for (size_t i = 0; i < api->history_count; i++) {
        if (slice_equal(service, slice_from(api->histories[i]->service))) {
            return api->histories[i];
        }
    }
    return NULL;
}

struct rows {
    struct api_job job; /* first */
    struct range range;
    size_t len, capacity;
    struct history_row *rows;
};

static bool keep_row(void *self, const struct store_sample *sample) {
    struct rows *kept = self;
    if (kept->len == kept->capacity) {
        return false;
    }
    struct history_row *row = &kept->rows[kept->len++];
    history_row_init(row, sample->time_ms);
    row->offered_rps = (float)sample->offered_rps;
    row->served_rps = (float)sample->served_rps;
    row->refused_rps = (float)sample->refused_rps;
    row->failed_rps = (float)sample->failed_rps;
    row->latency_ms_p50 = (float)sample->latency_ms_p50;
    row->latency_ms_p99 = (float)sample->latency_ms_p99;
    row->forecast_rps = (float)sample->forecast_rps;
    row->capacity_rps = (float)sample->capacity_rps;
    return true;
}

static void read_rows(struct store_job *job, struct store *store) {
    struct rows *rows = (struct rows *)job;
    struct store_sample_query query = {
        .service = slice_from(rows->range.service),
        .from_ms = rows->range.from_ms,
        .to_ms = rows->range.to_ms,
        .step_s = rows->range.step_s,
    };
    rows->job.read = store_read_samples(store, &query, keep_row, rows, &rows->job.err);
}

/* Asks the store for the range. `c` NULL: of our own accord. */
static void ask_rows(struct api *api, struct api_connection *c, const struct range *range,
                     void (*finish)(struct api_job *)) {
    size_t capacity = (size_t)((range->to_ms - range->from_ms) / 1000 / range->step_s) + 2;
    struct rows *rows = calloc(1, sizeof *rows + capacity * sizeof rows->rows[0]);
    if (rows == NULL) {
        if (c != NULL) {
            answer_problem(c, 503, "memory is out");
        }
        return;
    }
    rows->range = *range;
    rows->capacity = capacity;
    rows->rows = (struct history_row *)(rows + 1);
    job_start(api, c, &rows->job, read_rows, finish);
}

static void finish_prefill(struct api_job *job) {
    struct rows *rows = (struct rows *)job;
    struct history *h = history_of(job->api, slice_from(rows->range.service));
    if (job->read && h != NULL) {
        history_prepend(h, rows->rows, rows->len);
    }
}

/* What a controller before this one has seen. */
static void prefill(struct api *api, const char *service) {
    struct range range = { .from_ms = api->view->now_ms - API_HISTORY_SECONDS * 1000LL,
                           .to_ms = api->view->now_ms,
                           .step_s = 1 };
    memcpy(range.service, service, strlen(service) + 1);
    if (api->store != NULL) {
        ask_rows(api, NULL, &range, finish_prefill);
    }
}

static struct history *ensure_history(struct api *api, const char *service) {
    struct history *h = history_of(api, slice_from(service));
    if (h == NULL && api->history_count < PLAN_SERVICES_MAX) {
        h = history_new(service, API_HISTORY_SECONDS);
        if (h != NULL) {
            api->histories[api->history_count++] = h;
            prefill(api, service);
        }
    }
    return h;
}

static unsigned count_serving(const struct api_view *view, const struct api_service *s) {
    unsigned count = 0;
    for (uint32_t i = 0; i < view->instance_count; i++) {
        count += &view->services[view->instances[i].service] == s &&
                 view->instances[i].state == ENDPOINT_SERVING;
    }
    return count;
}

static struct history_row row_of(const struct api_view *view, const struct api_service *s) {
    struct history_row row = {
        .time_ms = view->now_ms - view->now_ms % 1000,
        .offered_rps = (float)s->demand_rps,
        .served_rps = (float)s->served_rps,
        .refused_rps = (float)s->refused_rps,
        .failed_rps = (float)s->failed_rps,
        .latency_ms_p50 = (float)s->latency_ms_p50,
        .latency_ms_p95 = (float)s->latency_ms_p95,
        .latency_ms_p99 = (float)s->latency_ms_p99,
        .forecast_rps = (float)s->forecast_rps,
        .forecast_rps_low = (float)s->forecast_rps_low,
        .forecast_rps_high = (float)s->forecast_rps_high,
        .capacity_rps = (float)s->capacity_rps,
        .in_flight = (float)s->in_flight,
        .serving = (float)count_serving(view, s),
    };
    for (int i = 0; i < STAGE_COUNT; i++) {
        row.stages[i] = (struct history_stage){ (float)s->stages[i].latency_ms_p50,
                                                (float)s->stages[i].latency_ms_p95,
                                                (float)s->stages[i].latency_ms_p99 };
    }
    return row;
}

void histories_note(struct api *api) {
    for (uint32_t i = 0; i < api->view->service_count; i++) {
        const struct api_service *s = &api->view->services[i];
        struct history *h = s->name[0] != '\0' ? ensure_history(api, s->name) : NULL;
        if (h != NULL) {
            struct history_row row = row_of(api->view, s);
            history_push(h, &row);
        }
    }
}

/* ---- columns ---- */

static const struct {
    const char *name;
    size_t offset;
    bool worst; /* of several seconds or services the highest counts, not the mean or sum */
} columns[] = {
    { "offered_rps", offsetof(struct history_row, offered_rps), false },
    { "served_rps", offsetof(struct history_row, served_rps), false },
    { "refused_rps", offsetof(struct history_row, refused_rps), false },
    { "failed_rps", offsetof(struct history_row, failed_rps), false },
    { "latency_ms_p50", offsetof(struct history_row, latency_ms_p50), true },
    { "latency_ms_p95", offsetof(struct history_row, latency_ms_p95), true },
    { "latency_ms_p99", offsetof(struct history_row, latency_ms_p99), true },
    { "forecast_rps", offsetof(struct history_row, forecast_rps), false },
    { "forecast_rps_low", offsetof(struct history_row, forecast_rps_low), false },
    { "forecast_rps_high", offsetof(struct history_row, forecast_rps_high), false },
    { "capacity_rps", offsetof(struct history_row, capacity_rps), false },
    { "in_flight", offsetof(struct history_row, in_flight), false },
    { "instances_serving", offsetof(struct history_row, serving), false },
};
#define COLUMNS (sizeof columns / sizeof columns[0])

static float *cell(struct history_row *row, size_t column) {
    return (float *)(void *)((char *)row + columns[column].offset);
}

static float value_of(const struct history_row *row, size_t column) {
    return *(const float *)(const void *)((const char *)row + columns[column].offset);
}

/* to = to ∘ from, with "not known" neutral. */
static void combine(float *to, float from, bool worst) {
    if (isnan(*to)) {
        *to = from;
    } else if (!isnan(from)) {
        *to = worst ? fmaxf(*to, from) : *to + from;
    }
}

static json_t *columns_json(const struct range *range, const struct history_row *rows, size_t len) {
    json_t *json = json_object(), *times = json_array();
    for (size_t i = 0; i < len; i++) {
        json_array_append_new(times, json_integer(rows[i].time_ms));
    }
    json_put(json, "service", json_text(range->service));
    json_put(json, "step_s", json_integer(range->step_s));
    json_put(json, "times_ms", times);
    for (size_t k = 0; k < COLUMNS; k++) {
        json_t *values = json_array();
        for (size_t i = 0; i < len; i++) {
            json_array_append_new(values, json_known(value_of(&rows[i], k)));
        }
        json_put(json, columns[k].name, values);
    }
    return json;
}

/* The mean (or the highest) of what is known of a column in rows [first, end). */
static float summary(const struct history *h, size_t first, size_t end, size_t column) {
    float sum = NAN;
    unsigned known = 0;
    for (size_t i = first; i < end; i++) {
        float value = value_of(history_at(h, i), column);
        known += !isnan(value);
        combine(&sum, value, columns[column].worst);
    }
    return columns[column].worst || known == 0 ? sum : sum / (float)known;
}

/* Adds one service to the buckets. */
static void add_history(const struct history *h, const struct range *range,
                        struct history_row *buckets, size_t len) {
    size_t end = 0;
    for (size_t b = 0; b < len; b++) {
        size_t first = end;
        while (first < h->len && history_at(h, first)->time_ms < buckets[b].time_ms) {
            first++;
        }
        int64_t until_ms = buckets[b].time_ms + (int64_t)range->step_s * 1000;
        for (end = first; end < h->len && history_at(h, end)->time_ms < until_ms;) {
            end++;
        }
        for (size_t k = 0; k < COLUMNS; k++) {
            combine(cell(&buckets[b], k), summary(h, first, end, k), columns[k].worst);
        }
    }
}

/* Buckets without a single value are left out. */
static size_t drop_empty(struct history_row *buckets, size_t len) {
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        bool known = false;
        for (size_t k = 0; k < COLUMNS; k++) {
            known = known || !isnan(value_of(&buckets[i], k));
        }
        if (known) {
            buckets[kept++] = buckets[i];
        }
    }
    return kept;
}

static void answer_from_memory(struct api_connection *c, const struct range *range) {
    int64_t step_ms = (int64_t)range->step_s * 1000;
    int64_t first_ms = range->from_ms - range->from_ms % step_ms;
    size_t len = (size_t)((range->to_ms - first_ms + step_ms - 1) / step_ms);
    struct history_row *buckets = calloc(len + 1, sizeof *buckets);
    if (buckets == NULL) {
        answer_problem(c, 503, "memory is out");
        return;
    }
    for (size_t i = 0; i < len; i++) {
        history_row_init(&buckets[i], first_ms + (int64_t)i * step_ms);
    }
    for (size_t i = 0; i < c->api->history_count; i++) {
        const struct history *h = c->api->histories[i];
        if (range->service[0] == '\0' || strcmp(range->service, h->service) == 0) {
            add_history(h, range, buckets, len);
        }
    }
    len = drop_empty(buckets, len);
    answer_json(c, 200, columns_json(range, buckets, len));
    free(buckets);
}

static void finish_demand(struct api_job *job) {
    struct rows *rows = (struct rows *)job;
    if (job->connection != NULL && !job_read_failed(job)) {
        answer_json(job->connection, 200, columns_json(&rows->range, rows->rows, rows->len));
    }
}

/* ---- parameters ---- */

/* The step that gives about POINTS_DEFAULT points: 1 s, 5 s, 10 s … or whole minutes. */
static uint32_t default_step(int64_t range_ms) {
    static const uint32_t steps[] = { 1, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400 };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (range_ms / 1000 / steps[i] <= POINTS_DEFAULT) {
            return steps[i];
        }
    }
    return (uint32_t)(range_ms / 1000 / POINTS_DEFAULT / 86400 + 1) * 86400;
}

static bool known_service(struct api_connection *c, const char *name) {
    if (name[0] == '\0' || find_service(c->api->view, slice_from(name)) != NULL ||
        history_of(c->api, slice_from(name)) != NULL) {
        return true;
    }
    answer_problem(c, 404, "no service '%s'", name);
    return false;
}

/* False after an answer. */
static bool read_range(struct api_connection *c, struct range *range) {
    int64_t now_ms = c->api->view->now_ms;
    struct error err = { 0 };
    struct query_parameter p[] = { { .name = "service", .type = QUERY_TEXT },
                                   { .name = "from", .type = QUERY_TIME },
                                   { .name = "to", .type = QUERY_TIME, .number = now_ms + 1 },
                                   { .name = "step", .type = QUERY_UINT } };
    if (!query_parse(slice_from(c->request.query), p, 4, &err)) {
        answer_error(c, &err);
        return false;
    }
    int64_t from_ms = p[1].given ? p[1].number : p[2].number - RANGE_DEFAULT_MS;
    int64_t range_ms = p[2].number - from_ms;
    if (from_ms < 0 || range_ms <= 0 || range_ms > STORE_RETENTION_MINUTES_MS) {
        answer_problem(c, 400, "from must be before to, at most %lld days",
                       (long long)(STORE_RETENTION_MINUTES_MS / MS_PER_DAY));
        return false;
    }
    int64_t step_s = p[3].given ? p[3].number : default_step(range_ms);
    if (step_s < 1 || range_ms / 1000 / step_s > POINTS_MAX) {
        answer_problem(c, 400, "step: %s makes more than %d points; expected at least %lld",
                       p[3].text, POINTS_MAX, (long long)range_ms / 1000 / POINTS_MAX + 1);
        return false;
    }
    if (!slice_copy_text(slice_from(p[0].text), range->service, sizeof range->service)) {
        answer_problem(c, 404, "no service '%s'", p[0].text);
        return false;
    }
    range->from_ms = from_ms;
    range->to_ms = p[2].number;
    range->step_s = (uint32_t)(step_s > UINT32_MAX / 1000 ? UINT32_MAX / 1000 : step_s);
    return known_service(c, range->service);
}

void handle_demand(struct api_connection *c) {
    struct range range;
    if (!read_range(c, &range)) {
        return;
    }
    bool recent = range.from_ms > c->api->view->now_ms - API_HISTORY_SECONDS * 1000LL;
    if (recent || c->api->store == NULL) {
        answer_from_memory(c, &range);
    } else {
        ask_rows(c->api, c, &range, finish_demand);
    }
}
