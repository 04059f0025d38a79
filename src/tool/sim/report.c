#include "tool/sim/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tool/sim/chart.h"

static const char style[] =
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 "
    "1rem;"
    "color:#0f172a;background:#fff}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:.35rem .6rem;text-align:right;border-bottom:1px solid #e2e8f0}"
    "th:first-child,td:first-child{text-align:left}svg{width:100%;height:auto;margin:.5rem 0 "
    "1.5rem}"
    ".verdict{font-size:1.15rem;background:#eff6ff;border-left:4px solid #2563eb;padding:.8rem "
    "1rem}"
    ".bars{width:50%;text-align:left}.bars i,.bars b{display:inline-block;height:1em;background:"
    "#2563eb}.bars b{background:#dc2626}"
    ".note{color:#64748b;font-size:.9rem}</style>";

static void write_head(const struct report *r, FILE *out) {
    char from[CLOCK_ISO8601_BYTES], to[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(r->in->start_ms, from);
    clock_format_iso8601(r->in->start_ms + (int64_t)r->in->len * r->in->step_ms, to);
    fputs("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
          "<title>Tidegate backtest</title>",
          out);
    fputs(style, out);
    fputs("</head><body><h1>What each way of scaling would have cost and dropped</h1><p>", out);
    chart_write_text(r->source, out);
    fprintf(out,
            ", %.10s to %.10s. One instance carries %g requests/s and takes %g s to start.</p>\n",
            from, to, r->in->unit_rps, (double)r->in->startup_ms / 1000);
    if (r->verdict != NULL) {
        fputs("<p class=\"verdict\">", out);
        chart_write_text(r->verdict, out);
        fputs("</p>\n", out);
    }
}

static void write_table(const struct report *r, FILE *out) {
    fputs("<table><thead><tr><th>policy</th><th>instance-hours</th><th>cost</th><th>requests "
          "unserved</th><th>share</th><th>minutes over capacity</th><th>changes</th><th>most "
          "instances</th></tr></thead><tbody>\n",
          out);
    for (size_t i = 0; i < r->len; i++) {
        const struct backtest_result *x = &r->results[i];
        fputs("<tr><td>", out);
        chart_write_text(x->policy.name, out);
        fprintf(out,
                "</td><td>%.1f</td><td>%.2f</td><td>%.0f</td><td>%.4f %%</td><td>%.0f</td>"
                "<td>%llu</td><td>%u</td></tr>\n",
                x->totals.instance_hours, x->cost, x->totals.unserved, 100 * x->unserved_share,
                x->totals.violation_minutes, (unsigned long long)x->totals.scale_actions,
                x->totals.max_instances);
    }
    fprintf(out,
            "</tbody></table><p class=\"note\">The ideal, without start-up and headroom, is "
            "%.1f instance-hours. A request is unserved when it would have waited longer than "
            "%g s. <b>oracle</b> knows the future; <b>hpa</b> is the Kubernetes autoscaler on "
            "CPU with its defaults.</p>\n",
            r->len > 0 ? r->results[0].ideal_instance_hours : 0, (double)r->in->patience_ms / 1000);
}

static double *to_double(const float *from, size_t len, double factor) {
    double *values = malloc(len * sizeof *values);
    for (size_t i = 0; values != NULL && i < len; i++) {
        values[i] = (double)from[i] * factor;
    }
    return values;
}

static const char *const colours[BACKTEST_ORACLE + 1] = {
    [BACKTEST_PREDICTIVE] = "#16a34a", [BACKTEST_REACTIVE] = "#2563eb", [BACKTEST_HPA] = "#d97706",
    [BACKTEST_FIXED] = "#7c3aed",      [BACKTEST_ORACLE] = "#64748b",
};

/* What each policy could not carry, summed up over time: all in one picture, to be compared. */
static void write_dropped(const struct report *r, const double *demand, FILE *out) {
    struct chart chart = {
        .title = "over capacity so far, requests (within intervals the queue may have saved some)",
        .start_ms = r->in->start_ms,
        .step_ms = r->in->step_ms,
        .len = r->in->len,
    };
    double *sums[CHART_LINES_MAX] = { 0 };
    for (size_t i = 0; i < r->len && chart.line_count < CHART_LINES_MAX; i++) {
        const struct backtest_result *x = &r->results[i];
        double *sum = to_double(x->serving, r->in->len, r->in->unit_rps), so_far = 0;
        for (size_t at = 0; sum != NULL && at < r->in->len; at++) {
            double over = isnan(demand[at]) ? 0 : fmax(demand[at] - sum[at], 0);
            so_far += over * (double)r->in->step_ms / 1000;
            sum[at] = so_far;
        }
        if (sum != NULL) {
            sums[chart.line_count] = sum;
            chart.lines[chart.line_count++] =
                (struct chart_line){ x->policy.name, colours[x->policy.kind], sum, false };
        }
    }
    chart_write(&chart, out);
    for (size_t i = 0; i < chart.line_count; i++) {
        free(sums[i]);
    }
}

/* A bar a policy: what it cost, and in money what it lost, when a request is worth something. */
static void write_money(const struct report *r, FILE *out) {
    double margin = r->in->policy.margin_per_request, most = 0;
    for (size_t i = 0; i < r->len; i++) {
        double lost = margin > 0 ? r->results[i].totals.unserved * margin : 0;
        most = fmax(most, r->results[i].cost + lost);
    }
    fputs("<h2>What it cost</h2>\n<table class=\"money\"><tbody>\n", out);
    for (size_t i = 0; i < r->len && most > 0; i++) {
        const struct backtest_result *x = &r->results[i];
        double lost = margin > 0 ? x->totals.unserved * margin : 0;
        fputs("<tr><td>", out);
        chart_write_text(x->policy.name, out);
        fprintf(out,
                "</td><td class=\"bars\"><i style=\"width:%.2f%%\"></i><b "
                "style=\"width:%.2f%%\"></b></td><td>%.2f</td><td>%s%.2f</td></tr>\n",
                90 * x->cost / most, 90 * lost / most, x->cost, lost > 0 ? "+ " : "", lost);
    }
    fprintf(out, "</tbody></table><p class=\"note\">Instances%s.</p>\n",
            margin > 0 ? ", and in red what the requests that were not served would have earned"
                       : "; say what a request earns (--margin) to see what was lost beside it");
}

static void write_policy(const struct report *r, const struct backtest_result *x,
                         const double *demand, FILE *out) {
    char title[160];
    double *capacity = to_double(x->serving, r->in->len, r->in->unit_rps);
    double *high = x->forecast_high != NULL ? to_double(x->forecast_high, r->in->len, 1) : NULL;
    double *low = x->forecast_low != NULL ? to_double(x->forecast_low, r->in->len, 1) : NULL;
    snprintf(title, sizeof title, "%s: demand and capacity, requests/s%s", x->policy.name,
             high != NULL ? "; band: what was forecast one start-up before, quantiles 0.1 to 0.9"
                          : "");
    struct chart chart = {
        .title = title,
        .start_ms = r->in->start_ms,
        .step_ms = r->in->step_ms,
        .len = r->in->len,
        .lines = { { "capacity", "#16a34a", capacity, true },
                   { "demand", "#334155", demand, false } },
        .line_count = 2,
        .band_low = high != NULL ? low : NULL,
        .band_high = low != NULL ? high : NULL,
    };
    if (capacity != NULL) {
        chart_write(&chart, out);
    }
    free(capacity);
    free(high);
    free(low);
}

static void write_all(const struct report *r, const double *demand, FILE *out) {
    write_head(r, out);
    write_table(r, out);
    write_money(r, out);
    fputs("<h2>What could not be carried</h2>\n", out);
    write_dropped(r, demand, out);
    fputs("<h2>Demand and what stood ready for it</h2>\n", out);
    for (size_t i = 0; i < r->len; i++) {
        write_policy(r, &r->results[i], demand, out);
    }
    fputs("</body></html>\n", out);
}

bool report_write(const struct report *r, const char *path, struct error *err) {
    double *demand = malloc(r->in->len * sizeof *demand);
    if (demand == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory for %zu points", r->in->len);
    }
    for (size_t i = 0; i < r->in->len; i++) {
        demand[i] = r->in->counts[i] * 1000 / (double)r->in->step_ms;
    }
    FILE *out = fopen(path, "w");
    bool ok = out != NULL;
    if (ok) {
        write_all(r, demand, out);
        bool failed = ferror(out) != 0;
        ok = fclose(out) == 0 && !failed;
    }
    free(demand);
    return ok || error_system(err, "%s: write", path);
}
