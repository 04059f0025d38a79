#include "tool/cli/forecast_output.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tool/sim/chart.h"

#define PLOT_HISTORY_HORIZONS 3

static int64_t time_of(const struct recorded *r, size_t slot) {
    return r->start_ms + (int64_t)slot * r->step_ms;
}

void forecast_print_csv(const struct forecast_request *q, const struct recorded *r,
                        const struct forecast_answer *a) {
    printf("time,mean");
    for (size_t j = 0; j < q->level_count; j++) {
        printf(",q%g", q->levels[j]);
    }
    putchar('\n');
    for (size_t i = 0; i < a->steps; i++) {
        char time[CLOCK_ISO8601_BYTES];
        series_format_time(r->series.clock, time_of(r, a->first + i), time);
        printf("%s,%.6g", time, a->mean[i]);
        for (size_t j = 0; j < q->level_count; j++) {
            printf(",%.6g", a->values[i * q->level_count + j]);
        }
        putchar('\n');
    }
}

static void print_and_free(json_t *object) {
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(8));
    putchar('\n');
    json_decref(object);
}

/* `numbers` under "q0.1", "q0.5", … */
static json_t *json_quantiles(const struct forecast_request *q, const double *numbers) {
    json_t *object = json_object();
    for (size_t j = 0; j < q->level_count; j++) {
        char name[32];
        snprintf(name, sizeof name, "q%g", q->levels[j]);
        json_object_set_new(object, name, json_real(numbers[j]));
    }
    return object;
}

static json_t *json_left_out(const struct recorded *r, const struct forecast_answer *a) {
    json_t *spans = json_array();
    for (size_t i = 0; i < a->left_out_count; i++) {
        const struct forecast_left_out *span = &a->left_out[i];
        char from[CLOCK_ISO8601_BYTES], to[CLOCK_ISO8601_BYTES];
        series_format_time(r->series.clock, span->from_ms, from);
        series_format_time(r->series.clock, span->to_ms, to);
        json_array_append_new(
            spans, json_pack("{s:s, s:s, s:s}", "from", from, "to", to, "reason", span->reason));
    }
    return spans;
}

void forecast_print_json(const struct forecast_request *q, const struct recorded *r,
                         const struct forecast_answer *a) {
    json_t *rows = json_array();
    for (size_t i = 0; i < a->steps; i++) {
        char time[CLOCK_ISO8601_BYTES];
        series_format_time(r->series.clock, time_of(r, a->first + i), time);
        json_t *row = json_pack("{s:s, s:f}", "time", time, "mean", a->mean[i]);
        json_t *quantiles = json_quantiles(q, a->values + i * q->level_count);
        json_object_update(row, quantiles);
        json_decref(quantiles);
        json_array_append_new(rows, row);
    }
    json_t *column = json_stringn(r->column->name.data, r->column->name.len);
    print_and_free(json_pack("{s:o, s:f, s:s, s:o, s:o}", "column", column, "step_s",
                             (double)r->step_ms / 1000, "knows", a->knows, "left_out",
                             json_left_out(r, a), "rows", rows));
}

bool forecast_plot(const struct forecast_request *q, const struct recorded *r,
                   const struct forecast_answer *a, struct error *err) {
    size_t wanted = a->steps * PLOT_HISTORY_HORIZONS, high = q->level_count - 1;
    size_t back = wanted < a->first ? wanted : a->first;
    size_t len = back + a->steps, start = a->first - back;
    double *lines = malloc(4 * len * sizeof *lines);
    if (lines == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory for %zu points", len);
    }
    double *actual = lines, *mean = lines + len, *low = lines + 2 * len, *top = lines + 3 * len;
    for (size_t i = 0; i < len; i++) {
        bool ahead = i >= back;
        size_t step = ahead ? i - back : 0;
        actual[i] = start + i < r->len ? r->values[start + i] : NAN;
        mean[i] = ahead ? a->mean[step] : NAN;
        low[i] = ahead ? a->values[step * q->level_count] : NAN;
        top[i] = ahead ? a->values[step * q->level_count + high] : NAN;
    }
    char title[256];
    snprintf(title, sizeof title, "%.*s: forecast and its band from q%g to q%g",
             SLICE_ARG(slice_sub(r->column->name, 0, 80)), q->levels[0], q->levels[high]);
    struct chart chart = {
        .title = title,
        .start_ms = time_of(r, start),
        .step_ms = r->step_ms,
        .len = len,
        .lines = { { .label = "recorded", .colour = "currentColor", .values = actual },
                   { .label = "forecast", .colour = "#2563eb", .values = mean } },
        .line_count = 2,
        .band_low = low,
        .band_high = top,
        .band_label = "band",
    };
    bool ok = chart_write_file(&chart, q->plot_path, err);
    free(lines);
    return ok;
}

static void print_score(const char *name, double own, double naive) {
    printf("%-22s %10.3f %10.3f\n", name, own, naive);
}

static void print_text(const struct forecast_request *q, const struct evaluation *e) {
    printf("%zu rolling origins, %zu steps judged\n", e->origins, e->steps);
    printf("%-22s %10s %10s\n", "", "forecast", "naive");
    print_score("MASE", e->forecast.mase, e->naive.mase);
    print_score("WAPE", e->forecast.wape, e->naive.wape);
    print_score("pinball (scaled)", e->forecast.pinball, e->naive.pinball);
    for (size_t j = 0; j < q->level_count; j++) {
        char name[40];
        snprintf(name, sizeof name, "covers %g", q->levels[j]);
        print_score(name, e->forecast.coverage[j], e->naive.coverage[j]);
    }
    printf("naive repeats the %s season; the forecast is %s\n",
           e->naive_season == 0 ? "first" : "second",
           e->forecast.mase <= e->naive.mase ? "better" : "not better");
}

static json_t *json_score(const struct forecast_request *q, const struct evaluate_score *s) {
    return json_pack("{s:f, s:f, s:f, s:o}", "mase", s->mase, "wape", s->wape, "pinball",
                     s->pinball, "coverage", json_quantiles(q, s->coverage));
}

void forecast_print_evaluation(const struct forecast_request *q, const struct evaluation *e) {
    if (!q->json) {
        print_text(q, e);
        return;
    }
    print_and_free(json_pack("{s:i, s:i, s:o, s:o}", "origins", (int)e->origins, "steps",
                             (int)e->steps, "forecast", json_score(q, &e->forecast),
                             "seasonal_naive", json_score(q, &e->naive)));
}
