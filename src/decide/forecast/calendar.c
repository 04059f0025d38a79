#include "decide/forecast/calendar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decide/forecast/calendar_internal.h"
#include "record/series/series.h"

#define ARENA_BYTES_MAX (64u << 20)

void calendar_init(struct calendar *c) {
    *c = (struct calendar){ 0 };
    arena_init(&c->arena, ARENA_BYTES_MAX);
}

void calendar_fini(struct calendar *c) {
    if (c == NULL) {
        return;
    }
    free(c->events);
    arena_fini(&c->arena);
    *c = (struct calendar){ 0 };
}

static bool grow(struct calendar *c) {
    size_t capacity = c->capacity == 0 ? 64 : c->capacity * 2;
    struct calendar_event *moved = realloc(c->events, capacity * sizeof *moved);
    if (moved == NULL) {
        return false;
    }
    c->events = moved;
    c->capacity = capacity;
    return true;
}

/* Past the limit further kinds share the last one: their effect is learned together. */
static uint32_t kind_index(struct calendar *c, struct slice kind) {
    for (size_t i = 0; i < c->kind_count; i++) {
        if (slice_equal(c->kinds[i], kind)) {
            return (uint32_t)i;
        }
    }
    if (c->kind_count < CALENDAR_KINDS_MAX) {
        c->kinds[c->kind_count++] = kind;
    }
    return (uint32_t)(c->kind_count - 1);
}

bool calendar_add(struct calendar *c, const struct calendar_event *event, struct error *err) {
    if (event->end_ms <= event->start_ms) {
        return error_set(err, ERROR_INVALID, "expected an end after the start");
    }
    if (c->len >= CALENDAR_EVENTS_MAX) {
        return error_set(err, ERROR_LIMIT, "expected at most %d events", CALENDAR_EVENTS_MAX);
    }
    struct calendar_event copy = *event;
    copy.name = arena_copy(&c->arena, event->name);
    copy.kind = arena_copy(&c->arena, event->kind.len > 0 ? event->kind : SLICE("campaign"));
    copy.channel = arena_copy(&c->arena, event->channel);
    copy.audience = arena_copy(&c->arena, event->audience);
    copy.uid = arena_copy(&c->arena, event->uid);
    bool copied = copy.name.data != NULL && copy.kind.data != NULL && copy.channel.data != NULL &&
                  copy.audience.data != NULL && copy.uid.data != NULL;
    if ((c->len == c->capacity && !grow(c)) || !copied) {
        return error_set(err, ERROR_LIMIT, "no memory for %zu events", c->len + 1);
    }
    copy.kind_index = kind_index(c, copy.kind);
    copy.added = c->added++;
    c->events[c->len++] = copy;
    if (copy.end_ms - copy.start_ms > c->longest_ms) {
        c->longest_ms = copy.end_ms - copy.start_ms;
    }
    return true;
}

static int by_start(const void *a, const void *b) {
    const struct calendar_event *x = a, *y = b;
    if (x->start_ms != y->start_ms) {
        return x->start_ms < y->start_ms ? -1 : 1;
    }
    return (x->end_ms > y->end_ms) - (x->end_ms < y->end_ms);
}

void calendar_sort(struct calendar *c) {
    if (c->len > 1) {
        qsort(c->events, c->len, sizeof *c->events, by_start);
    }
}

bool calendar_parse(struct calendar *c, struct slice text, const char *name,
                    struct calendar_window window, struct error *err) {
    size_t before = c->len, kinds_before = c->kind_count;
    bool ical = slice_starts_with(text, SLICE("BEGIN:VCALENDAR")) ||
                slice_starts_with(text, SLICE("\xef\xbb\xbf"
                                              "BEGIN:VCALENDAR"));
    bool ok = ical ? calendar_parse_ical(c, text, name, window, err)
                   : calendar_parse_csv(c, text, name, err);
    if (!ok) {
        c->len = before; /* nothing is half read */
        c->kind_count = kinds_before;
    }
    if (c->raw) {
        calendar_sort(c);
    } else {
        calendar_settle(c);
    }
    return ok;
}

bool calendar_read(struct calendar *c, const char *path, struct calendar_window window,
                   struct error *err) {
    char *data = NULL;
    size_t len = 0;
    if (!series_load_file(path, CALENDAR_BYTES_MAX, &data, &len, err)) {
        return false;
    }
    bool ok = calendar_parse(c, slice_of(data, len), path, window, err);
    free(data);
    return ok;
}

bool calendar_is_ordinary(const struct calendar_event *event) {
    return slice_equal(event->kind, SLICE(CALENDAR_HOLIDAY)) ||
           slice_starts_with(event->kind, SLICE(CALENDAR_HOLIDAY ": ")) || event->multiplier <= 1;
}

bool calendar_copy(struct calendar *c, const struct calendar *from, bool ordinary,
                   struct error *err) {
    for (size_t i = 0; i < from->len; i++) {
        if ((!ordinary || calendar_is_ordinary(&from->events[i])) &&
            !calendar_add(c, &from->events[i], err)) {
            return false;
        }
    }
    calendar_sort(c);
    return true;
}

size_t calendar_first_touching(const struct calendar *c, int64_t from_ms) {
    size_t low = 0, high = c->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->events[middle].start_ms + c->longest_ms <= from_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

double calendar_share(const struct calendar_event *e, int64_t from_ms, int64_t to_ms,
                      int64_t lead_ms) {
    int64_t start = e->start_ms - lead_ms > from_ms ? e->start_ms - lead_ms : from_ms;
    int64_t end = e->end_ms < to_ms ? e->end_ms : to_ms;
    return end <= start ? 0 : (double)(end - start) / (double)(to_ms - from_ms);
}

double calendar_multiplier(const struct calendar *c, int64_t from_ms, int64_t to_ms,
                           int64_t lead_ms) {
    double product = 1;
    if (c == NULL) {
        return product;
    }
    for (size_t i = calendar_first_touching(c, from_ms); i < c->len; i++) {
        const struct calendar_event *e = &c->events[i];
        if (e->start_ms - lead_ms >= to_ms) {
            break;
        }
        if (!isnan(e->multiplier)) {
            product *= 1 + calendar_share(e, from_ms, to_ms, lead_ms) * (e->multiplier - 1);
        }
    }
    return product;
}

const struct calendar_event *calendar_strongest(const struct calendar *c, int64_t from_ms,
                                                int64_t to_ms) {
    const struct calendar_event *best = NULL;
    double best_multiplier = 0;
    if (c == NULL) {
        return NULL;
    }
    for (size_t i = calendar_first_touching(c, from_ms); i < c->len; i++) {
        const struct calendar_event *e = &c->events[i];
        if (e->start_ms >= to_ms) {
            break;
        }
        double multiplier = isnan(e->multiplier) ? 1 : e->multiplier;
        bool raises = isnan(e->multiplier) || e->multiplier > 1;
        if (e->end_ms > from_ms && raises && multiplier > best_multiplier) {
            best = e;
            best_multiplier = multiplier;
        }
    }
    return best;
}
