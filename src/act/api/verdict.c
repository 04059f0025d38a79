/* The verdict: what somebody woken at three wants to read first. One state, one sentence; the first
 * rule that holds speaks. Trouble: visitors suffer now. Attention: they do not, but somebody should
 * know. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "act/api/api_internal.h"

#define TEXT_BYTES 256
#define NOW_SECONDS 15     /* a failure so recent is trouble */
#define RECENT_SECONDS 300 /* …and so recent is worth a look */
#define SPARE_RATIO 1.05   /* capacity must exceed demand by this to be called enough */

enum verdict_state { VERDICT_OK, VERDICT_ATTENTION, VERDICT_TROUBLE };
static const char *const state_names[] = { "ok", "attention", "trouble" };

struct verdict {
    enum verdict_state state;
    char text[TEXT_BYTES];
};

struct census {
    unsigned by_state[ENDPOINT_STATES];
    unsigned maintained;
};

static void say(struct verdict *v, enum verdict_state state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A worse one replaces; among equals the first speaks. */
static void say(struct verdict *v, enum verdict_state state, const char *format, ...) {
    if (v->text[0] != '\0' && state <= v->state) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(v->text, sizeof v->text, format, args);
    va_end(args);
    v->state = state;
}

static struct census count_instances(const struct api_view *view, const struct api_service *s) {
    struct census census = { .maintained = 0 };
    for (uint32_t i = 0; i < view->instance_count; i++) {
        if (&view->services[view->instances[i].service] == s) {
            census.by_state[view->instances[i].state]++;
            census.maintained += view->instances[i].maintenance != NULL;
        }
    }
    return census;
}

static void judge_instances(struct verdict *v, const struct api_view *view,
                            const struct api_service *s) {
    struct census census = count_instances(view, s);
    const char *name = s->name;
    if (census.by_state[ENDPOINT_SERVING] == 0) {
        if (s->trouble[0] != '\0') {
            say(v, VERDICT_TROUBLE, "%s: no instance serves. %.180s", name, s->trouble);
        } else if (census.maintained > 0) {
            say(v, VERDICT_TROUBLE, "%s: no instance serves, %u are in maintenance", name,
                census.maintained);
        } else {
            say(v, VERDICT_TROUBLE, "%s: no instance serves, %u are starting", name,
                census.by_state[ENDPOINT_STARTING]);
        }
    } else if (s->trouble[0] != '\0') {
        say(v, VERDICT_ATTENTION, "%s: %.200s", name, s->trouble);
    }
    if (census.by_state[ENDPOINT_EJECTED] > 0) {
        say(v, VERDICT_ATTENTION, "%s: %u of %u instances out of rotation", name,
            census.by_state[ENDPOINT_EJECTED],
            census.by_state[ENDPOINT_EJECTED] + census.by_state[ENDPOINT_SERVING]);
    }
}

static void judge_requests(struct verdict *v, struct api *api, const struct api_service *s) {
    const struct history *h = history_of(api, slice_from(s->name));
    int64_t now_ms = api->view->now_ms;
    if (h == NULL) {
        return;
    }
    double failed = history_failed(h, now_ms, NOW_SECONDS);
    double refused = history_refused(h, now_ms, NOW_SECONDS);
    if (failed >= 0.5) {
        say(v, VERDICT_TROUBLE, "%s: %.0f requests failed in the last %d s", s->name, failed,
            NOW_SECONDS);
    }
    if (refused >= 0.5) {
        say(v, VERDICT_TROUBLE,
            "%s is overloaded: %.0f requests turned away in the last %d s, the least valuable "
            "first",
            s->name, refused, NOW_SECONDS);
    }
    failed = history_failed(h, now_ms, RECENT_SECONDS);
    if (failed >= 0.5) {
        say(v, VERDICT_ATTENTION, "%s recovered: %.0f requests failed in the last 5 minutes",
            s->name, failed);
    }
    refused = history_refused(h, now_ms, RECENT_SECONDS);
    if (refused >= 0.5) {
        say(v, VERDICT_ATTENTION, "%s recovered: %.0f requests turned away in the last 5 minutes",
            s->name, refused);
    }
}

static void judge_speed(struct verdict *v, const struct api_service *s) {
    if (s->within_objective_ratio < s->objective_share_ratio) {
        say(v, VERDICT_ATTENTION,
            "%s is slow: %.1f %% of the last minute's answers within %.0f ms, wanted %.1f %%",
            s->name, s->within_objective_ratio * 100, s->objective_ms,
            s->objective_share_ratio * 100);
    }
    if (s->capacity_rps > 0 && s->demand_rps * SPARE_RATIO > s->capacity_rps) {
        say(v, VERDICT_ATTENTION, "%s is nearly full: %.0f requests/s offered, capacity %.0f",
            s->name, s->demand_rps, s->capacity_rps);
    }
}

static void judge_storage(struct verdict *v, const struct api_view *view) {
    for (uint32_t i = 0; i < view->volume_count; i++) {
        const struct api_volume *volume = &view->volumes[i];
        if (volume->configured && strcmp(volume->state, "full") == 0) {
            say(v, VERDICT_ATTENTION, "%.80s is full: %.160s", volume->path, volume->text);
        } else if (volume->configured && strcmp(volume->state, "grow") == 0) {
            say(v, VERDICT_ATTENTION, "%.80s fills: %.160s", volume->path, volume->text);
        }
    }
}

static void judge_ourselves(struct verdict *v, struct api *api) {
    if (api->view->draining) {
        say(v, VERDICT_ATTENTION, "Tidegate is draining and will end");
    }
    if (api->store != NULL) {
        struct store_health health = store_health(api->store);
        if (!health.writing && health.failed_attempts > 0) {
            say(v, VERDICT_ATTENTION, "The store is not written (%.100s); traffic is not affected",
                health.trouble);
        }
    }
}

static void all_is_well(struct verdict *v, const struct api_view *view) {
    double offered = 0, capacity = 0;
    unsigned serving = 0, services = 0;
    for (uint32_t i = 0; i < view->service_count; i++) {
        const struct api_service *s = &view->services[i];
        if (s->name[0] != '\0') {
            offered += isnan(s->demand_rps) ? 0 : s->demand_rps;
            capacity += isnan(s->capacity_rps) ? 0 : s->capacity_rps;
            serving += count_instances(view, s).by_state[ENDPOINT_SERVING];
            services++;
        }
    }
    if (services == 0) {
        say(v, VERDICT_ATTENTION, "No service is configured: there is nothing to carry");
    } else if (capacity > 0 && offered >= 0.05 * capacity) {
        say(v, VERDICT_OK, "All is well: every request is served, capacity is %.1f times demand",
            capacity / offered);
    } else {
        say(v, VERDICT_OK, "All is well: every request is served, %u instance%s ready", serving,
            serving == 1 ? " is" : "s are");
    }
}

json_t *verdict_json(struct api *api) {
    struct verdict v = { .state = VERDICT_OK };
    const struct api_view *view = api->view;
    for (uint32_t i = 0; i < view->service_count; i++) {
        const struct api_service *s = &view->services[i];
        if (s->name[0] != '\0') {
            judge_instances(&v, view, s);
            judge_requests(&v, api, s);
            judge_speed(&v, s);
        }
    }
    judge_ourselves(&v, api);
    judge_storage(&v, view);
    all_is_well(&v, view);
    json_t *json = json_object();
    json_put(json, "state", json_string(state_names[v.state]));
    json_put(json, "text", json_text(v.text));
    return json;
}
