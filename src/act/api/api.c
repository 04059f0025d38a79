#include "act/api/api.h"

#include <stdlib.h>

#include "act/api/api_internal.h"

static void on_jobs_done(struct watch *watch, unsigned events) {
    struct api *api = (struct api *)((char *)watch - offsetof(struct api, jobs_done));
    (void)events;
    store_finish_jobs(api->store);
}

static bool copy_hosts(struct api *api, const struct api_options *options, struct error *err) {
    const size_t most = sizeof api->hosts / sizeof api->hosts[0];
    if (options->host_count > most) {
        return error_set(err, ERROR_LIMIT, "at most %zu names of hosts", most);
    }
    for (size_t i = 0; i < options->host_count; i++) {
        if (!slice_copy_text(options->hosts[i], api->hosts[i], sizeof api->hosts[i])) {
            return error_set(err, ERROR_INVALID, "'%.*s' is too long for a host's name",
                             SLICE_ARG(options->hosts[i]));
        }
    }
    api->host_count = options->host_count;
    return true;
}

static bool api_init(struct api *api, const struct api_options *options, struct error *err) {
    if (!decision_ring_init(&api->decisions, API_DECISIONS)) {
        return error_set(err, ERROR_LIMIT, "memory is out");
    }
    if (!access_init(&api->access)) {
        return error_set(err, ERROR_UNAVAILABLE, "no randomness");
    }
    api->access.anonymous = options->anonymous_views ? ROLE_VIEWER : ROLE_NONE;
    if (!copy_hosts(api, options, err) || !server_start(api, options, err)) {
        return false;
    }
    int jobs_fd = api->store != NULL ? store_jobs_fd(api->store) : -1;
    return jobs_fd < 0 ||
           loop_watch(api->loop, &api->jobs_done, jobs_fd, WATCH_READ, on_jobs_done, err);
}

struct api *api_new(const struct api_options *options, struct error *err) {
    struct api *api = calloc(1, sizeof *api);
    if (api == NULL) {
        error_set(err, ERROR_LIMIT, "memory is out");
        return NULL;
    }
    api->loop = options->loop;
    api->source = options->source;
    api->store = options->store;
    api->vitals = options->vitals;
    api->tcp_fd = api->local_fd = api->jobs_done.fd = -1;
    api->tcp.watch.fd = api->local.watch.fd = -1;
    list_init(&api->connections);
    list_init(&api->jobs);
    if (!api_init(api, options, err)) {
        api_free(api);
        return NULL;
    }
    decisions_load(api);
    tokens_load(api);
    return api;
}

void api_free(struct api *api) {
    if (api == NULL) {
        return;
    }
    server_stop(api);
    LIST_EACH(&api->jobs, item, saved) {
        LIST_ITEM(item, struct api_job, link)->api = NULL; /* store_close will finish it */
        list_remove(item);
    }
    if (api->jobs_done.fd >= 0) {
        loop_unwatch(api->loop, &api->jobs_done);
    }
    for (size_t i = 0; i < api->history_count; i++) {
        history_free(api->histories[i]);
    }
    decision_ring_fini(&api->decisions);
    access_fini(&api->access);
    free(api);
}

void api_tick(struct api *api, const struct api_view *view) {
    api->view = view;
    histories_note(api);
    tokens_load(api); /* when it has not worked before */
    callers_check(api);
    events_tick(api);
}

void api_decided(struct api *api, const struct decision *decision) {
    decision_ring_push(&api->decisions, decision);
    events_decision(api, decision);
}

void api_healed(struct api *api, int64_t decision_id, double noticed_ms, double healed_ms) {
    struct decision *d = decision_ring_find(&api->decisions, decision_id);
    if (d != NULL) {
        d->noticed_ms = noticed_ms;
        d->healed_ms = healed_ms;
        events_decision(api, d);
    }
}
