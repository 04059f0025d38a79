#include "act/proxy/proxy_config.h"

#include "act/proxy/rule_config.h"

/* ---- limits and timeouts of the visitors' side ---- */

#define LIMIT(member) offsetof(struct limits_config, member)
#define TIMEOUT(member) offsetof(struct timeouts_config, member)

static const struct config_field limits_fields[] = {
    { "head", CONFIG_SIZE, LIMIT(head_bytes), .fallback = "32KiB", .min = 1024, .max = 262144,
      .help = "request line and fields together; beyond: 431" },
    { "fields", CONFIG_COUNT, LIMIT(fields), .fallback = "100", .min = 8, .max = 1000,
      .help = "fields of a request; beyond: 431" },
    { "target", CONFIG_SIZE, LIMIT(target_bytes), .fallback = "8KiB", .min = 64, .max = 131072,
      .help = "path and query; beyond: 414" },
    { "body", CONFIG_SIZE, LIMIT(body_bytes), .fallback = "0",
      .help = "body of a request; beyond: 413; 0: unlimited, bodies are streamed" },
    { "connections", CONFIG_COUNT, LIMIT(connections), .fallback = "20000", .min = 16,
      .max = 1000000,
      .help = "visitors' connections of one worker; beyond: one that carries nothing or does not "
              "get on gives way, else the new one waits for a second and is then served, answered "
              "503 or reset" },
    { "connections_per_client", CONFIG_COUNT, LIMIT(connections_per_client), .fallback = "256",
      .max = 1000000,
      .help = "of one address (or /64 of IPv6) at one worker; beyond: an idle one of its own gives "
              "way, else the new one waits for a second and is then served or reset; 0: any "
              "number. See `unlimited_clients`" },
    { "requests_per_client", CONFIG_COUNT, LIMIT(requests_per_client), .fallback = "256",
      .max = 1000000,
      .help = "in flight, of one address at one worker, WebSockets left out; beyond: 429; 0: any "
              "number" },
    { "handshakes_per_client", CONFIG_RATE, LIMIT(handshakes_per_client), .fallback = "50/s",
      .help = "new TLS connections of one address at one worker, and as many at once as come in "
              "four seconds; beyond they are closed; 0: any number" },
    { "requests_per_connection", CONFIG_COUNT, LIMIT(requests_per_connection), .fallback = "0",
      .help = "after so many a connection is closed; 0: never" },
    { "streams", CONFIG_COUNT, LIMIT(streams), .fallback = "128", .min = 1, .max = 10000,
      .help = "requests at once on one HTTP/2 connection of a visitor" },
    { "retries", CONFIG_COUNT, LIMIT(retries), .fallback = "2", .max = 8,
      .help = "of one request, where its service does not say `retry.attempts`" },
    { "memory", CONFIG_SIZE, LIMIT(memory_bytes), .fallback = "4GiB", .min = 67108864,
      .help = "private memory of one worker; beyond it connections are refused; for workers that "
              "start from now on" },
    { "descriptors", CONFIG_COUNT, LIMIT(descriptors), .fallback = "0", .max = 100000000,
      .help = "open connections and files of one worker; 0: what the system allows; for workers "
              "that start from now on" },
};
const struct config_table limits_config_table = CONFIG_TABLE(struct limits_config, limits_fields);

static const struct config_field timeouts_fields[] = {
    { "client_head", CONFIG_DURATION, TIMEOUT(client_head_ms), .fallback = "10s", .min = 100,
      .max = 600000, .help = "for the whole head of a request" },
    { "client_idle", CONFIG_DURATION, TIMEOUT(client_idle_ms), .fallback = "75s", .min = 100,
      .max = 3600000, .help = "a connection may wait for its next request" },
    { "client_body", CONFIG_DURATION, TIMEOUT(client_body_ms), .fallback = "30s", .min = 100,
      .max = 3600000, .help = "between two pieces of a body, in either direction" },
    { "pool_idle", CONFIG_DURATION, TIMEOUT(pool_idle_ms), .fallback = "4s", .min = 100,
      .max = 3600000,
      .help = "a connection to an instance is kept unused; shorter than the service keeps it" },
    { "drain", CONFIG_DURATION, TIMEOUT(drain_ms), .fallback = "30s", .max = 3600000,
      .help = "after TERM, what is under way may take this long" },
    { "upgrade", CONFIG_DURATION, TIMEOUT(upgrade_ms), .fallback = "15m", .max = 86400000,
      .help = "after an upgrade, what older workers carry (WebSockets) may take this long" },
};
const struct config_table timeouts_config_table =
    CONFIG_TABLE(struct timeouts_config, timeouts_fields);

struct plan_limits proxy_plan_limits(const struct limits_config *limits,
                                     const struct timeouts_config *timeouts) {
    return (struct plan_limits){
        .head_bytes = (uint32_t)limits->head_bytes,
        .fields = limits->fields,
        .target_bytes = (uint32_t)limits->target_bytes,
        .body_bytes = limits->body_bytes,
        .connections = limits->connections,
        .requests_per_connection = limits->requests_per_connection,
        .streams = limits->streams,
        .connections_per_client = limits->connections_per_client,
        .requests_per_client = limits->requests_per_client,
        .handshakes_per_client = limits->handshakes_per_client,
        .client_head_timeout_ms = (uint32_t)timeouts->client_head_ms,
        .client_idle_timeout_ms = (uint32_t)timeouts->client_idle_ms,
        .client_body_timeout_ms = (uint32_t)timeouts->client_body_ms,
        .drain_timeout_ms = (uint32_t)timeouts->drain_ms,
        .upgrade_timeout_ms = (uint32_t)timeouts->upgrade_ms,
        .pool_idle_timeout_ms = (uint32_t)timeouts->pool_idle_ms,
    };
}

/* ---- of a service ---- */

#define OBJECTIVE(member) offsetof(struct objective_config, member)
#define UPSTREAM(member) offsetof(struct upstream_config, member)

static const struct config_field objective_fields[] = {
    { "latency", CONFIG_DURATION, OBJECTIVE(latency_ms), .fallback = "250ms", .min = 1,
      .max = 600000, .help = "an answer within this is a good one" },
    { "share", CONFIG_SHARE, OBJECTIVE(share_ratio), .fallback = "99%", .min = 0.5, .max = 1,
      .help = "so many of the answers are to be good" },
};
const struct config_table objective_config_table =
    CONFIG_TABLE(struct objective_config, objective_fields);

static void check_upstream(const struct config_place *place, void *item) {
    const struct upstream_config *u = item;
    if (u->deadline_field.len > 0 && !rule_may_change(u->deadline_field)) {
        config_place_error(place, "deadline_header",
                           "deadline_header: expected the name of a header field that may be set, "
                           "found '%.*s'",
                           SLICE_ARG(u->deadline_field));
    }
}

static const struct config_field upstream_fields[] = {
    { "connect", CONFIG_DURATION, UPSTREAM(connect_ms), .fallback = "1s", .min = 10, .max = 60000,
      .help = "to connect to an instance" },
    { "first_byte", CONFIG_DURATION, UPSTREAM(first_byte_ms), .fallback = "30s", .min = 10,
      .max = 3600000, .help = "until an answer begins; then 504" },
    { "idle", CONFIG_DURATION, UPSTREAM(idle_ms), .fallback = "60s", .min = 10, .max = 3600000,
      .help = "between two pieces of an answer" },
    { "total", CONFIG_DURATION, UPSTREAM(total_ms), .fallback = "0", .max = 86400000,
      .help = "for a whole request; 0: no limit" },
    { "deadline_header", CONFIG_SLICE, UPSTREAM(deadline_field),
      .help = "in this field the instance is told how many milliseconds are left of `total`, or of "
              "what a visitor asks for in the same field" },
};
const struct config_table upstream_config_table =
    CONFIG_TABLE_CHECKED(struct upstream_config, upstream_fields, check_upstream);
