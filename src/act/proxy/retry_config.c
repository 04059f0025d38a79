#include "act/proxy/retry_config.h"

#define RETRY(member) offsetof(struct retry_config, member)
#define HEDGE(member) offsetof(struct hedge_config, member)
#define CIRCUIT(member) offsetof(struct circuit_config, member)

static const struct {
    struct slice name;
    uint32_t bit;
} causes[] = {
    { { "connect", 7 }, RETRY_ON_CONNECT }, { { "reset", 5 }, RETRY_ON_RESET },
    { { "timeout", 7 }, RETRY_ON_TIMEOUT }, { { "500", 3 }, RETRY_ON_500 },
    { { "502", 3 }, RETRY_ON_502 },         { { "503", 3 }, RETRY_ON_503 },
    { { "504", 3 }, RETRY_ON_504 },         { { "outlier", 7 }, RETRY_ON_OUTLIER },
};

static uint32_t bit_of(struct slice name) {
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        if (slice_equal(name, causes[i].name)) {
            return causes[i].bit;
        }
    }
    return 0;
}

static void check_retry(const struct config_place *place, void *item) {
    const struct retry_config *r = item;
    for (size_t i = 0; i < r->on_count; i++) {
        if (bit_of(r->on[i]) == 0) {
            struct config_place at = config_place_item(place, "on", i);
            config_place_error(&at, NULL,
                               "on: expected connect, reset, timeout, outlier, 500, 502, 503 or "
                               "504, found '%.*s'",
                               SLICE_ARG(r->on[i]));
        }
    }
}

static const struct config_field retry_fields[] = {
    { "on", CONFIG_SLICE, RETRY(on), .many = true, .count_offset = RETRY(on_count),
      .fallback = "connect, reset, timeout, outlier, 502, 503, 504",
      .help = "after what a request goes to another instance: `connect` (nothing was sent, or the "
              "service says that it has not begun), `reset`, `timeout`, `outlier` (a 500 of an "
              "instance whose "
              "peers answer well; once), or the answer 500, 502, 503, 504; all but `connect` only "
              "where twice does no more than once" },
    { "attempts", CONFIG_COUNT, RETRY(attempts), .fallback = "0", .max = 9,
      .help =
          "sendings of one request, the first included, but for one on a kept connection that its "
          "instance had just closed; 1: no retries; 0: limits.retries and the first" },
    { "budget", CONFIG_SHARE, RETRY(budget_ratio), .fallback = "10%", .max = 1,
      .help = "retries and hedges together, of the service's requests" },
    { "floor", CONFIG_RATE, RETRY(floor_rps), .fallback = "10/s", .max = 100000,
      .help = "and so many, however few requests there are" },
    { "per_try", CONFIG_DURATION, RETRY(per_try_ms), .fallback = "0", .max = 3600000,
      .help = "until an answer begins, while the request may still go elsewhere; 0: only "
              "timeouts.first_byte" },
    { "idempotency_key", CONFIG_BOOL, RETRY(idempotency_key), .fallback = "false",
      .help = "the service does a request with an Idempotency-Key once, however often it comes: "
              "then a POST with one may be retried" },
};
const struct config_table retry_config_table =
    CONFIG_TABLE_CHECKED(struct retry_config, retry_fields, check_retry);

static const struct config_field hedge_fields[] = {
    { "enabled", CONFIG_BOOL, HEDGE(enabled), .fallback = "true",
      .help = "a GET or HEAD that is slow to be answered is also sent to another instance, within "
              "retry.budget; the first answer counts" },
    { "percentile", CONFIG_NUMBER, HEDGE(percentile), .fallback = "95", .min = 51, .max = 99.9,
      .help = "slower than so many of a hundred of the service's latest answers" },
    { "least", CONFIG_DURATION, HEDGE(least_ms), .fallback = "2ms", .min = 1, .max = 3600000,
      .help = "never before that" },
};
const struct config_table hedge_config_table = CONFIG_TABLE(struct hedge_config, hedge_fields);

static const struct config_field circuit_fields[] = {
    { "connections", CONFIG_COUNT, CIRCUIT(connections), .fallback = "0", .max = 1000000,
      .help = "to one instance, tunnels aside, split among the workers; all full: 503; 0: twice "
              "what the service was learned to carry at once" },
    { "pending", CONFIG_COUNT, CIRCUIT(pending), .fallback = "0", .max = 1000000,
      .help = "requests that wait in each worker; beyond: 503; 0: overload.queue" },
    { "requests", CONFIG_COUNT, CIRCUIT(requests), .fallback = "0", .max = 1000000,
      .help = "in flight at all instances; beyond, they wait; 0: learned from the latency" },
};
const struct config_table circuit_config_table =
    CONFIG_TABLE(struct circuit_config, circuit_fields);

void retry_plan_service(const struct retry_config *retry, const struct hedge_config *hedge,
                        const struct circuit_config *circuit, uint32_t retries,
                        struct plan_service *out) {
    out->retry =
        (struct retry_policy){ .attempts = retry->attempts > 0 ? retry->attempts : retries + 1 };
    for (size_t i = 0; i < retry->on_count; i++) {
        out->retry.on |= bit_of(retry->on[i]);
    }
    out->retry_try_ms = (uint32_t)retry->per_try_ms;
    out->retry_ratio = retry->budget_ratio;
    out->retry_floor_rps = retry->floor_rps;
    out->idempotency_key = retry->idempotency_key;
    out->hedge = (struct hedge_policy){
        .ratio = hedge->enabled ? (float)(hedge->percentile / 100) : 0,
        .least_us = (uint32_t)(hedge->least_ms * 1000),
    };
    out->connections = circuit->connections;
    out->concurrency = circuit->requests;
    out->queue_max = circuit->pending > 0 ? circuit->pending : out->queue_max;
}
