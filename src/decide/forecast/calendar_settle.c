/* One event of what was announced twice. */
#include <math.h>
#include <stdlib.h>

#include "decide/forecast/calendar.h"

/* Of the two the one that holds keeps its place and takes over what it does not say itself. */
static void merge(struct calendar_event *holds, struct calendar_event *other) {
    holds->multiplier = isnan(holds->multiplier) ? other->multiplier : holds->multiplier;
    holds->channel = holds->channel.len > 0 ? holds->channel : other->channel;
    holds->audience = holds->audience.len > 0 ? holds->audience : other->audience;
    other->end_ms = other->start_ms; /* no event any more */
}

static bool is_gone(const struct calendar_event *e) {
    return e->end_ms <= e->start_ms;
}

static int by_uid(const void *a, const void *b) {
    const struct calendar_event *x = *(struct calendar_event *const *)a;
    const struct calendar_event *y = *(struct calendar_event *const *)b;
    int order = slice_compare(x->uid, y->uid);
    if (order == 0) {
        order = (x->sequence > y->sequence) - (x->sequence < y->sequence);
    }
    return order != 0 ? order : (x > y) - (x < y); /* what was added last comes last */
}

static void settle_uids(struct calendar *c) {
    struct calendar_event **sorted = malloc((c->len + 1) * sizeof *sorted);
    for (size_t i = 0; sorted != NULL && i < c->len; i++) {
        sorted[i] = &c->events[i];
    }
    if (sorted != NULL) { /* without memory they are told apart by name only */
        qsort(sorted, c->len, sizeof(struct calendar_event *), by_uid);
        for (size_t i = 1; i < c->len; i++) {
            if (sorted[i]->uid.len > 0 && slice_equal(sorted[i]->uid, sorted[i - 1]->uid)) {
                merge(sorted[i], sorted[i - 1]);
            }
        }
    }
    free(sorted);
}

static void drop_gone(struct calendar *c, bool cancelled_too) {
    size_t kept = 0;
    for (size_t i = 0; i < c->len; i++) {
        if (!is_gone(&c->events[i]) && !(cancelled_too && c->events[i].cancelled)) {
            c->events[kept++] = c->events[i];
        }
    }
    c->len = kept;
}

static bool same(const struct calendar_event *a, const struct calendar_event *b) {
    return slice_equal_fold(a->name, b->name) && a->name.len > 0 &&
           slice_equal_fold(a->kind, b->kind) && a->start_ms < b->end_ms && b->start_ms < a->end_ms;
}

/* Sorted by start; `added` is the order of arrival, which sorting has lost. */
static void settle_names(struct calendar *c) {
    for (size_t i = 0; i < c->len; i++) {
        struct calendar_event *a = &c->events[i];
        for (size_t j = i + 1; j < c->len && c->events[j].start_ms < a->end_ms; j++) {
            struct calendar_event *b = &c->events[j];
            if (is_gone(a) || is_gone(b) || !same(a, b)) {
                continue;
            }
            bool first_holds =
                a->sequence != b->sequence ? a->sequence > b->sequence : a->added > b->added;
            merge(first_holds ? a : b, first_holds ? b : a);
        }
    }
}

void calendar_settle(struct calendar *c) {
    settle_uids(c);
    drop_gone(c, false);
    calendar_sort(c);
    settle_names(c);
    drop_gone(c, true);
}
