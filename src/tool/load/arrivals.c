#include "tool/load/arrivals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "record/series/series.h"
#include "tool/load/access_log.h"

#define LOG_INTERVAL_MS 1000
#define CARRY_EPSILON 1e-9 /* what adding up fractions may lose */

struct arrivals_entry {
    int64_t time_ms;
    size_t line; /* ties keep the order of the log */
    struct slice target;
    enum http_method method;
};

/* ---- counts per interval ---- */

static bool take_counts(struct arrivals *a, const struct series *s,
                        const struct series_column *column, struct error *err) {
    a->counts = calloc(s->slots, sizeof *a->counts);
    if (a->counts == NULL) {
        return error_set(err, ERROR_LIMIT, "%s: no memory for %zu intervals", s->name, s->slots);
    }
    a->len = s->slots;
    for (size_t i = 0; i < s->slots; i++) {
        double count = column->values[i];
        if (count < 0) {
            char time[CLOCK_ISO8601_BYTES];
            series_format_time(s->clock, s->start_ms + (int64_t)i * s->step_ms, time);
            return error_set(err, ERROR_INVALID, "%s: expected requests, found %g at %s", s->name,
                             count, time);
        }
        a->missing += isnan(count) != 0;
        a->counts[i] = isnan(count) ? 0 : count;
    }
    return true;
}

static bool parse_series(struct arrivals *a, struct slice text, const char *name,
                         const struct arrivals_options *options, struct error *err) {
    struct series *s = malloc(sizeof *s); /* large for a stack */
    const struct series_column *column;
    if (s == NULL) {
        return error_set(err, ERROR_LIMIT, "%s: no memory", name);
    }
    if (!series_parse(s, text, name, err)) {
        free(s);
        return false;
    }
    bool ok = series_column(s, options->column, &column, err) && take_counts(a, s, column, err);
    a->interval_us = (double)s->step_ms * 1000 / options->speed;
    series_fini(s);
    free(s);
    return ok;
}

/* ---- access log ---- */

static int by_time(const void *left, const void *right) {
    const struct arrivals_entry *a = left, *b = right;
    if (a->time_ms != b->time_ms) {
        return a->time_ms < b->time_ms ? -1 : 1;
    }
    return a->line < b->line ? -1 : a->line > b->line;
}

static bool append_entry(struct arrivals *a, size_t *capacity, const struct access_line *line) {
    if (a->entry_count == *capacity) {
        size_t next = *capacity == 0 ? 1024 : *capacity * 2;
        struct arrivals_entry *moved = realloc(a->entries, next * sizeof *moved);
        if (moved == NULL) {
            return false;
        }
        a->entries = moved;
        *capacity = next;
    }
    a->entries[a->entry_count] = (struct arrivals_entry){
        .time_ms = line->time_ms,
        .line = a->entry_count,
        .target = line->target,
        .method = line->method,
    };
    a->entry_count++;
    return true;
}

static bool collect_entries(struct arrivals *a, struct access_log *log, struct error *err) {
    size_t capacity = 0;
    struct access_line line;
    for (;;) {
        switch (access_log_next(log, &line, err)) {
        case ACCESS_LOG_REQUEST:
            if (!append_entry(a, &capacity, &line)) {
                return error_set(err, ERROR_LIMIT, "%s:%u: no memory for more", log->name,
                                 log->line);
            }
            break;
        case ACCESS_LOG_SKIPPED:
            a->skipped++;
            break;
        case ACCESS_LOG_END:
            return a->entry_count > 0 ||
                   error_set(err, ERROR_INVALID, "%s: no request in it can be sent", log->name);
        case ACCESS_LOG_BAD:
            return false;
        }
    }
}

/* Logs are written when requests end, so they are only nearly in order. */
static bool count_entries(struct arrivals *a, const char *name, struct error *err) {
    qsort(a->entries, a->entry_count, sizeof *a->entries, by_time);
    int64_t first_ms = a->entries[0].time_ms;
    int64_t span_ms = a->entries[a->entry_count - 1].time_ms - first_ms;
    if (span_ms / LOG_INTERVAL_MS >= SERIES_SLOTS_MAX) {
        return error_set(err, ERROR_LIMIT, "%s: expected at most %d seconds from first to last",
                         name, SERIES_SLOTS_MAX);
    }
    a->len = (size_t)(span_ms / LOG_INTERVAL_MS) + 1;
    a->counts = calloc(a->len, sizeof *a->counts);
    if (a->counts == NULL) {
        return error_set(err, ERROR_LIMIT, "%s: no memory for %zu intervals", name, a->len);
    }
    for (size_t i = 0; i < a->entry_count; i++) {
        a->counts[(a->entries[i].time_ms - first_ms) / LOG_INTERVAL_MS]++;
    }
    return true;
}

static bool parse_log(struct arrivals *a, struct slice text, const char *name,
                      const struct arrivals_options *options, struct error *err) {
    a->text = malloc(text.len);
    if (a->text == NULL) {
        return error_set(err, ERROR_LIMIT, "%s: no memory for %zu bytes", name, text.len);
    }
    memcpy(a->text, text.data, text.len);
    struct access_log log;
    access_log_init(&log, slice_of(a->text, text.len), name);
    a->interval_us = LOG_INTERVAL_MS * 1000 / options->speed;
    return collect_entries(a, &log, err) && count_entries(a, name, err);
}

/* ---- opening ---- */

static bool check_rates(const struct arrivals *a, const char *name, struct error *err) {
    for (size_t i = 0; i < a->len; i++) {
        double rps = a->counts[i] * a->scale / a->interval_us * 1e6;
        if (!(rps <= ARRIVALS_RATE_RPS_MAX)) {
            return error_set(err, ERROR_LIMIT,
                             "%s: with this --speed and --scale interval %zu offers %.0f requests "
                             "a second, expected at most %d",
                             name, i + 1, rps, ARRIVALS_RATE_RPS_MAX);
        }
    }
    return true;
}

bool arrivals_parse(struct arrivals *a, struct slice text, const char *name,
                    const struct arrivals_options *options, struct error *err) {
    *a = (struct arrivals){ .scale = options->scale };
    rand_init(&a->rand, options->seed);
    bool ok = access_log_detect(text) ? parse_log(a, text, name, options, err)
                                      : parse_series(a, text, name, options, err);
    if (!ok || !check_rates(a, name, err)) {
        arrivals_fini(a);
        return false;
    }
    return true;
}

bool arrivals_read(struct arrivals *a, const char *path, const struct arrivals_options *options,
                   struct error *err) {
    char *data = NULL;
    size_t len = 0;
    if (!series_load_file(path, SERIES_FILE_BYTES_MAX, &data, &len, err)) {
        return false;
    }
    bool ok = arrivals_parse(a, slice_of(data, len), path, options, err);
    free(data);
    return ok;
}

void arrivals_fini(struct arrivals *a) {
    free(a->counts);
    free(a->entries);
    free(a->text);
    *a = (struct arrivals){ 0 };
}

/* ---- the stream ---- */

static bool enter_interval(struct arrivals *a) {
    if (a->next_interval == a->len) {
        return false;
    }
    if (a->next_interval > 0) {
        a->first_entry += (size_t)a->counts[a->next_interval - 1];
    }
    double wanted = a->counts[a->next_interval] * a->scale + a->carry;
    a->in_interval = (uint64_t)floor(wanted + CARRY_EPSILON);
    a->carry = wanted - (double)a->in_interval;
    a->given = 0;
    a->position = 0;
    a->next_interval++;
    return true;
}

/* The next of the sorted positions: the least of `left` uniform ones over what remains. */
static double next_position(struct arrivals *a, uint64_t left) {
    double step = 1 - pow(1 - rand_unit(&a->rand), 1 / (double)left);
    return a->position + (1 - a->position) * step;
}

/* Of n logged requests that have become m by scaling, the i-th asks what the (i*n/m)-th did. */
static void copy_entry(const struct arrivals *a, struct arrival *out) {
    double logged = a->counts[a->next_interval - 1];
    size_t index = (size_t)((double)a->given * logged / (double)a->in_interval);
    size_t last = (size_t)fmax(logged - 1, 0); /* a carried one may fall where nothing was logged */
    index = a->first_entry + (index < last ? index : last);
    const struct arrivals_entry *entry =
        &a->entries[index < a->entry_count ? index : a->entry_count - 1];
    out->method = entry->method;
    out->target = entry->target;
}

bool arrivals_next(struct arrivals *a, struct arrival *out) {
    while (a->given == a->in_interval) {
        if (!enter_interval(a)) {
            return false;
        }
    }
    a->position = next_position(a, a->in_interval - a->given);
    *out = (struct arrival){ .method = HTTP_GET };
    out->at_us = (uint64_t)(((double)(a->next_interval - 1) + a->position) * a->interval_us);
    if (a->entries != NULL) {
        copy_entry(a, out);
    }
    a->given++;
    return true;
}

uint64_t arrivals_duration_us(const struct arrivals *a) {
    return (uint64_t)llround((double)a->len * a->interval_us);
}

double arrivals_total(const struct arrivals *a) {
    double total = 0;
    for (size_t i = 0; i < a->len; i++) {
        total += a->counts[i];
    }
    return total * a->scale;
}
