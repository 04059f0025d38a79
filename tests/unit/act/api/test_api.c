/* The API over real sockets, with a view made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "act/api/api.h"
#include "base/clock.h"

#define NOW_MS 1800000000500LL

static char folder[64], socket_path[96];
static struct loop *loop;
static struct api *api;
static struct store *store;
static struct api_view *view;
static struct vitals *vitals;
static uint16_t port;
static bool draining;
static char answer[1 << 20];

static bool reload(void *self, struct buffer *report) {
    (void)self;
    buffer_append_text(report, "shop.yaml:3:5: unknown key 'mim'; did you mean 'min'?\n");
    buffer_append_text(report, "shop.yaml:9:1: expected a list\n");
    return false;
}

static void drain(void *self) {
    (void)self;
    draining = true;
}

static bool drain_instance(void *self, struct slice id, struct error *err) {
    (void)self;
    return slice_equal(id, SLICE("storefront-1")) ||
           error_set(err, ERROR_NOT_FOUND, "no instance '%.*s'", SLICE_ARG(id));
}

static bool instance_output(void *self, struct slice id, struct buffer *out) {
    (void)self;
    return slice_equal(id, SLICE("storefront-1")) &&
           buffer_append_text(out, "listening on 4001\nbad \xff byte\n");
}

static void fill_view(void) {
    static const double path[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, mean[2] = { 2.5, 6.5 },
                        provision[2] = { 4, 8 };
    view = calloc(1, sizeof *view);
    view->now_ms = NOW_MS;
    view->supervisor = 10;
    view->controller = 11;
    view->workers[0] = 12;
    view->worker_count = 1;
    view->plan_version = 3;
    view->service_count = 2; /* the first index is free */
    view->instance_count = 1;
    struct api_service *s = &view->services[1];
    strcpy(s->name, "storefront");
    s->demand_rps = 100;
    s->served_rps = 100;
    s->capacity_rps = 200;
    s->latency_ms_p50 = 5;
    s->latency_ms_p95 = s->latency_ms_p99 = NAN;
    s->within_objective_ratio = NAN;
    s->forecast = (struct api_forecast){ .start_ms = NOW_MS,
                                         .step_ms = 1000,
                                         .steps = 2,
                                         .mean = mean,
                                         .quantiles = path,
                                         .quantile_stride = 4,
                                         .provision = provision,
                                         .provision_quantile = 0.93,
                                         .accuracy = { .since_ms = 1800000000000,
                                                       .ahead_ms = 90000,
                                                       .steps = 42,
                                                       .mase = 0.75,
                                                       .wape = 0.125,
                                                       .in_band = NAN,
                                                       .under_bound = 0.5 } };
    struct api_instance *i = &view->instances[0];
    strcpy(i->id, "storefront-1");
    i->service = 1;
    i->state = ENDPOINT_SERVING;
    i->pid = 4711;
    i->memory_bytes = NAN;
    i->cpu_ratio = 0.25;
    view->rate_count = 1;
    view->rate_keys = 65536;
    view->rates[0] = (struct api_rate){
        .name = "login", .by = "client", .rate_rps = 0.5, .burst = 5, .dry_run = true, .refused = 12
    };
    view->campaign_count = 1;
    strcpy(view->campaigns[0].name, "Spring \"sale\"");
    view->campaigns[0].start_ms = NOW_MS + 60000;
    view->campaigns[0].end_ms = NOW_MS + 120000;
    view->campaigns[0].multiplier = 3;
}

static uint16_t free_port(void) {
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bind(fd, (struct sockaddr *)&any, sizeof any);
    getsockname(fd, (struct sockaddr *)&any, &len);
    close(fd);
    return ntohs(any.sin_port);
}

static int setup(void **state) {
    (void)state;
    char address[32], spec[96];
    struct error err = { 0 };
    strcpy(folder, "/tmp/tidegate-api-XXXXXX");
    if (mkdtemp(folder) == NULL || (loop = loop_new(&err)) == NULL) {
        return -1;
    }
    port = free_port();
    draining = false;
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    snprintf(socket_path, sizeof socket_path, "%s/x.sock", folder);
    snprintf(spec, sizeof spec, "sqlite:%s/x.db", folder);
    store = store_open(slice_from(spec), NULL, &err);
    fill_view();
    int vitals_fd = -1;
    vitals = vitals_new(2, &vitals_fd, &err);
    close(vitals_fd);
    const struct slice hosts[] = { SLICE("admin.shop.test") };
    struct api_options options = { .loop = loop,
                                   .tcp_address = slice_from(address),
                                   .socket_path = socket_path,
                                   .anonymous_views = true,
                                   .hosts = hosts,
                                   .host_count = 1,
                                   .store = store,
                                   .vitals = vitals,
                                   .source = { .instance_output = instance_output,
                                               .reload = reload,
                                               .drain = drain,
                                               .drain_instance = drain_instance } };
    api = api_new(&options, &err);
    if (store == NULL || api == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    api_tick(api, view);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    api_free(api);
    store_close(store, 1000);
    loop_turn(loop, 0, NULL);
    loop_free(loop);
    free(view);
    vitals_free(vitals);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* ---- a client that turns the loop while it waits ---- */

static int dial(bool local) {
    struct sockaddr_un path = { .sun_family = AF_UNIX };
    struct sockaddr_in tcp = { .sin_family = AF_INET,
                               .sin_port = htons(port),
                               .sin_addr = { htonl(INADDR_LOOPBACK) } };
    strcpy(path.sun_path, socket_path);
    int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    int failed = local ? connect(fd, (struct sockaddr *)&path, sizeof path)
                       : connect(fd, (struct sockaddr *)&tcp, sizeof tcp);
    assert_int_equal(failed, 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* Reads until `words` have come, or the end. */
static void read_until(int fd, const char *words) {
    size_t len = 0;
    uint64_t end_ms = clock_monotonic_ms() + 20000;
    answer[0] = '\0';
    while (words == NULL || strstr(answer, words) == NULL) {
        assert_true(clock_monotonic_ms() < end_ms);
        assert_true(loop_turn(loop, 5, NULL));
        ssize_t n = recv(fd, answer + len, sizeof answer - len - 1, 0);
        if (n == 0) {
            break;
        }
        len += n > 0 ? (size_t)n : 0;
        answer[len] = '\0';
    }
}

static void ask_with(bool local, const char *method, const char *path, const char *headers) {
    char request[4096];
    int fd = dial(local);
    int len = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nConnection: close\r\n%s\r\n",
                       method, path, headers);
    assert_int_equal(send(fd, request, (size_t)len, 0), len);
    read_until(fd, NULL);
    close(fd);
}

static void ask(const char *path) {
    ask_with(false, "GET", path, "Host: 127.0.0.1\r\n");
}

static void expect(const char *words) {
    if (strstr(answer, words) == NULL) {
        fail_msg("'%s' is not in: %.2000s", words, answer);
    }
}

static void expect_status(int status) {
    char line[32];
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0) {
        fail_msg("expected %d: %.600s", status, answer);
    }
}

/* ---- the tests ---- */

static void answers(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int status;
        const char *words[3];
    } cases[] = {
        { "/api/v1/status", 200, { "\"plan\":3", "\"workers\":[12]", "\"state\":\"serving\"" } },
        { "/api/v1/status", 200, { "\"p95\":null", "\"memory_bytes\":null", "\"state\":\"ok\"" } },
        { "/api/v1/services", 200, { "{\"services\":[{\"name\":\"storefront\"" } },
        { "/api/v1/services/storefront", 200, { "\"demand_rps\":100" } },
        { "/api/v1/services/nothing", 404, { "no service 'nothing'" } },
        { "/api/v1/instances", 200, { "\"pid\":4711", "\"cpu_ratio\":0.25" } },
        { "/api/v1/instances/storefront-1",
          200,
          { "\"output\":[\"listening on 4001\",\"bad ? byte\"]" } },
        { "/api/v1/instances/x", 404, { "application/problem+json" } },
        { "/api/v1/demand?service=storefront", 200, { "\"times_ms\":[1800000000000]" } },
        { "/api/v1/demand?service=nobody", 404, { "no service 'nobody'" } },
        { "/api/v1/demand?step=0", 400, { "expected at least" } },
        { "/api/v1/demand?from=5&to=4", 400, { "from must be before to" } },
        { "/api/v1/demand?from=1799000000&to=1800000000", 200, { "\"step_s\":3600" } },
        { "/api/v1/latency?service=storefront", 200, { "\"checkout\":{\"p50\":[" } },
        { "/api/v1/forecast", 400, { "service is missing" } },
        { "/api/v1/forecast?service=storefront",
          200,
          { "\"q0.1\":[1.0,5.0]", "\"provision\":[4.0,8.0]",
            "\"steps\":42,\"ahead_ms\":90000,\"mase\":0.75,\"wape\":0.125,"
            "\"coverage_q0.1_q0.9\":null,\"coverage_q0.95\":0.5" } },
        { "/api/v1/decisions?limit=5", 200, { "{\"decisions\":[]}" } },
        { "/api/v1/decisions?limit=5000", 400, { "expected 1 to 1000" } },
        { "/api/v1/decisions?color=red", 400, { "expected limit, service, kind, after, before" } },
        { "/api/v1/campaigns", 200, { "Spring \\\"sale\\\"", "\"multiplier\":3" } },
        { "/api/v1/openapi.json", 200, { "\"openapi\": \"3.1.0\"", "etag: " } },
        { "/metrics", 200, { "tidegate_instances{service=\"storefront\",state=\"serving\"} 1" } },
        { "/metrics", 200, { "tidegate_rate_limit_keys 65536" } },
        { "/api/v1/status", 200, { "\"rate_limits\":[{\"name\":\"login\",", "\"refused\":12" } },
        { "/healthz", 200, { "{\"status\":\"ok\"}" } },
        { "/", 200, { "<title>Tidegate</title>", "script-src 'self'" } },
        { "/assets/app.js", 200, { "text/javascript" } },
        { "/assets/../etc/passwd", 404, { "nothing is at" } },
        { "/nothing", 404, { "openapi.json" } },
        { "/api/v1/services/", 404, { "nothing is at" } },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(cases[i].path);
        expect_status(cases[i].status);
        for (int k = 0; k < 3 && cases[i].words[k] != NULL; k++) {
            expect(cases[i].words[k]);
        }
        expect("x-content-type-options: nosniff");
        expect("content-security-policy: default-src 'none'");
    }
}

static void only_known_names_are_answered(void **state) {
    (void)state;
    static const struct {
        const char *host;
        int status;
    } cases[] = {
        { "127.0.0.1:9900", 200 },
        { "localhost", 200 },
        { "LOCALHOST:1", 200 },
        { "[::1]:9900", 200 },
        { "10.1.2.3", 200 },
        { "admin.shop.test", 200 },
        { "evil.test", 421 },
        { "127.0.0.1.evil.test", 421 },
        { "localhost.evil.test", 421 },
        { "2130706433.test", 421 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char headers[128];
        snprintf(headers, sizeof headers, "Host: %s\r\n", cases[i].host);
        ask_with(false, "GET", "/healthz", headers);
        expect_status(cases[i].status);
        ask_with(true, "GET", "/healthz", headers); /* no browser comes over the Unix socket */
        expect_status(200);
    }
}

static void tcp_only_reads_without_a_token(void **state) {
    (void)state;
    static const char *const paths[] = { "/api/v1/reload", "/api/v1/drain",
                                         "/api/v1/instances/storefront-1/drain" };
    for (size_t i = 0; i < 3; i++) {
        ask_with(false, "POST", paths[i], "Host: localhost\r\n");
        expect_status(401); /* who shows no token only reads */
        expect("www-authenticate: Bearer");
    }
    assert_false(draining);
    ask_with(false, "POST", "/api/v1/status", "Host: localhost\r\n");
    expect_status(405);
    expect("allow: GET, HEAD");
    ask_with(true, "GET", "/api/v1/drain", "Host: localhost\r\n");
    expect_status(405);
    expect("allow: POST");
}

static void the_unix_socket_acts(void **state) {
    (void)state;
    struct stat status;
    assert_int_equal(stat(socket_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    ask_with(true, "POST", "/api/v1/reload", "Host: x\r\nContent-Length: 2\r\n\r\n{}");
    expect_status(422);
    expect("\"errors\":[\"shop.yaml:3:5: unknown key 'mim'; did you mean 'min'?\",\"shop.yaml:9:1");
    ask_with(true, "POST", "/api/v1/instances/storefront-1/drain", "Host: x\r\n");
    expect_status(202);
    ask_with(true, "POST", "/api/v1/instances/storefront-9/drain", "Host: x\r\n");
    expect_status(404);
    ask_with(true, "POST", "/api/v1/drain", "Host: x\r\n");
    expect_status(202);
    assert_true(draining);
}

static void requests_follow_one_another(void **state) {
    (void)state;
    int fd = dial(false);
    /* Three at once; the middle one is answered by the store's thread. */
    const char three[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                         "GET /api/v1/demand?from=1799000000&to=1800000000 HTTP/1.1\r\n"
                         "Host: localhost\r\n\r\n"
                         "HEAD /api/v1/status HTTP/1.1\r\nHost: localhost\r\n"
                         "Connection: close\r\n\r\n";
    assert_int_equal(send(fd, three, sizeof three - 1, 0), sizeof three - 1);
    read_until(fd, NULL);
    close(fd);
    const char *second = strstr(answer + 1, "HTTP/1.1 200 OK");
    assert_non_null(second);
    const char *third = strstr(second + 1, "HTTP/1.1 200 OK");
    assert_non_null(third);
    assert_non_null(strstr(second, "\"step_s\":3600"));
    assert_null(strstr(third, "\"plan\"")); /* HEAD has no body */
    assert_non_null(strstr(third, "content-length: "));
}

static void bad_requests(void **state) {
    (void)state;
    char path[API_BODY_BYTES_MAX / 64];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    ask(path);
    expect_status(414);
    ask_with(true, "POST", "/api/v1/drain", "Host: x\r\nContent-Length: 999999\r\n");
    expect_status(413);
    assert_false(draining);
    ask_with(false, "GET", "/healthz", "");
    expect_status(400);
    ask_with(false, "GET", "/healthz", "Host: a\r\nHost: b\r\n");
    expect_status(400);
}

static void the_same_file_is_not_sent_again(void **state) {
    (void)state;
    char headers[160], etag[64];
    ask_with(false, "GET", "/", "Host: localhost\r\nAccept-Encoding: gzip\r\n");
    expect("content-encoding: gzip");
    const char *at = strstr(answer, "etag: ");
    assert_int_equal(sscanf(at, "etag: %63s", etag), 1);
    snprintf(headers, sizeof headers,
             "Host: localhost\r\nAccept-Encoding: gzip\r\nIf-None-Match: %s\r\n", etag);
    ask_with(false, "GET", "/", headers);
    expect_status(304);
    assert_null(strstr(answer, "<title>"));
}

static void metrics_are_sums_over_the_workers(void **state) {
    (void)state;
    for (int w = 0; w < 2; w++) {
        struct vitals_service *service = &vitals->workers[w].services[1];
        vitals_add(&service->offered[STAGE_CHECKOUT], 3 + (uint64_t)w);
        histogram_record(&service->latency_us[STAGE_CHECKOUT], 40000);
        vitals_add(&vitals->workers[w].reasons[REASON_OVERLOAD], 2);
        vitals_add(&vitals->workers[w].connections_accepted, 5 + (uint64_t)w);
    }
    ask("/metrics");
    expect_status(200);
    expect("tidegate_requests_offered_total{service=\"storefront\",stage=\"checkout\"} 7\n");
    expect("tidegate_requests_served_total{service=\"storefront\",stage=\"checkout\"} 0\n");
    expect("_bucket{service=\"storefront\",stage=\"checkout\",le=\"0.025\"} 0\n");
    expect("_bucket{service=\"storefront\",stage=\"checkout\",le=\"0.05\"} 2\n");
    expect("tidegate_request_problems_total{reason=\"overload\"} 4\n");
    expect("tidegate_connections_accepted_total{worker=\"1\"} 6\n");
    ask_with(false, "GET", "/metrics",
             "Host: localhost\r\nAccept: application/openmetrics-text;version=1.0.0\r\n");
    expect("# TYPE tidegate_requests_offered counter\n");
    expect("\n# EOF\n");
}

/* ---- events and decisions ---- */

static void take_decision(const char *service, const char *reason) {
    struct decision d;
    decision_init(&d, NOW_MS);
    strcpy(d.kind, "heal");
    strcpy(d.service, service);
    strcpy(d.reason, reason);
    strcpy(d.evidence, "{\"exit\":9}");
    d.id = store_append_decision(store, &d);
    api_decided(api, &d);
}

static void events_come_at_once(void **state) {
    (void)state;
    int fd = dial(false);
    const char request[] = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    read_until(fd, "event: tick\ndata: {");
    take_decision("storefront", "storefront-1 died");
    read_until(fd, "event: decision\nid: 1\ndata: {");
    expect("\"evidence\":{\"exit\":9}");
    api_healed(api, 1, 0.5, 33);
    read_until(fd, "\"healed_ms\":33");
    view->plan_version = 99;
    api_tick(api, view);
    read_until(fd, "\"plan\":99");
    close(fd);
    ask("/api/v1/decisions?service=storefront&kind=heal");
    expect("\"healed_ms\":33");
    ask("/api/v1/decisions?service=other");
    expect("{\"decisions\":[]}");
}

static void clients_of_events_are_bounded(void **state) {
    (void)state;
    int fds[API_EVENT_CLIENTS_MAX];
    const char request[] = "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (int i = 0; i < API_EVENT_CLIENTS_MAX; i++) {
        fds[i] = dial(false);
        assert_int_equal(send(fds[i], request, sizeof request - 1, 0), sizeof request - 1);
        read_until(fds[i], "event: tick");
    }
    ask("/api/v1/events");
    expect_status(503);
    close(fds[0]);
    loop_turn(loop, 10, NULL);
    fds[0] = dial(false);
    assert_int_equal(send(fds[0], request, sizeof request - 1, 0), sizeof request - 1);
    read_until(fds[0], "event: tick");
    /* Nobody reads: after half a megabyte each they are dropped. */
    for (int i = 0; i < 4000; i++) {
        api_tick(api, view);
        loop_turn(loop, 0, NULL);
    }
    ask("/metrics");
    expect("tidegate_api_event_clients 0\n");
    expect("tidegate_api_event_clients_dropped_total 16\n");
    for (int i = 0; i < API_EVENT_CLIENTS_MAX; i++) {
        close(fds[i]);
    }
}

static void older_decisions_come_from_the_store(void **state) {
    (void)state;
    for (int i = 0; i < API_DECISIONS + 100; i++) {
        take_decision(i < 50 ? "early" : "late", "because");
        /* the queue of the store is bounded */
        for (int turn = 0; turn < 4000 && store_health(store).queued_rows > STORE_QUEUE_EVENTS / 2;
             turn++) {
            usleep(5000);
        }
    }
    for (int i = 0; i < 4000 && store_health(store).written_rows < API_DECISIONS + 100; i++) {
        usleep(5000);
    }
    ask("/api/v1/decisions?limit=3&before=40");
    expect("\"id\":39");
    expect("\"id\":37");
    ask("/api/v1/decisions?service=early&limit=1000");
    expect("\"id\":1,");
    expect("\"id\":50,");
}

/* A new controller shows what the one before it has decided and measured. */
static void a_restart_remembers(void **state) {
    (void)state;
    struct error err = { 0 };
    char address[32];
    struct store_sample sample = {
        .service = "storefront", .step_s = 1, .time_ms = NOW_MS - 5500, .offered_rps = 77
    };
    store_append_sample(store, &sample);
    take_decision("storefront", "before the restart");
    for (int i = 0; i < 4000 && store_health(store).written_rows < 2; i++) {
        usleep(5000);
    }
    api_free(api);
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    struct api_options options = {
        .loop = loop, .tcp_address = slice_from(address), .anonymous_views = true, .store = store
    };
    api = api_new(&options, &err);
    assert_non_null(api);
    ask("/api/v1/status");
    expect_status(503); /* no view yet */
    api_tick(api, view);
    uint64_t end_ms = clock_monotonic_ms() + 20000;
    do {
        ask("/api/v1/demand?service=storefront");
    } while (strstr(answer, "\"offered_rps\":[77") == NULL && clock_monotonic_ms() < end_ms);
    expect("\"offered_rps\":[77.0,100.0]");
    ask("/api/v1/decisions");
    expect("before the restart");
}

/* Whoever goes away while the store thinks does no harm. */
static void an_impatient_client(void **state) {
    (void)state;
    const char request[] =
        "GET /api/v1/demand?from=1700000000&to=1800000000&step=86400 HTTP/1.1\r\n"
        "Host: localhost\r\n\r\n";
    for (int i = 0; i < 40; i++) {
        int fd = dial(false);
        assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
        loop_turn(loop, 1, NULL);
        struct linger reset = { 1, 0 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    for (int i = 0; i < 20; i++) {
        loop_turn(loop, 5, NULL);
    }
    ask("/healthz");
    expect_status(200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers, setup, teardown),
        cmocka_unit_test_setup_teardown(only_known_names_are_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(tcp_only_reads_without_a_token, setup, teardown),
        cmocka_unit_test_setup_teardown(the_unix_socket_acts, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_follow_one_another, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_file_is_not_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(metrics_are_sums_over_the_workers, setup, teardown),
        cmocka_unit_test_setup_teardown(events_come_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_of_events_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(older_decisions_come_from_the_store, setup, teardown),
        cmocka_unit_test_setup_teardown(a_restart_remembers, setup, teardown),
        cmocka_unit_test_setup_teardown(an_impatient_client, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
