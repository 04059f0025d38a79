#include "worker_harness_vitals.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>

#include "act/proxy/compression.h"
#include "act/proxy/retry_config.h"
#include "worker_harness_evidence.h"

typedef unsigned long long number; /* for "%llu" */

/* The sum over all workers of one counter, given by where it is in the first one's block. */
static number total(const struct vitals *all, const _Atomic uint64_t *of_first) {
    size_t offset = (uintptr_t)of_first - (uintptr_t)&all->workers[0];
    number sum = 0;
    for (unsigned i = 0; i < all->worker_count; i++) {
        const char *block = (const char *)&all->workers[i];
        sum += vitals_get((const _Atomic uint64_t *)(const void *)(block + offset));
    }
    return sum;
}

static number by_stage(const struct vitals *all, const _Atomic uint64_t of_first[STAGE_COUNT]) {
    number sum = 0;
    for (unsigned i = 0; i < STAGE_COUNT; i++) {
        sum += total(all, &of_first[i]);
    }
    return sum;
}

/* The oldest plan that a worker still uses. */
static number plan_in_use(const struct vitals *all) {
    number least = vitals_get(&all->workers[0].plan_version);
    for (unsigned i = 1; i < all->worker_count; i++) {
        number version = vitals_get(&all->workers[i].plan_version);
        least = version < least ? version : least;
    }
    return least;
}

static void print_service(const struct vitals *all) {
    const struct vitals_service *s = &all->workers[0].services[0];
    unsigned in_flight = 0, waiting = 0;
    number retries = 0;
    for (unsigned i = 0; i < all->worker_count; i++) {
        in_flight += atomic_load(&all->workers[i].services[0].in_flight);
        waiting += atomic_load(&all->workers[i].services[0].waiting);
        retries += vitals_retries(&all->workers[i].services[0]);
    }
    printf("\"offered\":%llu,\"served\":%llu,\"refused\":%llu,\"failed\":%llu,\"retries\":%llu,"
           "\"in_flight\":%u,\"waiting\":%u,\"limit\":%u,\"retried\":{",
           by_stage(all, s->offered), by_stage(all, s->served), by_stage(all, s->refused),
           by_stage(all, s->failed), retries, in_flight, waiting,
           atomic_load(&s->concurrency_limit));
    for (int cause = 0; cause < RETRY_CAUSES; cause++) {
        printf("%s\"%s\":%llu", cause == 0 ? "" : ",", retry_cause_name(cause),
               total(all, &s->retried[cause]));
    }
    printf("},\"retries_refused\":%llu,\"retries_late\":%llu,\"retry_storms\":%llu,"
           "\"hedges_sent\":%llu,\"hedges_won\":%llu,\"hedges_lost\":%llu,"
           "\"hedges_refused\":%llu,\"connections_full\":%llu,",
           total(all, &s->retries_refused), total(all, &s->retries_late),
           total(all, &s->retry_storms), total(all, &s->hedges_sent), total(all, &s->hedges_won),
           total(all, &s->hedges_lost), total(all, &s->hedges_refused),
           total(all, &s->connections_full));
}

static void print_compression(const struct vitals *all) {
    const struct vitals_worker *w = &all->workers[0];
    printf("\"compression\":{\"open\":%llu", total(all, &w->encoders_open));
    for (unsigned i = HTTP_CODING_GZIP; i < HTTP_CODINGS; i++) {
        printf(",\"%s\":{\"responses\":%llu,\"in\":%llu,\"out\":%llu}", http_coding_name(i).data,
               total(all, &w->coded[i]), total(all, &w->coded_bytes_in[i]),
               total(all, &w->coded_bytes_out[i]));
    }
    printf(",\"skipped\":{");
    for (unsigned i = 1; i < COMPRESSION_REASON_COUNT; i++) {
        printf("%s\"%s\":%llu", i == 1 ? "" : ",", compression_reason_name(i),
               total(all, &w->uncoded[i]));
    }
    printf("}},");
}

static void print_endpoints(const struct vitals *all, const struct plan_endpoint *endpoints,
                            unsigned count) {
    const struct vitals_worker *w = &all->workers[0];
    for (unsigned i = 0; i < count; i++) {
        const struct vitals_endpoint *e = &w->endpoints[i];
        uint32_t generation = endpoints[i].generation;
        printf("%s{\"requests\":%llu,\"answers\":%llu,\"failures\":%llu,\"connect_failures\":%llu,"
               "\"status_5xx\":%llu,\"in_flight\":%u,\"awaiting\":%u,\"oldest_awaiting_us\":%llu",
               i == 0 ? "" : ",", total(all, &e->requests), total(all, &e->answers),
               total(all, &e->failures), total(all, &e->connect_failures),
               total(all, &e->status_5xx), vitals_endpoint_in_flight(all, i, generation),
               vitals_endpoint_awaiting(all, i, generation),
               (number)vitals_endpoint_oldest_us(all, i, generation));
        harness_print_endpoint(all, i);
    }
}

void harness_print_vitals(const struct vitals *all, pid_t first,
                          const struct plan_endpoint *endpoints, unsigned count) {
    const struct vitals_worker *w = &all->workers[0];
    printf("{\"pid\":%d,\"plan\":%llu,\"accepted\":%llu,\"open\":%llu,\"upstream_open\":%llu,"
           "\"upstream_opened\":%llu,\"h2_connections\":%llu,\"h2_floods\":%llu,",
           (int)first, plan_in_use(all), total(all, &w->connections_accepted),
           total(all, &w->connections_open), total(all, &w->upstream_open),
           total(all, &w->upstream_opened), total(all, &w->h2_connections),
           total(all, &w->h2_floods));
    printf("\"refused_connections\":%llu,\"gave_way\":%llu,\"held\":%llu,\"told\":%llu,",
           total(all, &w->connections_refused), total(all, &w->connections_gave_way),
           total(all, &w->connections_held), total(all, &w->connections_told));
    printf("\"client_held\":%llu,\"client_refused\":%llu,\"client_gave_way\":%llu,"
           "\"client_handshakes_refused\":%llu,",
           total(all, &w->client_held), total(all, &w->client_refused),
           total(all, &w->client_gave_way), total(all, &w->client_handshakes_refused));
    print_service(all);
    printf("\"handshakes_full\":%llu,\"handshakes_resumed\":%llu,\"proxy_headers_refused\":%llu,"
           "\"handshake_failures\":{",
           total(all, &w->handshakes_full), total(all, &w->handshakes_resumed),
           total(all, &w->proxy_headers_refused));
    for (unsigned i = 0; i < TLS_FAILURE_COUNT; i++) {
        printf("%s\"%s\":%llu", i == 0 ? "" : ",", tls_failure_name(i),
               total(all, &w->handshake_failures[i]));
    }
    printf("},");
    print_compression(all);
    printf("\"reasons\":{");
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        printf("%s\"%s\":%llu", i == 0 ? "" : ",", record_reason_name(i),
               total(all, &w->reasons[i]));
    }
    printf("},");
    harness_print_workers(all);
    printf("\"endpoints\":[");
    print_endpoints(all, endpoints, count);
    printf("]}\n");
}

void harness_print_records(struct vitals *all) {
    static struct request_record records[256];
    unsigned count = vitals_drain(&all->workers[0], records, 256);
    printf("[");
    for (unsigned i = 0; i < count; i++) {
        const struct request_record *r = &records[i];
        char client[INET6_ADDRSTRLEN];
        bool v4 = r->client[10] == 0xff;
        inet_ntop(v4 ? AF_INET : AF_INET6, r->client + (v4 ? 12 : 0), client, sizeof client);
        printf("%s{\"client\":\"%s\",\"status\":%u,\"path\":\"%.*s\",\"reason\":\"%s\",\"flags\":%"
               "u,\"in\":%llu,"
               "\"out\":%llu,\"endpoint\":%u,\"total_us\":%u,\"waited_us\":%u}",
               i == 0 ? "" : ",", client, r->status, r->path_len, r->path,
               record_reason_name(r->reason), r->flags, (unsigned long long)r->bytes_in,
               (unsigned long long)r->bytes_out, r->endpoint, r->total_us, r->waited_us);
    }
    printf("]\n");
}
