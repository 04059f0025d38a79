#include "record/telemetry/decision.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

void decision_init(struct decision *d, int64_t time_ms) {
    *d = (struct decision){ .time_ms = time_ms, .worth = NAN, .noticed_ms = NAN, .healed_ms = NAN };
}

bool decision_ring_init(struct decision_ring *r, size_t capacity) {
    assert(capacity > 0);
    *r = (struct decision_ring){ .capacity = capacity };
    r->items = calloc(capacity, sizeof *r->items);
    return r->items != NULL;
}

void decision_ring_fini(struct decision_ring *r) {
    free(r->items);
    *r = (struct decision_ring){ 0 };
}

void decision_ring_push(struct decision_ring *r, const struct decision *d) {
    r->items[r->next] = *d;
    r->next = (r->next + 1) % r->capacity;
    if (r->len < r->capacity) {
        r->len++;
    }
}

struct decision *decision_ring_at(const struct decision_ring *r, size_t age) {
    if (age >= r->len) {
        return NULL;
    }
    return &r->items[(r->next + r->capacity - 1 - age) % r->capacity];
}

struct decision *decision_ring_find(const struct decision_ring *r, int64_t id) {
    for (size_t age = 0; age < r->len; age++) {
        struct decision *d = decision_ring_at(r, age);
        if (d->id == id) {
            return d;
        }
    }
    return NULL;
}
