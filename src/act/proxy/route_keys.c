/* The keys of tokens: each file is read once, however many routes name it. */
#include <stdlib.h>

#include "act/proxy/route_table_internal.h"
#include "base/log.h"

static bool same(struct plan_text a, struct plan_text b) {
    return a.offset == b.offset && a.len == b.len; /* shared by the planner */
}

/* Of an earlier one with the same text; NULL: there is none. */
static struct jwt_keys *find(const struct route_table *t, uint32_t before) {
    for (uint32_t i = 0; i < before; i++) {
        if (same(t->jwts[i].keys, t->jwts[before].keys)) {
            return t->jwt_keys[i];
        }
    }
    return NULL;
}

bool route_keys_compile(struct route_table *t) {
    t->jwt_keys = calloc(t->jwt_count + 1, sizeof *t->jwt_keys);
    for (uint32_t i = 0; t->jwt_keys != NULL && i < t->jwt_count; i++) {
        struct error err;
        t->jwt_keys[i] = find(t, i);
        if (t->jwt_keys[i] == NULL) {
            t->jwt_keys[i] = jwt_keys_new(route_text(t, t->jwts[i].keys), &err);
        }
        if (t->jwt_keys[i] == NULL) {
            log_error("jwt_keys_not_read", "error=\"%s\" action=refuse_all_tokens", err.text);
        }
    }
    return t->jwt_keys != NULL;
}

void route_keys_free(struct route_table *t) {
    for (uint32_t i = 0; t->jwt_keys != NULL && i < t->jwt_count; i++) {
        if (find(t, i) == NULL) {
            jwt_keys_free(t->jwt_keys[i]);
        }
    }
    free(t->jwt_keys);
}
