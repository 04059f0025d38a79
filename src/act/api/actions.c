/* What changes something. */
#include "act/api/api_internal.h"

#define REPORT_BYTES_MAX 262144

static void not_offered(struct api_connection *c) {
    answer_problem(c, 501, "this Tidegate was started without that");
}

void handle_reload(struct api_connection *c) {
    const struct api_source *source = &c->api->source;
    struct buffer report;
    if (source->reload == NULL) {
        not_offered(c);
        return;
    }
    buffer_init(&report, REPORT_BYTES_MAX);
    if (source->reload(source->self, &report)) {
        json_t *json = json_object();
        json_put(json, "reloaded", json_true());
        json_put(json, "warnings", json_lines(buffer_slice(&report)));
        answer_json(c, 200, json);
    } else {
        answer_problem_lines(c, 422, "the configuration has errors; nothing was changed",
                             buffer_slice(&report));
    }
    buffer_fini(&report);
}

void handle_drain(struct api_connection *c) {
    const struct api_source *source = &c->api->source;
    if (source->drain == NULL) {
        not_offered(c);
        return;
    }
    source->drain(source->self);
    json_t *json = json_object();
    json_put(json, "draining", json_true());
    answer_json(c, 202, json);
}

void handle_instance_drain(struct api_connection *c) {
    const struct api_source *source = &c->api->source;
    struct error err = { 0 };
    if (source->drain_instance == NULL) {
        not_offered(c);
        return;
    }
    if (!source->drain_instance(source->self, c->request.rest, &err)) {
        answer_error(c, &err);
        return;
    }
    json_t *json = json_object();
    json_put(json, "draining", json_true());
    answer_json(c, 202, json);
}
