/* The first half of a request's life: what it is, where it belongs, what it is worth, whether it
 * may go on. */
#include <string.h>

#include "act/proxy/exchange_internal.h"
#include "act/proxy/waiting.h"
#include "wire/http/block.h"
#include "wire/http/uri.h"
#include "wire/http/visitor.h"

static bool trusts(void *plan, const uint8_t ip[16]) {
    return plan_trusts(plan, ip);
}

/* Behind a trusted peer the visitor is who it says. False when the arena is full. */
static bool find_visitor(struct exchange *x) {
    const struct plan *plan = x->worker->plan;
    uint8_t ip[16];
    if (!x->peer->trusted || plan == NULL) {
        return true;
    }
    const struct visitor_trust trust = { (void *)(uintptr_t)plan, trusts };
    if (!visitor_find(&x->request,
                      plan->forwarded_field ? HTTP_FIELD_FORWARDED : HTTP_FIELD_X_FORWARDED_FOR,
                      &trust, ip)) {
        return true;
    }
    struct client_info *visitor = arena_alloc(&x->arena, sizeof *visitor);
    if (visitor == NULL) {
        return false;
    }
    *visitor = *x->peer;
    visitor->port = 0;
    client_info_set_ip(visitor, ip);
    x->who = visitor;
    memcpy(x->record.client, ip, sizeof x->record.client);
    x->record.client_port = 0;
    return true;
}

void exchange_begin_record(struct exchange *x) {
    struct request_record *r = &x->record;
    r->unix_ms = worker_unix_ms(x->worker);
    r->method = (uint8_t)x->request.method;
    r->protocol = x->request.version;
    r->endpoint = r->service = NO_ENDPOINT;
    memcpy(r->client, x->who->ip, sizeof r->client);
    r->client_port = x->who->port;
}

static void record_path(struct exchange *x, struct slice path) {
    size_t len = path.len < VITALS_PATH_BYTES ? path.len : VITALS_PATH_BYTES;
    memcpy(x->record.path, path.data, len);
    x->record.path_len = (uint8_t)len;
}

static bool has_either(struct slice text, char one, char other) {
    uint32_t found = 0;
    for (size_t at = 0; at < text.len; at += BLOCK_BYTES) {
        block b = block_load_padded((struct slice){ text.data + at, text.len - at }, '\0');
        found |= block_mask((block)(b == one) | (block)(b == other));
    }
    return found != 0;
}

static bool has_upper(struct slice text) {
    uint32_t found = 0;
    for (size_t at = 0; at < text.len; at += BLOCK_BYTES) {
        block b = block_load_padded((struct slice){ text.data + at, text.len - at }, '\0');
        found |= block_mask(block_between(b, 'A', 'Z'));
    }
    return found != 0;
}

/* The path by which routes are found; *path is "/" for "OPTIONS *". */
static bool normalise(struct exchange *x, struct slice *path) {
    struct slice raw = x->request.path;
    if (raw.len == 1 && raw.data[0] == '*') {
        *path = SLICE("/");
        return true;
    }
    if (!has_either(raw, '%', '.')) {
        *path = raw;
        return true;
    }
    char *room = arena_alloc(&x->arena, raw.len + 1);
    return room != NULL && uri_normalise_path(raw, room, raw.len + 1, path);
}

/* In lower case, without the port. */
static struct slice host_of(struct exchange *x) {
    struct slice host = uri_host(x->request.authority);
    if (!has_upper(host)) {
        return host;
    }
    struct slice copy = arena_copy(&x->arena, host);
    char *lower = (char *)(uintptr_t)copy.data;
    for (size_t i = 0; i < copy.len; i++) {
        lower[i] = (char)(lower[i] >= 'A' && lower[i] <= 'Z' ? lower[i] | 0x20 : lower[i]);
    }
    return copy;
}

static const struct plan_route *find_route(struct exchange *x, struct slice path) {
    struct route_query query = {
        .host = host_of(x), .path = path, .head = &x->request, .ip = x->who->ip
    };
    const struct plan_route *route = route_table_find(x->worker->routes, &query);
    if (query.gave_up > 0) {
        vitals_add(&x->worker->own->patterns_gave_up, query.gave_up);
    }
    return route;
}

/* One Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): with several nobody knows which
 * one the service goes by. */
static bool has_key(const struct http_head *head) {
    unsigned keys = 0;
    bool empty = false;
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == HTTP_FIELD_IDEMPOTENCY_KEY) {
            keys++;
            empty |= head->fields[i].value.len == 0;
        }
    }
    return keys == 1 && !empty;
}

void exchange_count_offered(struct exchange *x) {
    if (x->service != NULL) {
        vitals_add(&x->service->vitals->offered[x->record.stage], 1);
    }
}

static void find_service(struct exchange *x, const struct plan_route *route) {
    uint16_t service = x->rule == NULL ? route->service : exchange_choose_service(x, route);
    x->record.stage = route->stage < STAGE_COUNT ? route->stage : STAGE_OTHER;
    if (service == PLAN_NO_SERVICE) {
        return; /* we answer ourselves: nobody's demand */
    }
    x->service = &x->worker->services[service % PLAN_SERVICES_MAX];
    x->record.service = x->service->index;
    x->idempotent = route->idempotent || (x->service->plan.idempotency_key && has_key(&x->request));
    x->compression.on = route->compression == PLAN_DEFAULT ? x->service->plan.compression
                                                           : route->compression == PLAN_ON;
    exchange_read_deadline(x);
    worth_estimate(x);
}

void exchange_admit(struct exchange *x) {
    switch (waiting_admit(x->service, x)) {
    case ADMISSION_GO:
        exchange_go(x);
        break;
    case ADMISSION_WAIT:
        exchange_move(x, EXCHANGE_WAITING);
        x->record.flags |= RECORD_WAITED;
        x->waiting_since_us = exchange_now_us(x);
        exchange_arm(x);
        break;
    case ADMISSION_REFUSE:
        exchange_refuse_overload(x);
        break;
    }
}

/* What we do not serve, whoever asks. */
static bool is_refused(struct exchange *x) {
    uint64_t body_max = exchange_body_max(x);
    if (x->request.method == HTTP_TRACE || x->request.method == HTTP_CONNECT) {
        exchange_answer_and_close(x, 405, REASON_BAD_REQUEST, "This method is not served here.");
        return true;
    }
    if (body_max > 0 && x->request.has_content_length && x->request.content_length > body_max) {
        exchange_answer_and_close(x, 413, REASON_TOO_LARGE, "The request body is too large.");
        return true;
    }
    return false;
}

/* A body of known length is awaited, or its first part, before the service hears of the request:
 * who uploads slowly holds none of its places, and what is here whole can be sent again. Streams
 * have no length, and who asks whether to send at all must hear the service first. */
static bool is_to_be_gathered(const struct exchange *x) {
    const struct http_head *head = &x->request;
    return !x->request_ended && head->has_content_length && !head->upgrade &&
           !head->expect_continue && buffer_len(&x->body) < EXCHANGE_REPLAY_BYTES;
}

void exchange_proceed(struct exchange *x) {
    if (x->rule != NULL && exchange_answer_by_rule(x)) {
        return;
    }
    if (is_to_be_gathered(x)) {
        exchange_move(x, EXCHANGE_GATHERING);
        exchange_resume_client(x); /* it may have been held back while a password was checked */
        exchange_arm(x);
    } else {
        exchange_admit(x);
    }
}

/* True when it has been told that there is no room; perhaps there is by now. */
static bool is_beyond(struct exchange *x) {
    if (!x->peer->beyond || !crowd_is_full(x->worker)) {
        return false;
    }
    crowd_told(x->worker);
    x->record.flags |= RECORD_REFUSED;
    exchange_answer_and_close(x, 503, REASON_OVERLOAD,
                              "More visitors are here than can be served.");
    return true;
}

/* True when it has been refused for all that its client has under way. */
static bool is_one_too_many(struct exchange *x) {
    struct client *client = x->peer->client;
    uint32_t most = x->worker->limits.requests_per_client;
    if (client_is_full(&x->worker->clients, client, most)) {
        x->retry_after_s = 1;
        exchange_answer(x, 429, REASON_CLIENT_LIMIT, "Too many requests at once from here.");
        return true;
    }
    x->counted = most > 0 && client_is_limited(&x->worker->clients, client);
    client->requests += x->counted;
    return false;
}

void exchange_start(struct exchange *x, struct slice raw) {
    struct slice path;
    x->started_us = x->activity_us = exchange_now_us(x);
    exchange_begin_record(x);
    if (!exchange_keep_head(x, raw) || !find_visitor(x)) {
        exchange_refuse_head(x);
        return;
    }
    exchange_log_request(x);
    if (is_beyond(x) || is_one_too_many(x)) {
        return;
    }
    if (!normalise(x, &path)) {
        x->record.flags |= RECORD_BAD_REQUEST;
        exchange_answer_and_close(x, 400, REASON_BAD_REQUEST, "The path is not a path.");
        return;
    }
    record_path(x, path);
    exchange_read_grpc(x);
    if (exchange_ends_here(x)) {
        return;
    }
    if (x->worker->routes == NULL) {
        exchange_answer(x, 503, REASON_NO_ENDPOINT, "The service is about to start.");
        return;
    }
    const struct plan_route *route = find_route(x, path);
    if (route == NULL) {
        exchange_answer(x, 404, REASON_NO_ROUTE, "There is nothing here.");
        return;
    }
    if (route->rule != 0) {
        exchange_take_rule(x, route, path);
    }
    find_service(x, route);
    /* What a rate limit refuses is no demand: nobody shall start instances for it. */
    if (x->rule == NULL || x->rule->rate_count == 0) {
        exchange_count_offered(x);
    }
    exchange_log_route(x, route);
    if (!exchange_set_trace(x)) {
        exchange_refuse_head(x);
    } else if (!is_refused(x) && (x->rule == NULL || exchange_is_allowed(x))) {
        exchange_proceed(x);
    }
}
