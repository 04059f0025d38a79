/* Sticky visitors: a cookie that names the endpoint, by a tag of the controller's making
 * (act/control/sticky.h). */
#include <string.h>

#include "act/proxy/choice.h"
#include "act/proxy/exchange_internal.h"
#include "act/proxy/worker_internal.h"
#include "decide/balance/balance_config.h"
#include "wire/http/cookie.h"

#define TAG_DIGITS 16

/* 0: that is none. */
static uint64_t parse_tag(struct slice text) {
    uint64_t tag = 0;
    for (size_t i = 0; i < TAG_DIGITS && text.len == TAG_DIGITS; i++) {
        char c = text.data[i];
        bool letter = c >= 'a' && c <= 'f';
        if (!letter && (c < '0' || c > '9')) {
            return 0;
        }
        tag = tag << 4 | (uint64_t)(letter ? c - 'a' + 10 : c - '0');
    }
    return tag;
}

static uint16_t slot_of(const struct service *s, uint64_t tag) {
    for (uint32_t i = 0; i < s->serving_count; i++) {
        if (s->worker->endpoints[s->serving[i]].sticky_tag == tag) {
            return s->serving[i];
        }
    }
    return NO_ENDPOINT;
}

uint16_t choice_by_cookie(const struct service *s, struct exchange *x) {
    struct slice value = { 0 };
    struct slice name = plan_slice(s->worker->plan, s->plan.balance.cookie);
    (void)cookie_find(&x->request, name, &value);
    x->sticky_tag = parse_tag(value);
    uint16_t slot = x->sticky_tag == 0 ? NO_ENDPOINT : slot_of(s, x->sticky_tag);
    return slot != NO_ENDPOINT && choice_is_good(s, x, slot) ? slot : NO_ENDPOINT;
}

bool choice_tell_visitor(struct exchange *x, struct http_head *head) {
    const struct plan_balance *balance = &x->service->plan.balance;
    if (balance->cookie.len == 0 || x->attempt->endpoint == NO_ENDPOINT) {
        return true;
    }
    uint64_t tag = x->worker->endpoints[x->attempt->endpoint].sticky_tag;
    if (tag == 0 || tag == x->sticky_tag) {
        return true;
    }
    struct slice name = plan_slice(x->worker->plan, balance->cookie);
    struct slice attributes = plan_slice(x->worker->plan, balance->cookie_attributes);
    bool secure = balance->secure == STICKY_SECURE_ALWAYS ||
                  (balance->secure == STICKY_SECURE_AUTO && x->peer->tls);
    struct slice end = secure ? SLICE("; Secure") : SLICE("");
    size_t len = name.len + 1 + TAG_DIGITS + attributes.len + end.len;
    char *text = arena_alloc(&x->arena, len), *at = text;
    if (text == NULL) {
        return false;
    }
    memcpy(at, name.data, name.len);
    at += name.len;
    *at++ = '=';
    for (int shift = 60; shift >= 0; shift -= 4) {
        *at++ = "0123456789abcdef"[tag >> shift & 15];
    }
    memcpy(at, attributes.data, attributes.len);
    memcpy(at + attributes.len, end.data, end.len);
    return http_head_add_known(head, HTTP_FIELD_SET_COOKIE, slice_of(text, len));
}
