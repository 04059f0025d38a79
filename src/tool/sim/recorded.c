#include "tool/sim/recorded.h"

#include <math.h>
#include <string.h>

#define ARENA_BYTES_MAX ((size_t)1 << 30)
#define FLAG_MAX 3 /* see forecast_add_regressor */

static bool add_holidays(struct recorded *r, const struct recorded_options *o,
                         struct calendar_window window, struct error *err) {
    struct slice rest = slice_from(o->holidays), country;
    while (slice_cut(&rest, ',', &country)) {
        if (!calendar_add_holidays(&r->calendar, slice_trim(country), window, err)) {
            return false;
        }
    }
    for (size_t i = 0; i < o->country_count && o->holidays == NULL; i++) {
        if (!calendar_add_holidays(&r->calendar, o->countries[i], window, err)) {
            return false;
        }
    }
    return true;
}

static bool add_measure(struct recorded *r, struct slice name, struct error *err) {
    const struct series_column *column;
    if (name.len == 0) {
        return error_set(err, ERROR_INVALID, "expected names of columns");
    }
    if (!series_column(&r->series, name, &column, err)) {
        return false;
    }
    if (column == r->column) {
        return error_set(err, ERROR_INVALID, "'%.*s' is what is forecast", SLICE_ARG(name));
    }
    if (r->measure_count == FORECAST_MEASURES_MAX) {
        return error_set(err, ERROR_INVALID, "expected at most %d columns", FORECAST_MEASURES_MAX);
    }
    r->measures[r->measure_count++] = column;
    return true;
}

static bool add_measures(struct recorded *r, const char *names, struct error *err) {
    struct slice rest = slice_from(names), name;
    if (r->step_ms != r->series.step_ms) {
        return error_set(err, ERROR_INVALID, "--known: expected the step of the file");
    }
    while (slice_cut(&rest, ',', &name)) {
        if (!add_measure(r, slice_trim(name), err)) {
            return error_wrap(err, "--known");
        }
    }
    return true;
}

static bool load(struct recorded *r, const struct recorded_options *o, struct error *err) {
    if (!series_read(&r->series, o->path, err) ||
        !series_column(&r->series, slice_from(o->column), &r->column, err)) {
        return false;
    }
    r->start_ms = r->series.start_ms;
    r->step_ms = o->step_ms > 0 ? o->step_ms : r->series.step_ms;
    if (!series_resample(&r->series, r->column, r->step_ms, o->how, &r->arena, &r->values, &r->len,
                         err)) {
        return false;
    }
    if (o->known != NULL && !add_measures(r, o->known, err)) {
        return false;
    }
    struct calendar_window window = { r->start_ms,
                                      r->start_ms + (int64_t)r->len * r->step_ms + o->ahead_ms };
    return (o->events_path == NULL || calendar_read(&r->calendar, o->events_path, window, err)) &&
           add_holidays(r, o, window, err);
}

bool recorded_init(struct recorded *r, const struct recorded_options *options, struct error *err) {
    memset(r, 0, sizeof *r);
    calendar_init(&r->calendar);
    arena_init(&r->arena, ARENA_BYTES_MAX);
    if (!load(r, options, err)) {
        recorded_fini(r);
        return false;
    }
    return true;
}

void recorded_fini(struct recorded *r) {
    if (r != NULL) {
        calendar_fini(&r->calendar);
        arena_fini(&r->arena);
        series_fini(&r->series);
    }
}

static bool is_schedule(const struct recorded *r, const double *values, size_t origin) {
    bool goes_on = false;
    for (size_t i = 0; i < r->len; i++) {
        double value = values[i];
        if (!isnan(value) && (value != floor(value) || value < 0 || value > FLAG_MAX)) {
            return false;
        }
        goes_on |= i >= origin && !isnan(value);
    }
    return goes_on;
}

static bool is_measure(const struct recorded *r, const struct series_column *column) {
    for (size_t i = 0; i < r->measure_count; i++) {
        if (r->measures[i] == column) {
            return true;
        }
    }
    return false;
}

void recorded_known_ahead(const struct recorded *r, size_t origin, struct recorded_known *out) {
    *out = (struct recorded_known){ .measures = r->measure_count };
    for (size_t i = 0; i < r->measure_count; i++) {
        out->columns[out->count++] = r->measures[i]->values;
    }
    size_t columns = r->step_ms == r->series.step_ms ? r->series.column_count : 0;
    for (size_t i = 0; i < columns && out->count < FORECAST_REGRESSORS_MAX; i++) {
        const struct series_column *c = &r->series.columns[i];
        if (c != r->column && !is_measure(r, c) && c->values != NULL &&
            is_schedule(r, c->values, origin)) {
            out->columns[out->count++] = c->values;
        }
    }
}
