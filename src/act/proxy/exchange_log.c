/* What the access log wants to know of an exchange beyond its record: slices into the request's
 * arena, taken before anything is rewritten, copied beside the record at the end. Nothing of it is
 * done while the plan says that nobody logs. */
#include "act/proxy/exchange_internal.h"
#include "act/proxy/rule.h"

static struct slice value_of(const struct http_head *head, enum http_field_id id) {
    const struct http_field *field = http_head_find(head, id);
    return field == NULL ? SLICE("") : field->value;
}

static struct slice without_query(struct slice url) {
    size_t mark = slice_find(url, '?');
    return mark == SLICE_NONE ? url : slice_sub(url, 0, mark);
}

static bool is_wanted(const struct exchange *x) {
    return x->worker->plan != NULL && x->worker->plan->log_texts;
}

static void clear(struct exchange *x) {
    for (unsigned i = 0; i < RECORD_TEXT_COUNT; i++) {
        x->texts[i] = SLICE("");
    }
    x->logged = true;
}

void exchange_log_request(struct exchange *x) {
    const struct http_head *head = &x->request;
    if (!is_wanted(x)) {
        return;
    }
    clear(x);
    bool query = x->worker->plan->log_query;
    struct slice referer = value_of(head, HTTP_FIELD_REFERER);
    x->texts[RECORD_TEXT_PATH] = head->path;
    x->texts[RECORD_TEXT_HOST] = head->authority;
    x->texts[RECORD_TEXT_AGENT] = value_of(head, HTTP_FIELD_USER_AGENT);
    x->texts[RECORD_TEXT_REFERER] = query ? referer : without_query(referer);
    if (query && head->has_query) {
        x->texts[RECORD_TEXT_QUERY] = head->query;
        x->record.flags |= RECORD_HAS_QUERY;
    }
    if (head->method == HTTP_METHOD_OTHER) {
        x->texts[RECORD_TEXT_METHOD] = head->method_text;
    }
}

void exchange_log_route(struct exchange *x, const struct plan_route *route) {
    if (x->logged) { /* the plan may be gone when the request ends */
        x->texts[RECORD_TEXT_ROUTE] =
            arena_copy(&x->arena, rule_text(x->worker->routes, route->prefix));
    }
}

void exchange_log_endpoint(struct exchange *x, uint16_t slot) {
    if (x->logged) {
        x->texts[RECORD_TEXT_ENDPOINT] =
            arena_copy(&x->arena, slice_from(x->worker->plan->endpoints[slot].id));
    }
}

void exchange_log_bad_head(struct exchange *x, struct slice raw) {
    if (!is_wanted(x)) {
        return;
    }
    struct slice line = slice_sub(raw, 0, EXCHANGE_LOG_LINE_BYTES);
    size_t end = slice_find(line, '\n');
    line = end == SLICE_NONE ? line : slice_sub(line, 0, end);
    line.len -= slice_ends_with(line, SLICE("\r"));
    if (!x->worker->plan->log_query) {
        line = without_query(line);
    }
    clear(x);
    x->texts[RECORD_TEXT_LINE] = arena_copy(&x->arena, line);
}

void exchange_log_end(struct exchange *x) {
    x->record.attempts = x->attempts;
    if (x->logged) {
        if (x->record.trace_id == 0 && x->texts[RECORD_TEXT_PATH].len > 0) {
            (void)exchange_set_trace(x); /* answered by ourselves before it got that far */
        }
        vitals_record_with_texts(x->worker->own, &x->record, x->texts);
    } else {
        vitals_record(x->worker->own, &x->record);
    }
}

void exchange_log_late_head(struct worker *w, const struct client_info *who) {
    struct request_record record = {
        .unix_ms = worker_unix_ms(w),
        .status = 408,
        .reason = REASON_CLIENT_TIMEOUT,
        .flags = RECORD_BAD_REQUEST,
        .service = NO_ENDPOINT,
        .endpoint = NO_ENDPOINT,
        .client_port = who->port,
    };
    for (unsigned i = 0; i < sizeof record.client; i++) {
        record.client[i] = who->ip[i];
    }
    vitals_record(w->own, &record);
}
