/* /metrics. Each family is one row of a table: name, type, help, and where its number is. Labels
 * are bounded: services, stages, states, reasons and workers by their limits, instances by the
 * slots. */
#include <stdio.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "act/guard/guard.h"
#include "act/proxy/compression.h"
#include "record/telemetry/exposition.h"

#define METRICS_BYTES_MAX (8u << 20)
#define LABELS(...)                                                                                \
    ((struct metric_labels){ (const struct metric_label[]){ __VA_ARGS__ },                         \
                             sizeof((const struct metric_label[]){ __VA_ARGS__ }) /                \
                                 sizeof(struct metric_label) })

/* Counters of a service by stage, in the vitals. */
#define STAGE_METRICS(X)                                                                           \
    X(offered, "tidegate_requests_offered_total", "requests that came, before admission")          \
    X(served, "tidegate_requests_served_total", "requests answered by an instance, below 500")     \
    X(refused, "tidegate_requests_refused_total", "requests turned away by admission")             \
    X(failed, "tidegate_requests_failed_total", "requests whose visitor saw a failure")

#define SERVICE_COUNTERS(X)                                                                        \
    X(retries_refused, "tidegate_retries_refused_total", "retries that the budget did not allow")  \
    X(retries_late, "tidegate_retries_late_total",                                                 \
      "retries that would have been answered after the deadline")                                  \
    X(retry_storms, "tidegate_retry_storms_total", "times that the retry budget was used up")      \
    X(hedges_sent, "tidegate_hedges_total", "second attempts for slow reads")                      \
    X(hedges_won, "tidegate_hedges_won_total", "second attempts that answered")                    \
    X(hedges_lost, "tidegate_hedges_lost_total",                                                   \
      "second attempts that the first one outran, or that failed")                                 \
    X(hedges_refused, "tidegate_hedges_refused_total",                                             \
      "second attempts that the budget did not allow")                                             \
    X(connections_full, "tidegate_service_connections_full_total",                                 \
      "attempts that found the limit of connections to an instance reached")

/* Counters and gauges of a worker, in the vitals. */
#define WORKER_METRICS(X)                                                                          \
    X(connections_accepted, COUNTER, "tidegate_connections_accepted_total", "client connections")  \
    X(connections_refused, COUNTER, "tidegate_connections_refused_total",                          \
      "client connections reset because the worker had as many as it may have")                    \
    X(connections_gave_way, COUNTER, "tidegate_connections_gave_way_total",                        \
      "idle or stalled client connections closed for new ones because the worker was full")        \
    X(connections_held, COUNTER, "tidegate_connections_held_total",                                \
      "client connections kept waiting for a second because the worker was full")                  \
    X(connections_told, COUNTER, "tidegate_connections_told_total",                                \
      "requests answered 503 because the worker was full")                                         \
    X(client_refused, COUNTER, "tidegate_client_connections_refused_total",                        \
      "connections closed because their address had as many as one may have")                      \
    X(client_held, COUNTER, "tidegate_client_connections_held_total",                              \
      "connections kept waiting for a second because their address had as many as one may have")   \
    X(client_gave_way, COUNTER, "tidegate_client_connections_gave_way_total",                      \
      "idle connections closed for a new one of the same address")                                 \
    X(client_handshakes_refused, COUNTER, "tidegate_client_handshakes_refused_total",              \
      "connections closed because their address began too many TLS handshakes")                    \
    X(connections_open, GAUGE, "tidegate_connections_open", "client connections now")              \
    X(h2_connections, COUNTER, "tidegate_h2_connections_total",                                    \
      "client connections that speak HTTP/2")                                                      \
    X(h2_floods, COUNTER, "tidegate_h2_floods_total",                                              \
      "HTTP/2 connections ended for a flood (resets, PING, SETTINGS, empty frames, huge heads)")   \
    X(upstream_opened, COUNTER, "tidegate_upstream_connections_opened_total",                      \
      "connections to instances")                                                                  \
    X(upstream_open, GAUGE, "tidegate_upstream_connections_open", "connections to instances now")  \
    X(bytes_in, COUNTER, "tidegate_received_bytes_total", "bytes of bodies from clients")          \
    X(bytes_out, COUNTER, "tidegate_sent_bytes_total", "bytes of bodies to clients")               \
    X(encoders_open, GAUGE, "tidegate_compression_encoders", "answers being compressed now")       \
    X(records_dropped, COUNTER, "tidegate_request_records_dropped_total",                          \
      "request records lost because the controller did not keep up")                               \
    X(rate_keys_evicted, COUNTER, "tidegate_rate_limit_keys_evicted_total",                        \
      "keys of rate limits whose place was taken when their bucket was full again")                \
    X(rate_keys_evicted_early, COUNTER, "tidegate_rate_limit_keys_evicted_early_total",            \
      "keys of rate limits whose place was taken before")                                          \
    X(rate_table_full, COUNTER, "tidegate_rate_limit_table_full_total",                            \
      "requests that no rate limit counted because there was no place for their key")              \
    X(password_checks, COUNTER, "tidegate_password_checks_total",                                  \
      "passwords held against a bcrypt hash, beyond what was remembered")                          \
    X(patterns_gave_up, COUNTER, "tidegate_route_patterns_gave_up_total",                          \
      "regular expressions of routes that reached their limit on a request")                       \
    X(handshakes_full, COUNTER, "tidegate_tls_handshakes_full_total",                              \
      "TLS handshakes with clients, from the start")                                               \
    X(handshakes_resumed, COUNTER, "tidegate_tls_handshakes_resumed_total",                        \
      "TLS handshakes with clients that resumed a session")                                        \
    X(proxy_headers_refused, COUNTER, "tidegate_proxy_headers_refused_total",                      \
      "connections closed because a trusted peer did not begin with a PROXY header")               \
    X(service_handshakes_full, COUNTER, "tidegate_service_tls_handshakes_full_total",              \
      "TLS handshakes with instances, from the start")                                             \
    X(service_handshakes_resumed, COUNTER, "tidegate_service_tls_handshakes_resumed_total",        \
      "TLS handshakes with instances that resumed a session")                                      \
    X(plan_version, GAUGE, "tidegate_worker_plan_version", "plan that the worker uses")

/* Counters of a worker by content coding, in the vitals. */
#define CODING_COUNTERS(X)                                                                         \
    X(coded, "tidegate_compressed_responses_total", "answers that were compressed")                \
    X(coded_bytes_in, "tidegate_compression_input_bytes_total", "bytes of bodies before")          \
    X(coded_bytes_out, "tidegate_compression_output_bytes_total", "bytes of bodies after")

/* Gauges of a service, in the view. */
#define SERVICE_GAUGES(X)                                                                          \
    X(demand_rps, "tidegate_demand_requests_per_second", "offered demand of the last second")      \
    X(forecast_rps, "tidegate_forecast_requests_per_second", "median forecast for now")            \
    X(forecast_rps_low, "tidegate_forecast_low_requests_per_second", "quantile 0.1 of it")         \
    X(forecast_rps_high, "tidegate_forecast_high_requests_per_second", "quantile 0.9 of it")       \
    X(capacity_rps, "tidegate_capacity_requests_per_second", "what the instances can carry")       \
    X(in_flight, "tidegate_requests_in_flight", "requests being served now")                       \
    X(waiting, "tidegate_requests_waiting", "requests in the admission queue now")                 \
    X(instances_wanted, "tidegate_instances_wanted", "instances that the last plan wants")         \
    X(within_objective_ratio, "tidegate_within_objective_ratio",                                   \
      "share of the last minute's answers within the latency objective")

#define INSTANCE_GAUGES(X)                                                                         \
    X(cpu_ratio, "tidegate_instance_cpu_ratio", "CPU that the instance uses, 1 is one CPU")        \
    X(memory_bytes, "tidegate_instance_memory_bytes", "resident memory of the instance")

#define INSTANCE_CHECKS(X)                                                                         \
    X(probe_ms / 1000, "tidegate_instance_probe_duration_seconds", "last health probe")            \
    X(healthy, "tidegate_instance_healthy", "1 while its health probes are good")                  \
    X(maintenance != NULL, "tidegate_instance_maintenance", "1 while a person has taken it out")

#define STORE_METRICS(X)                                                                           \
    X(writing, GAUGE, "tidegate_store_writing", "1 while the store can be written")                \
    X(queued_rows, GAUGE, "tidegate_store_queued_rows", "rows that wait to be written")            \
    X(written_rows, COUNTER, "tidegate_store_written_rows_total", "rows written")                  \
    X(failed_attempts, COUNTER, "tidegate_store_failed_attempts_total", "writes that failed")      \
    X(dropped_samples, COUNTER, "tidegate_store_dropped_samples_total",                            \
      "samples lost because the queue was full")                                                   \
    X(dropped_decisions, COUNTER, "tidegate_store_dropped_decisions_total",                        \
      "decisions lost because the queue was full")                                                 \
    X(bytes, GAUGE, "tidegate_store_bytes", "size of the database")

/* Of the access log, in the view. */
#define ACCESS_LOG_METRICS(X)                                                                      \
    X(records, COUNTER, "tidegate_access_log_records_total", "lines written")                      \
    X(sampled_out, COUNTER, "tidegate_access_log_sampled_out_total",                               \
      "requests without a line because of `sample`")                                               \
    X(texts_dropped, COUNTER, "tidegate_access_log_texts_dropped_total",                           \
      "lines without texts such as the user agent: their ring was full")                           \
    X(failures, COUNTER, "tidegate_access_log_failures_total", "writes that failed")               \
    X(rotations, COUNTER, "tidegate_access_log_rotations_total", "files put aside")                \
    X(failing, GAUGE, "tidegate_access_log_failing", "1 while the file can't be written")

/* Of demand.calendar, in the view. */
#define CALENDAR_METRICS(X)                                                                        \
    X(success_s, GAUGE, "tidegate_calendar_last_success_time_seconds",                             \
      "unix time at which the calendar was had last, new or the same; 0: not since the start")     \
    X(age_s, GAUGE, "tidegate_calendar_age_seconds",                                               \
      "since it was had last, or since it is asked for")                                           \
    X(failures, COUNTER, "tidegate_calendar_failures_total", "questions for it that failed")       \
    X(events, GAUGE, "tidegate_calendar_events", "events that it announces")

#define API_METRICS(X)                                                                             \
    X(requests, "tidegate_api_requests_total", "requests to this API")                             \
    X(connections_refused, "tidegate_api_connections_refused_total",                               \
      "connections to this API closed at a limit")                                                 \
    X(event_clients_dropped, "tidegate_api_event_clients_dropped_total",                           \
      "readers of events that did not keep up")

/* ---- the vitals ---- */

static struct slice service_name(const struct api *api, uint32_t index) {
    return slice_from(api->view->services[index].name);
}

static uint64_t sum_stage(const struct vitals *vitals, uint32_t service, size_t offset) {
    uint64_t sum = 0;
    for (uint32_t w = 0; w < vitals->worker_count; w++) {
        const char *from = (const char *)&vitals->workers[w].services[service];
        sum += vitals_get((const _Atomic uint64_t *)(from + offset));
    }
    return sum;
}

static void write_by_stage(struct exposition *e, const struct api *api, size_t offset) {
    for (uint32_t s = 0; s < api->view->service_count; s++) {
        for (size_t stage = 0; stage < STAGE_COUNT && service_name(api, s).len > 0; stage++) {
            uint64_t value = sum_stage(api->vitals, s, offset + stage * sizeof(_Atomic uint64_t));
            exposition_value(e,
                             LABELS({ "service", service_name(api, s) },
                                    { "stage", slice_from(stage_name((enum stage)stage)) }),
                             (double)value);
        }
    }
}

static void write_by_service(struct exposition *e, const struct api *api, size_t offset) {
    for (uint32_t s = 0; s < api->view->service_count; s++) {
        if (service_name(api, s).len > 0) {
            exposition_value(e, LABELS({ "service", service_name(api, s) }),
                             (double)sum_stage(api->vitals, s, offset));
        }
    }
}

static void write_durations(struct exposition *e, const struct api *api) {
    static struct histogram sum; /* 8 KiB: not for the stack */
    for (uint32_t s = 0; s < api->view->service_count; s++) {
        for (int stage = 0; stage < STAGE_COUNT && service_name(api, s).len > 0; stage++) {
            memset(&sum, 0, sizeof sum);
            for (uint32_t w = 0; w < api->vitals->worker_count; w++) {
                histogram_add(&sum, &api->vitals->workers[w].services[s].latency_us[stage]);
            }
            exposition_histogram(e,
                                 LABELS({ "service", service_name(api, s) },
                                        { "stage", slice_from(stage_name((enum stage)stage)) }),
                                 &sum);
        }
    }
}

static void write_by_worker(struct exposition *e, const struct api *api, size_t offset) {
    for (uint32_t w = 0; w < api->vitals->worker_count; w++) {
        char number[12];
        const char *from = (const char *)&api->vitals->workers[w];
        snprintf(number, sizeof number, "%u", w);
        exposition_value(e, LABELS({ "worker", slice_from(number) }),
                         (double)vitals_get((const _Atomic uint64_t *)(from + offset)));
    }
}

static void write_problems(struct exposition *e, const struct api *api) {
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        uint64_t sum = 0;
        for (uint32_t w = 0; w < api->vitals->worker_count; w++) {
            sum += vitals_get(&api->vitals->workers[w].reasons[reason]);
        }
        struct slice name = slice_from(record_reason_name((enum record_reason)reason));
        exposition_value(e, LABELS({ "reason", name }), (double)sum);
    }
}

static uint64_t sum_workers(const struct api *api, size_t offset) {
    uint64_t sum = 0;
    for (uint32_t w = 0; w < api->vitals->worker_count; w++) {
        const char *from = (const char *)&api->vitals->workers[w];
        sum += vitals_get((const _Atomic uint64_t *)(from + offset));
    }
    return sum;
}

static void write_by_coding(struct exposition *e, const struct api *api, size_t offset) {
    for (int coding = HTTP_CODING_IDENTITY + 1; coding < HTTP_CODINGS; coding++) {
        size_t at = offset + (size_t)coding * sizeof(_Atomic uint64_t);
        exposition_value(e, LABELS({ "algorithm", http_coding_name((enum http_coding)coding) }),
                         (double)sum_workers(api, at));
    }
}

static void write_compression(struct exposition *e, const struct api *api) {
#define WRITE(field, family, help)                                                                 \
    exposition_family(e, &(const struct metric){ family, METRIC_COUNTER, help });                  \
    write_by_coding(e, api, offsetof(struct vitals_worker, field));
    CODING_COUNTERS(WRITE)
#undef WRITE
    exposition_family(e,
                      &(const struct metric){ "tidegate_compression_skipped_total", METRIC_COUNTER,
                                              "answers that stayed as they are where compression "
                                              "is on, by why" });
    for (int reason = COMPRESSION_DONE + 1; reason < COMPRESSION_REASON_COUNT; reason++) {
        size_t at =
            offsetof(struct vitals_worker, uncoded) + (size_t)reason * sizeof(_Atomic uint64_t);
        struct slice name = slice_from(compression_reason_name((enum compression_reason)reason));
        exposition_value(e, LABELS({ "reason", name }), (double)sum_workers(api, at));
    }
}

static void write_handshake_failures(struct exposition *e, const struct api *api, size_t offset) {
    for (int failure = TLS_FAILURE_NONE + 1; failure < TLS_FAILURE_COUNT; failure++) {
        size_t at = offset + (size_t)failure * sizeof(_Atomic uint64_t);
        struct slice name = slice_from(tls_failure_name((enum tls_failure)failure));
        exposition_value(e, LABELS({ "reason", name }), (double)sum_workers(api, at));
    }
}

static void write_retries(struct exposition *e, const struct api *api) {
    exposition_family(e, &(const struct metric){ "tidegate_retries_total", METRIC_COUNTER,
                                                 "requests sent again, by why" });
    for (uint32_t s = 0; s < api->view->service_count; s++) {
        for (int cause = 0; cause < RETRY_CAUSES && service_name(api, s).len > 0; cause++) {
            size_t at =
                offsetof(struct vitals_service, retried) + (size_t)cause * sizeof(_Atomic uint64_t);
            struct slice name = slice_from(retry_cause_name((enum retry_cause)cause));
            exposition_value(e, LABELS({ "service", service_name(api, s) }, { "reason", name }),
                             (double)sum_stage(api->vitals, s, at));
        }
    }
}

static void write_sandbox(struct exposition *e, const struct api *api) {
    exposition_family(e,
                      &(const struct metric){ "tidegate_sandboxed_workers", METRIC_GAUGE,
                                              "workers that run under this part of the sandbox" });
    for (unsigned part = 0; part < GUARD_PARTS; part++) {
        unsigned workers = 0;
        for (uint32_t w = 0; w < api->vitals->worker_count; w++) {
            const struct vitals_worker *worker = &api->vitals->workers[w];
            workers +=
                atomic_load(&worker->pid) != 0 && (atomic_load(&worker->guard) & 1u << part) != 0;
        }
        exposition_value(e, LABELS({ "part", slice_from(guard_part_name((enum guard_part)part)) }),
                         workers);
    }
}

static void write_vitals(struct exposition *e, const struct api *api) {
    write_sandbox(e, api);
#define WRITE(field, family, help)                                                                 \
    exposition_family(e, &(const struct metric){ family, METRIC_COUNTER, help });                  \
    write_by_stage(e, api, offsetof(struct vitals_service, field));
    STAGE_METRICS(WRITE)
#undef WRITE
#define WRITE(field, family, help)                                                                 \
    exposition_family(e, &(const struct metric){ family, METRIC_COUNTER, help });                  \
    write_by_service(e, api, offsetof(struct vitals_service, field));
    SERVICE_COUNTERS(WRITE)
#undef WRITE
    write_retries(e, api);
    exposition_family(e,
                      &(const struct metric){ "tidegate_request_duration_seconds", METRIC_HISTOGRAM,
                                              "whole request, of those that were served" });
    write_durations(e, api);
#define WRITE(field, type, family, help)                                                           \
    exposition_family(e, &(const struct metric){ family, METRIC_##type, help });                   \
    write_by_worker(e, api, offsetof(struct vitals_worker, field));
    WORKER_METRICS(WRITE)
#undef WRITE
    exposition_family(e, &(const struct metric){ "tidegate_request_problems_total", METRIC_COUNTER,
                                                 "requests that did not end well, by why" });
    write_problems(e, api);
    write_compression(e, api);
    exposition_family(
        e, &(const struct metric){ "tidegate_tls_handshake_failures_total", METRIC_COUNTER,
                                   "TLS handshakes with clients that failed, by why" });
    write_handshake_failures(e, api, offsetof(struct vitals_worker, handshake_failures));
    exposition_family(
        e, &(const struct metric){ "tidegate_service_tls_handshake_failures_total", METRIC_COUNTER,
                                   "TLS handshakes with instances that failed, by why" });
    write_handshake_failures(e, api, offsetof(struct vitals_worker, service_handshake_failures));
}

/* ---- the view ---- */

static void write_instances(struct exposition *e, const struct api_view *view) {
    static uint32_t counts[PLAN_SERVICES_MAX][ENDPOINT_STATES];
    memset(counts, 0, sizeof counts);
    for (uint32_t i = 0; i < view->instance_count; i++) {
        counts[view->instances[i].service][view->instances[i].state]++;
    }
    exposition_family(
        e, &(const struct metric){ "tidegate_instances", METRIC_GAUGE, "instances by state" });
    for (uint32_t s = 0; s < view->service_count; s++) {
        for (int state = ENDPOINT_STARTING; state < ENDPOINT_STATES; state++) {
            if (view->services[s].name[0] != '\0') {
                struct slice name = slice_from(endpoint_state_name((enum endpoint_state)state));
                exposition_value(
                    e, LABELS({ "service", slice_from(view->services[s].name) }, { "state", name }),
                    counts[s][state]);
            }
        }
    }
}

static void write_probes(struct exposition *e, const struct api_view *view) {
    exposition_family(e,
                      &(const struct metric){ "tidegate_probes_total", METRIC_COUNTER,
                                              "health probes, by what was known before and by how "
                                              "they ended" });
    for (uint32_t s = 0; s < view->service_count; s++) {
        for (int state = 0; state < FLEET_PROBED && view->services[s].name[0] != '\0'; state++) {
            for (int result = PROBE_WELL; result < PROBE_RESULTS; result++) {
                struct slice before = slice_from(fleet_probed_name((enum fleet_probed)state));
                struct slice ended = slice_from(probe_result_name((enum probe_result)result));
                exposition_value(e,
                                 LABELS({ "service", slice_from(view->services[s].name) },
                                        { "state", before }, { "result", ended }),
                                 (double)view->services[s].probes.count[state][result]);
            }
        }
    }
}

static void write_access_log(struct exposition *e, const struct api_access_log *log) {
#define WRITE(field, type, family, help)                                                           \
    exposition_family(e, &(const struct metric){ family, METRIC_##type, help });                   \
    exposition_value(e, METRIC_LABELS_NONE, (double)log->field);
    ACCESS_LOG_METRICS(WRITE)
#undef WRITE
    exposition_family(e,
                      &(const struct metric){ "tidegate_access_log_dropped_total", METRIC_COUNTER,
                                              "requests that got no line, by reason" });
    exposition_value(e, LABELS({ "reason", SLICE("ring_full") }), (double)log->dropped);
}

static void write_calendar(struct exposition *e, const struct api_calendar *calendar) {
#define WRITE(field, type, family, help)                                                           \
    exposition_family(e, &(const struct metric){ family, METRIC_##type, help });                   \
    exposition_value(e, METRIC_LABELS_NONE, (double)calendar->field);
    CALENDAR_METRICS(WRITE)
#undef WRITE
}

static void write_certificates(struct exposition *e, const struct api_view *view) {
    exposition_family(e, &(const struct metric){ "tidegate_tls_certificate_expiry_seconds",
                                                 METRIC_GAUGE,
                                                 "unix time at which the certificate expires" });
    for (uint32_t i = 0; i < view->certificate_count; i++) {
        const struct api_certificate *c = &view->certificates[i];
        exposition_value(e, LABELS({ "name", slice_from(c->name) }, { "key", slice_from(c->kind) }),
                         (double)c->not_after_ms / 1000);
    }
}

static void write_each_instance(struct exposition *e, const struct api_view *view) {
#define WRITE(field, family, help)                                                                 \
    exposition_family(e, &(const struct metric){ family, METRIC_GAUGE, help });                    \
    for (uint32_t i = 0; i < view->instance_count; i++) {                                          \
        const struct api_instance *instance = &view->instances[i];                                 \
        exposition_value(e,                                                                        \
                         LABELS({ "service", slice_from(view->services[instance->service].name) }, \
                                { "instance", slice_from(instance->id) }),                         \
                         (double)(instance->field));                                               \
    }
    INSTANCE_GAUGES(WRITE)
    INSTANCE_CHECKS(WRITE)
#undef WRITE
}

#define RATE_METRICS(X)                                                                            \
    X(allowed, "tidegate_rate_limit_allowed_total", "requests for which the limit had a token")    \
    X(refused, "tidegate_rate_limit_refused_total",                                                \
      "requests that the limit refused, or would have refused in a dry run")

static void write_rates(struct exposition *e, const struct api *api) {
    const struct api_view *view = api->view;
#define WRITE(field, family, help)                                                                 \
    exposition_family(e, &(const struct metric){ family, METRIC_COUNTER, help });                  \
    for (uint32_t i = 0; i < view->rate_count; i++) {                                              \
        const struct api_rate *rate = &view->rates[i];                                             \
        struct rate_counts counts = vitals_rate_counts(api->vitals, i, rate->id);                  \
        exposition_value(e,                                                                        \
                         LABELS({ "limit", slice_from(rate->name) },                               \
                                { "dry_run", rate->dry_run ? SLICE("true") : SLICE("false") }),    \
                         (double)counts.field);                                                    \
    }
    RATE_METRICS(WRITE)
#undef WRITE
    exposition_family(e, &(const struct metric){ "tidegate_rate_limit_keys", METRIC_GAUGE,
                                                 "places for keys of rate limits" });
    exposition_value(e, METRIC_LABELS_NONE, view->rate_keys);
    exposition_family(e,
                      &(const struct metric){ "tidegate_rate_limit_table_used_ratio", METRIC_GAUGE,
                                              "share of them whose bucket is not full" });
    exposition_value(e, METRIC_LABELS_NONE, view->rate_table_used_ratio);
}

#define VOLUME_METRICS(X)                                                                          \
    X(used_bytes, "tidegate_volume_used_bytes", "bytes used of a watched volume")                  \
    X(size_bytes, "tidegate_volume_size_bytes", "its size, without what only root may use")        \
    X(size_wanted_bytes, "tidegate_volume_size_wanted_bytes", "as large as it should be made")     \
    X(growth, "tidegate_volume_growth_bytes_per_second", "trend of what is used")                  \
    X(full_in_s, "tidegate_volume_full_seconds", "until it is full, as likely as not")             \
    X(full_in_s_low, "tidegate_volume_full_seconds_low", "until it is full, at the earliest")

static void write_volumes(struct exposition *e, const struct api_view *view) {
#define WRITE(field, family, help)                                                                 \
    exposition_family(e, &(const struct metric){ family, METRIC_GAUGE, help });                    \
    for (uint32_t i = 0; i < view->volume_count; i++) {                                            \
        exposition_value(e, LABELS({ "path", slice_from(view->volumes[i].path) }),                 \
                         view->volumes[i].field);                                                  \
    }
    VOLUME_METRICS(WRITE)
#undef WRITE
}

static void write_view(struct exposition *e, const struct api_view *view) {
#define WRITE(field, family, help)                                                                 \
    exposition_family(e, &(const struct metric){ family, METRIC_GAUGE, help });                    \
    for (uint32_t i = 0; i < view->service_count; i++) {                                           \
        if (view->services[i].name[0] != '\0') {                                                   \
            exposition_value(e, LABELS({ "service", slice_from(view->services[i].name) }),         \
                             (double)view->services[i].field);                                     \
        }                                                                                          \
    }
    SERVICE_GAUGES(WRITE)
#undef WRITE
    write_each_instance(e, view);
    write_instances(e, view);
    write_probes(e, view);
    if (view->access_log.on) {
        write_access_log(e, &view->access_log);
    }
    if (view->calendar.on) {
        write_calendar(e, &view->calendar);
    }
    write_certificates(e, view);
    write_volumes(e, view);
    exposition_family(e, &(const struct metric){ "tidegate_plan_version", METRIC_GAUGE,
                                                 "newest published plan" });
    exposition_value(e, METRIC_LABELS_NONE, (double)view->plan_version);
    exposition_family(e, &(const struct metric){ "tidegate_controller_start_time_seconds",
                                                 METRIC_GAUGE, "unix time of its start" });
    exposition_value(e, METRIC_LABELS_NONE, (double)view->started_ms / 1000);
    exposition_family(e, &(const struct metric){ "tidegate_build_info", METRIC_GAUGE,
                                                 "always 1; its label is what runs" });
    exposition_value(e, LABELS({ "version", SLICE(TIDEGATE_VERSION) }), 1);
}

static void write_ourselves(struct exposition *e, struct api *api) {
    if (api->store != NULL) {
        struct store_health health = store_health(api->store);
#define WRITE(field, type, family, help)                                                           \
    exposition_family(e, &(const struct metric){ family, METRIC_##type, help });                   \
    exposition_value(e, METRIC_LABELS_NONE, (double)health.field);
        STORE_METRICS(WRITE)
#undef WRITE
    }
#define WRITE(field, family, help)                                                                 \
    exposition_family(e, &(const struct metric){ family, METRIC_COUNTER, help });                  \
    exposition_value(e, METRIC_LABELS_NONE, (double)api->counters.field);
    API_METRICS(WRITE)
#undef WRITE
    exposition_family(e,
                      &(const struct metric){ "tidegate_api_tokens_refused_total", METRIC_COUNTER,
                                              "requests with a wrong or expired token" });
    exposition_value(e, METRIC_LABELS_NONE, (double)api->access.refused_total);
    exposition_family(e, &(const struct metric){ "tidegate_api_event_clients", METRIC_GAUGE,
                                                 "who hears events now" });
    exposition_value(e, METRIC_LABELS_NONE, api->event_count);
}

void handle_metrics(struct api_connection *c) {
    struct exposition e;
    struct buffer out;
    bool openmetrics = c->request.accepts_openmetrics;
    buffer_init(&out, METRICS_BYTES_MAX);
    exposition_begin(&e, &out, openmetrics);
    if (c->api->vitals != NULL) {
        write_vitals(&e, c->api);
        write_rates(&e, c->api);
    }
    write_view(&e, c->api->view);
    write_ourselves(&e, c->api);
    exposition_family(&e, &(const struct metric){ "tidegate_metrics_series_dropped", METRIC_GAUGE,
                                                  "series left out of this answer at the limit" });
    exposition_value(&e, METRIC_LABELS_NONE, (double)e.series_dropped);
    exposition_end(&e);
    if (e.failed) {
        answer_problem(c, 500, "the metrics take more than %u bytes", METRICS_BYTES_MAX);
    } else {
        answer_send(c, &(struct api_answer){ .status = 200,
                                             .type = openmetrics ? EXPOSITION_TYPE_OPENMETRICS
                                                                 : EXPOSITION_TYPE_TEXT,
                                             .body = buffer_slice(&out) });
    }
    buffer_fini(&out);
}
