/* Decisions: the newest are in memory, older ones come from the store. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "act/api/query.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000

/* The evidence is an object, as control writes it; text that is none is kept as a string. */
static json_t *evidence_json(const char *text) {
    json_t *evidence =
        text[0] == '\0' ? json_object() : json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (evidence != NULL && json_is_object(evidence)) {
        return evidence;
    }
    json_decref(evidence);
    evidence = json_object();
    json_put(evidence, "text", json_text(text));
    return evidence;
}

json_t *decision_json(const struct decision *d) {
    json_t *json = json_object();
    json_put(json, "id", json_integer(d->id));
    json_put(json, "time", json_time(d->time_ms));
    json_put(json, "kind", json_text(d->kind));
    json_put(json, "service", json_text(d->service));
    json_put(json, "subject", json_text(d->subject));
    json_put(json, "action", json_text(d->action));
    json_put(json, "reason", json_text(d->reason));
    json_put(json, "evidence", evidence_json(d->evidence));
    json_put(json, "worth", json_known(d->worth));
    json_put(json, "noticed_ms", json_known(d->noticed_ms));
    json_put(json, "healed_ms", json_known(d->healed_ms));
    return json;
}

/* ---- what the store knew before us ---- */

struct found {
    struct api_job job; /* first */
    char service[DECISION_NAME_BYTES], kind[DECISION_NAME_BYTES];
    struct store_decision_query query; /* its slices point to the texts above */
    size_t len;
    struct decision items[];
};

static bool keep(void *self, const struct decision *d) {
    struct found *found = self;
    found->items[found->len++] = *d;
    return found->len < found->query.limit;
}

static void read_found(struct store_job *job, struct store *store) {
    struct found *found = (struct found *)job;
    found->job.read = store_read_decisions(store, &found->query, keep, found, &found->job.err);
}

static struct found *found_new(uint32_t limit) {
    struct found *found = calloc(1, sizeof *found + limit * sizeof found->items[0]);
    if (found != NULL) {
        found->query.limit = limit;
    }
    return found;
}

/* Those of the store go behind those taken since we asked. */
static void finish_load(struct api_job *job) {
    struct found *found = (struct found *)job;
    struct api *api = job->api;
    struct decision_ring merged;
    if (!decision_ring_init(&merged, API_DECISIONS)) {
        return;
    }
    for (size_t i = found->len; i-- > 0;) {
        if (decision_ring_find(&api->decisions, found->items[i].id) == NULL) {
            decision_ring_push(&merged, &found->items[i]);
        }
    }
    for (size_t age = api->decisions.len; age-- > 0;) {
        decision_ring_push(&merged, decision_ring_at(&api->decisions, age));
    }
    decision_ring_fini(&api->decisions);
    api->decisions = merged;
    api->decisions_partial = found->len == API_DECISIONS;
    api->decisions_loaded = job->read || job->err.kind == ERROR_NOT_FOUND;
}

void decisions_load(struct api *api) {
    struct found *found = api->store != NULL ? found_new(API_DECISIONS) : NULL;
    if (found != NULL) {
        job_start(api, NULL, &found->job, read_found, finish_load);
    } else {
        api->decisions_loaded = api->store == NULL;
    }
}

/* ---- /api/v1/decisions ---- */

static bool asked_for(const struct decision *d, const struct store_decision_query *query) {
    return d->id > query->after_id && (query->before_id == 0 || d->id < query->before_id) &&
           (query->service.len == 0 || slice_equal(query->service, slice_from(d->service))) &&
           (query->kind.len == 0 || slice_equal(query->kind, slice_from(d->kind)));
}

/* Whether the store could add something to what is in memory. */
static bool store_knows_more(const struct api *api, const struct store_decision_query *query,
                             size_t found) {
    const struct decision *oldest = decision_ring_at(&api->decisions, api->decisions.len - 1);
    bool older = !api->decisions_loaded || api->decisions_partial ||
                 api->decisions.len == api->decisions.capacity;
    return api->store != NULL && older && found < query->limit &&
           (oldest == NULL || query->after_id + 1 < oldest->id);
}

static void answer_list(struct api_connection *c, json_t *list) {
    json_t *json = json_object();
    json_put(json, "decisions", list);
    answer_json(c, 200, json);
}

static void finish_query(struct api_job *job) {
    struct found *found = (struct found *)job;
    if (job->connection == NULL || job_read_failed(job)) {
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < found->len; i++) {
        json_array_append_new(list, decision_json(&found->items[i]));
    }
    answer_list(job->connection, list);
}

static void ask_store(struct api_connection *c, const struct store_decision_query *query) {
    struct found *found = found_new(query->limit);
    if (found == NULL) {
        answer_problem(c, 503, "memory is out");
        return;
    }
    found->query = *query;
    found->query.service = slice_from(found->service);
    found->query.kind = slice_from(found->kind);
    if (!slice_copy_text(query->service, found->service, sizeof found->service) ||
        !slice_copy_text(query->kind, found->kind, sizeof found->kind)) {
        free(found);
        answer_list(c, json_array()); /* no decision has a name so long */
        return;
    }
    found->query.service.len = query->service.len;
    found->query.kind.len = query->kind.len;
    job_start(c->api, c, &found->job, read_found, finish_query);
}

static void answer_decisions(struct api_connection *c, const struct store_decision_query *query) {
    json_t *list = json_array();
    const struct decision *d;
    for (size_t age = 0; (d = decision_ring_at(&c->api->decisions, age)) != NULL; age++) {
        if (json_array_size(list) < query->limit && asked_for(d, query)) {
            json_array_append_new(list, decision_json(d));
        }
    }
    if (store_knows_more(c->api, query, json_array_size(list))) {
        json_decref(list);
        ask_store(c, query);
        return;
    }
    answer_list(c, list);
}

void handle_decisions(struct api_connection *c) {
    struct error err = { 0 };
    struct query_parameter p[] = {
        { .name = "limit", .type = QUERY_UINT, .number = LIMIT_DEFAULT },
        { .name = "service", .type = QUERY_TEXT },
        { .name = "kind", .type = QUERY_TEXT },
        { .name = "after", .type = QUERY_UINT },
        { .name = "before", .type = QUERY_UINT },
    };
    if (!query_parse(slice_from(c->request.query), p, 5, &err)) {
        answer_error(c, &err);
        return;
    }
    if (p[0].number < 1 || p[0].number > LIMIT_MAX) {
        answer_problem(c, 400, "limit: expected 1 to %d", LIMIT_MAX);
        return;
    }
    struct store_decision_query query = {
        .limit = (uint32_t)p[0].number,
        .service = slice_from(p[1].text),
        .kind = slice_from(p[2].text),
        .after_id = p[3].number,
        .before_id = p[4].number,
    };
    answer_decisions(c, &query);
}
