#include "record/series/series.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "record/series/csv.h"

#define ARENA_BYTES_MAX ((size_t)4 << 30)
#define STEP_CANDIDATES 64 /* distinct distances between rows that are counted */

struct step_count {
    int64_t step_ms;
    size_t count;
};

/* What the first pass over the file learns: where the time is, and the grid. */
struct layout {
    size_t time_cell;
    int64_t first_ms, last_ms;
    size_t rows;
    enum series_clock clock;
    struct step_count steps[STEP_CANDIDATES];
    size_t step_kinds;
};

static bool contains_fold(struct slice text, struct slice word) {
    for (size_t i = 0; i + word.len <= text.len; i++) {
        if (slice_equal_fold(slice_sub(text, i, word.len), word)) {
            return true;
        }
    }
    return false;
}

static bool time_named(struct slice name) {
    return slice_equal_fold(name, SLICE("time")) || slice_equal_fold(name, SLICE("timestamp")) ||
           slice_equal_fold(name, SLICE("date"));
}

/* The first column named time, timestamp or date; else a first column that speaks of time. */
static bool find_time(const struct csv_reader *r, size_t *cell, struct error *err) {
    for (*cell = 0; *cell < r->len; (*cell)++) {
        if (time_named(r->cells[*cell].text)) {
            return true;
        }
    }
    *cell = 0;
    struct slice first = r->cells[0].text;
    if (contains_fold(first, SLICE("time")) || contains_fold(first, SLICE("date"))) {
        return true;
    }
    return csv_error(r, 0, err, "expected a column named time, timestamp or date, found '%.*s'",
                     SLICE_ARG(slice_sub(first, 0, 40)));
}

static enum series_clock clock_of(struct slice text) {
    int64_t day_ms;
    if (text.len == 10 && text.data[4] == '-' && clock_parse_iso8601(text, &day_ms)) {
        return SERIES_CLOCK_DATE;
    }
    double epoch;
    if (parse_double(text, &epoch)) {
        return SERIES_CLOCK_EPOCH;
    }
    struct slice of_day = slice_sub(text, 11, text.len);
    bool zone = slice_ends_with(text, SLICE("Z")) || slice_ends_with(text, SLICE("z")) ||
                slice_find(of_day, '+') != SLICE_NONE || slice_find(of_day, '-') != SLICE_NONE;
    return zone ? SERIES_CLOCK_UTC : SERIES_CLOCK_LOCAL;
}

static bool read_time(const struct csv_reader *r, size_t cell, int64_t *time_ms,
                      struct error *err) {
    if (cell >= r->len) {
        return csv_error(r, cell, err, "expected a time");
    }
    struct slice text = r->cells[cell].text;
    if (!clock_parse_iso8601(text, time_ms)) {
        return csv_error(r, cell, err,
                         "expected a time (2015-03-11T20:57:00Z or epoch seconds), found '%.*s'",
                         SLICE_ARG(slice_sub(text, 0, 40)));
    }
    return true;
}

static void count_step(struct layout *l, int64_t step_ms) {
    for (size_t i = 0; i < l->step_kinds; i++) {
        if (l->steps[i].step_ms == step_ms) {
            l->steps[i].count++;
            return;
        }
    }
    if (l->step_kinds < STEP_CANDIDATES) {
        l->steps[l->step_kinds++] = (struct step_count){ step_ms, 1 };
    }
}

static bool scan_row(struct layout *l, const struct csv_reader *r, struct error *err) {
    int64_t time_ms = 0;
    if (!read_time(r, l->time_cell, &time_ms, err)) {
        return false;
    }
    if (l->rows == 0) {
        l->first_ms = time_ms;
        l->clock = clock_of(r->cells[l->time_cell].text);
    } else if (time_ms <= l->last_ms) {
        return csv_error(r, l->time_cell, err, "expected a time after the one of the row above");
    } else {
        count_step(l, time_ms - l->last_ms);
    }
    l->last_ms = time_ms;
    l->rows++;
    return true;
}

/* The most frequent distance between rows; the shorter of two equally frequent ones. */
static int64_t common_step_ms(const struct layout *l) {
    struct step_count best = l->steps[0];
    for (size_t i = 1; i < l->step_kinds; i++) {
        struct step_count s = l->steps[i];
        if (s.count > best.count || (s.count == best.count && s.step_ms < best.step_ms)) {
            best = s;
        }
    }
    return best.step_ms;
}

static bool scan(struct layout *l, struct csv_reader *r, struct error *err) {
    for (;;) {
        enum csv_result result = csv_next(r, err);
        if (result == CSV_BAD) {
            return false;
        }
        if (result == CSV_END) {
            break;
        }
        if (!scan_row(l, r, err)) {
            return false;
        }
    }
    if (l->rows < 2) {
        return error_set(err, ERROR_INVALID, "%s:%u:1: expected at least two rows below the header",
                         r->name, r->lines_read + 1);
    }
    return true;
}

static bool add_columns(struct series *s, const struct csv_reader *header, size_t time_cell,
                        struct error *err) {
    if (header->len > SERIES_COLUMNS_MAX) {
        return error_set(err, ERROR_LIMIT, "%s:1:1: expected at most %d columns", s->name,
                         SERIES_COLUMNS_MAX);
    }
    for (size_t i = 0; i < header->len; i++) {
        struct series_column *column = &s->columns[s->column_count++];
        column->name = arena_copy(&s->arena, header->cells[i].text);
        if (i == time_cell) {
            s->time_name = column->name;
            continue;
        }
        column->values = arena_array(&s->arena, s->slots, sizeof(double));
        if (column->values == NULL || column->name.data == NULL) {
            return error_set(err, ERROR_LIMIT, "%s: no memory for %zu rows", s->name, s->slots);
        }
        for (size_t slot = 0; slot < s->slots; slot++) {
            column->values[slot] = NAN;
        }
    }
    return true;
}

/* A cell that is no number makes its column text; that is an error only if it is asked for. */
static bool put_cell(struct series *s, struct series_column *column, const struct csv_reader *r,
                     size_t cell, size_t slot, struct error *err) {
    struct slice text = r->cells[cell].text;
    if (text.len == 0 || column->values == NULL) {
        return true;
    }
    if (parse_double(text, &column->values[slot])) {
        return true;
    }
    column->values = NULL;
    column->bad_line = r->line;
    column->bad_column = r->cells[cell].column;
    column->bad_text = arena_copy(&s->arena, slice_sub(text, 0, 40));
    return column->bad_text.data != NULL ||
           error_set(err, ERROR_LIMIT, "%s: out of memory", s->name);
}

static bool put_row(struct series *s, const struct csv_reader *r, size_t time_cell,
                    struct error *err) {
    int64_t time_ms = 0;
    if (!read_time(r, time_cell, &time_ms, err)) {
        return false;
    }
    if ((time_ms - s->start_ms) % s->step_ms != 0) {
        return csv_error(r, time_cell, err,
                         "expected a time a multiple of %g s after the first row",
                         (double)s->step_ms / 1000);
    }
    if (clock_of(r->cells[time_cell].text) != s->clock) {
        return csv_error(r, time_cell, err, "expected a time written like that of the first row");
    }
    if (r->len > s->column_count) {
        return csv_error(r, s->column_count, err, "expected %zu cells as in the header, found %zu",
                         s->column_count, r->len);
    }
    size_t slot = (size_t)((time_ms - s->start_ms) / s->step_ms);
    for (size_t i = 0; i < r->len; i++) {
        if (i != time_cell && !put_cell(s, &s->columns[i], r, i, slot, err)) {
            return false;
        }
    }
    return true;
}

static bool read_header(struct csv_reader *r, struct layout *l, struct error *err) {
    enum csv_result result = csv_next(r, err);
    if (result == CSV_END) {
        return error_set(err, ERROR_INVALID, "%s:1:1: expected a header line, found nothing",
                         r->name);
    }
    return result == CSV_RECORD && find_time(r, &l->time_cell, err);
}

static bool check_size(const struct series *s, size_t columns, struct error *err) {
    if (s->slots > SERIES_SLOTS_MAX) {
        return error_set(err, ERROR_LIMIT,
                         "%s: expected at most %d steps of %g s between the "
                         "first and the last row",
                         s->name, SERIES_SLOTS_MAX, (double)s->step_ms / 1000);
    }
    if (s->slots * columns > SERIES_CELLS_MAX) {
        return error_set(err, ERROR_LIMIT,
                         "%s: expected at most %d cells, found %zu steps x %zu "
                         "columns",
                         s->name, SERIES_CELLS_MAX, s->slots, columns);
    }
    return true;
}

static bool fill(struct series *s, struct csv_reader *r, const struct layout *l,
                 struct error *err) {
    s->clock = l->clock;
    s->start_ms = l->first_ms;
    s->rows = l->rows;
    s->step_ms = common_step_ms(l);
    assert(s->step_ms > 0); /* times ascend, or the scan has said that they do not */
    s->slots = (size_t)((l->last_ms - l->first_ms) / s->step_ms) + 1;
    struct layout again;
    if (!read_header(r, &again, err) || !check_size(s, r->len, err) ||
        !add_columns(s, r, l->time_cell, err)) {
        return false;
    }
    while (csv_next(r, err) == CSV_RECORD) { /* the first pass has seen every record */
        if (!put_row(s, r, l->time_cell, err)) {
            return false;
        }
    }
    return true;
}

bool series_parse(struct series *out, struct slice text, const char *name, struct error *err) {
    struct layout layout = { 0 };
    struct csv_reader first, second;
    memset(out, 0, sizeof *out);
    out->name = name;
    arena_init(&out->arena, ARENA_BYTES_MAX);
    csv_init(&first, text, name, &out->arena);
    csv_init(&second, text, name, &out->arena);
    bool ok = read_header(&first, &layout, err) && scan(&layout, &first, err) &&
              fill(out, &second, &layout, err);
    if (!ok) {
        series_fini(out);
    }
    return ok;
}

void series_fini(struct series *s) {
    if (s != NULL) {
        arena_fini(&s->arena);
        s->column_count = 0;
    }
}

static void list_names(const struct series *s, char *out, size_t out_bytes) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < s->column_count && len < out_bytes - 1; i++) {
        const struct series_column *c = &s->columns[i];
        if (c->values != NULL) {
            int wrote = snprintf(out + len, out_bytes - len, "%s%.*s", len == 0 ? "" : ", ",
                                 SLICE_ARG(c->name));
            len += wrote > 0 ? (size_t)wrote : 0;
        }
    }
}

static bool fail_at_text(const struct series *s, const struct series_column *c, struct error *err) {
    return error_set(err, ERROR_INVALID,
                     "%s:%u:%u: expected a number in column '%.*s', "
                     "found '%.*s'",
                     s->name, c->bad_line, c->bad_column, SLICE_ARG(c->name),
                     SLICE_ARG(c->bad_text));
}

bool series_column(const struct series *s, struct slice name, const struct series_column **out,
                   struct error *err) {
    const struct series_column *bad = NULL;
    for (size_t i = 0; i < s->column_count; i++) {
        const struct series_column *c = &s->columns[i];
        bool wanted = name.len == 0 || slice_equal(c->name, name);
        if (wanted && c->values != NULL) {
            *out = c;
            return true;
        }
        if (wanted && bad == NULL && c->bad_line > 0) {
            bad = c;
        }
    }
    if (bad != NULL) {
        return fail_at_text(s, bad, err);
    }
    char names[256];
    list_names(s, names, sizeof names);
    return error_set(err, ERROR_INVALID, "%s:1:1: expected a numeric column%s%.*s%s, found: %s",
                     s->name, name.len > 0 ? " named '" : "", SLICE_ARG(name),
                     name.len > 0 ? "'" : "", names[0] != '\0' ? names : "none");
}

void series_format_time(enum series_clock clock, int64_t unix_ms, char out[CLOCK_ISO8601_BYTES]) {
    clock_format_iso8601(unix_ms, out);
    size_t len = strlen(out);
    if (clock == SERIES_CLOCK_EPOCH) {
        double seconds = (double)unix_ms / 1000;
        snprintf(out, CLOCK_ISO8601_BYTES, unix_ms % 1000 == 0 ? "%.0f" : "%.3f", seconds);
    } else if (clock == SERIES_CLOCK_DATE && unix_ms % MS_PER_DAY == 0) {
        out[10] = '\0';
    } else if (clock != SERIES_CLOCK_UTC && len > 0) {
        out[len - 1] = '\0'; /* the Z: this clock has no zone */
    }
}
