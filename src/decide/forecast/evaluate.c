#include "decide/forecast/evaluate.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/median.h"
#include "decide/forecast/spread.h"

#define NAIVE_DIFFERENCES_MAX 20000 /* seasonal differences that make the naive quantiles */

struct sums {                            /* of one forecaster over all origins */
    double scaled_error, scaled_pinball; /* sums of the means of origins */
    double error, actual;
    double covered[FORECAST_QUANTILES_MAX];
    size_t steps, origins;
};

struct run {
    const struct evaluate_input *in;
    uint32_t season_steps[FORECAST_SEASONS_MAX];
    size_t seasons;
    double *forecast, *naive; /* horizon x quantiles */
    double *differences;
    size_t median; /* index of the quantile nearest to 0.5 */
    struct sums own, naives[FORECAST_SEASONS_MAX];
};

static double pinball(double q, double over) {
    return fmax(q * over, (q - 1) * over);
}

static double scale_before(const struct run *r, size_t origin) {
    double sum = 0;
    size_t count = 0, season = r->season_steps[0];
    for (size_t i = season; i < origin; i++) {
        double difference = fabs(r->in->values[i] - r->in->values[i - season]);
        if (!isnan(difference)) {
            sum += difference;
            count++;
        }
    }
    return count > 0 ? sum / (double)count : 0;
}

static void score(const struct run *r, const double *said, size_t origin, double scale,
                  struct sums *s) {
    const struct forecast_quantiles *q = &r->in->quantiles;
    double error = 0, loss = 0;
    size_t steps = 0;
    assert(said != NULL);
    for (size_t i = 0; i < r->in->options.horizon_steps && origin + i < r->in->len; i++) {
        double value = r->in->values[origin + i];
        const double *at = said + i * q->len;
        if (isnan(value) || isnan(at[r->median])) {
            continue;
        }
        steps++;
        error += fabs(value - at[r->median]);
        s->actual += value;
        for (size_t j = 0; j < q->len; j++) {
            loss += pinball(q->levels[j], value - at[j]) / (double)q->len;
            s->covered[j] += value <= at[j];
        }
    }
    if (steps == 0) {
        return;
    }
    s->scaled_error += error / (double)steps / scale;
    s->scaled_pinball += loss / (double)steps / scale;
    s->error += error;
    s->steps += steps;
    s->origins++;
}

static size_t collect_differences(const struct run *r, size_t origin, size_t season) {
    size_t len = 0;
    for (size_t i = origin; i-- > season && len < NAIVE_DIFFERENCES_MAX;) {
        double difference = r->in->values[i] - r->in->values[i - season];
        if (!isnan(difference)) {
            r->differences[len++] = difference;
        }
    }
    sort_ascending(r->differences, len);
    return len;
}

static double last_at_place(const struct run *r, size_t origin, size_t ahead, size_t season) {
    for (size_t back = (ahead / season + 1) * season; back <= origin + ahead; back += season) {
        double value = r->in->values[origin + ahead - back];
        if (!isnan(value)) {
            return value;
        }
    }
    return NAN;
}

/* Last season's value, and around it the quantiles of the seasonal differences so far. */
static void naive_forecast(const struct run *r, size_t origin, size_t season) {
    const struct forecast_quantiles *q = &r->in->quantiles;
    size_t len = collect_differences(r, origin, season);
    for (size_t i = 0; i < r->in->options.horizon_steps; i++) {
        double point = last_at_place(r, origin, i, season);
        for (size_t j = 0; j < q->len; j++) {
            double rank = q->levels[j] * (double)len;
            size_t at = rank >= (double)len ? len - 1 : (size_t)rank;
            double error = len == 0 || j == r->median ? 0 : r->differences[at];
            r->naive[i * q->len + j] = fmax(point + error, 0);
            if (isnan(point)) {
                r->naive[i * q->len + j] = NAN;
            }
        }
    }
}

static void judge(struct run *r, struct forecast *f, size_t origin) {
    double scale = scale_before(r, origin);
    if (!(scale > 0) ||
        !forecast_predict(f, r->in->options.horizon_steps, r->in->quantiles, NULL, r->forecast)) {
        return;
    }
    score(r, r->forecast, origin, scale, &r->own);
    for (size_t s = 0; s < r->seasons; s++) {
        if (origin > r->season_steps[s]) {
            naive_forecast(r, origin, r->season_steps[s]);
            score(r, r->naive, origin, scale, &r->naives[s]);
        }
    }
}

static void walk(struct run *r, struct forecast *f) {
    const struct evaluate_input *in = r->in;
    size_t last = in->len - in->options.horizon_steps, two_seasons = 2 * (size_t)r->season_steps[0];
    size_t first = in->len / 2 > two_seasons ? in->len / 2 : two_seasons;
    first = first < last ? first : last;
    double distance = in->origins > 1 ? (double)(last - first) / (double)(in->origins - 1) : 0;
    size_t judged = 0;
    for (size_t i = 0; i <= last; i++) {
        /* Seldom two origins fall on one step: the second is then the next. */
        if (judged < in->origins && i >= first + (size_t)((double)judged * distance)) {
            judge(r, f, i);
            judged++;
        }
        forecast_observe(f, in->start_ms + (int64_t)i * in->options.step_ms, in->values[i]);
    }
}

static struct evaluate_score finish(const struct sums *s, const struct forecast_quantiles *q) {
    double origins = (double)s->origins;
    struct evaluate_score result = {
        .mase = s->scaled_error / origins,
        .wape = s->actual > 0 ? s->error / s->actual : 0,
        .pinball = s->scaled_pinball / origins,
    };
    for (size_t j = 0; j < q->len; j++) {
        result.coverage[j] = s->covered[j] / (double)s->steps;
    }
    return result;
}

static bool prepare(struct run *r, struct error *err) {
    const struct evaluate_input *in = r->in;
    const struct forecast_options *o = &in->options;
    for (size_t i = 0; i < o->season_count; i++) {
        int64_t steps = o->season_ms[i] / o->step_ms;
        if (steps >= 2 && (uint64_t)steps * 2 < in->len) {
            r->season_steps[r->seasons++] = (uint32_t)steps;
        }
    }
    if (r->seasons == 0 || in->len < 2 * (size_t)r->season_steps[0] + o->horizon_steps) {
        return error_set(err, ERROR_INVALID,
                         "too short to evaluate: expected two seasons and a horizon of history");
    }
    r->median = spread_middle(in->quantiles.levels, in->quantiles.len);
    size_t cells = (size_t)o->horizon_steps * in->quantiles.len;
    r->forecast = calloc(cells, sizeof(double));
    r->naive = calloc(cells, sizeof(double));
    r->differences = calloc(NAIVE_DIFFERENCES_MAX, sizeof(double));
    return (r->forecast != NULL && r->naive != NULL && r->differences != NULL) ||
           error_set(err, ERROR_LIMIT, "no memory to evaluate %u steps", o->horizon_steps);
}

static bool run_through(struct run *r, struct error *err) {
    const struct evaluate_input *in = r->in;
    struct forecast *f = forecast_new(&in->options, err);
    if (f == NULL) {
        return false;
    }
    bool ok = true;
    forecast_set_calendar(f, in->calendar);
    for (size_t i = 0; ok && i < in->regressor_count; i++) {
        ok = (i < in->measure_count ? forecast_add_measure : forecast_add_regressor)(
            f, in->regressors[i], in->len, in->start_ms, err);
    }
    if (ok) {
        walk(r, f);
    }
    forecast_free(f);
    return ok;
}

bool forecast_evaluate(const struct evaluate_input *in, struct evaluation *out, struct error *err) {
    assert(in->origins > 0 && in->origins <= EVALUATE_ORIGINS_MAX && in->quantiles.len > 0);
    struct run run = { .in = in };
    bool ok = prepare(&run, err) && run_through(&run, err);
    if (ok && run.own.origins == 0) {
        ok =
            error_set(err, ERROR_INVALID, "nothing to evaluate: no recorded value after an origin");
    }
    if (ok) {
        *out = (struct evaluation){ .origins = run.own.origins, .steps = run.own.steps };
        out->forecast = finish(&run.own, &in->quantiles);
        for (size_t s = 0; s < run.seasons; s++) {
            struct evaluate_score naive = finish(&run.naives[s], &in->quantiles);
            if (s == 0 || naive.mase < out->naive.mase) {
                out->naive = naive;
                out->naive_season = s;
            }
        }
    }
    free(run.forecast);
    free(run.naive);
    free(run.differences);
    return ok;
}
