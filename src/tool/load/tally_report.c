/* A tally as JSON, and in words. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tool/load/tally.h"

#define REAL_DIGITS 10

static double ms_at(const struct histogram *h, double q) {
    return (double)histogram_quantile(h, q) / 1000;
}

static json_t *latency_json(const struct tally *t) {
    json_t *all = json_object();
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++) {
        const struct histogram *h = &t->latency_us[stage];
        if (h->total_count > 0) {
            json_object_set_new(all, stage_name((enum stage)stage),
                                json_pack("{s:f, s:f, s:f}", "p50", ms_at(h, 0.5), "p95",
                                          ms_at(h, 0.95), "p99", ms_at(h, 0.99)));
        }
    }
    return all;
}

static json_t *statuses_json(const struct tally *t) {
    json_t *all = json_object();
    char name[8];
    for (unsigned status = 0; status < TALLY_STATUSES; status++) {
        if (t->statuses[status] > 0) {
            snprintf(name, sizeof name, "%u", status);
            json_object_set_new(all, name, json_integer((json_int_t)t->statuses[status]));
        }
    }
    return all;
}

/* "status_502", "reset": why a request counts as failed. */
static void kind_of(enum call_end end, unsigned status, char out[24]) {
    if (end == CALL_ANSWERED) {
        snprintf(out, 24, "status_%u", status);
    } else {
        snprintf(out, 24, "%s", call_end_name(end));
    }
}

/* Calls `each` for every kind of failure that occurred. */
static void each_error(const struct tally *t, void *self,
                       void (*each)(void *self, const char *kind, uint64_t count)) {
    char kind[24];
    for (unsigned end = 0; end < CALL_ENDS; end++) {
        if (t->failed_ends[end] > 0) {
            kind_of((enum call_end)end, 0, kind);
            each(self, kind, t->failed_ends[end]);
        }
    }
    for (unsigned status = 0; status < TALLY_STATUSES; status++) {
        if (t->failed_statuses[status] > 0) {
            kind_of(CALL_ANSWERED, status, kind);
            each(self, kind, t->failed_statuses[status]);
        }
    }
}

static void add_error_json(void *self, const char *kind, uint64_t count) {
    json_object_set_new(self, kind, json_integer((json_int_t)count));
}

static json_t *failures_json(const struct tally *t) {
    json_t *all = json_array();
    for (size_t i = 0; i < t->failure_count; i++) {
        const struct tally_failure *f = &t->failures[i];
        char time[CLOCK_ISO8601_BYTES], kind[24];
        clock_format_iso8601(f->unix_ms, time);
        kind_of(f->end, f->status, kind);
        json_array_append_new(all, json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:f}", "time", time,
                                             "kind", kind, "status", (int)f->status, "stage",
                                             stage_name(f->stage), "method",
                                             http_method_name(f->method), "path", f->path,
                                             "latency_ms", (double)f->latency_us / 1000));
    }
    return all;
}

static json_t *seconds_json(const struct tally *t) {
    json_t *all = json_array();
    for (size_t i = 0; i < t->second_count; i++) {
        const struct tally_second *s = &t->seconds[i];
        char time[CLOCK_ISO8601_BYTES];
        clock_format_iso8601(t->start_unix_ms + (int64_t)i * 1000, time);
        json_array_append_new(all, json_pack("{s:s, s:i, s:i, s:i, s:i}", "time", time, "offered",
                                             (int)s->offered, "served", (int)s->served, "refused",
                                             (int)s->refused, "failed", (int)s->failed));
    }
    return all;
}

static json_t *to_json(const struct tally *t) {
    json_t *errors = json_object();
    char start[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(t->start_unix_ms, start);
    each_error(t, errors, add_error_json);
    return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:o, s:o}",
                     "start", start, "interrupted", (int)t->interrupted, "requests",
                     (json_int_t)t->requests, "served", (json_int_t)t->served, "refused",
                     (json_int_t)t->refused, "failed", (json_int_t)t->failed, "orders",
                     (json_int_t)t->orders, "visitors", (json_int_t)t->visitors, "reconnects",
                     (json_int_t)t->reconnects, "late_ms_p99", ms_at(&t->late_us, 0.99),
                     "latency_ms", latency_json(t), "statuses", statuses_json(t), "errors", errors,
                     "failures", failures_json(t), "seconds", seconds_json(t));
}

bool tally_write_json(const struct tally *t, const char *path, struct error *err) {
    bool to_stdout = strcmp(path, "-") == 0;
    json_t *json = to_json(t);
    if (json == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory for the report");
    }
    FILE *file = to_stdout ? stdout : fopen(path, "w");
    size_t flags = JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(REAL_DIGITS);
    bool ok = file != NULL && json_dumpf(json, file, flags) == 0 && fputc('\n', file) != EOF;
    ok = file != NULL && (to_stdout ? fflush(file) : fclose(file)) == 0 && ok;
    json_decref(json);
    return ok || error_system(err, "%s: write the report", path);
}

/* ---- words ---- */

static void add_error_words(void *self, const char *kind, uint64_t count) {
    buffer_printf(self, "  %s %llu", kind, (unsigned long long)count);
}

static double share(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

bool tally_write_words(const struct tally *t, struct buffer *out) {
    buffer_printf(out, "%llu requests", (unsigned long long)t->requests);
    if (t->visitors > 0) {
        buffer_printf(out, " of %llu visitors, %llu orders", (unsigned long long)t->visitors,
                      (unsigned long long)t->orders);
    }
    buffer_printf(out, ": %.2f %% served, %.2f %% refused, %.2f %% failed (%llu)\n",
                  share(t->served, t->requests), share(t->refused, t->requests),
                  share(t->failed, t->requests), (unsigned long long)t->failed);
    for (unsigned stage = 0; stage < STAGE_COUNT; stage++) {
        const struct histogram *h = &t->latency_us[stage];
        if (h->total_count > 0) {
            buffer_printf(out, "  %-8s %9llu served   p50 %7.1f ms   p95 %7.1f ms   p99 %7.1f ms\n",
                          stage_name((enum stage)stage), (unsigned long long)h->total_count,
                          ms_at(h, 0.5), ms_at(h, 0.95), ms_at(h, 0.99));
        }
    }
    if (t->failed > 0) {
        buffer_append_text(out, "  failed: ");
        each_error(t, out, add_error_words);
        buffer_append_text(out, "\n");
    }
    return buffer_printf(out,
                         "  our own sending was up to %.1f ms late (p99); %llu requests were sent "
                         "again on a new connection\n",
                         ms_at(&t->late_us, 0.99), (unsigned long long)t->reconnects);
}
