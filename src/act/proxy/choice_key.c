/* The key by which maglev finds the endpoint of a request. */
#include <string.h>
#include <xxhash.h>

#include "act/proxy/choice.h"
#include "act/proxy/exchange_internal.h"
#include "act/proxy/worker_internal.h"
#include "decide/balance/balance_config.h"
#include "wire/http/cookie.h"

#define V6_HOST_BYTES 8 /* a /64 is one host's */
#define V6_NETWORK_BYTES 6
#define V4_HOST_BYTES 16 /* ::ffff:a.b.c.d */
#define V4_NETWORK_BYTES 15

static struct slice client_of(const struct exchange *x, bool network) {
    size_t v4 = network ? V4_NETWORK_BYTES : V4_HOST_BYTES;
    size_t v6 = network ? V6_NETWORK_BYTES : V6_HOST_BYTES;
    return slice_of(x->who->ip, x->who->is_v6 ? v6 : v4);
}

static struct slice field_of(const struct exchange *x, struct slice name) {
    const struct http_field *field = http_head_find_name(&x->request, name);
    struct slice none = { 0 };
    return field == NULL ? none : field->value;
}

bool choice_key(const struct service *s, const struct exchange *x, uint64_t *key) {
    struct slice text = { 0 }, name = plan_slice(s->worker->plan, s->plan.balance.hash_name);
    switch ((enum balance_hash)s->plan.balance.hash) {
    case BALANCE_HASH_HEADER:
        text = field_of(x, name);
        break;
    case BALANCE_HASH_COOKIE:
        (void)cookie_find(&x->request, name, &text);
        break;
    case BALANCE_HASH_PATH:
        text = x->request.path;
        break;
    case BALANCE_HASH_CLIENT:
    case BALANCE_HASH_NETWORK:
        text = client_of(x, s->plan.balance.hash == BALANCE_HASH_NETWORK);
        break;
    case BALANCE_HASH_NONE:
        break;
    }
    *key = XXH3_64bits(text.data, text.len);
    return text.len > 0;
}
