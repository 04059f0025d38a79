/* Events from CSV: start,end,name,kind,multiplier, also channel, audience, uid and status
 * (cancelled). Other columns are allowed and ignored. */
#include <math.h>

#include "base/clock.h"
#include "base/parse.h"
#include "decide/forecast/calendar_internal.h"
#include "record/series/csv.h"

#define QUOTED_BYTES_MAX (16u << 20)

struct columns {
    size_t start, end, name, kind, multiplier, channel, audience, uid, status;
};

bool calendar_parse_multiplier(struct slice text, double *multiplier) {
    return parse_double(text, multiplier) && *multiplier > 0 &&
           *multiplier <= CALENDAR_MULTIPLIER_MAX;
}

static bool find_columns(const struct csv_reader *r, struct columns *c, struct error *err) {
    c->start = csv_find(r, SLICE("start"));
    c->end = csv_find(r, SLICE("end"));
    c->name = csv_find(r, SLICE("name"));
    c->kind = csv_find(r, SLICE("kind"));
    c->multiplier = csv_find(r, SLICE("multiplier"));
    c->channel = csv_find(r, SLICE("channel"));
    c->audience = csv_find(r, SLICE("audience"));
    c->uid = csv_find(r, SLICE("uid"));
    c->status = csv_find(r, SLICE("status"));
    if (c->name == SLICE_NONE) {
        c->name = csv_find(r, SLICE("label"));
    }
    if (c->start == SLICE_NONE || c->end == SLICE_NONE) {
        return csv_error(r, 0, err,
                         "expected a header with start and end (start,end,name,kind,multiplier)");
    }
    return true;
}

static struct slice cell_text(const struct csv_reader *r, size_t cell) {
    return cell < r->len ? r->cells[cell].text : SLICE("");
}

static bool read_time(const struct csv_reader *r, size_t cell, int64_t *time_ms,
                      struct error *err) {
    struct slice text = cell_text(r, cell);
    if (!clock_parse_iso8601(text, time_ms)) {
        return csv_error(r, cell, err, "expected a time such as 2026-11-27T08:00:00Z, found '%.*s'",
                         SLICE_ARG(slice_sub(text, 0, 40)));
    }
    return true;
}

static bool read_event(const struct csv_reader *r, const struct columns *at,
                       struct calendar_event *e, struct error *err) {
    e->name = cell_text(r, at->name);
    e->kind = cell_text(r, at->kind);
    e->channel = cell_text(r, at->channel);
    e->audience = cell_text(r, at->audience);
    e->uid = cell_text(r, at->uid);
    e->cancelled = slice_equal_fold(cell_text(r, at->status), SLICE("cancelled"));
    e->multiplier = NAN;
    if (!read_time(r, at->start, &e->start_ms, err) || !read_time(r, at->end, &e->end_ms, err)) {
        return false;
    }
    if (e->end_ms <= e->start_ms) {
        return csv_error(r, at->end, err, "expected an end after the start");
    }
    struct slice multiplier = cell_text(r, at->multiplier);
    if (multiplier.len > 0 && !calendar_parse_multiplier(multiplier, &e->multiplier)) {
        return csv_error(r, at->multiplier, err,
                         "expected a multiplier above 0 and at most %g, found '%.*s'",
                         CALENDAR_MULTIPLIER_MAX, SLICE_ARG(slice_sub(multiplier, 0, 40)));
    }
    return true;
}

static bool add_rows(struct calendar *c, struct csv_reader *r, struct error *err) {
    struct columns at;
    enum csv_result header = csv_next(r, err);
    if (header == CSV_END) {
        return error_set(err, ERROR_INVALID, "%s:1:1: expected a header line, found nothing",
                         r->name);
    }
    if (header == CSV_BAD || !find_columns(r, &at, err)) {
        return false;
    }
    for (;;) {
        struct calendar_event event = { 0 };
        enum csv_result result = csv_next(r, err);
        if (result != CSV_RECORD) {
            return result == CSV_END;
        }
        if (!read_event(r, &at, &event, err)) {
            return false;
        }
        if (!calendar_add(c, &event, err)) {
            return error_wrap(err, "%s:%u", r->name, r->line);
        }
    }
}

bool calendar_parse_csv(struct calendar *c, struct slice text, const char *name,
                        struct error *err) {
    struct arena scratch;
    struct csv_reader reader;
    arena_init(&scratch, QUOTED_BYTES_MAX);
    csv_init(&reader, text, name, &scratch);
    bool ok = add_rows(c, &reader, err);
    arena_fini(&scratch);
    return ok;
}
