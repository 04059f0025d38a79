/* The server's connections: accepted, read, parsed, and given to route_request. One request at a
 * time on a connection: the socket is paused until its answer is on the way. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "act/api/api_internal.h"
#include "base/log.h"

#define LOCAL_CONNECTIONS_MAX 64 /* on the Unix socket; not taken from those of TCP */

/* ---- closing ---- */

void connection_close(struct api_connection *c) {
    if (c->phase == API_HEARING) {
        c->api->event_count--;
    }
    if (c->job != NULL) {
        c->job->connection = NULL; /* it runs to its end for nobody */
        c->job = NULL;
    }
    if (c->local) {
        c->api->local_count--;
    } else {
        c->api->connection_count--;
    }
    c->phase = API_ENDING;
    c->api = NULL;
    list_remove(&c->link);
    socket_close(&c->socket);
}

static struct api_connection *connection_of(struct socket *socket) {
    return (struct api_connection *)((char *)socket - offsetof(struct api_connection, socket));
}

static void on_closed(struct socket *socket) {
    free(connection_of(socket));
}

static void on_failed(struct socket *socket, int system_errno) {
    (void)system_errno;
    connection_close(connection_of(socket));
}

static void on_timeout(struct socket *socket) {
    connection_close(connection_of(socket));
}

static void on_end(struct socket *socket) {
    struct api_connection *c = connection_of(socket);
    c->peer_ended = true;
    if (c->phase == API_HEAD || c->phase == API_BODY || c->phase == API_HEARING) {
        connection_close(c);
    }
}

static void on_drained(struct socket *socket) {
    struct api_connection *c = connection_of(socket);
    if (c->phase == API_ENDING && socket_finished(socket)) {
        connection_close(c);
    } else if (c->phase == API_HEAD) {
        socket_resume(socket);
    }
}

/* ---- reading ---- */

/* One that does not fit is cut to what can't be mistaken for a good one. */
static void copy_value(const struct http_field *field, char *out, size_t out_bytes) {
    out[0] = '\0';
    if (field != NULL && !slice_copy_text(field->value, out, out_bytes)) {
        snprintf(out, out_bytes, "?");
    }
}

static void copy_field(const struct http_head *head, enum http_field_id id, char *out,
                       size_t out_bytes) {
    copy_value(http_head_find(head, id), out, out_bytes);
}

/* False after an answer. */
static bool copy_request(struct api_connection *c, const struct http_head *head) {
    struct api_request *r = &c->request;
    const struct http_field *etag = http_head_find_name(head, SLICE("if-none-match"));
    const struct http_field *encodings = http_head_find_name(head, SLICE("accept-encoding"));
    const struct http_field *accept = http_head_find(head, HTTP_FIELD_ACCEPT);
    r->method = head->method;
    r->accepts_gzip = encodings != NULL && http_list_has(encodings->value, SLICE("gzip"));
    r->accepts_openmetrics =
        accept != NULL &&
        slice_find_slice(accept->value, SLICE("application/openmetrics-text")) != SLICE_NONE;
    const struct http_field *site = http_head_find_name(head, SLICE("sec-fetch-site"));
    const struct http_field *origin = http_head_find_name(head, SLICE("origin"));
    copy_field(head, HTTP_FIELD_AUTHORIZATION, r->authorization, sizeof r->authorization);
    copy_value(site, r->fetch_site, sizeof r->fetch_site);
    copy_value(origin, r->origin, sizeof r->origin);
    if (etag == NULL || !slice_copy_text(etag->value, r->if_none_match, sizeof r->if_none_match)) {
        r->if_none_match[0] = '\0';
    }
    if (!slice_copy_text(head->authority, r->host, sizeof r->host)) {
        copy_field(head, HTTP_FIELD_HOST, r->host, sizeof r->host);
    }
    if (!slice_copy_text(head->path, r->path, sizeof r->path) ||
        !slice_copy_text(head->query, r->query, sizeof r->query)) {
        c->keep_alive = false;
        answer_problem(c, 414, "the path may have %d bytes, the query %d", API_PATH_BYTES - 1,
                       API_QUERY_BYTES - 1);
        return false;
    }
    return true;
}

static void refuse_body(struct api_connection *c) {
    c->keep_alive = false;
    answer_problem(c, 413, "a body may have %d bytes", API_BODY_BYTES_MAX);
}

static size_t read_head(struct api_connection *c, struct slice data) {
    struct http_field fields[H1_FIELDS_DEFAULT];
    struct http_head head;
    struct h1_problem problem;
    size_t consumed = 0;
    http_head_init(&head, fields, H1_FIELDS_DEFAULT);
    switch (h1_parse_request(data, &h1_limits_default, &c->scan, &head, &consumed, &problem)) {
    case H1_MORE:
        return 0;
    case H1_BAD:
        c->keep_alive = c->head_only = false;
        answer_problem(c, problem.status, "%s", problem.reason);
        return data.len;
    case H1_DONE:
        break;
    }
    c->keep_alive = head.keep_alive;
    c->head_only = head.method == HTTP_HEAD;
    c->body_bytes = 0;
    h1_body_init(&c->body, &head, &h1_limits_default);
    c->phase = API_BODY;
    socket_set_timeout(&c->socket, API_HEAD_TIMEOUT_US);
    if (!copy_request(c, &head)) {
        return data.len;
    }
    if (head.framing == HTTP_BODY_LENGTH && head.content_length > API_BODY_BYTES_MAX) {
        refuse_body(c);
        return data.len;
    }
    if (head.expect_continue) {
        socket_send_slice(&c->socket, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    return consumed;
}

/* No request of this API needs its body: it is read and dropped. */
static size_t read_body(struct api_connection *c, struct slice data) {
    size_t consumed = 0;
    for (;;) {
        struct h1_body_event event = h1_body_next(&c->body, slice_skip(data, consumed), NULL);
        consumed += event.consumed;
        c->body_bytes += (uint32_t)event.data.len;
        if (event.kind == H1_BODY_MORE && c->body_bytes <= API_BODY_BYTES_MAX) {
            return consumed;
        }
        if (event.kind == H1_BODY_END) {
            c->phase = API_ANSWERING;
            socket_pause(&c->socket);
            socket_set_timeout(&c->socket, API_IDLE_TIMEOUT_US);
            c->api->counters.requests++;
            route_request(c);
            return consumed;
        }
        if (event.kind == H1_BODY_BAD || c->body_bytes > API_BODY_BYTES_MAX) {
            if (event.kind == H1_BODY_BAD) {
                c->keep_alive = false;
                answer_problem(c, 400, "%s", event.reason);
            } else {
                refuse_body(c);
            }
            return data.len;
        }
    }
}

static size_t on_data(struct socket *socket, struct slice data) {
    struct api_connection *c = connection_of(socket);
    size_t consumed = 0, before;
    do { /* several requests may have come at once; a paused socket offers the rest again */
        before = consumed;
        if (c->phase == API_HEARING || c->phase == API_ENDING) {
            return data.len; /* whoever hears events has nothing more to say */
        }
        if (c->phase == API_HEAD && !socket->paused) {
            consumed += read_head(c, slice_skip(data, consumed));
        }
        if (c->phase == API_BODY) {
            consumed += read_body(c, slice_skip(data, consumed));
        }
    } while (consumed > before && consumed < data.len);
    return consumed;
}

static const struct socket_handler handler = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
    .on_timeout = on_timeout,
    .on_closed = on_closed,
};

/* ---- accepting ---- */

/* The connection that has waited longest for its next request gives way to a new one. */
static bool make_room(struct api *api) {
    LIST_EACH(&api->connections, item, saved) {
        struct api_connection *c = LIST_ITEM(item, struct api_connection, link);
        if (!c->local && c->phase == API_HEAD) {
            connection_close(c);
            return true;
        }
    }
    return false;
}

static bool has_room(struct api *api, bool local) {
    if (local) {
        return api->local_count < LOCAL_CONNECTIONS_MAX;
    }
    return api->connection_count < API_CONNECTIONS_MAX || make_room(api);
}

/* `peer` NULL: over the Unix socket. */
static void accept_connection(struct api *api, int fd, const struct address *peer) {
    struct error err;
    bool local = peer == NULL;
    struct api_connection *c = has_room(api, local) ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        api->counters.connections_refused++;
        close(fd);
        return;
    }
    if (!socket_accept(&c->socket, api->loop, fd, &handler, &err)) {
        log_warn("api_accept_failed", "error=\"%s\" action=drop_it", err.text);
        free(c);
        return;
    }
    c->api = api;
    c->local = local;
    if (local) {
        caller_local(c, fd);
    } else {
        caller_remote(c, peer);
    }
    *(local ? &api->local_count : &api->connection_count) += 1;
    list_append(&api->connections, &c->link);
    socket_set_timeout(&c->socket, API_HEAD_TIMEOUT_US);
}

static void on_accept_tcp(struct listener *listener, int fd, const struct address *peer) {
    accept_connection(listener->owner, fd, peer);
}

static void on_accept_local(struct listener *listener, int fd, const struct address *peer) {
    (void)peer;
    accept_connection(listener->owner, fd, NULL);
}

/* ---- listening ---- */

static bool listen_tcp(struct api *api, struct slice text, struct error *err) {
    struct address address;
    return address_parse(text, 0, &address, err) && listener_open(&address, &api->tcp_fd, err) &&
           listener_start(&api->tcp, api->loop, api->tcp_fd, api, on_accept_tcp, err);
}

static bool listen_local(struct api *api, const char *path, struct error *err) {
    char text[ADDRESS_TEXT_BYTES];
    struct address address;
    int len = snprintf(text, sizeof text, "unix:%s", path);
    if (len < 0 || (size_t)len >= sizeof text) {
        return error_set(err, ERROR_LIMIT, "the path of the control socket, %s, is too long", path);
    }
    /* Never open to others, not even between bind and chmod. */
    mode_t before = umask(0177);
    bool opened = address_parse(slice_from(text), 0, &address, err) &&
                  listener_open(&address, &api->local_fd, err);
    umask(before);
    return opened &&
           listener_start(&api->local, api->loop, api->local_fd, api, on_accept_local, err);
}

bool server_start(struct api *api, const struct api_options *options, struct error *err) {
    if (options->tcp_address.len > 0 && !listen_tcp(api, options->tcp_address, err)) {
        return error_wrap(err, "admin address %.*s", SLICE_ARG(options->tcp_address));
    }
    if (options->socket_path != NULL && !listen_local(api, options->socket_path, err)) {
        return error_wrap(err, "control socket");
    }
    return true;
}

void server_stop(struct api *api) {
    listener_stop(&api->tcp);
    listener_stop(&api->local);
    if (api->tcp_fd >= 0) {
        close(api->tcp_fd);
    }
    if (api->local_fd >= 0) {
        close(api->local_fd);
    }
    LIST_EACH(&api->connections, item, saved) {
        connection_close(LIST_ITEM(item, struct api_connection, link));
    }
}
