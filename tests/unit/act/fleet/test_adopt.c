/* A second fleet of the same state folder finds what the first one left running. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>

#include "fleet_fixture.h"
#include "wire/net/address.h"

/* The first fleet goes away, as with a controller that died. */
static void lose_fleet(struct fixture *f) {
    fleet_free(f->fleet);
    f->fleet = new_fleet(f);
    memset(&f->heard, 0, sizeof f->heard);
}

static struct instance *start_ready(struct fixture *f) {
    unsigned before = f->heard.ready;
    struct instance *instance = fleet_start(f->fleet, 0);
    assert_non_null(instance);
    WAIT_FOR(f, f->heard.ready > before || f->heard.exits > 0);
    assert_int_equal(f->heard.exits, 0);
    return instance;
}

static void adopts_what_runs(void **state) {
    struct fixture *f = *state;
    pid_t pids[2];
    struct address address;
    int64_t started_ms;
    f->config.version = "v7";
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    pids[0] = start_ready(f)->pid;
    struct instance *second = start_ready(f);
    pids[1] = second->pid;
    address = second->address;
    started_ms = second->started_ms;
    lose_fleet(f);
    assert_true(process_runs(pids[0]) && process_runs(pids[1])); /* fleet_free lets go */
    f->config.version = "v8";
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    assert_int_equal(fleet_adopt(f->fleet), 2);
    struct instance *found = fleet_find(f->fleet, SLICE("shop-2"));
    assert_non_null(found);
    assert_int_equal(found->pid, pids[1]);
    assert_true(found->adopted);
    assert_true(address_equal(&found->address, &address));
    assert_string_equal(found->version, "v7"); /* what it is, not what is configured now */
    assert_true(llabs(found->started_ms - started_ms) < 2000);
    WAIT_FOR(f, f->heard.ready == 2);
    assert_true(isnan(found->startup_ms));             /* it teaches nothing about starting */
    assert_string_equal(start_ready(f)->id, "shop-3"); /* no number twice */
    fleet_stop(f->fleet, found);
    WAIT_FOR(f, f->heard.exits == 1);
    assert_string_equal(f->heard.last_id, "shop-2");
    assert_false(process_runs(pids[1]) && waitpid(pids[1], NULL, WNOHANG) == 0);
}

static void hears_of_the_end_of_an_adopted_one(void **state) {
    struct fixture *f = *state;
    pid_t pid = start_ready(f)->pid;
    lose_fleet(f);
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    assert_int_equal(fleet_adopt(f->fleet), 1);
    WAIT_FOR(f, f->heard.ready == 1);
    kill(pid, SIGKILL);
    WAIT_FOR(f, f->heard.exits == 1);
    assert_null(fleet_first(f->fleet));
}

static void leaves_other_folders_alone(void **state) {
    struct fixture *f = *state;
    pid_t pid = start_ready(f)->pid;
    lose_fleet(f);
    char folder[64];
    strcpy(folder, f->folder);
    f->folder[strlen(f->folder) - 1] ^= 1; /* a neighbour */
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    assert_int_equal(fleet_adopt(f->fleet), 0);
    strcpy(f->folder, folder);
    assert_true(process_runs(pid));
    assert_int_equal(end_what_is_left(f), 1);
}

static void stops_those_of_services_that_are_gone(void **state) {
    struct fixture *f = *state;
    pid_t pid = start_ready(f)->pid;
    lose_fleet(f);
    fleet_set_service(f->fleet, 0, "another", &f->config);
    assert_int_equal(fleet_adopt(f->fleet), 0);
    assert_null(fleet_first(f->fleet));
    WAIT_FOR(f, waitpid(pid, NULL, WNOHANG) == pid);
}

/* A service may have another index after a change of shop.yaml. */
static void adopts_by_name(void **state) {
    struct fixture *f = *state;
    start_ready(f);
    lose_fleet(f);
    fleet_set_service(f->fleet, 0, "another", &f->config);
    fleet_set_service(f->fleet, 5, "shop", &f->config);
    assert_int_equal(fleet_adopt(f->fleet), 1);
    assert_int_equal(fleet_first(f->fleet)->service, 5);
}

/* What an instance started has inherited its mark. */
static void does_not_adopt_children(void **state) {
    struct fixture *f = *state;
    f->config.health.path = NULL;
    use_shell(f, "sleep 300 & sleep 300");
    struct instance *instance = fleet_start(f->fleet, 0);
    assert_non_null(instance);
    pid_t pid = instance->pid;
    turn_for(f, 200);
    lose_fleet(f);
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    assert_int_equal(fleet_adopt(f->fleet), 1);
    assert_int_equal(fleet_first(f->fleet)->pid, pid);
}

static void gives_an_adopted_one_its_time_to_start(void **state) {
    struct fixture *f = *state;
    write_mode(f, "500");
    assert_non_null(fleet_start(f->fleet, 0));
    turn_for(f, 200);
    lose_fleet(f);
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    assert_int_equal(fleet_adopt(f->fleet), 1);
    turn_for(f, 200);
    assert_int_equal(f->heard.ready, 0);
    write_mode(f, "ok");
    WAIT_FOR(f, f->heard.ready == 1);
}

/* ---- its output ---- */

static void assert_output(struct fixture *f, struct instance *instance, const char *wanted) {
    struct buffer out;
    buffer_init(&out, 1u << 20);
    WAIT_FOR(
        f, (buffer_clear(&out), fleet_output(instance, &out), buffer_len(&out) >= strlen(wanted)));
    if (!slice_equal(buffer_slice(&out), slice_from(wanted))) {
        fail_msg("%zu bytes: '%.*s' instead of '%s'", buffer_len(&out),
                 SLICE_ARG(buffer_slice(&out)), wanted);
    }
    buffer_fini(&out);
}

static void touch(struct fixture *f, const char *name) {
    char path[96];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    close(open(path, O_CREAT | O_WRONLY, 0600));
}

/* What our predecessor has read is not told twice; what it has not read is not lost. */
static void goes_on_with_the_output(void **state) {
    struct fixture *f = *state;
    f->config.health.path = NULL;
    f->config.folder = f->folder;
    use_shell(f, "echo read before; echo error >&2\n"
                 "while [ ! -e lost ]; do sleep 0.02; done; echo written meanwhile\n"
                 "touch written; while [ ! -e adopted ]; do sleep 0.02; done; echo written after\n"
                 "sleep 300");
    struct instance *instance = fleet_start(f->fleet, 0);
    assert_non_null(instance);
    assert_output(f, instance, "read before\nerror\n");
    lose_fleet(f);
    touch(f, "lost");
    char path[96];
    snprintf(path, sizeof path, "%s/written", f->folder);
    WAIT_FOR(f, access(path, F_OK) == 0);
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    assert_int_equal(fleet_adopt(f->fleet), 1);
    instance = fleet_first(f->fleet);
    assert_output(f, instance, "written meanwhile\n");
    touch(f, "adopted");
    assert_output(f, instance, "written meanwhile\nwritten after\n");
}

static void goes_on_with_much_output(void **state) {
    struct fixture *f = *state;
    f->config.health.path = NULL;
    f->config.folder = f->folder;
    use_shell(f, "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done\n"
                 "touch written; while [ ! -e lost ]; do sleep 0.02; done; echo the last one\n"
                 "touch again; sleep 300");
    struct instance *instance = fleet_start(f->fleet, 0);
    assert_non_null(instance);
    char path[96];
    snprintf(path, sizeof path, "%s/written", f->folder);
    WAIT_FOR(f, access(path, F_OK) == 0);
    fleet_sample(f->fleet);
    lose_fleet(f);
    touch(f, "lost");
    snprintf(path, sizeof path, "%s/again", f->folder);
    WAIT_FOR(f, access(path, F_OK) == 0);
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    assert_int_equal(fleet_adopt(f->fleet), 1);
    assert_output(f, fleet_first(f->fleet), "the last one\n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(adopts_what_runs),
        TEST(hears_of_the_end_of_an_adopted_one),
        TEST(leaves_other_folders_alone),
        TEST(stops_those_of_services_that_are_gone),
        TEST(adopts_by_name),
        TEST(does_not_adopt_children),
        TEST(gives_an_adopted_one_its_time_to_start),
        TEST(goes_on_with_the_output),
        TEST(goes_on_with_much_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
