#include "tool/sim/scenario_faults.h"

#include <stdlib.h>

#include "base/parse.h"
#include "config/units.h"
#include "record/series/csv.h"
#include "record/series/series.h"

#define FILE_BYTES_MAX (4u << 20)
#define FAULTS_PER_DAY 2.0

/* What an amount may be, and what the seed draws. */
static const struct {
    const char *name;
    double least, most;
    int64_t for_s_most; /* 0: at once over */
} kinds[FAULT_KINDS] = {
    [FAULT_STALE_METRIC] = { "stale_metric", 0, 0, 3600 },
    [FAULT_UNKNOWN_METRIC] = { "unknown_metric", 0, 0, 3600 },
    [FAULT_DEAD_FORECASTER] = { "dead_forecaster", 0, 0, 7200 },
    [FAULT_CLOCK_JUMP] = { "clock_jump", -86400, 86400, 0 },
    [FAULT_RESTART] = { "restart", 0, 0, 0 },
    [FAULT_CRASH] = { "crash", 1, 5, 0 },
    [FAULT_SLOW_START] = { "slow_start", 2, 6, 7200 },
    [FAULT_SLOW_INSTANCES] = { "slow_instances", 0.5, 0.9, 7200 },
};

const char *scenario_fault_name(enum scenario_fault_kind kind) {
    return kinds[kind].name;
}

static int by_time(const void *a, const void *b) {
    const struct scenario_fault *left = a, *right = b;
    return left->at_s < right->at_s ? -1 : left->at_s > right->at_s;
}

static bool add(struct scenario *s, const struct scenario_fault *fault, struct error *err) {
    if (s->faults == NULL) {
        s->faults = calloc(SCENARIO_FAULTS_MAX, sizeof *s->faults);
    }
    if (s->faults == NULL || s->fault_count == SCENARIO_FAULTS_MAX) {
        return error_set(err, ERROR_LIMIT, "expected at most %d faults", SCENARIO_FAULTS_MAX);
    }
    s->faults[s->fault_count++] = *fault;
    return true;
}

static void sort(struct scenario *s) {
    if (s->fault_count > 0) {
        qsort(s->faults, s->fault_count, sizeof *s->faults, by_time);
    }
}

bool scenario_seed_faults(struct scenario *s, struct rand *r, struct error *err) {
    double end_s = (double)s->days * SCENARIO_DAY_S, mean_s = SCENARIO_DAY_S / FAULTS_PER_DAY;
    double at = rand_exponential(r) * mean_s;
    while (at < end_s) {
        struct scenario_fault fault = { .at_s = (int64_t)at,
                                        .kind =
                                            (enum scenario_fault_kind)rand_below(r, FAULT_KINDS) };
        fault.for_s = (int64_t)(rand_unit(r) * (double)kinds[fault.kind].for_s_most);
        fault.amount = kinds[fault.kind].least +
                       rand_unit(r) * (kinds[fault.kind].most - kinds[fault.kind].least);
        if (s->fault_count < SCENARIO_FAULTS_MAX && !add(s, &fault, err)) {
            return false;
        }
        at += rand_exponential(r) * mean_s;
    }
    sort(s);
    return true;
}

/* ---- from a file ---- */

enum { AT, FOR, FAULT, AMOUNT, COLUMNS };

static bool read_span(const struct csv_reader *r, size_t cell, int64_t *seconds,
                      struct error *err) {
    struct slice text = cell < r->len ? r->cells[cell].text : SLICE("");
    int64_t ms = 0;
    if (text.len > 0 && !units_parse_duration_ms(text, &ms)) {
        return csv_error(r, cell, err, "expected a duration such as 26h or 90s, found '%.*s'",
                         SLICE_ARG(slice_sub(text, 0, 40)));
    }
    *seconds = ms / 1000;
    return true;
}

static bool read_kind(const struct csv_reader *r, size_t cell, enum scenario_fault_kind *kind,
                      struct error *err) {
    struct slice text = cell < r->len ? r->cells[cell].text : SLICE("");
    for (int i = 0; i < FAULT_KINDS; i++) {
        if (slice_equal(text, slice_from(kinds[i].name))) {
            *kind = (enum scenario_fault_kind)i;
            return true;
        }
    }
    return csv_error(r, cell, err,
                     "expected stale_metric, unknown_metric, dead_forecaster, clock_jump, restart, "
                     "crash, slow_start or slow_instances, found '%.*s'",
                     SLICE_ARG(slice_sub(text, 0, 40)));
}

static bool read_amount(const struct csv_reader *r, size_t cell, struct scenario_fault *fault,
                        struct error *err) {
    struct slice text = cell < r->len ? r->cells[cell].text : SLICE("");
    bool jump = fault->kind == FAULT_CLOCK_JUMP;
    fault->amount = kinds[fault->kind].least > 0 ? kinds[fault->kind].least : 0;
    if (text.len > 0 &&
        (!parse_double(text, &fault->amount) || fault->amount > SCENARIO_AMOUNT_MAX ||
         (!jump && fault->amount <= 0) || fault->amount < -SCENARIO_AMOUNT_MAX)) {
        return csv_error(r, cell, err, "expected a number above 0%s, found '%.*s'",
                         jump ? " or below" : "", SLICE_ARG(slice_sub(text, 0, 40)));
    }
    return true;
}

static bool read_rows(struct scenario *s, struct csv_reader *r, struct error *err) {
    static const char *const names[COLUMNS] = { "at", "for", "fault", "amount" };
    size_t at[COLUMNS];
    enum csv_result header = csv_next(r, err);
    if (header == CSV_END) {
        return error_set(err, ERROR_INVALID, "%s:1:1: expected a header line, found nothing",
                         r->name);
    }
    if (header == CSV_BAD) {
        return false;
    }
    for (int i = 0; i < COLUMNS; i++) {
        at[i] = csv_find(r, slice_from(names[i]));
    }
    if (at[AT] == SLICE_NONE || at[FAULT] == SLICE_NONE) {
        return csv_error(r, 0, err, "expected a header with at and fault (at,for,fault,amount)");
    }
    for (;;) {
        struct scenario_fault fault = { 0 };
        enum csv_result result = csv_next(r, err);
        if (result != CSV_RECORD) {
            return result == CSV_END;
        }
        if (!read_span(r, at[AT], &fault.at_s, err) || !read_span(r, at[FOR], &fault.for_s, err) ||
            !read_kind(r, at[FAULT], &fault.kind, err) ||
            !read_amount(r, at[AMOUNT], &fault, err)) {
            return false;
        }
        if (!add(s, &fault, err)) {
            return error_wrap(err, "%s:%u", r->name, r->line);
        }
    }
}

bool scenario_parse_faults(struct scenario *s, struct slice text, const char *name,
                           struct error *err) {
    struct arena scratch;
    static struct csv_reader reader; /* a thousand cells */
    arena_init(&scratch, FILE_BYTES_MAX);
    csv_init(&reader, text, name, &scratch);
    bool ok = read_rows(s, &reader, err);
    arena_fini(&scratch);
    sort(s);
    return ok;
}

bool scenario_read_faults(struct scenario *s, const char *path, struct error *err) {
    char *data = NULL;
    size_t len = 0;
    if (!series_load_file(path, FILE_BYTES_MAX, &data, &len, err)) {
        return false;
    }
    bool ok = scenario_parse_faults(s, slice_of(data, len), path, err);
    free(data);
    return ok;
}
