/* Exposition: metrics as text, in the Prometheus format 0.0.4 or OpenMetrics 1.0.0. Families are
 * declared in tables beside their owner (STYLE §16) and written one after the other; the number of
 * series is bounded. Not here: which metrics there are (act/api/metrics.c). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/histogram.h"
#include "base/slice.h"

#define EXPOSITION_SERIES_MAX 20000 /* of one answer; what is beyond is left out and counted */
#define EXPOSITION_LABELS_MAX 4

#define EXPOSITION_TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define EXPOSITION_TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Names as Prometheus wants them: base units, a counter ends in "_total". */
struct metric {
    const char *name;
    enum metric_type type;
    const char *help;
};

struct metric_label {
    const char *name;
    struct slice value; /* any bytes: escaped */
};

struct metric_labels {
    const struct metric_label *labels;
    size_t count;
};
#define METRIC_LABELS_NONE ((struct metric_labels){ 0 })

struct exposition {
    struct buffer *out;
    bool openmetrics;
    bool failed; /* the buffer's limit was reached */
    size_t series, series_dropped;
    const struct metric *family;
};

void exposition_begin(struct exposition *e, struct buffer *out, bool openmetrics);
/* All samples that follow belong to this family; each family comes once. */
void exposition_family(struct exposition *e, const struct metric *metric);
/* A NaN is not written: what is not known is not there. */
void exposition_value(struct exposition *e, struct metric_labels labels, double value);
/* `h` counts microseconds; written in seconds, in cumulative buckets with fixed bounds. */
void exposition_histogram(struct exposition *e, struct metric_labels labels,
                          const struct histogram *h);
/* False when the answer is not whole. */
bool exposition_end(struct exposition *e);
