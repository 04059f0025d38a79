/* tidegate forecast FILE: demand ahead as quantiles, or how good that would have been. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "decide/forecast/evaluate.h"
#include "decide/forecast/forecast.h"
#include "tool/cli/forecast_output.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"
#include "tool/sim/recorded.h"

#define EVALUATE_ORIGINS 40
#define TREES_SEASONS 60  /* of the shortest: models are needed for what is remembered of errors */
#define HISTORY_SEASONS 9 /* of the longest season: what the profiles look back, and one */

static const char help[] =
    "usage: tidegate forecast FILE --horizon 24h [OPTION…]\n"
    "FILE is CSV with a header, plain or gzip; its first column named time, timestamp or date "
    "holds\n"
    "the time. Empty cells are missing, not zero. Columns of small whole numbers that go on past\n"
    "the origin are schedules known ahead; their effect is learned.\n\n"
    "  --horizon D          how far ahead: 24h, 14d, 900s\n"
    "  --step D             step of the forecast, a multiple of the file's (default: the file's)\n"
    "  --mean               a coarser step is the mean of its parts, not their sum\n"
    "  --column NAME        what to forecast (default: the first numeric column)\n"
    "  --origin TIME        forecast from here on; later rows count as known ahead only\n"
    "                       (default: after the last recorded value)\n"
    "  --known NAME[,NAME]  columns of any numbers that are known ahead, too: a weather forecast\n"
    "  --events FILE        iCalendar or CSV start,end,name,kind,multiplier\n"
    "  --holidays CC[,CC]   public holidays by rule, also `shopping` and `paydays`\n"
    "  --quantiles Q,…      default 0.1,0.5,0.9\n"
    "  --season D           a season, at most twice (default: a day and a week)\n"
    "  --evaluate           instead: accuracy at rolling origins, seasonal naive beside it\n"
    "  --plot FILE.svg      draw it\n"
    "  --json               for programs\n";

static bool take_quantiles(void *request, const char *text, struct error *err) {
    struct forecast_request *q = request;
    struct slice rest = slice_from(text), item;
    q->level_count = 0;
    while (slice_cut(&rest, ',', &item)) {
        double level;
        bool ascends = parse_double(slice_trim(item), &level) && level > 0 && level < 1 &&
                       (q->level_count == 0 || level > q->levels[q->level_count - 1]);
        if (!ascends || q->level_count == FORECAST_QUANTILES_MAX) {
            return error_set(err, ERROR_INVALID,
                             "--quantiles: expected up to %d ascending numbers "
                             "between 0 and 1, found '%s'",
                             FORECAST_QUANTILES_MAX, text);
        }
        q->levels[q->level_count++] = level;
    }
    return q->level_count > 0 ||
           error_set(err, ERROR_INVALID, "--quantiles: expected numbers such as 0.1,0.5,0.9");
}

static bool take_origin(void *request, const char *text, struct error *err) {
    struct forecast_request *q = request;
    q->origin_given = true;
    return clock_parse_iso8601(slice_from(text), &q->origin_ms) ||
           error_set(err, ERROR_INVALID,
                     "--origin: expected a time such as 2015-03-11T20:57:00Z, "
                     "found '%s'",
                     text);
}

static bool take_season(void *request, const char *value, struct error *err) {
    struct forecast_request *q = request;
    return options_season(value, q->season_ms, &q->season_count, err);
}

static const struct option_field options[] = {
    { "horizon", OPTION_SPAN, .offset = offsetof(struct forecast_request, horizon_ms) },
    { "step", OPTION_SPAN, .offset = offsetof(struct forecast_request, source.step_ms) },
    { "mean", OPTION_FLAG, .offset = offsetof(struct forecast_request, mean) },
    { "column", OPTION_TEXT, .offset = offsetof(struct forecast_request, source.column) },
    { "origin", OPTION_OWN, .take = take_origin },
    { "known", OPTION_TEXT, .offset = offsetof(struct forecast_request, source.known) },
    { "events", OPTION_TEXT, .offset = offsetof(struct forecast_request, source.events_path) },
    { "holidays", OPTION_TEXT, .offset = offsetof(struct forecast_request, source.holidays) },
    { "quantiles", OPTION_OWN, .take = take_quantiles },
    { "season", OPTION_OWN, .take = take_season },
    { "evaluate", OPTION_FLAG, .offset = offsetof(struct forecast_request, evaluate) },
    { "plot", OPTION_TEXT, .offset = offsetof(struct forecast_request, plot_path) },
    { "json", OPTION_FLAG, .offset = offsetof(struct forecast_request, json) },
};
static const struct options_table table = OPTIONS_TABLE("forecast", options);

static bool take_operands(struct forecast_request *q, int argc, char **argv, struct error *err) {
    if (optind != argc - 1) {
        return error_set(err, ERROR_INVALID, "expected one FILE");
    }
    if (q->horizon_ms == 0) {
        return error_set(err, ERROR_INVALID, "expected --horizon, such as --horizon 24h");
    }
    q->source.path = argv[optind];
    q->source.how = q->mean ? SERIES_MEAN : q->source.how;
    q->source.ahead_ms = q->horizon_ms + (q->source.step_ms > 0 ? q->source.step_ms : 0);
    return true;
}

static size_t after_last_recorded(const struct recorded *r) {
    size_t end = r->len;
    while (end > 0 && isnan(r->values[end - 1])) {
        end--;
    }
    return end;
}

static bool find_origin(const struct forecast_request *q, const struct recorded *r, size_t *first,
                        struct error *err) {
    if (!q->origin_given) {
        *first = after_last_recorded(r);
        return *first > 0 || error_set(err, ERROR_INVALID,
                                       "%s: expected a recorded value in "
                                       "column '%.*s'",
                                       r->series.name, SLICE_ARG(r->column->name));
    }
    int64_t ahead_ms = q->origin_ms - r->start_ms;
    int64_t limit = (int64_t)r->len + FORECAST_HORIZON_STEPS_MAX;
    if (ahead_ms <= 0 || ahead_ms / r->step_ms > limit) {
        return error_set(err, ERROR_INVALID,
                         "--origin: expected a time after the first row and at "
                         "most %d steps after the last",
                         FORECAST_HORIZON_STEPS_MAX);
    }
    *first = (size_t)((ahead_ms + r->step_ms - 1) / r->step_ms);
    return true;
}

static struct forecast_options model_options(const struct forecast_request *q,
                                             const struct recorded *r, size_t known) {
    struct forecast_options o = { .step_ms = r->step_ms };
    int64_t steps = (q->horizon_ms + r->step_ms - 1) / r->step_ms;
    o.horizon_steps = (uint32_t)(steps > UINT32_MAX ? UINT32_MAX : steps);
    forecast_default_seasons(&o);
    if (q->season_count > 0) {
        memcpy(o.season_ms, q->season_ms, sizeof o.season_ms);
        o.season_count = q->season_count;
    }
    int64_t useful = HISTORY_SEASONS * (o.season_ms[o.season_count - 1] / r->step_ms + 1);
    o.trees_from_ms = r->start_ms + (int64_t)known * r->step_ms - TREES_SEASONS * o.season_ms[0];
    o.history_steps = (uint32_t)(useful < (int64_t)known ? (size_t)useful : known);
    return o;
}

/* False: a column is not what was expected. */
static bool add_known(struct forecast *f, const struct recorded *r, size_t first,
                      struct error *err) {
    struct recorded_known known;
    bool ok = true;
    recorded_known_ahead(r, first, &known);
    for (size_t i = 0; ok && i < known.count; i++) {
        ok = i < known.measures
                 ? forecast_add_measure(f, known.columns[i], r->len, r->start_ms, err)
                 : forecast_add_regressor(f, known.columns[i], r->len, r->start_ms, err);
        if (!ok && i < known.measures) {
            error_wrap(err, "--known: '%.*s'", SLICE_ARG(r->measures[i]->name));
        }
    }
    return ok;
}

static struct forecast *learn(const struct forecast_request *q, const struct recorded *r,
                              size_t first, struct error *err) {
    struct forecast_options o = model_options(q, r, first);
    struct forecast *f = forecast_new(&o, err);
    if (f == NULL || !add_known(f, r, first, err)) {
        forecast_free(f);
        return NULL;
    }
    forecast_set_calendar(f, &r->calendar);
    for (size_t i = 0; i < first; i++) {
        double value = i < r->len ? r->values[i] : NAN;
        forecast_observe(f, r->start_ms + (int64_t)i * r->step_ms, value);
    }
    return f;
}

static bool answer_init(struct forecast_answer *a, const struct forecast_request *q,
                        const struct recorded *r, size_t first, struct error *err) {
    *a = (struct forecast_answer){ .first = first };
    struct forecast *f = learn(q, r, first, err);
    if (f == NULL) {
        return false;
    }
    a->steps = model_options(q, r, first).horizon_steps;
    a->mean = calloc(a->steps, sizeof *a->mean);
    a->values = calloc(a->steps * q->level_count, sizeof *a->values);
    bool ok = a->mean != NULL && a->values != NULL;
    if (!ok) {
        error_set(err, ERROR_LIMIT, "no memory for %zu steps", a->steps);
    } else if (!forecast_predict(f, a->steps,
                                 (struct forecast_quantiles){ q->levels, q->level_count }, a->mean,
                                 a->values)) {
        ok = error_set(err, ERROR_INVALID, "%s: expected a recorded value before the origin",
                       r->series.name);
    }
    a->knows = forecast_knows(f);
    a->left_out_count = forecast_left_out(f, a->left_out, FORECAST_LEFT_OUT_MAX);
    forecast_free(f);
    return ok;
}

static void answer_fini(struct forecast_answer *a) {
    free(a->mean);
    free(a->values);
}

static bool evaluate(const struct forecast_request *q, const struct recorded *r, size_t first,
                     struct error *err) {
    struct recorded_known known;
    struct evaluation e;
    recorded_known_ahead(r, first, &known);
    struct evaluate_input in = {
        .options = model_options(q, r, first),
        .values = r->values,
        .len = first < r->len ? first : r->len,
        .start_ms = r->start_ms,
        .calendar = &r->calendar,
        .regressors = known.columns,
        .regressor_count = known.count,
        .measure_count = known.measures,
        .quantiles = { q->levels, q->level_count },
        .origins = EVALUATE_ORIGINS,
    };
    if (!forecast_evaluate(&in, &e, err)) {
        return error_wrap(err, "%s", r->series.name);
    }
    forecast_print_evaluation(q, &e);
    return true;
}

static bool foretell(const struct forecast_request *q, const struct recorded *r, size_t first,
                     struct error *err) {
    struct forecast_answer a;
    bool ok = answer_init(&a, q, r, first, err);
    if (ok && q->json) {
        forecast_print_json(q, r, &a);
    } else if (ok) {
        forecast_print_csv(q, r, &a);
    }
    if (ok && q->plot_path != NULL) {
        ok = forecast_plot(q, r, &a, err);
    }
    answer_fini(&a);
    return ok;
}

static bool answer_request(const struct forecast_request *q, struct error *err) {
    struct recorded r;
    size_t first = 0;
    if (!recorded_init(&r, &q->source, err)) {
        return false;
    }
    bool ok = find_origin(q, &r, &first, err) &&
              (q->evaluate ? evaluate(q, &r, first, err) : foretell(q, &r, first, err));
    recorded_fini(&r);
    return ok;
}

int cli_forecast(int argc, char **argv) {
    struct forecast_request request = { .levels = { 0.1, 0.5, 0.9 }, .level_count = 3 };
    struct error err = { 0 };
    int status;
    if (!options_take(&table, &request, argc, argv, &status)) {
        return status;
    }
    if (!take_operands(&request, argc, argv, &err) || !answer_request(&request, &err)) {
        return options_failed(&table, &err);
    }
    return EXIT_DONE;
}
