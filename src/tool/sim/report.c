#include "tool/sim/report.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tool/sim/amount.h"
#include "tool/sim/chart.h"
#include "tool/sim/report_figures.h"
#include "tool/sim/report_style.h"

#define PERIODS_MAX 32 /* rows of the last table */

static const char *const meanings[BACKTEST_ORACLE + 1] = {
    [BACKTEST_PREDICTIVE] = "Tidegate with its forecast",
    [BACKTEST_REACTIVE] = "Tidegate without the forecast",
    [BACKTEST_HPA] = "the Kubernetes autoscaler on CPU, its defaults",
    [BACKTEST_FIXED] = "always as many",
    [BACKTEST_ORACLE] = "knows the future; nobody does",
};

static double lost(const struct report *r, const struct backtest_result *x) {
    double margin = r->in->policy.margin_per_request;
    return margin > 0 ? x->totals.unserved * margin : 0;
}

/* ---- the beginning ---- */

static void write_verdict(const struct report *r, FILE *out) {
    if (r->verdict == NULL) {
        fputs("<p class=\"verdict\"><strong>Whether prediction pays was not asked.</strong> That "
              "takes both policies, predictive and reactive.</p>\n",
              out);
        return;
    }
    const char *text = r->verdict->text, *rest = strstr(text, ": ");
    char headline[128];
    size_t len = rest != NULL ? (size_t)(rest - text) + 1 : 0;
    snprintf(headline, sizeof headline, "%.*s", (int)len, text);
    fprintf(out, "<p class=\"verdict%s\"><strong>", r->verdict->pays ? " pays" : "");
    chart_write_text(headline, out);
    fputs("</strong> ", out);
    if (rest != NULL) {
        fputc(toupper((unsigned char)rest[2]), out);
    }
    chart_write_text(rest != NULL ? rest + 3 : text, out);
    fputs("</p>\n", out);
}

static void write_head(const struct report *r, FILE *out) {
    const struct backtest_input *in = r->in;
    char from[CLOCK_ISO8601_BYTES], to[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(in->start_ms, from);
    clock_format_iso8601(in->start_ms + (int64_t)in->len * in->step_ms, to);
    fputs("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
          "<title>Tidegate backtest</title>",
          out);
    fputs(report_style, out);
    fputs("</head><body><main>\n<h1>What each way of scaling would have cost and dropped</h1>\n",
          out);
    write_verdict(r, out);
    fputs("<p class=\"note\">", out);
    chart_write_text(r->source, out);
    bool priced = in->policy.price_per_hour > 0, earns = in->policy.margin_per_request > 0;
    fprintf(out,
            ", %.10s to %.10s, UTC. One instance carries %g requests/s, takes %g s to start and "
            "costs %g an hour%s; ",
            from, to, in->unit_rps, (double)in->startup_ms / 1000,
            priced ? in->policy.price_per_hour : BACKTEST_PRICE_DEFAULT,
            priced ? "" : " (assumed: --price)");
    if (earns) {
        fprintf(out, "a request earns %g.</p>\n", in->policy.margin_per_request);
    } else {
        fputs("what a request earns was not said (--margin).</p>\n", out);
    }
}

/* ---- the policies ---- */

/* The instances, and in red what the dropped requests would have earned. */
static void write_bars(const struct backtest_result *x, double lost_money, double most, FILE *out) {
    double cost = most > 0 ? 100 * x->cost / most : 0;
    fprintf(out,
            "<td class=\"bars\"><svg viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" "
            "aria-hidden=\"true\"><path fill=\"#2563eb\" d=\"M0 0h%.2fv8h-%.2fz\"/>"
            "<path fill=\"#dc2626\" d=\"M%.2f 0h%.2fv8h-%.2fz\"/></svg></td>",
            cost, cost, cost, most > 0 ? 100 * lost_money / most : 0,
            most > 0 ? 100 * lost_money / most : 0);
}

static void write_policy_row(const struct report *r, const struct backtest_result *x, double most,
                             FILE *out) {
    char hours[AMOUNT_BYTES], cost[AMOUNT_BYTES], left[AMOUNT_BYTES], money[AMOUNT_BYTES];
    char all[AMOUNT_BYTES], minutes[AMOUNT_BYTES], changes[AMOUNT_BYTES];
    fputs("<tr><th scope=\"row\">", out);
    chart_write_text(x->policy.name, out);
    fputs("</th>", out);
    write_bars(x, lost(r, x), most, out);
    fprintf(out, "<td>%s</td>", amount_text(x->cost, 2, cost));
    if (r->in->policy.margin_per_request > 0) {
        fprintf(out, "<td>%s</td><td>%s</td>", amount_text(lost(r, x), 2, money),
                amount_text(x->cost + lost(r, x), 2, all));
    }
    fprintf(out, "<td>%s</td><td>%.4f %%</td><td>%s</td><td>%s</td><td>%s</td><td>%u</td></tr>\n",
            amount_text(x->totals.unserved, 0, left), 100 * x->unserved_share,
            amount_text(x->totals.violation_minutes, 0, minutes),
            amount_text(x->totals.instance_hours, 1, hours),
            amount_text((double)x->totals.scale_actions, 0, changes), x->totals.max_instances);
}

/* Each kind once. */
static void write_meanings(const struct report *r, FILE *out) {
    bool said[BACKTEST_ORACLE + 1] = { false };
    fputs("<p class=\"note\">", out);
    for (size_t i = 0; i < r->len; i++) {
        enum backtest_kind kind = r->results[i].policy.kind;
        if (!said[kind]) {
            fputs("<b>", out);
            chart_write_text(r->results[i].policy.name, out);
            fprintf(out, "</b>: %s. ", meanings[kind]);
        }
        said[kind] = true;
    }
}

static void write_policies(const struct report *r, FILE *out) {
    bool earns = r->in->policy.margin_per_request > 0;
    double most = 0;
    for (size_t i = 0; i < r->len; i++) {
        most = fmax(most, r->results[i].cost + lost(r, &r->results[i]));
    }
    fprintf(
        out,
        "<h2>What it cost</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
        "aria-label=\"What each policy cost and dropped\"><table><caption>Blue: what the "
        "instances cost%s.</caption><thead><tr><th scope=\"col\">policy</th>"
        "<th scope=\"col\">cost%s</th><th scope=\"col\">of instances</th>%s"
        "<th scope=\"col\">requests dropped</th><th scope=\"col\">share</th>"
        "<th scope=\"col\">minutes over capacity</th><th scope=\"col\">instance-hours</th>"
        "<th scope=\"col\">changes</th><th scope=\"col\">most at once</th></tr></thead><tbody>\n",
        earns ? "; red: what the dropped requests would have earned" : "", earns ? " and loss" : "",
        earns ? "<th scope=\"col\">lost</th><th scope=\"col\">all in</th>" : "");
    for (size_t i = 0; i < r->len; i++) {
        write_policy_row(r, &r->results[i], most, out);
    }
    char ideal[AMOUNT_BYTES];
    fputs("</tbody></table></div>\n", out);
    write_meanings(r, out);
    fprintf(out,
            "<br>Without any start-up and headroom it would be "
            "%s instance-hours. A request is dropped when it would have waited longer than %g s.%s"
            "</p>\n",
            amount_text(r->len > 0 ? r->results[0].ideal_instance_hours : 0, 1, ideal),
            (double)r->in->patience_ms / 1000,
            earns ? "" : " Say what a request earns (--margin), to see what was lost in money.");
}

/* ---- the numbers of the charts ---- */

static int64_t period_ms(const struct backtest_input *in) {
    static const int64_t days[] = { 1, 7, 28, 91, 364 };
    int64_t span_ms = (int64_t)in->len * in->step_ms, found = in->step_ms;
    for (int64_t hours = 1; hours <= 6; hours += 5) {
        if (found < hours * MS_PER_HOUR && span_ms / found > PERIODS_MAX) {
            found = hours * MS_PER_HOUR;
        }
    }
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        if (found < days[i] * MS_PER_DAY && span_ms / found > PERIODS_MAX) {
            found = days[i] * MS_PER_DAY;
        }
    }
    while (span_ms / found > PERIODS_MAX) {
        found *= 2;
    }
    return found;
}

/* The first interval that belongs to another period, which begin at whole ones of days. */
static size_t period_end(const struct backtest_input *in, size_t from, int64_t period) {
    int64_t at_ms = in->start_ms + (int64_t)from * in->step_ms;
    int64_t first_ms = in->start_ms - (in->start_ms % MS_PER_DAY + MS_PER_DAY) % MS_PER_DAY;
    int64_t end_ms = at_ms + period - (at_ms - first_ms) % period;
    int64_t end = (end_ms - in->start_ms + in->step_ms - 1) / in->step_ms;
    return end < (int64_t)in->len ? (size_t)end : in->len;
}

static const struct backtest_result *with_forecast(const struct report *r) {
    for (size_t i = 0; i < r->len; i++) {
        if (r->results[i].forecast_high != NULL) {
            return &r->results[i];
        }
    }
    return NULL;
}

static void write_period_head(const struct report *r, FILE *out) {
    fputs(
        "<h2>The numbers of the charts</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
        "aria-label=\"The numbers of the charts\"><table><caption>Highest demand and forecast in "
        "requests/s; for each policy the mean of what it could carry, and the requests that it "
        "dropped.</caption><thead><tr><th scope=\"col\">from</th><th scope=\"col\">requests</th>"
        "<th scope=\"col\">highest demand</th>",
        out);
    if (with_forecast(r) != NULL) {
        fputs("<th scope=\"col\">forecast 0.1</th><th scope=\"col\">forecast 0.9</th>", out);
    }
    for (size_t i = 0; i < r->len; i++) {
        fputs("<th scope=\"col\">", out);
        chart_write_text(r->results[i].policy.name, out);
        fputs("</th><th scope=\"col\">dropped</th>", out);
    }
    fputs("</tr></thead><tbody>\n", out);
}

static void write_cell(double value, unsigned decimals, FILE *out) {
    char text[AMOUNT_BYTES];
    fprintf(out, "<td>%s</td>", amount_text(value, decimals, text));
}

/* [from, to) of the intervals. */
struct period {
    size_t from, to;
    bool days; /* whole ones: no time of the day is needed */
};

static void write_period(const struct report *r, const double *demand, struct period p, FILE *out) {
    const struct backtest_result *said = with_forecast(r);
    char at[CLOCK_ISO8601_BYTES];
    double requests = 0, peak = NAN, low = NAN, high = NAN;
    clock_format_iso8601(r->in->start_ms + (int64_t)p.from * r->in->step_ms, at);
    for (size_t i = p.from; i < p.to; i++) {
        requests += isnan(r->in->counts[i]) ? 0 : r->in->counts[i];
        peak = fmax(peak, demand[i]);
        if (said != NULL) {
            low = fmax(low, (double)said->forecast_low[i]);
            high = fmax(high, (double)said->forecast_high[i]);
        }
    }
    fprintf(out, "<tr><th scope=\"row\">%.10s %.*s</th>", at, p.days ? 0 : 5, at + 11);
    write_cell(requests, 0, out);
    write_cell(peak, 1, out);
    if (said != NULL) {
        write_cell(low, 1, out);
        write_cell(high, 1, out);
    }
    for (size_t k = 0; k < r->len; k++) {
        double serving = 0, dropped = 0;
        for (size_t i = p.from; i < p.to; i++) {
            serving += (double)r->results[k].serving[i];
            dropped += (double)r->results[k].unserved[i];
        }
        write_cell(serving / (double)(p.to - p.from) * r->in->unit_rps, 1, out);
        write_cell(dropped, 0, out);
    }
    fputs("</tr>\n", out);
}

static void write_periods(const struct report *r, const double *demand, FILE *out) {
    int64_t period = period_ms(r->in);
    write_period_head(r, out);
    for (size_t from = 0, to; from < r->in->len; from = to) {
        to = period_end(r->in, from, period);
        write_period(r, demand, (struct period){ from, to, period >= MS_PER_DAY }, out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void write_all(const struct report *r, const double *demand, FILE *out) {
    write_head(r, out);
    write_policies(r, out);
    report_write_figures(r, demand, out);
    write_periods(r, demand, out);
    fputs("</main></body></html>\n", out);
}

bool report_write(const struct report *r, const char *path, struct error *err) {
    assert(r->in->len > 0);
    double *demand = calloc(r->in->len, sizeof *demand);
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
