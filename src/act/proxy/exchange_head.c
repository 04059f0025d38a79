/* Heads on their way through: what is taken out, what is added. */
#include <string.h>

#include "act/proxy/compression_flow.h"
#include "act/proxy/exchange_internal.h"
#include "wire/http/block.h"
#include "wire/http/date.h"
#include "wire/http/forwarded.h"

#define TRACEPARENT_BYTES 55 /* 00-<32 hexadecimal digits>-<16>-<2> */

/* ---- keeping ---- */

/* What points into `from` points to the same place in `to`; literals stay as they are. */
static void rebase(struct slice *s, struct slice from, const char *to) {
    if (s->data >= from.data && s->data <= from.data + from.len) {
        s->data = to + (s->data - from.data);
    }
}

bool exchange_keep_head(struct exchange *x, struct slice raw) {
    char *copy = arena_room(&x->arena, raw.len);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, raw.data, raw.len);
    struct http_head *head = &x->request;
    rebase(&head->method_text, raw, copy);
    rebase(&head->scheme, raw, copy);
    rebase(&head->authority, raw, copy);
    rebase(&head->path, raw, copy);
    rebase(&head->query, raw, copy);
    rebase(&head->upgrade_to, raw, copy);
    for (size_t i = 0; i < head->field_count; i++) {
        rebase(&head->fields[i].name, raw, copy);
        rebase(&head->fields[i].value, raw, copy);
    }
    return true;
}

/* ---- trace ---- */

static bool is_lower_hex(struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

static bool all_zero(struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '0') {
            return false;
        }
    }
    return true;
}

/* W3C Trace Context: version 00 exactly; a later version may go on after a dash. */
static bool is_traceparent(struct slice v) {
    if (v.len < TRACEPARENT_BYTES || v.data[2] != '-' || v.data[35] != '-' || v.data[52] != '-' ||
        !is_lower_hex(slice_sub(v, 0, 2)) || !is_lower_hex(slice_sub(v, 3, 32)) ||
        !is_lower_hex(slice_sub(v, 36, 16)) || !is_lower_hex(slice_sub(v, 53, 2))) {
        return false;
    }
    struct slice version = slice_sub(v, 0, 2);
    bool long_enough = slice_equal(version, SLICE("00")) ? v.len == TRACEPARENT_BYTES
                       : v.len > TRACEPARENT_BYTES       ? v.data[TRACEPARENT_BYTES] == '-'
                                                         : true;
    return long_enough && !slice_equal(version, SLICE("ff")) && !all_zero(slice_sub(v, 3, 32)) &&
           !all_zero(slice_sub(v, 36, 16));
}

static uint64_t parse_hex16(const char *text) {
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        value = value << 4 | (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
    }
    return value;
}

/* Sixteen digits at once: each half of a byte in a byte, then 'a' - '9' - 1 more above 9. */
static void put_hex16(char *at, uint64_t value) {
    const uint64_t halves = 0x0f0f0f0f0f0f0f0f;
    uint64_t x = __builtin_bswap64(value); /* the first digits to the low end */
    block high = { 0 }, low = { 0 };
    memcpy(&high, &(uint64_t){ x >> 4 & halves }, sizeof x);
    memcpy(&low, &(uint64_t){ x & halves }, sizeof x);
    block digits = block_interleave(high, low);
    digits += '0' + ((block)(digits > 9) & ('a' - '9' - 1));
    memcpy(at, &digits, sizeof digits);
}

/* Never all zero. */
static uint64_t random_id(struct worker *w) {
    return rand_next(&w->rand) | 1;
}

bool exchange_set_trace(struct exchange *x) {
    const struct http_field *field = http_head_find(&x->request, HTTP_FIELD_TRACEPARENT);
    if (field != NULL && is_traceparent(field->value)) {
        x->record.trace_id_high = parse_hex16(field->value.data + 3);
        x->record.trace_id = parse_hex16(field->value.data + 19);
        return true;
    }
    if (field != NULL) {
        http_head_remove(&x->request, HTTP_FIELD_TRACEPARENT);
    }
    char *text = arena_room(&x->arena, TRACEPARENT_BYTES);
    if (text == NULL) {
        return false;
    }
    x->record.flags |= RECORD_TRACE_BEGUN;
    x->record.trace_id = random_id(x->worker);
    x->record.trace_id_high = random_id(x->worker);
    memcpy(text, "00-", 3);
    put_hex16(text + 3, x->record.trace_id_high);
    put_hex16(text + 19, x->record.trace_id);
    text[35] = '-';
    put_hex16(text + 36, random_id(x->worker));
    /* Sampled: unsampled would switch off tracing in services that follow their parent. */
    memcpy(text + 52, "-01", 3);
    return http_head_add_known(&x->request, HTTP_FIELD_TRACEPARENT,
                               slice_of(text, TRACEPARENT_BYTES));
}

/* ---- request ---- */

static struct slice via_of(const struct exchange *x) {
    const struct plan *plan = x->worker->plan;
    return plan != NULL && plan->via_name.len > 0 ? plan_slice(plan, plan->via_name)
                                                  : SLICE("tidegate");
}

/* "1.1 tidegate": the version in which it was received (RFC 9110 7.6.3). */
static bool add_via(struct exchange *x, struct http_head *head) {
    struct slice name = via_of(x);
    char *text = arena_room(&x->arena, name.len + 4);
    if (text == NULL) {
        return false;
    }
    memcpy(text, head->version >= 20 ? "2.0 " : head->version == 10 ? "1.0 " : "1.1 ", 4);
    slice_put(text + 4, name);
    return http_head_add_known(head, HTTP_FIELD_VIA, slice_of(text, name.len + 4));
}

static bool add_forwarded(struct exchange *x) {
    const struct plan *plan = x->worker->plan;
    struct forwarded_peer peer = {
        .address = { x->peer->ip_text, x->peer->ip_text_len },
        .scheme = x->peer->tls ? SLICE("https") : SLICE("http"),
        .is_v6 = x->peer->is_v6,
        .trusted = x->peer->trusted,
        .speaks_forwarded = plan != NULL && plan->forwarded_field,
        .visitor = { x->who->ip_text, x->who->ip_text_len },
        .visitor_is_v6 = x->who->is_v6,
    };
    return forwarded_set(&x->request, &peer, &x->arena);
}

bool exchange_prepare_request(struct exchange *x) {
    struct http_head *head = &x->request;
    if (x->prepared) {
        return true;
    }
    x->prepared = true;
    http_strip_hop_by_hop(head);
    /* A request with a body that also asks for another protocol is one that two readers may
     * understand differently: the wish is dropped, as RFC 9110 7.8 allows. */
    head->upgrade = head->upgrade && head->framing == HTTP_BODY_NONE;
    if (x->compression.on) {
        compression_on_request(x);
    }
    return add_forwarded(x) && add_via(x, head) && (x->rule == NULL || exchange_rewrite_request(x));
}

/* ---- response ---- */

bool exchange_prepare_response(struct exchange *x, struct http_head *head) {
    http_strip_hop_by_hop(head);
    head->keep_alive = true; /* what the service wishes for its connection is not the client's */
    if (head->status < 200) {
        return head->status != 101 || choice_tell_visitor(x, head); /* a WebSocket's last word */
    }
    if (http_head_find(head, HTTP_FIELD_DATE) == NULL &&
        !http_head_add_known(head, HTTP_FIELD_DATE,
                             http_date_now(worker_unix_ms(x->worker) / 1000))) {
        return false;
    }
    return add_via(x, head) && choice_tell_visitor(x, head) &&
           (x->rule == NULL || exchange_rewrite_response(x, head));
}
