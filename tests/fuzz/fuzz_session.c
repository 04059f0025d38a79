/* A whole worker between a client and a service of any bytes (Unix sockets in this process): the
 * first byte says how the connections end, the next two how many bytes are the client's; the rest
 * is what the service answers on each connection. Whatever both say: what the service gets is
 * strict HTTP/1.1, what the client gets as well (if it did not begin in HTTP/2), and the worker
 * ends when it is told to, with nothing in flight. Slow for a fuzz target: each input is some
 * milliseconds. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "../unit/act/proxy/route_fixture.h"
#include "act/proxy/worker.h"
#include "base/log.h"
#include "wire/http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SERVED_BYTES_MAX 65536
#define CONNECTIONS_MAX 16
#define DRAIN_AFTER_NS 3000000
#define DRAIN_MS 10

static const char routes[] =
    "routes:\n"
    "  - { path: /go, redirect: { status: 301, path: /there } }\n"
    "  - { path: /old, service: 0, rewrite: { prefix: /new } }\n"
    "  - { path: /, service: 0, request_headers: { set: { X-Way: fuzz }, remove: [Cookie] } }\n";

static struct {
    int client_listener, service_listener;
    struct plan_segment *plans;
    struct vitals *vitals;
    struct slice answer; /* of the service */
    uint8_t ways;
    atomic_uint connections;
    struct {
        char data[SERVED_BYTES_MAX];
        size_t len;
    } served[CONNECTIONS_MAX];
    pthread_mutex_t serving;
} fuzz;

static int listen_at(const char *name, struct sockaddr_un *address, socklen_t *len) {
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "tidegate-fuzz-%s-%d", name,
             (int)getpid()); /* abstract: no file */
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address->sun_path + 1));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(fd >= 0 && bind(fd, (struct sockaddr *)address, *len) == 0 && listen(fd, 64) == 0);
    return fd;
}

/* ---- the service ---- */

static void serve(int fd, unsigned which) {
    size_t *len = &fuzz.served[which].len;
    ssize_t n = send(fd, fuzz.answer.data, fuzz.answer.len, MSG_NOSIGNAL);
    (void)n;
    if (fuzz.ways & 1) {
        shutdown(fd, SHUT_WR);
    }
    while (*len < SERVED_BYTES_MAX &&
           (n = recv(fd, fuzz.served[which].data + *len, SERVED_BYTES_MAX - *len, 0)) > 0) {
        *len += (size_t)n;
    }
    close(fd);
}

static void *serve_one(void *connection) {
    uintptr_t packed = (uintptr_t)connection;
    serve((int)(packed >> 8), (unsigned)(packed & 0xff));
    pthread_mutex_lock(&fuzz.serving);
    atomic_fetch_add(&fuzz.connections, 1u << 16);
    pthread_mutex_unlock(&fuzz.serving);
    return NULL;
}

static void *accept_all(void *unused) {
    for (;;) {
        int fd = accept4(fuzz.service_listener, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;
        unsigned which = atomic_load(&fuzz.connections) & 0xffff;
        if (fd < 0) {
            continue;
        }
        if (which == CONNECTIONS_MAX) {
            close(fd);
            continue;
        }
        atomic_fetch_add(&fuzz.connections, 1);
        uintptr_t packed = (uintptr_t)fd << 8 | which;
        if (pthread_create(&thread, NULL, serve_one, (void *)packed) == 0) {
            pthread_detach(thread);
        }
    }
    return unused;
}

static bool all_served(void) {
    unsigned connections = atomic_load(&fuzz.connections);
    return (connections & 0xffff) == connections >> 16;
}

/* ---- what comes out must be HTTP ---- */

static const struct h1_limits wide = { 1u << 20, HTTP_FIELDS_MAX, 1u << 20, 1u << 20 };

/* Skips a body; false when it is not whole. */
static bool skip_body(struct slice *rest, const struct http_head *head) {
    struct h1_body body;
    h1_body_init(&body, head, &wide);
    while (!h1_body_done(&body)) {
        struct h1_body_event event = h1_body_next(&body, *rest, NULL);
        assert(event.kind != H1_BODY_BAD);
        *rest = slice_skip(*rest, event.consumed);
        if (event.kind == H1_BODY_MORE) {
            return false;
        }
    }
    return true;
}

static void check_requests(struct slice rest) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    struct h1_problem problem;
    size_t consumed;
    while (rest.len > 0) {
        struct h1_scan scan = { 0 };
        http_head_init(&head, fields, HTTP_FIELDS_MAX);
        enum h1_result result = h1_parse_request(rest, &wide, &scan, &head, &consumed, &problem);
        if (result == H1_BAD && slice_find_slice(rest, SLICE("host: \r\n")) != SLICE_NONE) {
            return; /* of HTTP/1.0: RFC 9112 3.2 wants it empty, and we do not take it from others
                     */
        }
        assert(result != H1_BAD);
        rest = result == H1_DONE ? slice_skip(rest, consumed) : SLICE("");
        if (result == H1_MORE || head.upgrade || !skip_body(&rest, &head)) {
            return;
        }
    }
}

static void check_responses(struct slice rest) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    struct h1_problem problem;
    size_t consumed;
    while (rest.len > 0) {
        struct h1_scan scan = { 0 };
        http_head_init(&head, fields, HTTP_FIELDS_MAX);
        enum h1_result result =
            h1_parse_response(rest, &wide, &scan, HTTP_GET, &head, &consumed, &problem);
        assert(result != H1_BAD);
        rest = result == H1_DONE ? slice_skip(rest, consumed) : SLICE("");
        if (result == H1_MORE || head.status == 101 || !skip_body(&rest, &head)) {
            return;
        }
    }
}

/* ---- the worker ---- */

static void fill_plan(const struct sockaddr_un *address, socklen_t len) {
    struct route_fixture f;
    bool read = routes_read(&f, routes);
    assert(read);
    f.segment = plan_segment_new(&f.fd, NULL);
    struct plan *plan = plan_begin(f.segment);
    struct route_planner planner = { .plan = plan, .service_index = index_of_digit };
    for (size_t i = 0; i < f.list.count; i++) {
        assert(route_plan_add(&planner, &f.list.routes[i]));
    }
    plan->limits = (struct plan_limits){ .drain_timeout_ms = DRAIN_MS, .streams = 16 };
    plan->service_count = 1;
    plan->services[0] = (struct plan_service){ .name = "0", .objective_us = 250000 };
    plan->endpoint_count = 1;
    plan->endpoints[0] = (struct plan_endpoint){ .id = "0", .state = ENDPOINT_SERVING };
    memcpy(&plan->endpoints[0].address, address, len);
    plan->endpoints[0].address_len = len;
    plan->endpoints[0].generation = 1;
    plan_publish(f.segment, plan);
    fuzz.plans = f.segment; /* stays */
    config_report_fini(&f.report);
    arena_fini(&f.arena);
}

static void set_up(void) {
    struct sockaddr_un address;
    socklen_t len;
    pthread_t thread;
    int fd;
    log_set_level(LOG_ERROR);
    pthread_mutex_init(&fuzz.serving, NULL);
    fuzz.service_listener = listen_at("service", &address, &len);
    fill_plan(&address, len);
    fuzz.vitals = vitals_new(1, &fd, NULL);
    assert(fuzz.vitals != NULL && pthread_create(&thread, NULL, accept_all, NULL) == 0);
}

static int connect_client(struct sockaddr_un *address, socklen_t len, struct slice says) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(fd >= 0 && connect(fd, (struct sockaddr *)address, len) == 0);
    ssize_t n = says.len == 0 ? 0 : send(fd, says.data, says.len, MSG_NOSIGNAL);
    assert(n == (ssize_t)says.len);
    if (fuzz.ways & 2) {
        shutdown(fd, SHUT_WR);
    }
    return fd;
}

static void run_worker(int listener) {
    struct itimerspec soon = { .it_value.tv_nsec = DRAIN_AFTER_NS };
    struct error err = { 0 };
    int stop = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    timerfd_settime(stop, 0, &soon, NULL);
    struct worker_config config = {
        .listen_fds = &listener,
        .listen_count = 1,
        .plans = fuzz.plans,
        .vitals = fuzz.vitals,
        .io = LOOP_IO_EPOLL,
        .wake_fd = -1,
        .supervisor_fd = stop, /* "gone" when it is over */
        .control_fd = -1,
        .guard = { .mode = GUARD_OFF }, /* this process goes on after it */
    };
    assert(worker_run(&config, &err));
    close(stop);
}

static size_t read_all(int fd, char *out, size_t most) {
    size_t len = 0;
    ssize_t n;
    while (len < most && (n = recv(fd, out + len, most - len, MSG_DONTWAIT)) > 0) {
        len += (size_t)n;
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char answers[1u << 20];
    struct sockaddr_un address;
    socklen_t address_len;
    if (fuzz.plans == NULL) {
        set_up();
    }
    if (size < 3) {
        return 0;
    }
    struct slice client = slice_of(data + 3, size - 3);
    client.len = (size_t)(data[1] << 8 | data[2]) % (client.len + 1);
    fuzz.ways = data[0];
    fuzz.answer = slice_of(client.data + client.len, size - 3 - client.len);
    atomic_store(&fuzz.connections, 0);
    memset(fuzz.served, 0, sizeof fuzz.served);
    int listener = listen_at("client", &address, &address_len);
    int fd = connect_client(&address, address_len, client);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    run_worker(listener);
    while (!all_served()) {
        poll(NULL, 0, 1);
    }
    struct slice got = slice_of(answers, read_all(fd, answers, sizeof answers));
    assert(atomic_load(&fuzz.vitals->workers[0].services[0].in_flight) == 0);
    for (unsigned i = 0; i < (atomic_load(&fuzz.connections) & 0xffff); i++) {
        check_requests(slice_of(fuzz.served[i].data, fuzz.served[i].len));
    }
    if (slice_find_slice(client, SLICE("HEAD")) == SLICE_NONE &&
        !slice_starts_with(client, SLICE("PRI"))) {
        check_responses(got);
    }
    close(fd);
    close(listener);
    return 0;
}
