/* Workers without a controller, for the proxy's own system tests and for measuring: the plan comes
 * from the command line, and further ones from lines on standard input.
 *
 *   worker_harness [--listen ADDRESS]… [--limit NAME=NUMBER]…
 *                  [--route [HOST]PATH=SERVICE[:STAGE]]…
 *                  [--endpoint ADDRESS[,STATE][,SERVICE]]… [--customer ID=VALUE]… [--workers N]
 *                  [--tls CHAIN,KEY]… [--proxy-protocol] [--trusted NETWORK]…
 *                  [--many-routes N] [--rate-limit RATE,BURST] [--in-process]
 *
 * Prints "listening PORT" for each listener. Lines of standard input, each answered by one line:
 *   state SLOT STATE     endpoint ADDRESS[,STATE][,SERVICE]     replace SLOT ADDRESS
 *   limit NAME=NUMBER    publish    republish N (N versions, one a millisecond)
 *   vitals             the workers' numbers, added up, as JSON
 *   records            the first worker's request records since the last time, as JSON
 *   kill · restart     SIGKILL to the workers; new ones in their place
 *   term               SIGTERM to the workers
 *   rotate             a new ticket key in front of those that are there
 * The end of standard input drains the workers and ends the harness with their status.
 * --many-routes N: N routes /shop-I/articles to service 0 beside the others, for measuring.
 * --rate-limit RATE,BURST: on each route, by client: RATE is a number per second.
 * --in-process: no commands, one worker runs in this very process (for valgrind and strace). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "act/proxy/compression.h"
#include "act/proxy/compression_config.h"
#include "act/proxy/retry_config.h"
#include "act/proxy/worker.h"
#include "base/parse.h"
#include "wire/net/listener.h"
#include "worker_harness_evidence.h"
#include "worker_harness_listen.h"
#include "worker_harness_rate.h"
#include "worker_harness_vitals.h"

#define LISTENERS_MAX 8
#define LINE_BYTES 512
#define WORKERS_MAX 8

static struct {
    struct plan_segment *plans;
    struct vitals *vitals;
    struct plan_endpoint endpoints[PLAN_ENDPOINTS_MAX];
    uint32_t endpoint_count;
    struct plan_service service; /* of all services, but the name */
    struct plan_limits limits;
    uint32_t encoders; /* of compression; the rest of it is the defaults' */
    bool no_hedge, deadline_field;
    struct {
        char text[256];
    } routes[64];
    uint32_t route_count, many_routes;
    double rate_rps; /* 0: no rate limit */
    uint32_t burst;
    int listen_fds[LISTENERS_MAX];
    unsigned listen_count;
    char customers[16][128]; /* "ID=VALUE", by the cookie `customer`; sessions by `sid` */
    uint32_t customer_count;
    unsigned worker_count;
    int wake_fds[WORKERS_MAX];
    pid_t workers[WORKERS_MAX];
    bool in_process;
} harness = { .worker_count = 1 };

void harness_fail(const char *what, const char *why) {
    fprintf(stderr, "worker_harness: %s: %s\n", what, why);
    exit(2);
}

/* ---- the plan ---- */

#define LIMITS(X)                                                                                  \
    X("head_bytes", harness.limits.head_bytes)                                                     \
    X("fields", harness.limits.fields)                                                             \
    X("target_bytes", harness.limits.target_bytes)                                                 \
    X("body_bytes", harness.limits.body_bytes)                                                     \
    X("connections", harness.limits.connections)                                                   \
    X("requests_per_connection", harness.limits.requests_per_connection)                           \
    X("streams", harness.limits.streams)                                                           \
    X("connections_per_client", harness.limits.connections_per_client)                             \
    X("requests_per_client", harness.limits.requests_per_client)                                   \
    X("handshakes_per_client", harness.limits.handshakes_per_client)                               \
    X("client_head_ms", harness.limits.client_head_timeout_ms)                                     \
    X("client_idle_ms", harness.limits.client_idle_timeout_ms)                                     \
    X("client_body_ms", harness.limits.client_body_timeout_ms)                                     \
    X("drain_ms", harness.limits.drain_timeout_ms)                                                 \
    X("pool_idle_ms", harness.limits.pool_idle_timeout_ms)                                         \
    X("connect_ms", harness.service.connect_timeout_ms)                                            \
    X("first_byte_ms", harness.service.first_byte_timeout_ms)                                      \
    X("idle_ms", harness.service.idle_timeout_ms)                                                  \
    X("total_ms", harness.service.total_timeout_ms)                                                \
    X("concurrency", harness.service.concurrency)                                                  \
    X("queue", harness.service.queue_max)                                                          \
    X("patience_ms", harness.service.queue_patience_ms)                                            \
    X("protocol", harness.service.protocol)                                                        \
    X("order_by_value", harness.service.order_by_value)                                            \
    X("compression", harness.service.compression)                                                  \
    X("attempts", harness.service.retry.attempts)                                                  \
    X("retry_on", harness.service.retry.on)                                                        \
    X("per_try_ms", harness.service.retry_try_ms)                                                  \
    X("floor_rps", harness.service.retry_floor_rps)                                                \
    X("idempotency_key", harness.service.idempotency_key)                                          \
    X("hedge_us", harness.service.hedge.least_us)                                                  \
    X("no_hedge", harness.no_hedge)                                                                \
    X("deadline_field", harness.deadline_field)                                                    \
    X("service_connections", harness.service.connections)                                          \
    X("encoders", harness.encoders)

static void set_limit(char *text) {
    char *equals = strchr(text, '=');
    uint64_t value;
    if (equals == NULL || !parse_uint(slice_from(equals + 1), &value)) {
        harness_fail(text, "expected NAME=NUMBER");
    }
    *equals = '\0';
#define SET_LIMIT(name, place)                                                                     \
    if (strcmp(text, name) == 0) {                                                                 \
        place = (typeof(place))value;                                                              \
        return;                                                                                    \
    }
    LIMITS(SET_LIMIT)
    harness_fail(text, "no such limit");
}

/* As a service has them that says nothing of it. */
static void set_retry_defaults(void) {
    struct retry_config retry;
    struct hedge_config hedge;
    struct circuit_config circuit;
    char currency[UNITS_CURRENCY_BYTES];
    struct arena arena;
    struct config_report report;
    arena_init(&arena, 65536);
    config_report_init(&report);
    config_apply(&retry_config_table, NULL, &retry, &arena, currency, &report);
    config_apply(&hedge_config_table, NULL, &hedge, &arena, currency, &report);
    config_apply(&circuit_config_table, NULL, &circuit, &arena, currency, &report);
    retry_plan_service(&retry, &hedge, &circuit, 2, &harness.service);
    config_report_fini(&report);
    arena_fini(&arena);
}

static void set_defaults(void) {
    harness.encoders = 64;
    harness.limits = (struct plan_limits){
        .head_bytes = 32768,
        .fields = 100,
        .target_bytes = 8192,
        .connections = 20000,
        .streams = 128,
        .client_head_timeout_ms = 10000,
        .client_idle_timeout_ms = 75000,
        .client_body_timeout_ms = 30000,
        .drain_timeout_ms = 5000,
        .pool_idle_timeout_ms = 4000,
    };
    harness.service = (struct plan_service){
        .objective_us = 250000,
        .connect_timeout_ms = 1000,
        .first_byte_timeout_ms = 30000,
        .idle_timeout_ms = 60000,
        .queue_max = 1000,
        .queue_patience_ms = 2000,
        .order_by_value = true,
    };
    set_retry_defaults();
}

static uint8_t state_named(const char *name) {
    for (unsigned i = 0; i < ENDPOINT_STATES; i++) {
        if (strcmp(endpoint_state_name(i), name) == 0) {
            return (uint8_t)i;
        }
    }
    harness_fail(name, "no such state");
    return 0;
}

static void set_address(struct plan_endpoint *e, const char *text) {
    struct address address;
    struct error err;
    if (!address_parse(slice_from(text), 0, &address, &err)) {
        harness_fail(text, err.text);
    }
    e->address = address.storage;
    e->address_len = address.len;
    e->generation++;
}

static void add_endpoint(char *text) {
    struct plan_endpoint *e = &harness.endpoints[harness.endpoint_count];
    char *state = strchr(text, ','), *service = NULL;
    if (state != NULL) {
        *state++ = '\0';
        service = strchr(state, ',');
        if (service != NULL) {
            *service++ = '\0';
        }
    }
    set_address(e, text);
    e->state = state_named(state == NULL ? "serving" : state);
    e->service = (uint16_t)(service == NULL ? 0 : atoi(service));
    snprintf(e->id, sizeof e->id, "endpoint-%u", harness.endpoint_count++);
}

/* "[HOST]PATH=SERVICE[:STAGE]" */
static void add_route(struct plan *plan, const char *text) {
    const char *path = strchr(text, '/'), *equals = strchr(text, '=');
    struct plan_route *route = &plan->routes[plan->route_count++];
    if (path == NULL || equals == NULL) {
        harness_fail(text, "expected [HOST]PATH=SERVICE[:STAGE]");
    }
    const char *stage = strchr(equals, ':');
    *route = (struct plan_route){ 0 };
    plan_add_text(plan, slice_of(text, (size_t)(path - text)), &route->host);
    plan_add_text(plan, slice_of(path, (size_t)(equals - path)), &route->prefix);
    route->service = (uint16_t)atoi(equals + 1);
    route->stage = (uint8_t)(stage == NULL ? STAGE_BROWSE : atoi(stage + 1));
}

static void add_customers(struct plan *plan) {
    plan_begin_customers(plan, harness.customer_count);
    plan_add_text(plan, SLICE("customer"), &plan->customer_cookie);
    plan_add_text(plan, SLICE("sid"), &plan->session_cookie);
    plan->customer_value_mean = 100;
    for (unsigned i = 0; i < harness.customer_count; i++) {
        struct slice value = slice_from(harness.customers[i]), id;
        slice_cut(&value, '=', &id);
        double number = 0;
        parse_double(value, &number);
        plan_add_customer(plan, id, (float)number);
    }
}

static void add_compression(struct plan *plan) {
    struct compression_config config;
    char currency[UNITS_CURRENCY_BYTES];
    struct arena arena;
    struct config_report report;
    arena_init(&arena, 65536);
    config_report_init(&report);
    config_apply(&compression_config_table, NULL, &config, &arena, currency, &report);
    config.encoders = harness.encoders;
    compression_plan(&config, plan);
    config_report_fini(&report);
    arena_fini(&arena);
}

static bool publish(void) {
    struct plan *plan = plan_begin(harness.plans);
    if (plan == NULL) {
        return false;
    }
    plan->limits = harness.limits;
    plan->log_texts = getenv("HARNESS_LOG") != NULL;
    plan->log_query = plan->log_texts;
    plan->service_count = 4;
    for (unsigned i = 0; i < plan->service_count; i++) {
        plan->services[i] = harness.service;
        if (harness.no_hedge) {
            plan->services[i].hedge.ratio = 0;
        }
        if (harness.deadline_field) {
            plan_add_text(plan, SLICE("x-time-left"), &plan->services[i].deadline_field);
        }
        snprintf(plan->services[i].name, sizeof plan->services[i].name, "service-%u", i);
    }
    plan->endpoint_count = harness.endpoint_count;
    memcpy(plan->endpoints, harness.endpoints, sizeof plan->endpoints);
    for (unsigned i = 0; i < harness.route_count; i++) {
        add_route(plan, harness.routes[i].text);
    }
    if (harness.route_count == 0) {
        add_route(plan, "/=0");
    }
    for (unsigned i = 0; i < harness.many_routes; i++) {
        char text[64];
        snprintf(text, sizeof text, "/shop-%u/articles=0", i);
        add_route(plan, text);
    }
    if (harness.rate_rps > 0) {
        harness_limit_routes(plan, harness.rate_rps, harness.burst);
    }
    add_customers(plan);
    add_compression(plan);
    harness_fill_listeners(plan, harness.listen_fds, harness.listen_count);
    plan_publish(harness.plans, plan);
    uint64_t one = 1;
    for (unsigned i = 0; i < harness.worker_count; i++) {
        ssize_t written = write(harness.wake_fds[i], &one, sizeof one);
        (void)written; /* a worker that is not woken looks by itself */
    }
    return true;
}

/* ---- the worker ---- */

static int run_worker(unsigned index) {
    struct worker_config config = {
        .index = index,
        .listen_fds = harness.listen_fds,
        .listen_count = harness.listen_count,
        .plans = harness.plans,
        .vitals = harness.vitals,
        .wake_fd = harness.wake_fds[index],
        .supervisor_fd = -1,
        .guard = { .mode = harness.in_process ? GUARD_OFF : GUARD_STRICT,
                   .memory_bytes = 4ull << 30 },
    };
    struct error err;
    (void)guard_find_user(NULL, &config.guard.user, &err);
    if (!worker_run(&config, &err)) {
        fprintf(stderr, "worker_harness: %s\n", err.text);
        return 3;
    }
    return 0;
}

static void start_workers(void) {
    for (unsigned i = 0; i < harness.worker_count; i++) {
        harness.workers[i] = fork();
        if (harness.workers[i] == 0) {
            fclose(stdin);
            exit(run_worker(i));
        }
    }
}

static void signal_workers(int signal_number) {
    for (unsigned i = 0; i < harness.worker_count; i++) {
        kill(harness.workers[i], signal_number);
    }
}

/* The first status that is not 0. */
static int stop_workers(int signal_number) {
    int worst = 0;
    signal_workers(signal_number);
    for (unsigned i = 0; i < harness.worker_count; i++) {
        int status = 0;
        waitpid(harness.workers[i], &status, 0);
        plan_forget_worker(harness.plans, i);
        vitals_clear_in_flight(&harness.vitals->workers[i]);
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        worst = worst == 0 ? code : worst;
    }
    return worst;
}

/* ---- commands ---- */

static void republish(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        publish();
        usleep(1000);
    }
}

static void obey(char *line) {
    char word[32] = "", first[128] = "", second[128] = "";
    sscanf(line, "%31s %127s %127s", word, first, second);
    if (strcmp(word, "state") == 0) {
        harness.endpoints[atoi(first)].state = state_named(second);
    } else if (strcmp(word, "endpoint") == 0) {
        add_endpoint(first);
    } else if (strcmp(word, "replace") == 0) {
        set_address(&harness.endpoints[atoi(first)], second);
    } else if (strcmp(word, "limit") == 0) {
        set_limit(first);
    } else if (strcmp(word, "publish") == 0) {
        publish();
    } else if (strcmp(word, "republish") == 0) {
        republish((unsigned)atoi(first));
    } else if (strcmp(word, "kill") == 0) {
        stop_workers(SIGKILL);
    } else if (strcmp(word, "restart") == 0) {
        start_workers();
    } else if (strcmp(word, "term") == 0) {
        signal_workers(SIGTERM);
    } else if (strcmp(word, "rotate") == 0) {
        harness_rotate_tickets();
    } else if (strcmp(word, "vitals") == 0) {
        harness_print_vitals(harness.vitals, harness.workers[0], harness.endpoints,
                             harness.endpoint_count);
        fflush(stdout);
        return;
    } else if (strcmp(word, "events") == 0) {
        harness_print_events(harness.vitals);
        fflush(stdout);
        return;
    } else if (strcmp(word, "records") == 0) {
        harness_print_records(harness.vitals);
        fflush(stdout);
        return;
    } else {
        harness_fail(line, "no such command");
    }
    printf("ok\n");
    fflush(stdout);
}

/* ---- start ---- */

static void open_listener(const char *text) {
    struct address address, bound = { .len = sizeof bound.storage };
    struct error err;
    bool any_port = strlen(text) > 2 && strcmp(text + strlen(text) - 2, ":0") == 0;
    char copy[128];
    snprintf(copy, sizeof copy, "%s%s", text, any_port ? "1" : "");
    if (!address_parse(slice_from(copy), 0, &address, &err)) {
        harness_fail(text, err.text);
    }
    if (any_port) { /* "…:0" was read as port 1: the kernel chooses */
        memset((char *)&address.storage + 2, 0, 2);
    }
    int *fd = &harness.listen_fds[harness.listen_count++];
    if (!listener_open(&address, fd, &err)) {
        harness_fail(text, err.text);
    }
    getsockname(*fd, (struct sockaddr *)&bound.storage, &bound.len);
    printf("listening %u\n", address_port(&bound));
    fflush(stdout);
}

static void read_arguments(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--in-process") == 0) {
            harness.in_process = true;
            continue;
        }
        if (strcmp(argv[i], "--proxy-protocol") == 0) {
            harness_expect_proxy_headers();
            continue;
        }
        if (value == NULL) {
            harness_fail(argv[i], "a value is missing");
        } else if (strcmp(argv[i], "--listen") == 0) {
            open_listener(value);
        } else if (strcmp(argv[i], "--tls") == 0) {
            harness_add_pair(value);
        } else if (strcmp(argv[i], "--trusted") == 0) {
            harness_trust(value);
        } else if (strcmp(argv[i], "--limit") == 0) {
            set_limit(value);
        } else if (strcmp(argv[i], "--endpoint") == 0) {
            add_endpoint(value);
        } else if (strcmp(argv[i], "--customer") == 0 && harness.customer_count < 16) {
            snprintf(harness.customers[harness.customer_count++], 128, "%s", value);
        } else if (strcmp(argv[i], "--workers") == 0) {
            harness.worker_count = (unsigned)atoi(value) % (WORKERS_MAX + 1);
        } else if (strcmp(argv[i], "--rate-limit") == 0) {
            if (sscanf(value, "%lf,%u", &harness.rate_rps, &harness.burst) != 2) {
                harness_fail(value, "expected RATE,BURST");
            }
        } else if (strcmp(argv[i], "--many-routes") == 0) {
            harness.many_routes = (uint32_t)atoi(value) % (PLAN_ROUTES_MAX - 64);
        } else if (strcmp(argv[i], "--route") == 0 && harness.route_count < 64) {
            snprintf(harness.routes[harness.route_count++].text, 256, "%s", value);
        } else {
            harness_fail(argv[i], "no such option");
        }
        i++;
    }
}

static void make_segments(void) {
    struct error err;
    int plan_fd, vitals_fd;
    harness.plans = plan_segment_new(&plan_fd, &err);
    harness.vitals =
        harness.plans == NULL ? NULL : vitals_new(harness.worker_count, &vitals_fd, &err);
    if (harness.vitals == NULL) {
        harness_fail("segments", err.text);
    }
    for (unsigned i = 0; i < harness.worker_count; i++) {
        harness.wake_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    set_defaults();
    harness_rotate_tickets();
    read_arguments(argc, argv);
    make_segments();
    publish();
    if (harness.in_process) {
        return run_worker(0);
    }
    start_workers();
    char line[LINE_BYTES];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        obey(line);
    }
    int status = stop_workers(SIGTERM);
    plan_segment_free(harness.plans);
    vitals_free(harness.vitals);
    return status;
}
