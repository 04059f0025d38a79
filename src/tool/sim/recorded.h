/* Recorded demand for `forecast` and `backtest`: a column of a file at a step, with the events and
 * holidays that belong to it. */
#pragma once
#include "base/error.h"
#include "decide/forecast/calendar.h"
#include "decide/forecast/forecast.h"
#include "record/series/series.h"

struct recorded_options {
    const char *path;
    const char *column;      /* NULL: the first numeric one */
    int64_t step_ms;         /* 0: that of the file */
    enum series_how how;     /* of a coarser step */
    const char *events_path; /* NULL: none */
    const char *holidays;    /* countries, parted by commas; NULL: `countries` */
    const struct slice *countries;
    size_t country_count;
    const char *known; /* names of measures, parted by commas; NULL: none */
    int64_t ahead_ms;  /* recurring events are expanded this far past the end */
};

/* Columns that are known ahead, each as long as the demand. */
struct recorded_known {
    const double *columns[FORECAST_REGRESSORS_MAX];
    size_t count, measures; /* in all; of them the first, see forecast_add_measure */
};

struct recorded {
    struct series series;
    const struct series_column *column;
    const struct series_column *measures[FORECAST_MEASURES_MAX];
    size_t measure_count;
    struct calendar calendar;
    struct arena arena;
    double *values; /* NaN where not recorded */
    size_t len;
    int64_t start_ms, step_ms;
};

/* Errors are ERROR_INVALID with file, line and column. */
bool recorded_init(struct recorded *r, const struct recorded_options *options, struct error *err);
void recorded_fini(struct recorded *r);

/* The measures that were named, and of the columns besides the demand those that are small whole
 * numbers and go on past row `origin`: schedules. Only at the step of the file. */
void recorded_known_ahead(const struct recorded *r, size_t origin, struct recorded_known *out);
