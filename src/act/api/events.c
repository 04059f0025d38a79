/* Server-sent events: a `tick` a second with the status document, a `decision` at once. What is
 * sent is written once for all who hear; who does not keep up is dropped and may come again. */
#include <stdio.h>
#include <string.h>

#include "act/api/api_internal.h"

static void send_to_all(struct api *api, struct slice bytes) {
    LIST_EACH(&api->connections, item, saved) {
        struct api_connection *c = LIST_ITEM(item, struct api_connection, link);
        if (c->phase != API_HEARING) {
            continue;
        }
        if (socket_pending(&c->socket) + bytes.len > API_EVENT_PENDING_BYTES) {
            api->counters.event_clients_dropped++;
            connection_close(c);
        } else if (!socket_send_slice(&c->socket, bytes)) {
            connection_close(c);
        }
    }
}

/* "event: NAME\n[id: ID\n]data: JSON\n\n". Takes the reference. */
static bool write_event(struct buffer *out, const char *name, int64_t id, json_t *json) {
    bool written = json != NULL && buffer_printf(out, "event: %s\n", name);
    if (id != 0) {
        written = written && buffer_printf(out, "id: %lld\n", (long long)id);
    }
    written = written && buffer_append_text(out, "data: ") && json_to_buffer(json, out) &&
              buffer_append_text(out, "\n\n");
    json_decref(json);
    return written;
}

static void broadcast(struct api *api, const char *name, int64_t id, json_t *json) {
    struct buffer out;
    buffer_init(&out, API_ANSWER_BYTES_MAX);
    if (write_event(&out, name, id, json)) {
        send_to_all(api, buffer_slice(&out));
    }
    buffer_fini(&out);
}

void events_tick(struct api *api) {
    if (api->event_count > 0) {
        broadcast(api, "tick", 0, view_status(api));
    }
}

void events_decision(struct api *api, const struct decision *d) {
    if (api->event_count > 0) {
        broadcast(api, "decision", d->id, decision_json(d));
    }
}

void handle_events(struct api_connection *c) {
    struct api *api = c->api;
    struct buffer first;
    if (api->event_count >= API_EVENT_CLIENTS_MAX) {
        answer_problem(c, 503, "%d clients hear events already", API_EVENT_CLIENTS_MAX);
        return;
    }
    buffer_init(&first, API_ANSWER_BYTES_MAX);
    if (!buffer_append_text(&first, "retry: 1000\n\n") ||
        !write_event(&first, "tick", 0, view_status(api))) {
        connection_close(c);
    } else {
        answer_send(c, &(struct api_answer){ .status = 200,
                                             .type = "text/event-stream",
                                             .body = buffer_slice(&first),
                                             .stream = !c->head_only });
    }
    buffer_fini(&first);
}
