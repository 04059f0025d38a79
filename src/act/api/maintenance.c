/* Maintenance: who is in it, into it, out of it. */
#include <stdio.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "act/api/query.h"
#include "base/clock.h"
#include "config/units.h"

#define FOR_LEAST_MS 1000
#define FOR_MOST_MS (90 * MS_PER_DAY)

json_t *maintenance_json(const struct api_maintenance *m) {
    if (m == NULL) {
        return json_null();
    }
    json_t *json = json_object();
    json_put(json, "since", json_time(m->since_ms));
    json_put(json, "until", json_time(m->until_ms));
    json_put(json, "reason", json_text(m->reason));
    json_put(json, "by", json_text(m->by));
    return json;
}

static json_t *entry_json(const struct api_view *view, const struct api_maintenance *m) {
    const struct api_instance *instance = NULL;
    for (uint32_t i = 0; i < view->instance_count; i++) {
        instance = view->instances[i].maintenance == m ? &view->instances[i] : instance;
    }
    json_t *json = maintenance_json(m);
    json_put(json, "service", json_text(m->service));
    json_put(json, "instance", json_text(m->instance));
    json_put(json, "in_flight", instance == NULL ? json_null() : json_integer(instance->in_flight));
    return json;
}

void handle_maintenance_list(struct api_connection *c) {
    const struct api_view *view = c->api->view;
    json_t *list = json_array(), *json = json_object();
    for (uint32_t i = 0; i < view->maintenance_count; i++) {
        json_array_append_new(list, entry_json(view, &view->maintenance[i]));
    }
    json_put(json, "maintenance", list);
    answer_json(c, 200, json);
}

void name_asker(const struct api_connection *c, char out[PLAN_NAME_BYTES]) {
    if (c->local || c->caller.token[0] == '\0') {
        snprintf(out, PLAN_NAME_BYTES, "%s", c->from);
    } else { /* a token's name may hold anything; its id does not */
        snprintf(out, PLAN_NAME_BYTES, "token %s", c->caller.token);
    }
}

struct names {
    char service[PLAN_NAME_BYTES], instance[PLAN_NAME_BYTES], by[PLAN_NAME_BYTES];
};

/* False after an answer. */
static bool read_names(struct api_connection *c, struct names *names,
                       struct api_maintenance_order *order) {
    if (!query_decode(c->request.rest, names->service, sizeof names->service) ||
        !query_decode(c->request.more, names->instance, sizeof names->instance)) {
        answer_problem(c, 404, "no such service or instance");
        return false;
    }
    name_asker(c, names->by);
    order->service = slice_from(names->service);
    order->instance = slice_from(names->instance);
    order->by = slice_from(names->by);
    return true;
}

enum parameter { FOR, REASON, FORCE, PARAMETERS };

/* False after an answer. */
static bool read_order(struct api_connection *c, struct query_parameter p[PARAMETERS],
                       struct api_maintenance_order *order) {
    struct error err;
    if (!query_parse(slice_from(c->request.query), p, PARAMETERS, &err)) {
        answer_error(c, &err);
        return false;
    }
    if (p[FOR].given && (!units_parse_duration_ms(slice_from(p[FOR].text), &order->for_ms) ||
                         order->for_ms < FOR_LEAST_MS || order->for_ms > FOR_MOST_MS)) {
        answer_problem(c, 400, "for: expected 1s to 90d such as 30m, found '%s'", p[FOR].text);
        return false;
    }
    order->reason = slice_from(p[REASON].text);
    order->force = strcmp(p[FORCE].text, "true") == 0;
    if (p[FORCE].given && !order->force && strcmp(p[FORCE].text, "false") != 0) {
        answer_problem(c, 400, "force: expected true or false, found '%s'", p[FORCE].text);
        return false;
    }
    return true;
}

void handle_maintenance_start(struct api_connection *c) {
    const struct api_source *source = &c->api->source;
    struct query_parameter parameters[PARAMETERS] = {
        [FOR] = { .name = "for" }, [REASON] = { .name = "reason" }, [FORCE] = { .name = "force" }
    };
    struct api_maintenance_order order = { .for_ms = 0 };
    struct names names;
    struct error err = { 0 };
    if (source->start_maintenance == NULL) {
        answer_problem(c, 501, "this Tidegate was started without that");
        return;
    }
    if (!read_names(c, &names, &order) || !read_order(c, parameters, &order)) {
        return;
    }
    if (!source->start_maintenance(source->self, &order, &err)) {
        answer_refusal(c, &err);
        return;
    }
    const struct api_view *view = c->api->view;
    for (uint32_t i = 0; i < view->maintenance_count; i++) {
        const struct api_maintenance *m = &view->maintenance[i];
        if (slice_equal(slice_from(m->service), order.service) &&
            slice_equal(slice_from(m->instance), order.instance)) {
            answer_json(c, 200, entry_json(view, m));
            return;
        }
    }
    answer_problem(c, 500, "it is not in the book");
}

void handle_maintenance_end(struct api_connection *c) {
    const struct api_source *source = &c->api->source;
    struct api_maintenance_order order = { .for_ms = 0 };
    struct names names;
    struct error err = { 0 };
    if (source->end_maintenance == NULL) {
        answer_problem(c, 501, "this Tidegate was started without that");
        return;
    }
    if (!read_names(c, &names, &order)) {
        return;
    }
    if (!source->end_maintenance(source->self, &order, &err)) {
        answer_refusal(c, &err);
        return;
    }
    json_t *json = json_object();
    json_put(json, "ended", json_true());
    answer_json(c, 200, json);
}
