/* Answers of our own: refusals and failures, said in a few hundred bytes. */

#include <stdio.h>

#include "act/proxy/exchange_internal.h"
#include "act/proxy/waiting.h"
#include "wire/http/date.h"
#include "wire/http/status.h"

#define RETRY_AFTER_BYTES 12
#define ALLOWED "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"
#define OWN_FIELDS_MAX 48 /* of ours, and what a route adds */

static bool wants_html(const struct http_head *request) {
    const struct http_field *accept = http_head_find(request, HTTP_FIELD_ACCEPT);
    return accept != NULL && slice_find_slice(accept->value, SLICE("text/html")) != SLICE_NONE;
}

/* `why` is one of our own texts: nothing of the visitor's is repeated to the visitor. */
static bool write_page(struct buffer *out, uint16_t status, const char *why, bool html) {
    struct slice reason = http_status_reason(status);
    if (!html) {
        return buffer_printf(out, "{\"status\":%u,\"title\":\"%.*s\",\"detail\":\"%s\"}\n", status,
                             SLICE_ARG(reason), why);
    }
    return buffer_printf(out,
                         "<!doctype html><meta charset=utf-8><title>%u %.*s</title>"
                         "<h1>%.*s</h1><p>%s%s\n",
                         status, SLICE_ARG(reason), SLICE_ARG(reason), why,
                         status == 503 ? " Please try again in a moment." : "");
}

static struct slice retry_after(struct exchange *x, char text[RETRY_AFTER_BYTES]) {
    uint32_t seconds = x->retry_after_s > 0 ? x->retry_after_s
                       : x->service == NULL ? 1
                                            : waiting_retry_after_s(x->service);
    int len = snprintf(text, RETRY_AFTER_BYTES, "%u", seconds);
    return slice_of(text, (size_t)len);
}

/* What is sent: an error's page, or a fixed answer. */
struct content {
    uint16_t status;
    struct slice type, body, location;
    bool keep_alive, is_error;
};

static bool has_no_body(uint16_t status) {
    return status == 204 || status == 304;
}

static bool fill_head(struct exchange *x, struct http_head *head, const struct content *c,
                      char seconds[RETRY_AFTER_BYTES]) {
    head->version = 11;
    head->status = c->status;
    head->keep_alive = c->keep_alive;
    head->framing = has_no_body(c->status) ? HTTP_BODY_NONE : HTTP_BODY_LENGTH;
    head->has_content_length = !has_no_body(c->status);
    head->content_length = c->body.len;
    http_head_add(head, SLICE("date"), http_date_now(worker_unix_ms(x->worker) / 1000));
    if (c->type.len > 0 && !has_no_body(c->status)) {
        http_head_add(head, SLICE("content-type"), c->type);
    }
    if (c->location.len > 0) {
        http_head_add(head, SLICE("location"), c->location);
    }
    if (c->is_error) {
        http_head_add(head, SLICE("cache-control"), SLICE("no-store"));
    }
    if (c->is_error && c->status == 405) {
        http_head_add(head, SLICE("allow"), SLICE(ALLOWED));
    }
    if (c->is_error && c->status == 401 && x->challenge.len > 0) {
        http_head_add(head, SLICE("www-authenticate"), x->challenge);
    }
    if (c->is_error && (c->status == 503 || c->status == 429 || x->retry_after_s > 0)) {
        http_head_add(head, SLICE("retry-after"), retry_after(x, seconds));
    }
    return x->rule == NULL || exchange_rewrite_response(x, head);
}

static void send_content(struct exchange *x, const struct content *c) {
    struct http_field fields[OWN_FIELDS_MAX];
    struct http_head head;
    char seconds[RETRY_AFTER_BYTES];
    http_head_init(&head, fields, OWN_FIELDS_MAX);
    if (!fill_head(x, &head, c, seconds)) {
        exchange_finish(x, false);
        return;
    }
    bool bodyless = x->request.method == HTTP_HEAD || has_no_body(c->status);
    if (bodyless) {
        head.framing = HTTP_BODY_NONE;
    }
    x->client->ops->send_head(x->client, &head);
    if (!bodyless && c->body.len > 0) {
        x->client->ops->send_data(x->client, c->body);
        x->record.bytes_out += c->body.len;
    }
    x->client->ops->send_end(x->client, NULL);
    exchange_finish(x, true);
}

static void send_answer(struct exchange *x, uint16_t status, const char *why, bool keep_alive) {
    struct buffer *page = &x->worker->page;
    struct content c = { .status = status, .keep_alive = keep_alive, .is_error = true };
    if (x->grpc) {
        exchange_answer_grpc(x, status, why);
        return;
    }
    if (!exchange_error_page(x, status, &c.type, &c.body)) {
        bool html = wants_html(&x->request);
        buffer_clear(page);
        if (!write_page(page, status, why, html)) {
            exchange_finish(x, false);
            return;
        }
        c.type = html ? SLICE("text/html; charset=utf-8") : SLICE("application/problem+json");
        c.body = buffer_slice(page);
    }
    send_content(x, &c);
}

void exchange_answer_with(struct exchange *x, const struct own_answer *answer) {
    /* A body that nobody reads would be taken for the next request. */
    struct content c = { .status = answer->status,
                         .type = answer->type,
                         .body = answer->body,
                         .location = answer->location,
                         .keep_alive = x->request_ended };
    x->response_begun = true;
    x->record.status = answer->status;
    send_content(x, &c);
}

static void answer(struct exchange *x, uint16_t status, enum record_reason reason, const char *why,
                   bool keep_alive) {
    if (x->record.reason == REASON_NONE) {
        x->record.reason = (uint8_t)reason;
    }
    if (status >= 500 && reason != REASON_OVERLOAD && reason != REASON_RATE_LIMITED) {
        x->record.flags |= RECORD_FAILED;
    }
    if (x->response_begun || x->client == NULL) {
        exchange_finish(x, false);
        return;
    }
    x->response_begun = true;
    x->record.status = status;
    send_answer(x, status, why, keep_alive);
}

void exchange_answer_options(struct exchange *x) {
    struct http_field fields[4];
    struct http_head head;
    http_head_init(&head, fields, 4);
    head.version = 11;
    head.status = x->record.status = 200;
    head.keep_alive = x->request_ended;
    head.framing = HTTP_BODY_LENGTH;
    head.has_content_length = true;
    http_head_add(&head, SLICE("date"), http_date_now(worker_unix_ms(x->worker) / 1000));
    http_head_add(&head, SLICE("allow"), SLICE(ALLOWED));
    x->response_begun = true;
    x->client->ops->send_head(x->client, &head);
    x->client->ops->send_end(x->client, NULL);
    exchange_finish(x, true);
}

void exchange_answer(struct exchange *x, uint16_t status, enum record_reason reason,
                     const char *why) {
    answer(x, status, reason, why, true);
}

void exchange_answer_and_close(struct exchange *x, uint16_t status, enum record_reason reason,
                               const char *why) {
    answer(x, status, reason, why, false);
}

void exchange_refuse(struct exchange *x, uint16_t status, const char *why) {
    bool too_large = status == 413 || status == 414 || status == 431;
    x->started_us = exchange_now_us(x);
    exchange_begin_record(x);
    if (status == 503) {
        exchange_answer_and_close(x, status, REASON_MEMORY, why);
        return;
    }
    x->record.flags |= RECORD_BAD_REQUEST;
    exchange_answer_and_close(x, status, too_large ? REASON_TOO_LARGE : REASON_BAD_REQUEST, why);
}

void exchange_refuse_head(struct exchange *x) {
    if (x->arena.starved) {
        exchange_answer_and_close(x, 503, REASON_MEMORY, "No memory is left.");
    } else {
        exchange_answer_and_close(x, 431, REASON_TOO_LARGE, "The head is too large.");
    }
}

void exchange_refuse_overload(struct exchange *x) {
    x->record.flags |= RECORD_REFUSED;
    exchange_answer(x, 503, REASON_OVERLOAD, "More visitors are here than can be served.");
}
