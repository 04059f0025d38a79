/* tidegate simulate: seeded days with crowds, campaigns and faults, and whether what must hold
 * held. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "act/control/shop.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"
#include "tool/sim/simulate.h"

#define AT_BYTES 64 /* "day 3 14:05:09" */

static const char help[] =
    "usage: tidegate simulate --config shop.yaml --seed N [OPTION…]\n"
    "Days that never were, second by second: demand with crowds and campaigns, and faults, met by\n"
    "the controller's own decisions. After each decision is checked that it stays within min and\n"
    "max, takes nothing away while it is blind or just after a restart, a jump of the clock or a\n"
    "growth, meets the demand of the moment and the first campaign as it was announced, and gives\n"
    "a reason that fits. Exit status 1, with the last decisions, when one of these did not hold.\n"
    "Same seed, same days.\n\n"
    "  --config FILE        the shop\n"
    "  --seed N             which days\n"
    "  --days D             how many (default 7)\n"
    "  --faults FILE        CSV at,for,fault,amount instead of the seed's faults: at and for are\n"
    "                       durations, fault is stale_metric, unknown_metric, dead_forecaster,\n"
    "                       clock_jump (amount in seconds), restart, crash (instances),\n"
    "                       slow_start or slow_instances (times)\n"
    "  --service NAME       which service of the configuration (default: the first)\n"
    "  --unit-capacity R    what one instance really carries (default: the configured guess)\n"
    "  --startup D          from order to first request, about (default 30s)\n"
    "  --json               for programs\n";

struct request {
    struct simulate_options simulate;
    const char *config_path, *service;
    bool seed_given, json;
};

static bool take_seed(void *request, const char *value, struct error *err) {
    struct request *q = request;
    q->seed_given = true;
    return options_number("seed", value, &q->simulate.seed, err);
}

static const struct option_field options[] = {
    { "config", OPTION_TEXT, .offset = offsetof(struct request, config_path) },
    { "seed", OPTION_OWN, .take = take_seed },
    { "days", OPTION_COUNT, .offset = offsetof(struct request, simulate.days),
      .range = { 1, SCENARIO_DAYS_MAX } },
    { "faults", OPTION_TEXT, .offset = offsetof(struct request, simulate.faults_path) },
    { "service", OPTION_TEXT, .offset = offsetof(struct request, service) },
    { "unit-capacity", OPTION_RATE, .offset = offsetof(struct request, simulate.unit_rps) },
    { "startup", OPTION_SPAN, .offset = offsetof(struct request, simulate.startup_ms) },
    { "json", OPTION_FLAG, .offset = offsetof(struct request, json) },
};
static const struct options_table table = OPTIONS_TABLE("simulate", options);

/* ---- the answer ---- */

static void format_at(int64_t at_s, char out[AT_BYTES]) {
    snprintf(out, AT_BYTES, "day %lld %02lld:%02lld:%02lld", (long long)(at_s / 86400),
             (long long)(at_s / 3600 % 24), (long long)(at_s / 60 % 60), (long long)(at_s % 60));
}

static json_t *last_decisions(const struct invariants *v) {
    json_t *list = json_array();
    uint64_t first = v->noted > INVARIANTS_LAST ? v->noted - INVARIANTS_LAST : 0;
    for (uint64_t i = first; i < v->noted; i++) {
        const struct invariants_note *n = &v->last[i % INVARIANTS_LAST];
        char at[AT_BYTES];
        format_at(n->at_s, at);
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:i, s:s, s:s}", "at", at, "serving",
                                        (int)n->serving, "starting", (int)n->starting, "reason",
                                        autoscale_reason_name(n->reason), "text", n->sentence));
    }
    return list;
}

static json_t *violation(const struct simulate_result *r) {
    char at[AT_BYTES];
    if (r->invariants.broken == NULL) {
        return json_null();
    }
    format_at(r->broken_at_s, at);
    return json_pack("{s:s, s:s, s:s, s:o}", "invariant", r->invariants.broken, "at", at, "text",
                     r->invariants.text, "last_decisions", last_decisions(&r->invariants));
}

static void print_json(const struct request *q, const struct simulate_result *r) {
    json_t *answer =
        json_pack("{s:I, s:f, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:i}", "seed",
                  (json_int_t)q->simulate.seed, "hours", (double)r->decisions / 3600, "violation",
                  violation(r), "decisions", (json_int_t)r->decisions, "changes",
                  (json_int_t)r->changes, "shrinks", (json_int_t)r->shrinks, "blind_seconds",
                  (json_int_t)r->blind_seconds, "faults", (json_int_t)r->faults, "campaigns",
                  (json_int_t)r->campaigns, "surges", (json_int_t)r->surges, "requests",
                  r->totals.requests, "unserved_requests", r->totals.unserved, "instance_hours",
                  r->totals.instance_hours, "max_instances", (int)r->totals.max_instances);
    json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(10));
    putchar('\n');
    json_decref(answer);
}

static void print_words(const struct request *q, const struct simulate_result *r) {
    const struct invariants *v = &r->invariants;
    char at[AT_BYTES];
    printf("seed %llu: %.1f hours, %llu campaigns announced, %llu surges, %llu faults; %llu "
           "changes, %llu seconds blind\n%.0f requests, %.0f unserved, %.1f instance-hours, at "
           "most %u instances\n",
           (unsigned long long)q->simulate.seed, (double)r->decisions / 3600,
           (unsigned long long)r->campaigns, (unsigned long long)r->surges,
           (unsigned long long)r->faults, (unsigned long long)r->changes,
           (unsigned long long)r->blind_seconds, r->totals.requests, r->totals.unserved,
           r->totals.instance_hours, r->totals.max_instances);
    if (v->broken == NULL) {
        printf("everything held\n");
        return;
    }
    format_at(r->broken_at_s, at);
    printf("seed %llu, %s: '%s' did not hold: %s\nthe last decisions:\n",
           (unsigned long long)q->simulate.seed, at, v->broken, v->text);
    for (uint64_t i = v->noted > INVARIANTS_LAST ? v->noted - INVARIANTS_LAST : 0; i < v->noted;
         i++) {
        const struct invariants_note *n = &v->last[i % INVARIANTS_LAST];
        format_at(n->at_s, at);
        printf("  %s  %u serving, %u starting: %s\n", at, n->serving, n->starting, n->sentence);
    }
}

/* ---- what is simulated ---- */

static bool take_service(struct request *q, const struct shop *shop, struct error *err) {
    const struct service_config *service = options_service(shop, q->service, q->config_path, err);
    struct foresee_options *o = &q->simulate.foresee;
    if (service == NULL) {
        return false;
    }
    o->policy =
        instances_policy(&service->instances, &service->unit, shop->demand.margin_per_request);
    o->objective_ms = (double)service->objective.latency_ms;
    o->capacity_rps = service->instances.capacity_rps;
    o->step_ms = shop->demand.step_ms;
    memcpy(o->season_ms, shop->demand.season_ms, sizeof o->season_ms);
    o->season_count = shop->demand.season_count;
    if (!(q->simulate.unit_rps > 0)) {
        q->simulate.unit_rps = o->capacity_rps > 0 ? o->capacity_rps : SIMULATE_UNIT_RPS;
    }
    return true;
}

static bool answer_request(struct request *q, struct simulate_result *out, struct error *err) {
    struct shop shop;
    if (!options_load_shop(q->config_path, &shop, err)) {
        return false;
    }
    bool ok = take_service(q, &shop, err) && simulate_run(&q->simulate, out, err);
    shop_fini(&shop);
    return ok;
}

int cli_simulate(int argc, char **argv) {
    struct request request = { .simulate = { .days = 7, .startup_ms = SIMULATE_STARTUP_MS } };
    static struct simulate_result result;
    struct error err = { 0 };
    int status;
    if (!options_take(&table, &request, argc, argv, &status)) {
        return status;
    }
    bool asked = optind == argc && request.config_path != NULL && request.seed_given;
    if (!asked) {
        error_set(&err, ERROR_INVALID, "expected --config FILE and --seed N");
    }
    if (!asked || !answer_request(&request, &result, &err)) {
        return options_failed(&table, &err);
    }
    if (request.json) {
        print_json(&request, &result);
    } else {
        print_words(&request, &result);
    }
    return result.invariants.broken == NULL ? EXIT_DONE : EXIT_NO;
}
