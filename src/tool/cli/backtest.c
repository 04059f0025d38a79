/* tidegate backtest FILE: what each scaling policy would have cost and dropped on recorded demand.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "act/control/shop.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"
#include "tool/sim/backtest.h"
#include "tool/sim/recorded.h"
#include "tool/sim/report.h"

#define INSTANCES_LIMIT 1000000

static const char help[] =
    "usage: tidegate backtest FILE [--config shop.yaml] [OPTION…]\n"
    "FILE is CSV of requests per interval, plain or gzip, as for forecast. A request is unserved "
    "when\n"
    "it would have waited longer than 2 s. Options override the configuration.\n\n"
    "  --config FILE        min, max, price, margin, campaigns, holidays, history from there\n"
    "  --service NAME       which service of the configuration (default: the first)\n"
    "  --policy P           predictive, reactive, hpa, fixed:N or oracle; may be repeated\n"
    "                       (default: predictive, reactive, hpa and oracle)\n"
    "  --unit-capacity R    what one instance carries: 10/s\n"
    "  --startup D          from order to first request (default 90s)\n"
    "  --min N --max N      instances (default 1, and twice what the peak needs)\n"
    "  --price N            an hour of an instance (default 0.10)\n"
    "  --margin N           what a request earns\n"
    "  --column NAME        of the requests (default: the first numeric column)\n"
    "  --step D             coarser intervals than the file's\n"
    "  --season D           a season, at most twice (default: a day and a week)\n"
    "  --events FILE        iCalendar or CSV start,end,name,kind,multiplier\n"
    "  --holidays CC[,CC]   public holidays by rule\n"
    "  --report FILE.html   charts and a verdict\n"
    "  --json               for programs\n";

struct request {
    struct recorded_options source;
    struct backtest_input input;
    struct backtest_policy policies[BACKTEST_POLICIES_MAX];
    size_t policy_count;
    bool min_given, max_given, json;
    const char *config_path, *service, *report_path;
    const char *history_path; /* of the configuration; NULL: none */
};

static bool add_policy(struct request *q, const char *text, struct error *err) {
    if (q->policy_count == BACKTEST_POLICIES_MAX) {
        return error_set(err, ERROR_INVALID, "--policy: expected at most %d",
                         BACKTEST_POLICIES_MAX);
    }
    return backtest_policy_parse(&q->policies[q->policy_count++], text, err) ||
           error_wrap(err, "--policy");
}

static const struct options_range instances_range = { 0, INSTANCES_LIMIT };

static bool take_policy(void *request, const char *value, struct error *err) {
    return add_policy(request, value, err);
}

static bool take_min(void *request, const char *value, struct error *err) {
    struct request *q = request;
    q->min_given = true;
    return options_count("min", value, instances_range, &q->input.policy.instances_min, err);
}

static bool take_max(void *request, const char *value, struct error *err) {
    struct request *q = request;
    q->max_given = true;
    return options_count("max", value, instances_range, &q->input.policy.instances_max, err);
}

static bool take_season(void *request, const char *value, struct error *err) {
    struct request *q = request;
    return options_season(value, q->input.season_ms, &q->input.season_count, err);
}

static const struct option_field options[] = {
    { "config", OPTION_TEXT, .offset = offsetof(struct request, config_path) },
    { "service", OPTION_TEXT, .offset = offsetof(struct request, service) },
    { "policy", OPTION_OWN, .take = take_policy },
    { "unit-capacity", OPTION_RATE, .offset = offsetof(struct request, input.unit_rps) },
    { "startup", OPTION_SPAN, .offset = offsetof(struct request, input.startup_ms) },
    { "min", OPTION_OWN, .take = take_min },
    { "max", OPTION_OWN, .take = take_max },
    { "price", OPTION_AMOUNT, .offset = offsetof(struct request, input.policy.price_per_hour) },
    { "margin", OPTION_AMOUNT,
      .offset = offsetof(struct request, input.policy.margin_per_request) },
    { "column", OPTION_TEXT, .offset = offsetof(struct request, source.column) },
    { "step", OPTION_SPAN, .offset = offsetof(struct request, source.step_ms) },
    { "season", OPTION_OWN, .take = take_season },
    { "events", OPTION_TEXT, .offset = offsetof(struct request, source.events_path) },
    { "holidays", OPTION_TEXT, .offset = offsetof(struct request, source.holidays) },
    { "report", OPTION_TEXT, .offset = offsetof(struct request, report_path) },
    { "json", OPTION_FLAG, .offset = offsetof(struct request, json) },
};
static const struct options_table table = OPTIONS_TABLE("backtest", options);

static bool add_default_policies(struct request *q, struct error *err) {
    static const char *const names[] = { "predictive", "reactive", "hpa", "oracle" };
    for (size_t i = 0; i < 4 && q->policy_count < 4; i++) {
        if (!add_policy(q, names[i], err)) {
            return false;
        }
    }
    return true;
}

static bool take_operands(struct request *q, int argc, char **argv, struct error *err) {
    if (optind != argc - 1) {
        return error_set(err, ERROR_INVALID, "expected one FILE");
    }
    q->source.path = argv[optind];
    return q->policy_count > 0 || add_default_policies(q, err);
}

static double peak_rps(const struct recorded *r) {
    double peak = 0;
    for (size_t i = 0; i < r->len; i++) {
        peak = fmax(peak, r->values[i] * 1000 / (double)r->step_ms);
    }
    return peak;
}

static bool complete(struct request *q, const struct recorded *r, struct error *err) {
    struct backtest_input *in = &q->input;
    in->counts = r->values;
    in->len = r->len;
    in->start_ms = r->start_ms;
    in->step_ms = r->step_ms;
    in->calendar = &r->calendar;
    if (!(in->unit_rps > 0)) {
        return error_set(err, ERROR_INVALID, "expected --unit-capacity, such as 10/s");
    }
    if (!q->max_given) {
        double most = ceil(peak_rps(r) / in->unit_rps) * 2 + 1;
        in->policy.instances_max = (uint32_t)fmin(most, INSTANCES_LIMIT);
    }
    return in->policy.instances_min <= in->policy.instances_max ||
           error_set(err, ERROR_INVALID, "expected a minimum of instances not above the maximum");
}

static json_t *to_json(const struct backtest_result *r) {
    return json_pack(
        "{s:f, s:f, s:f, s:I, s:f, s:f, s:I, s:i}", "instance_hours", r->totals.instance_hours,
        "ideal_instance_hours", r->ideal_instance_hours, "cost", r->cost, "unserved_requests",
        (json_int_t)llround(r->totals.unserved), "unserved_share", r->unserved_share,
        "violation_minutes", r->totals.violation_minutes, "scale_actions",
        (json_int_t)r->totals.scale_actions, "max_instances", (int)r->totals.max_instances);
}

static void print_json(const struct backtest_result *results, size_t len) {
    json_t *all = json_object();
    for (size_t i = 0; i < len; i++) {
        json_object_set_new(all, results[i].policy.name, to_json(&results[i]));
    }
    json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(10));
    putchar('\n');
    json_decref(all);
}

static void print_table(const struct backtest_result *results, size_t len, const char *verdict) {
    printf("%-14s %14s %10s %12s %10s %10s %8s %6s\n", "policy", "instance-hours", "cost",
           "unserved", "share", "over min.", "changes", "most");
    for (size_t i = 0; i < len; i++) {
        const struct backtest_result *r = &results[i];
        printf("%-14s %14.1f %10.2f %12.0f %9.4f%% %10.1f %8llu %6u\n", r->policy.name,
               r->totals.instance_hours, r->cost, r->totals.unserved, 100 * r->unserved_share,
               r->totals.violation_minutes, (unsigned long long)r->totals.scale_actions,
               r->totals.max_instances);
    }
    printf("ideal, without start-up and headroom: %.1f instance-hours\n",
           len > 0 ? results[0].ideal_instance_hours : 0);
    if (verdict != NULL) {
        printf("%s\n", verdict);
    }
}

static const struct backtest_result *find(const struct backtest_result *results, size_t len,
                                          enum backtest_kind kind) {
    for (size_t i = 0; i < len; i++) {
        if (results[i].policy.kind == kind) {
            return &results[i];
        }
    }
    return NULL;
}

static bool publish(const struct request *q, const struct backtest_result *results,
                    struct error *err) {
    const struct backtest_result *predictive = find(results, q->policy_count, BACKTEST_PREDICTIVE);
    const struct backtest_result *reactive = find(results, q->policy_count, BACKTEST_REACTIVE);
    struct backtest_verdict verdict = { 0 };
    bool judged = predictive != NULL && reactive != NULL;
    if (judged) {
        verdict = backtest_judge(predictive, reactive, q->input.policy.margin_per_request);
    }
    const char *text = judged ? verdict.text : NULL;
    if (q->json) {
        print_json(results, q->policy_count);
    } else {
        print_table(results, q->policy_count, text);
    }
    struct report report = { &q->input, results, q->policy_count, q->source.path,
                             judged ? &verdict : NULL };
    return q->report_path == NULL || report_write(&report, q->report_path, err);
}

static bool run_policies(const struct request *q, struct error *err) {
    struct backtest_result results[BACKTEST_POLICIES_MAX];
    size_t done = 0;
    bool ok = true;
    while (ok && done < q->policy_count) {
        ok = backtest_run(&q->input, &q->policies[done], &results[done], err);
        done += ok;
    }
    ok = ok && publish(q, results, err);
    for (size_t i = 0; i < done; i++) {
        backtest_result_fini(&results[i]);
    }
    return ok;
}

/* What the file says counts where no option says otherwise: options were parsed before. */
static bool take_configuration(struct request *q, const struct shop *shop, struct error *err) {
    const struct service_config *service = options_service(shop, q->service, q->config_path, err);
    if (service == NULL) {
        return false;
    }
    struct autoscale_policy given = q->input.policy;
    struct autoscale_policy *policy = &q->input.policy;
    *policy =
        instances_policy(&service->instances, &service->unit, shop->demand.margin_per_request);
    if (q->min_given) {
        policy->instances_min = given.instances_min;
    }
    if (q->max_given) {
        policy->instances_max = given.instances_max;
    }
    if (!isnan(given.price_per_hour)) {
        policy->price_per_hour = given.price_per_hour;
    }
    if (!isnan(given.margin_per_request)) {
        policy->margin_per_request = given.margin_per_request;
    }
    q->max_given = true;
    if (!(q->input.unit_rps > 0) && service->instances.capacity_rps > 0) {
        q->input.unit_rps = service->instances.capacity_rps;
    }
    if (q->input.season_count == 0) {
        memcpy(q->input.season_ms, shop->demand.season_ms, sizeof q->input.season_ms);
        q->input.season_count = shop->demand.season_count;
    }
    return true;
}

static bool answer_recorded(struct request *q, struct error *err);

/* The shop is kept until the answer is written: its files are named by it. */
static bool answer_with_configuration(struct request *q, struct error *err) {
    struct shop shop;
    const struct recorded_options given = q->source;
    if (!options_load_shop(q->config_path, &shop, err)) {
        return false;
    }
    if (q->source.events_path == NULL) {
        q->source.events_path = shop.demand.campaigns;
    }
    q->history_path = shop.demand.history;
    q->source.countries = shop.demand.holidays;
    q->source.country_count = shop.demand.holiday_count;
    bool ok = take_configuration(q, &shop, err) && answer_recorded(q, err);
    q->source = given; /* it has borrowed from here */
    shop_fini(&shop);
    return ok;
}

/* What the forecast has learned from before the first interval, as the controller would have. */
static bool run_with_history(struct request *q, struct error *err) {
    struct backtest_input *in = &q->input;
    struct recorded_options source = { .path = q->history_path, .step_ms = in->step_ms };
    struct recorded past;
    if (!recorded_init(&past, &source, err)) {
        return error_wrap(err, "demand.history");
    }
    int64_t len = (in->start_ms - past.start_ms) / in->step_ms;
    double *values = len > 0 && len <= FORECAST_HISTORY_STEPS_MAX
                         ? arena_alloc(&past.arena, (size_t)len * sizeof *values)
                         : NULL;
    for (int64_t i = 0; values != NULL && i < len; i++) {
        values[i] = i < (int64_t)past.len ? past.values[i] : (double)NAN;
    }
    in->history = values;
    in->history_len = values != NULL ? (size_t)len : 0;
    bool ok = run_policies(q, err);
    in->history = NULL;
    recorded_fini(&past);
    return ok;
}

static bool answer_recorded(struct request *q, struct error *err) {
    struct recorded recorded; /* borrowed by q->input until this returns */
    if (!recorded_init(&recorded, &q->source, err)) {
        return false;
    }
    bool ok = complete(q, &recorded, err) &&
              (q->history_path != NULL ? run_with_history(q, err) : run_policies(q, err));
    recorded_fini(&recorded);
    q->input.counts = NULL;
    q->input.calendar = NULL;
    return ok;
}

static bool answer_request(struct request *q, struct error *err) {
    return q->config_path != NULL ? answer_with_configuration(q, err) : answer_recorded(q, err);
}

int cli_backtest(int argc, char **argv) {
    struct request request = { 0 };
    struct error err = { 0 };
    int status;
    autoscale_policy_init(&request.input.policy);
    request.input.startup_ms = BACKTEST_STARTUP_MS;
    request.input.patience_ms = BACKTEST_PATIENCE_MS;
    if (!options_take(&table, &request, argc, argv, &status)) {
        return status;
    }
    if (!take_operands(&request, argc, argv, &err) || !answer_request(&request, &err)) {
        return options_failed(&table, &err);
    }
    return EXIT_DONE;
}
