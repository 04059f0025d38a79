/* Campaigns: announced, changed, taken back. */
#include <math.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "act/api/query.h"
#include "base/parse.h"
#include "config/units.h"
#include "decide/forecast/calendar.h"

#define TEXT_MAX (PLAN_NAME_BYTES - 1)

static json_t *expected_json(const struct api_campaign *c) {
    json_t *json = json_object();
    json_put(json, "peak", json_known(c->expected.peak));
    json_put(json, "peak_low", json_known(c->expected.low));
    json_put(json, "peak_high", json_known(c->expected.high));
    json_put(json, "learned_from", json_integer(c->expected.learned_from));
    json_put(json, "phase", json_text(c->expected.phase));
    json_put(json, "onset", json_time(c->expected.onset_ms));
    return json;
}

static json_t *campaign_json(const struct api_campaign *c) {
    json_t *json = json_object();
    json_put(json, "id", json_text(c->id));
    json_put(json, "name", json_text(c->name));
    json_put(json, "kind", json_text(c->kind));
    json_put(json, "channel", json_text(c->channel));
    json_put(json, "audience", json_text(c->audience));
    json_put(json, "start", json_time(c->start_ms));
    json_put(json, "end", json_time(c->end_ms));
    json_put(json, "multiplier", json_known(c->multiplier));
    json_put(json, "expected", expected_json(c));
    return json;
}

json_t *view_campaigns(const struct api_view *view) {
    json_t *campaigns = json_array();
    for (uint32_t i = 0; i < view->campaign_count; i++) {
        json_array_append_new(campaigns, campaign_json(&view->campaigns[i]));
    }
    return campaigns;
}

void handle_campaigns(struct api_connection *c) {
    json_t *json = json_object();
    json_put(json, "campaigns", view_campaigns(c->api->view));
    answer_json(c, 200, json);
}

enum parameter {
    ID,
    NAME,
    KIND,
    CHANNEL,
    AUDIENCE,
    START,
    END,
    FOR,
    MULTIPLIER,
    SEQUENCE,
    PARAMETERS
};

/* False after an answer. */
static bool check_texts(struct api_connection *c, const struct query_parameter p[PARAMETERS]) {
    static const size_t most[] = { [ID] = API_CAMPAIGN_ID_BYTES - 1,
                                   [NAME] = API_CAMPAIGN_NAME_BYTES - 1,
                                   [KIND] = TEXT_MAX,
                                   [CHANNEL] = TEXT_MAX,
                                   [AUDIENCE] = TEXT_MAX };
    for (size_t i = ID; i <= AUDIENCE; i++) {
        if (strlen(p[i].text) > most[i]) {
            answer_problem(c, 400, "%s: expected at most %zu bytes", p[i].name, most[i]);
            return false;
        }
    }
    return true;
}

/* False after an answer. */
static bool read_numbers(struct api_connection *c, const struct query_parameter p[PARAMETERS],
                         struct api_campaign_order *order) {
    int64_t length_ms;
    order->start_ms = p[START].number;
    order->end_ms = p[END].number;
    order->sequence = p[SEQUENCE].number > UINT32_MAX ? UINT32_MAX : (uint32_t)p[SEQUENCE].number;
    if (p[FOR].given) {
        if (!units_parse_duration_ms(slice_from(p[FOR].text), &length_ms) || length_ms <= 0 ||
            !p[START].given || p[END].given) {
            answer_problem(c, 400, "for: expected a duration such as 2h, with start, without end");
            return false;
        }
        order->end_ms = order->start_ms + length_ms;
    }
    if (p[MULTIPLIER].given &&
        !(parse_double(slice_from(p[MULTIPLIER].text), &order->multiplier) &&
          order->multiplier > 0 && order->multiplier <= CALENDAR_MULTIPLIER_MAX)) {
        answer_problem(c, 400, "multiplier: expected a number above 0 and at most %g",
                       CALENDAR_MULTIPLIER_MAX);
        return false;
    }
    return true;
}

static void answer_campaign(struct api_connection *c, const char *id) {
    const struct api_view *view = c->api->view;
    json_t *json = json_object();
    json_put(json, "id", json_text(id));
    for (uint32_t i = 0; i < view->campaign_count; i++) {
        if (strcmp(view->campaigns[i].id, id) == 0) {
            json_decref(json);
            json = campaign_json(&view->campaigns[i]);
            break;
        }
    }
    answer_json(c, 200, json);
}

void handle_campaign_put(struct api_connection *c) {
    const struct api_source *source = &c->api->source;
    struct query_parameter p[PARAMETERS] = {
        [ID] = { .name = "id" },
        [NAME] = { .name = "name" },
        [KIND] = { .name = "kind" },
        [CHANNEL] = { .name = "channel" },
        [AUDIENCE] = { .name = "audience" },
        [START] = { .name = "start", .type = QUERY_TIME },
        [END] = { .name = "end", .type = QUERY_TIME },
        [FOR] = { .name = "for" },
        [MULTIPLIER] = { .name = "multiplier" },
        [SEQUENCE] = { .name = "sequence", .type = QUERY_UINT },
    };
    char by[PLAN_NAME_BYTES], id[API_CAMPAIGN_ID_BYTES] = "";
    struct api_campaign_order order = { .multiplier = NAN, .id_out = id };
    struct error err = { 0 };
    if (source->put_campaign == NULL) {
        answer_problem(c, 501, "this Tidegate was started without that");
        return;
    }
    if (!query_parse(slice_from(c->request.query), p, PARAMETERS, &err)) {
        answer_error(c, &err);
        return;
    }
    if (!check_texts(c, p) || !read_numbers(c, p, &order)) {
        return;
    }
    name_asker(c, by);
    order.by = slice_from(by);
    order.id = slice_from(p[ID].text);
    order.name = slice_from(p[NAME].text);
    order.kind = slice_from(p[KIND].text);
    order.channel = slice_from(p[CHANNEL].text);
    order.audience = slice_from(p[AUDIENCE].text);
    if (!source->put_campaign(source->self, &order, &err)) {
        answer_refusal(c, &err);
        return;
    }
    answer_campaign(c, id);
}

void handle_campaign_remove(struct api_connection *c) {
    const struct api_source *source = &c->api->source;
    char name[API_TEXT_BYTES], by[PLAN_NAME_BYTES], id[API_CAMPAIGN_ID_BYTES] = "";
    struct error err = { 0 };
    if (source->remove_campaign == NULL) {
        answer_problem(c, 501, "this Tidegate was started without that");
        return;
    }
    if (!query_decode(c->request.rest, name, sizeof name)) {
        answer_problem(c, 404, "no such campaign");
        return;
    }
    name_asker(c, by);
    struct api_campaign_order order = {
        .id = slice_from(name), .by = slice_from(by), .multiplier = NAN, .id_out = id
    };
    if (!source->remove_campaign(source->self, &order, &err)) {
        answer_refusal(c, &err);
        return;
    }
    json_t *json = json_object();
    json_put(json, "removed", json_text(id));
    answer_json(c, 200, json);
}
