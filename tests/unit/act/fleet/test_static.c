/* Instances that somebody else runs: what the configuration says appears and goes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "fleet_fixture.h"

#define ENDPOINTS_MAX 8

static struct endpoint_config endpoints[ENDPOINTS_MAX];
static int listeners[ENDPOINTS_MAX];
static char texts[ENDPOINTS_MAX][32];

/* Listens at a free port and names it: a connection is health enough. */
static void listen_as(unsigned i) {
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listeners[i], (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listeners[i], 64), 0);
    assert_int_equal(getsockname(listeners[i], (struct sockaddr *)&address, &len), 0);
    snprintf(texts[i], sizeof texts[i], "127.0.0.1:%u", ntohs(address.sin_port));
    endpoints[i] = (struct endpoint_config){ .address = texts[i], .weight = 1 };
}

static int set_up_static(void **state) {
    int result = set_up(state);
    struct fixture *f = *state;
    fleet_set_service(f->fleet, 0, "unused", NULL);
    f->config.kind = FLEET_STATIC;
    f->config.health.path = NULL;
    f->config.endpoints = endpoints;
    for (unsigned i = 0; i < ENDPOINTS_MAX; i++) {
        listeners[i] = -1;
        listen_as(i);
    }
    return result;
}

static int tear_down_static(void **state) {
    for (unsigned i = 0; i < ENDPOINTS_MAX; i++) {
        if (listeners[i] >= 0) {
            close(listeners[i]);
        }
    }
    return tear_down(state);
}

static void set_endpoints(struct fixture *f, size_t count) {
    f->config.endpoint_len = count;
    fleet_set_service(f->fleet, 0, "shop", &f->config);
}

static unsigned count_instances(struct fixture *f) {
    unsigned count = 0;
    for (struct instance *i = fleet_first(f->fleet); i != NULL; i = fleet_next(f->fleet, i)) {
        count++;
    }
    return count;
}

static void appear_when_they_are_healthy(void **state) {
    struct fixture *f = *state;
    set_endpoints(f, 3);
    assert_int_equal(count_instances(f), 3);
    assert_int_equal(f->heard.ready, 0);
    WAIT_FOR(f, f->heard.ready == 3);
    struct instance *first = fleet_find(f->fleet, slice_from(texts[0]));
    assert_non_null(first);
    assert_true(first->healthy && first->phase == INSTANCE_READY && first->pid == 0);
    assert_string_equal(fleet_trouble(f->fleet, 0), "");
}

static void are_not_ours_to_start(void **state) {
    struct fixture *f = *state;
    set_endpoints(f, 1);
    assert_false(fleet_may_start(f->fleet, 0));
    assert_null(fleet_start(f->fleet, 0));
}

static void wait_until_they_come_up(void **state) {
    struct fixture *f = *state;
    close(listeners[0]);
    listeners[0] = -1;
    set_endpoints(f, 1);
    turn_for(f, 300);
    assert_int_equal(f->heard.ready + f->heard.exits, 0); /* no patience to lose: not ours */
    char wanted[128];
    snprintf(wanted, sizeof wanted, "%s is not healthy: Connection refused", texts[0]);
    assert_string_equal(fleet_trouble(f->fleet, 0), wanted);
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)atoi(strchr(texts[0], ':') + 1)) };
    int yes = 1;
    listeners[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listeners[0], SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    assert_int_equal(bind(listeners[0], (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listeners[0], 64), 0);
    WAIT_FOR(f, f->heard.ready == 1);
    assert_string_equal(fleet_trouble(f->fleet, 0), "");
}

static void fall_ill_and_come_back(void **state) {
    struct fixture *f = *state;
    set_endpoints(f, 2);
    WAIT_FOR(f, f->heard.ready == 2);
    struct instance *first = fleet_find(f->fleet, slice_from(texts[0]));
    close(listeners[0]);
    WAIT_FOR(f, f->heard.health == 1);
    assert_string_equal(f->heard.last_id, texts[0]);
    assert_false(first->healthy);
    assert_string_equal(first->health_note, "Connection refused");
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)atoi(strchr(texts[0], ':') + 1)) };
    int yes = 1;
    listeners[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listeners[0], SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    assert_int_equal(bind(listeners[0], (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listeners[0], 64), 0);
    WAIT_FOR(f, f->heard.health == 2);
    assert_true(first->healthy);
    assert_int_equal(f->heard.exits, 0);
}

static void come_and_go_with_the_configuration(void **state) {
    struct fixture *f = *state;
    set_endpoints(f, 3);
    WAIT_FOR(f, f->heard.ready == 3);
    struct instance *first = fleet_find(f->fleet, slice_from(texts[0]));
    set_endpoints(f, 1);
    WAIT_FOR(f, f->heard.exits == 2);
    assert_int_equal(f->heard.last_status, -1);
    assert_int_equal(count_instances(f), 1);
    assert_ptr_equal(fleet_find(f->fleet, slice_from(texts[0])), first); /* never interrupted */
    assert_int_equal(f->heard.ready, 3);
    set_endpoints(f, 2);
    WAIT_FOR(f, f->heard.ready == 4);
    fleet_set_service(f->fleet, 0, "shop", NULL);
    WAIT_FOR(f, f->heard.exits == 4);
    assert_null(fleet_first(f->fleet));
}

static void are_there_once(void **state) {
    struct fixture *f = *state;
    endpoints[1] = endpoints[0];
    set_endpoints(f, 2);
    assert_int_equal(count_instances(f), 1);
    set_endpoints(f, 2);
    assert_int_equal(count_instances(f), 1);
}

static void come_back_at_once_after_a_change_to_and_fro(void **state) {
    struct fixture *f = *state;
    set_endpoints(f, 1);
    WAIT_FOR(f, f->heard.ready == 1);
    set_endpoints(f, 0);
    set_endpoints(f, 1); /* before the old one is gone */
    WAIT_FOR(f, f->heard.exits == 1 && f->heard.ready == 2);
    assert_int_equal(count_instances(f), 1);
}

static void resolve_names(void **state) {
    struct fixture *f = *state;
    char name[40];
    snprintf(name, sizeof name, "localhost:%s", strchr(texts[0], ':') + 1);
    endpoints[0].address = name;
    set_endpoints(f, 1);
    WAIT_FOR(f, f->heard.ready >= 1);
    assert_non_null(fleet_find(f->fleet, slice_from(texts[0])));
}

/* One name that is not known (any more) takes nothing away from what runs. */
static void keep_what_runs_when_a_name_is_not_known(void **state) {
    struct fixture *f = *state;
    set_endpoints(f, 2);
    WAIT_FOR(f, f->heard.ready == 2);
    endpoints[1].address = "no-such-host.invalid:80";
    set_endpoints(f, 2);
    assert_non_null(strstr(fleet_trouble(f->fleet, 0), "no-such-host.invalid"));
    turn_for(f, 200);
    assert_int_equal(f->heard.exits, 0);
    assert_int_equal(count_instances(f), 2);
}

/* It is the controller that lets those go that were, once others serve. */
static void become_processes_and_back(void **state) {
    struct fixture *f = *state;
    struct fleet_config processes = f->config;
    set_endpoints(f, 1);
    WAIT_FOR(f, f->heard.ready == 1);
    struct instance *former = fleet_first(f->fleet);
    struct fleet_config keep = f->config;
    f->config = processes;
    f->config.kind = FLEET_PROCESS;
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    struct instance *started = fleet_start(f->fleet, 0);
    assert_non_null(started);
    WAIT_FOR(f, f->heard.ready == 2);
    assert_int_equal(f->heard.exits, 0);
    fleet_stop(f->fleet, former);
    WAIT_FOR(f, f->heard.exits == 1);
    fleet_set_service(f->fleet, 0, "shop", &keep);
    WAIT_FOR(f, f->heard.ready == 3);
    assert_int_equal(f->heard.exits, 1);
    assert_int_equal(started->phase, INSTANCE_READY);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_static, tear_down_static)
    const struct CMUnitTest tests[] = {
        TEST(appear_when_they_are_healthy),
        TEST(are_not_ours_to_start),
        TEST(wait_until_they_come_up),
        TEST(fall_ill_and_come_back),
        TEST(come_and_go_with_the_configuration),
        TEST(are_there_once),
        TEST(come_back_at_once_after_a_change_to_and_fro),
        TEST(resolve_names),
        TEST(keep_what_runs_when_a_name_is_not_known),
        TEST(become_processes_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
