/* Series: evenly spaced measurements read from CSV (DESIGN.md §4 "Files in"), plain or gzip.
 * Finds the time column and the step, puts every row into its slot; what is missing (an empty cell,
 * a row that is not there) is NaN, never 0. Columns are numbers only when asked for, so text
 * columns may stand beside them. Not here: what the numbers mean (decide/forecast/). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/slice.h"

#define SERIES_FILE_BYTES_MAX (512u << 20) /* after decompression */
#define SERIES_SLOTS_MAX 8000000           /* 15 years of minutes, 3 months of seconds */
#define SERIES_COLUMNS_MAX 512
#define SERIES_CELLS_MAX 64000000 /* slots x columns: half a gigabyte */

/* How the source writes its times. */
enum series_clock {
    SERIES_CLOCK_UTC,   /* 2015-03-11T20:57:00Z, or with an offset: written back as UTC */
    SERIES_CLOCK_LOCAL, /* no zone: the wall clock of the place */
    SERIES_CLOCK_DATE,  /* calendar days */
    SERIES_CLOCK_EPOCH, /* seconds since 1970 */
};

struct series_column {
    struct slice name;
    double *values;                /* slots of them, NaN where not recorded; NULL when it is text */
    uint32_t bad_line, bad_column; /* of the first cell that is not a number */
    struct slice bad_text;
};

struct series {
    const char *name; /* of the source */
    struct slice time_name;
    int64_t start_ms; /* of slot 0; unix time of the clock as written (local read as UTC) */
    int64_t step_ms;
    size_t slots;
    size_t rows; /* rows of the source; slots - rows are missing */
    enum series_clock clock;
    struct series_column columns[SERIES_COLUMNS_MAX];
    size_t column_count;
    struct arena arena; /* owns everything above */
};

/* From memory. Fails with ERROR_INVALID `name:line:column: expected …`, ERROR_LIMIT past a limit.
 * `text` may go away afterwards. `out` needs series_fini only after success. */
bool series_parse(struct series *out, struct slice text, const char *name, struct error *err);

/* From a file, plain or gzip. `path` must outlive the series. */
bool series_read(struct series *out, const char *path, struct error *err);
void series_fini(struct series *s);

/* The column by name (empty: the first numeric column). Fails with ERROR_INVALID when it is not
 * there (and names those that are) or holds a cell that is not a number. */
bool series_column(const struct series *s, struct slice name, const struct series_column **out,
                   struct error *err);

/* A time as the source writes it. */
void series_format_time(enum series_clock clock, int64_t unix_ms, char out[CLOCK_ISO8601_BYTES]);

enum series_how { SERIES_SUM, SERIES_MEAN };

/* Values at a coarser step (a multiple of the own): each the sum or mean of its parts, NaN when
 * any part is missing. `*out` is in `arena`; slot 0 starts where the series starts. */
bool series_resample(const struct series *s, const struct series_column *column, int64_t step_ms,
                     enum series_how how, struct arena *arena, double **out, size_t *slots,
                     struct error *err);

/* A whole file into memory (plain or gzip), at most `limit_bytes`; freed with free(). */
bool series_load_file(const char *path, size_t limit_bytes, char **data, size_t *len,
                      struct error *err);
