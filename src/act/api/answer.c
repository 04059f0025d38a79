#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "base/clock.h"
#include "base/log.h"
#include "wire/http/date.h"
#include "wire/http/status.h"

#define HEAD_BYTES_MAX 4096
#define DETAIL_BYTES 512

static const char policy_data[] = "default-src 'none'; frame-ancestors 'none'";

/* What every answer says to a browser: nothing of this is for other sites. */
static const struct api_header security[] = {
    { "x-content-type-options", "nosniff" },
    { "referrer-policy", "no-referrer" },
    { "cross-origin-opener-policy", "same-origin" },
    { "cross-origin-resource-policy", "same-origin" },
    { "x-frame-options", "DENY" },
    { NULL, NULL },
};

static void add_headers(struct http_head *head, const struct api_header *headers) {
    for (; headers != NULL && headers->name != NULL; headers++) {
        http_head_add(head, slice_from(headers->name), slice_from(headers->value));
    }
}

static bool has_header(const struct http_head *head, const char *name) {
    return http_head_find_name(head, slice_from(name)) != NULL;
}

static bool write_head(struct buffer *out, const struct api_connection *c,
                       const struct api_answer *answer) {
    struct http_field fields[32];
    struct http_head head;
    char date[HTTP_DATE_BYTES];
    http_head_init(&head, fields, 32);
    head.status = answer->status;
    head.keep_alive = c->keep_alive && !answer->stream;
    head.framing = answer->stream ? HTTP_BODY_UNTIL_CLOSE : HTTP_BODY_LENGTH;
    head.has_content_length = !answer->stream && answer->status != 304;
    head.content_length = answer->body.len;
    if (answer->status == 304) {
        head.framing = HTTP_BODY_NONE;
    }
    http_date_format(clock_unix_ms() / 1000, date);
    http_head_add(&head, SLICE("date"), slice_of(date, HTTP_DATE_BYTES));
    if (answer->type != NULL) {
        http_head_add(&head, SLICE("content-type"), slice_from(answer->type));
    }
    add_headers(&head, answer->headers);
    if (!has_header(&head, "cache-control")) {
        http_head_add(&head, SLICE("cache-control"), SLICE("no-store"));
    }
    add_headers(&head, security);
    const char *policy = answer->policy != NULL ? answer->policy : policy_data;
    http_head_add(&head, SLICE("content-security-policy"), slice_from(policy));
    return h1_write_response_head(out, &head);
}

/* The answer is on its way: the next request, or the end. */
static void after_answer(struct api_connection *c, bool stream) {
    if (stream) {
        c->phase = API_HEARING;
        c->api->event_count++;
        socket_set_timeout(&c->socket, 0);
        socket_resume(&c->socket); /* to hear the end */
    } else if (!c->keep_alive || c->peer_ended) {
        c->phase = API_ENDING;
        socket_finish(&c->socket);
        socket_resume(&c->socket);
    } else {
        c->phase = API_HEAD;
        c->scan = (struct h1_scan){ 0 };
        socket_set_timeout(&c->socket, API_IDLE_TIMEOUT_US);
        if (socket_pending(&c->socket) <= SOCKET_LOW_WATER_BYTES) {
            socket_resume(&c->socket); /* else once it has been read: on_drained */
        }
    }
}

void answer_send(struct api_connection *c, const struct api_answer *answer) {
    struct buffer head;
    buffer_init(&head, HEAD_BYTES_MAX);
    c->job = NULL;
    c->status = answer->status;
    bool sent = write_head(&head, c, answer);
    if (sent) {
        const struct slice parts[] = { buffer_slice(&head), answer->body };
        sent = socket_send(&c->socket, parts, c->head_only || answer->status == 304 ? 1 : 2);
    }
    buffer_fini(&head);
    if (!sent) {
        connection_close(c);
        return;
    }
    after_answer(c, answer->stream);
}

/* ---- JSON ---- */

static int append_json(const char *bytes, size_t len, void *out) {
    return buffer_append(out, slice_of(bytes, len)) ? 0 : -1;
}

bool json_to_buffer(const json_t *json, struct buffer *out) {
    return json_dump_callback(json, append_json, out, JSON_COMPACT | JSON_REAL_PRECISION(10)) == 0;
}

static void answer_json_as(struct api_connection *c, uint16_t status, const char *type,
                           const struct api_header *headers, json_t *json) {
    struct buffer out;
    buffer_init(&out, API_ANSWER_BYTES_MAX);
    if (json != NULL && json_to_buffer(json, &out)) {
        answer_send(c, &(struct api_answer){ .status = status,
                                             .type = type,
                                             .body = buffer_slice(&out),
                                             .headers = headers });
    } else {
        log_warn("api_answer_too_large", "path=%s limit_bytes=%u action=close", c->request.path,
                 API_ANSWER_BYTES_MAX);
        connection_close(c);
    }
    buffer_fini(&out);
    json_decref(json);
}

void answer_json(struct api_connection *c, uint16_t status, json_t *json) {
    answer_json_as(c, status, "application/json", NULL, json);
}

static json_t *problem_json(uint16_t status, const char *detail) {
    json_t *problem = json_object();
    struct slice title = http_status_reason(status);
    json_put(problem, "type", json_string("about:blank"));
    json_put(problem, "title", json_stringn(title.data, title.len));
    json_put(problem, "status", json_integer(status));
    json_put(problem, "detail", json_text(detail));
    return problem;
}

void answer_problem(struct api_connection *c, uint16_t status, const char *format, ...) {
    char detail[DETAIL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    answer_problem_with(c, status, NULL, detail);
}

void answer_problem_with(struct api_connection *c, uint16_t status,
                         const struct api_header *headers, const char *detail) {
    answer_json_as(c, status, "application/problem+json", headers, problem_json(status, detail));
}

void answer_error(struct api_connection *c, const struct error *err) {
    static const uint16_t statuses[] = {
        [ERROR_NONE] = 500,  [ERROR_INVALID] = 400,     [ERROR_NOT_FOUND] = 404, [ERROR_BUSY] = 503,
        [ERROR_LIMIT] = 503, [ERROR_UNAVAILABLE] = 503, [ERROR_SYSTEM] = 500,
    };
    answer_problem(c, statuses[err->kind], "%s", err->text);
}

void answer_refusal(struct api_connection *c, const struct error *err) {
    if (err->kind == ERROR_BUSY) {
        answer_problem(c, 409, "%s", err->text);
    } else {
        answer_error(c, err);
    }
}

json_t *json_lines(struct slice text) {
    struct slice line;
    json_t *lines = json_array();
    while (slice_cut(&text, '\n', &line)) {
        if (line.len > 0) {
            json_array_append_new(lines, json_stringn_nocheck(line.data, line.len));
        }
    }
    return lines;
}

void answer_problem_lines(struct api_connection *c, uint16_t status, const char *detail,
                          struct slice lines) {
    json_t *problem = problem_json(status, detail);
    json_put(problem, "errors", json_lines(lines));
    answer_json_as(c, status, "application/problem+json", NULL, problem);
}
