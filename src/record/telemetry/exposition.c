#include "record/telemetry/exposition.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const char *const type_names[] = {
    [METRIC_COUNTER] = "counter",
    [METRIC_GAUGE] = "gauge",
    [METRIC_HISTOGRAM] = "histogram",
};

/* Upper bounds of the buckets. Fixed, so that series of all services and releases add up. */
static const struct {
    uint64_t us;
    const char *seconds;
} bounds[] = {
    { 1000, "0.001" },    { 2500, "0.0025" }, { 5000, "0.005" },  { 10000, "0.01" },
    { 25000, "0.025" },   { 50000, "0.05" },  { 100000, "0.1" },  { 250000, "0.25" },
    { 500000, "0.5" },    { 1000000, "1.0" }, { 2500000, "2.5" }, { 5000000, "5.0" },
    { 10000000, "10.0" },
};
#define BOUNDS (sizeof bounds / sizeof bounds[0])

void exposition_begin(struct exposition *e, struct buffer *out, bool openmetrics) {
    *e = (struct exposition){ .out = out, .openmetrics = openmetrics };
}

static void put(struct exposition *e, struct slice text) {
    e->failed = e->failed || !buffer_append(e->out, text);
}

static void put_text(struct exposition *e, const char *text) {
    put(e, slice_from(text));
}

static void put_escaped(struct exposition *e, struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '\\':
            put(e, SLICE("\\\\"));
            break;
        case '"':
            put(e, SLICE("\\\""));
            break;
        case '\n':
            put(e, SLICE("\\n"));
            break;
        default:
            put(e, slice_of(text.data + i, 1));
        }
    }
}

/* OpenMetrics names a counter's family without the "_total" of its samples. */
static struct slice family_name(const struct exposition *e) {
    struct slice name = slice_from(e->family->name);
    if (e->openmetrics && e->family->type == METRIC_COUNTER) {
        assert(slice_ends_with(name, SLICE("_total")));
        name.len -= strlen("_total");
    }
    return name;
}

void exposition_family(struct exposition *e, const struct metric *metric) {
    e->family = metric;
    put(e, SLICE("# HELP "));
    put(e, family_name(e));
    put(e, SLICE(" "));
    put_escaped(e, slice_from(metric->help));
    put(e, SLICE("\n# TYPE "));
    put(e, family_name(e));
    put(e, SLICE(" "));
    put_text(e, type_names[metric->type]);
    put(e, SLICE("\n"));
}

/* "{service=\"storefront\",le=\"0.1\"}"; `le` is NULL outside of buckets. */
static void put_labels(struct exposition *e, struct metric_labels labels, const char *le) {
    assert(labels.count <= EXPOSITION_LABELS_MAX);
    if (labels.count == 0 && le == NULL) {
        return;
    }
    put(e, SLICE("{"));
    for (size_t i = 0; i < labels.count; i++) {
        put_text(e, i > 0 ? "," : "");
        put_text(e, labels.labels[i].name);
        put(e, SLICE("=\""));
        put_escaped(e, labels.labels[i].value);
        put(e, SLICE("\""));
    }
    if (le != NULL) {
        put_text(e, labels.count > 0 ? ",le=\"" : "le=\"");
        put_text(e, le);
        put(e, SLICE("\""));
    }
    put(e, SLICE("}"));
}

static void put_sample(struct exposition *e, const char *suffix, struct metric_labels labels,
                       const char *le, double value) {
    put_text(e, e->family->name);
    put_text(e, suffix);
    put_labels(e, labels, le);
    if (value == floor(value) && fabs(value) < 1e15) {
        e->failed = e->failed || !buffer_printf(e->out, " %.0f\n", value);
    } else if (isinf(value)) {
        put_text(e, value > 0 ? " +Inf\n" : " -Inf\n");
    } else { /* unix times to the millisecond */
        e->failed = e->failed || !buffer_printf(e->out, " %.13g\n", value);
    }
}

static bool take_series(struct exposition *e, size_t count) {
    assert(e->family != NULL);
    if (e->series + count > EXPOSITION_SERIES_MAX) {
        e->series_dropped += count;
        return false;
    }
    e->series += count;
    return true;
}

void exposition_value(struct exposition *e, struct metric_labels labels, double value) {
    assert(e->family->type != METRIC_HISTOGRAM);
    if (!isnan(value) && take_series(e, 1)) {
        put_sample(e, "", labels, NULL, value);
    }
}

void exposition_histogram(struct exposition *e, struct metric_labels labels,
                          const struct histogram *h) {
    uint64_t below = 0;
    unsigned bucket = 0;
    assert(e->family->type == METRIC_HISTOGRAM);
    if (!take_series(e, BOUNDS + 3)) {
        return;
    }
    /* A bucket of ours may straddle a bound by 3 %; it counts as above. */
    for (size_t i = 0; i < BOUNDS; i++) {
        while (bucket < HISTOGRAM_BUCKETS && histogram_bucket_upper(bucket) <= bounds[i].us) {
            below += atomic_load_explicit(&h->count[bucket++], memory_order_relaxed);
        }
        put_sample(e, "_bucket", labels, bounds[i].seconds, (double)below);
    }
    while (bucket < HISTOGRAM_BUCKETS) {
        below += atomic_load_explicit(&h->count[bucket++], memory_order_relaxed);
    }
    /* The count is the sum of what was read, not total_count: a writer may be in between. */
    uint64_t sum_us = atomic_load_explicit(&h->total_sum, memory_order_relaxed);
    put_sample(e, "_bucket", labels, "+Inf", (double)below);
    put_sample(e, "_sum", labels, NULL, (double)sum_us / 1e6);
    put_sample(e, "_count", labels, NULL, (double)below);
}

bool exposition_end(struct exposition *e) {
    if (e->openmetrics) {
        put(e, SLICE("# EOF\n"));
    }
    return !e->failed && e->series_dropped == 0;
}
