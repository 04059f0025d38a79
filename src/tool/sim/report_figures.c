#include "tool/sim/report_figures.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tool/sim/amount.h"
#include "tool/sim/chart.h"

#define TOGETHER_MAX (CHART_LINES_MAX - 1) /* policies in one picture, beside demand */
#define BAND_LABEL "forecast one start-up before, 0.1 to 0.9"
#define CLOSE_MS INT64_C(10800000) /* the hardest hours: at least three, … */
#define CLOSE_STARTUPS 16          /* … so many start-ups … */
#define CLOSE_STEPS 48             /* … and intervals */

static const struct look {
    const char *colour, *dash;
} looks[BACKTEST_ORACLE + 1] = {
    [BACKTEST_PREDICTIVE] = { "#16a34a", NULL },  [BACKTEST_REACTIVE] = { "#2563eb", "7 3" },
    [BACKTEST_HPA] = { "#d97706", "2 2" },        [BACKTEST_FIXED] = { "#7c3aed", "12 3" },
    [BACKTEST_ORACLE] = { "#64748b", "8 3 2 3" },
};

/* Part of the time, and what is known of it, in requests/s. */
struct view {
    const struct report *report;
    const double *demand;
    size_t from, len;
};

static struct chart chart_of(const struct view *v, const char *title) {
    return (struct chart){
        .title = title,
        .start_ms = v->report->in->start_ms + (int64_t)v->from * v->report->in->step_ms,
        .step_ms = v->report->in->step_ms,
        .len = v->len,
    };
}

static struct chart_line demand_line(const struct view *v) {
    return (struct chart_line){
        .label = "demand", .colour = "currentColor", .values = v->demand + v->from, .width = 2
    };
}

static struct chart_line policy_line(const struct backtest_result *x, const double *values) {
    return (struct chart_line){ .label = x->policy.name,
                                .colour = looks[x->policy.kind].colour,
                                .values = values,
                                .steps = true,
                                .dash = looks[x->policy.kind].dash };
}

/* What a chart borrows until it is written; without memory a line is left out. */
struct drawn {
    double *arrays[CHART_LINES_MAX + 2];
    size_t len;
};

static double *copy_of(struct drawn *d, const struct view *v, const float *from, double factor) {
    assert(v->len > 0);
    double *values = from != NULL ? malloc(v->len * sizeof *values) : NULL;
    for (size_t i = 0; values != NULL && i < v->len; i++) {
        values[i] = (double)from[v->from + i] * factor;
    }
    if (values != NULL) {
        d->arrays[d->len++] = values;
    }
    return values;
}

static void put_away(struct drawn *d) {
    for (size_t i = 0; i < d->len; i++) {
        free(d->arrays[i]);
    }
}

static const struct backtest_result *forecaster(const struct report *r) {
    for (size_t i = 0; i < r->len; i++) {
        if (r->results[i].forecast_high != NULL) {
            return &r->results[i];
        }
    }
    return NULL;
}

static void add_band(struct chart *c, struct drawn *d, const struct view *v) {
    const struct backtest_result *x = forecaster(v->report);
    double *low = x != NULL ? copy_of(d, v, x->forecast_low, 1) : NULL;
    double *high = low != NULL ? copy_of(d, v, x->forecast_high, 1) : NULL;
    if (high != NULL) {
        c->band_low = low;
        c->band_high = high;
        c->band_label = BAND_LABEL;
    }
}

static void add_capacity(struct chart *c, struct drawn *d, const struct view *v,
                         const struct backtest_result *x) {
    double *capacity = copy_of(d, v, x->serving, v->report->in->unit_rps);
    if (capacity != NULL) {
        c->lines[c->line_count++] = policy_line(x, capacity);
    }
}

static void write_figure(const struct chart *c, const char *caption, FILE *out) {
    fputs("<figure>", out);
    chart_write(c, out);
    if (caption[0] != '\0') {
        fputs("<figcaption>", out);
        chart_write_text(caption, out);
        fputs("</figcaption>", out);
    }
    fputs("</figure>\n", out);
}

/* ---- the hardest hours ---- */

/* Where the policy that lost most lost most at once; demand's peak when nobody lost anything. */
static size_t hardest(const struct report *r, const double *demand) {
    const struct backtest_result *worst = NULL;
    for (size_t i = 0; i < r->len; i++) {
        const struct backtest_result *x = &r->results[i];
        bool loses = x->policy.kind != BACKTEST_ORACLE && x->totals.unserved > 0;
        if (loses && (worst == NULL || x->totals.unserved > worst->totals.unserved)) {
            worst = x;
        }
    }
    size_t found = 0;
    double most = -1;
    for (size_t i = 0; i < r->in->len; i++) {
        double hardness = worst != NULL ? (double)worst->unserved[i] : demand[i];
        if (hardness > most) {
            most = hardness;
            found = i;
        }
    }
    return found;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static struct view close_view(const struct report *r, const double *demand) {
    const struct backtest_input *in = r->in;
    int64_t span_ms =
        larger(CLOSE_MS, larger(CLOSE_STARTUPS * in->startup_ms, CLOSE_STEPS * in->step_ms));
    size_t len = (size_t)(span_ms / in->step_ms), at = hardest(r, demand);
    size_t from = at > len / 3 ? at - len / 3 : 0;
    if (len > in->len) {
        len = in->len;
    }
    if (from + len > in->len) {
        from = in->len - len;
    }
    return (struct view){ r, demand, from, len };
}

static void write_hardest(const struct report *r, const double *demand, FILE *out) {
    struct view v = close_view(r, demand);
    struct drawn d = { 0 };
    char from[CLOCK_ISO8601_BYTES], title[128];
    clock_format_iso8601(r->in->start_ms + (int64_t)v.from * r->in->step_ms, from);
    snprintf(title, sizeof title, "Requests/s from %.10s %.5s on: demand and what could be carried",
             from, from + 11);
    struct chart c = chart_of(&v, title);
    add_band(&c, &d, &v);
    for (size_t i = 0; i < r->len && c.line_count < TOGETHER_MAX; i++) {
        add_capacity(&c, &d, &v, &r->results[i]);
    }
    c.lines[c.line_count++] = demand_line(&v);
    fputs("<h2>The hardest hours</h2>\n", out);
    write_figure(&c,
                 "Where a policy's line is below demand, requests waited or were dropped; where it "
                 "is above, instances were paid and idle.",
                 out);
    put_away(&d);
}

/* ---- the whole time ---- */

static void write_dropped(const struct report *r, const double *demand, FILE *out) {
    struct view v = { r, demand, 0, r->in->len };
    struct drawn d = { 0 };
    struct chart c = chart_of(&v, "Requests dropped so far");
    for (size_t i = 0; i < r->len && c.line_count < TOGETHER_MAX; i++) {
        double *sum = copy_of(&d, &v, r->results[i].unserved, 1);
        for (size_t at = 1; sum != NULL && at < v.len; at++) {
            sum[at] += sum[at - 1];
        }
        if (sum != NULL) {
            c.lines[c.line_count++] = policy_line(&r->results[i], sum);
        }
    }
    fputs("<h2>What was dropped</h2>\n", out);
    write_figure(&c, "", out);
    put_away(&d);
}

/* How often demand fell into the band, in words. */
static void coverage_text(const struct report *r, const struct backtest_result *x,
                          const double *demand, char *text, size_t bytes) {
    size_t judged = 0, inside = 0;
    for (size_t i = 0; i < r->in->len; i++) {
        if (!isnan(demand[i]) && !isnan(x->forecast_high[i])) {
            judged++;
            inside +=
                demand[i] >= (double)x->forecast_low[i] && demand[i] <= (double)x->forecast_high[i];
        }
    }
    if (judged == 0) {
        snprintf(text, bytes, "There was too little history for a forecast.");
        return;
    }
    char count[AMOUNT_BYTES];
    snprintf(text, bytes, "%.0f %% of %s intervals fell into the band; it is made for 80 %%.",
             100.0 * (double)inside / (double)judged, amount_text((double)judged, 0, count));
}

static void write_forecast(const struct report *r, const double *demand, FILE *out) {
    struct view v = { r, demand, 0, r->in->len };
    struct drawn d = { 0 };
    struct chart c = chart_of(&v, "Requests/s: demand and what was forecast of it");
    const struct backtest_result *x = forecaster(r);
    char caption[160] = "";
    add_band(&c, &d, &v);
    c.lines[c.line_count++] = demand_line(&v);
    if (x != NULL) {
        coverage_text(r, x, demand, caption, sizeof caption);
    }
    fprintf(out, "<h2>Demand%s</h2>\n", x != NULL ? " and its forecast" : "");
    write_figure(&c, caption, out);
    put_away(&d);
}

static struct chart capacity_chart(const struct view *v, const struct backtest_result *x,
                                   const char *title, struct drawn *d) {
    struct chart c = chart_of(v, title);
    add_capacity(&c, d, v, x);
    c.lines[0].label = "capacity";
    c.lines[0].dash = NULL;
    c.marks = copy_of(d, v, x->unserved, 1);
    c.marks_label = "requests dropped";
    c.lines[c.line_count++] = demand_line(v);
    return c;
}

/* One scale for all: they are to be compared. */
static double common_top(const struct view *v) {
    double top = 0;
    for (size_t i = 0; i < v->report->len; i++) {
        struct drawn d = { 0 };
        struct chart c = capacity_chart(v, &v->report->results[i], "", &d);
        top = fmax(top, chart_highest(&c));
        put_away(&d);
    }
    return top;
}

static void write_capacities(const struct report *r, const double *demand, FILE *out) {
    struct view v = { r, demand, 0, r->in->len };
    double top = common_top(&v);
    fputs("<h2>What stood ready</h2>\n", out);
    for (size_t i = 0; i < r->len; i++) {
        const struct backtest_result *x = &r->results[i];
        struct drawn d = { 0 };
        char title[96], caption[160], cost[AMOUNT_BYTES], left[AMOUNT_BYTES];
        snprintf(title, sizeof title, "%s: requests/s that could be carried, and demand",
                 x->policy.name);
        struct chart c = capacity_chart(&v, x, title, &d);
        c.top = top;
        snprintf(caption, sizeof caption, "%s: cost %s, %s requests dropped.", x->policy.name,
                 amount_text(x->cost, 2, cost), amount_text(x->totals.unserved, 0, left));
        write_figure(&c, caption, out);
        put_away(&d);
    }
}

void report_write_figures(const struct report *r, const double *demand, FILE *out) {
    write_hardest(r, demand, out);
    write_dropped(r, demand, out);
    write_forecast(r, demand, out);
    write_capacities(r, demand, out);
}
