/* Instances as processes: their life from start to end, and what is said when it goes wrong. */
#include <assert.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "decide/remediation/cadence.h"
#include "fleet_fixture.h"
#include "wire/net/address.h"

/* ---- a life ---- */

static struct instance *start_ready(struct fixture *f) {
    unsigned before = f->heard.ready, exits = f->heard.exits;
    struct instance *instance = fleet_start(f->fleet, 0);
    assert_non_null(instance);
    assert_int_equal(instance->phase, INSTANCE_STARTING);
    WAIT_FOR(f, f->heard.ready > before || f->heard.exits > exits);
    assert_string_equal(fleet_trouble(f->fleet, 0), "");
    assert_int_equal(instance->phase, INSTANCE_READY);
    return instance;
}

static void starts_and_stops(void **state) {
    struct fixture *f = *state;
    struct instance *instance = start_ready(f);
    pid_t pid = instance->pid;
    assert_string_equal(instance->id, "shop-1");
    assert_string_equal(instance->version, fleet_version(f->fleet, 0));
    assert_true(instance->healthy && !instance->adopted && process_runs(pid));
    assert_in_range(address_port(&instance->address), 20000, 31999);
    assert_true(instance->startup_ms > 0 && instance->startup_ms < PATIENCE_MS);
    assert_true(llabs(clock_unix_ms() - instance->started_ms) < PATIENCE_MS);
    assert_string_equal(fleet_trouble(f->fleet, 0), "");
    assert_ptr_equal(fleet_find(f->fleet, SLICE("shop-1")), instance);
    assert_null(fleet_find(f->fleet, SLICE("shop-")));
    fleet_stop(f->fleet, instance);
    assert_int_equal(instance->phase, INSTANCE_STOPPING);
    assert_int_equal(f->heard.exits, 0); /* never inside the call */
    fleet_stop(f->fleet, instance);      /* once is enough */
    WAIT_FOR(f, f->heard.exits == 1);
    assert_true(WIFSIGNALED(f->heard.last_status));
    assert_int_equal(WTERMSIG(f->heard.last_status), SIGTERM);
    assert_false(process_runs(pid)); /* and it was waited for */
    assert_null(fleet_first(f->fleet));
    assert_string_equal(fleet_trouble(f->fleet, 0), "");
    assert_true(fleet_may_start(f->fleet, 0)); /* nothing went wrong */
}

static void tells_the_status(void **state) {
    struct fixture *f = *state;
    use_server(f, "exit");
    fleet_stop(f->fleet, start_ready(f));
    WAIT_FOR(f, f->heard.exits == 1);
    assert_true(WIFEXITED(f->heard.last_status));
    assert_int_equal(WEXITSTATUS(f->heard.last_status), 7);
}

static void kills_after_the_grace(void **state) {
    struct fixture *f = *state;
    f->config.grace_ms = 300;
    use_server(f, "ignore");
    struct instance *instance = start_ready(f);
    uint64_t start_us = clock_monotonic_us();
    fleet_stop(f->fleet, instance);
    WAIT_FOR(f, f->heard.exits == 1);
    assert_true(clock_monotonic_us() - start_us >= 300000);
    assert_true(WIFSIGNALED(f->heard.last_status));
    assert_int_equal(WTERMSIG(f->heard.last_status), SIGKILL);
}

static void kills_at_once(void **state) {
    struct fixture *f = *state;
    f->config.grace_ms = 10 * PATIENCE_MS;
    use_server(f, "ignore");
    struct instance *instance = start_ready(f);
    fleet_stop(f->fleet, instance); /* would take minutes */
    fleet_kill(f->fleet, instance);
    WAIT_FOR(f, f->heard.exits == 1);
    assert_int_equal(WTERMSIG(f->heard.last_status), SIGKILL);
    turn_for(f, 50);
    assert_int_equal(f->heard.exits, 1);
}

static void ends_one_that_is_stopped(void **state) {
    struct fixture *f = *state;
    struct instance *instance = start_ready(f);
    kill(instance->pid, SIGSTOP);
    fleet_stop(f->fleet, instance);
    WAIT_FOR(f, f->heard.exits == 1);
    assert_int_equal(WTERMSIG(f->heard.last_status), SIGTERM);
}

static void takes_its_children_with_it(void **state) {
    struct fixture *f = *state;
    f->config.health.path = NULL;
    use_shell(f, "sleep 300 & sleep 300 & echo $! > child; exit 3");
    f->config.folder = f->folder;
    assert_non_null(fleet_start(f->fleet, 0));
    WAIT_FOR(f, f->heard.exits == 1);
    char path[96];
    pid_t child = 0;
    snprintf(path, sizeof path, "%s/child", f->folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &child), 1);
    fclose(file);
    WAIT_FOR(f, !process_runs(child) || end_what_is_left(f) == 0);
}

static void sees_a_crash(void **state) {
    struct fixture *f = *state;
    struct instance *instance = start_ready(f);
    kill(instance->pid, SIGSEGV);
    WAIT_FOR(f, f->heard.exits == 1);
    assert_int_equal(WTERMSIG(f->heard.last_status), SIGSEGV);
    assert_string_equal(fleet_trouble(f->fleet, 0), ""); /* it had started well */
    assert_true(fleet_may_start(f->fleet, 0));
}

static void runs_many(void **state) {
    struct fixture *f = *state;
    uint16_t ports[6];
    for (unsigned i = 0; i < 6; i++) {
        struct instance *instance = fleet_start(f->fleet, 0);
        char id[16];
        assert_non_null(instance);
        snprintf(id, sizeof id, "shop-%u", i + 1);
        assert_string_equal(instance->id, id);
        ports[i] = address_port(&instance->address);
        for (unsigned k = 0; k < i; k++) {
            assert_int_not_equal(ports[i], ports[k]);
        }
    }
    WAIT_FOR(f, f->heard.ready == 6);
    for (struct instance *i = fleet_first(f->fleet); i != NULL; i = fleet_next(f->fleet, i)) {
        fleet_stop(f->fleet, i);
    }
    WAIT_FOR(f, f->heard.exits == 6);
}

/* ---- what a process is given ---- */

static void gives_port_environment_and_folder(void **state) {
    struct fixture *f = *state;
    static const struct config_pair pairs[] = {
        { "ORIGIN", "http://127.0.0.1:$PORT/$PORT" },
        { "HOME", "" },
        { "PORT_NAME", "x$POR" },
    };
    static const char *const command[] = {
        "sh", "-c",
        ("echo $0 $1 $PORT $ORIGIN [$HOME] $PORT_NAME $(pwd) $TIDEGATE_INSTANCE; cat; "
         "echo end; sleep 300"),
        "--port=$PORT", "$PORT,$PORT"
    };
    f->config.command = (const char **)(uintptr_t)command;
    f->config.command_len = 5;
    f->config.folder = f->folder;
    f->config.environment = pairs;
    f->config.environment_len = 3;
    f->config.version = "v1.2";
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    struct instance *instance = fleet_start(f->fleet, 0);
    assert_non_null(instance);
    assert_string_equal(instance->version, "v1.2");
    unsigned p = address_port(&instance->address);
    char wanted[512];
    /* "sh -c" takes the first further argument as $0. $PORT in the script was replaced, too. */
    snprintf(wanted, sizeof wanted,
             "--port=%u %u,%u %u http://127.0.0.1:%u/%u [] x$POR %s %s:shop:shop-1:%u:v1.2", p, p,
             p, p, p, p, f->folder, f->folder, p);
    struct buffer out;
    buffer_init(&out, 4096);
    /* "end" is written when `cat` has found that there is nothing on stdin. */
    WAIT_FOR(f, (buffer_clear(&out), fleet_output(instance, &out),
                 slice_ends_with(buffer_slice(&out), SLICE("\nend\n"))));
    struct slice first = slice_sub(buffer_slice(&out), 0, slice_find(buffer_slice(&out), '\n'));
    if (!slice_equal(first, slice_from(wanted))) {
        fail_msg("%.*s\n%s", SLICE_ARG(first), wanted);
    }
    buffer_fini(&out);
}

/* No descriptor of ours leaks into the shop: 0, 1, 2, and the one `ls` opens. */
static void gives_no_descriptors(void **state) {
    struct fixture *f = *state;
    int ours = open("/dev/null", O_RDONLY | O_CLOEXEC);
    use_shell(f, "ls /proc/self/fd | tr '\\n' ' '; echo; exit 1");
    assert_non_null(fleet_start(f->fleet, 0)); /* one that is watched while the next starts */
    assert_non_null(fleet_start(f->fleet, 0));
    WAIT_FOR(f, f->heard.exits == 2);
    const char *said = strstr(fleet_trouble(f->fleet, 0), "it said: ");
    assert_non_null(said);
    assert_string_equal(said, "it said: 0 1 2 3");
    close(ours);
}

static atomic_bool allocating;

static void *allocate(void *unused) {
    void *kept[512] = { NULL };
    while (allocating) {
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            free(kept[i]);
            kept[i] = malloc(((size_t)i % 64 + 1) * 64);
        }
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        free(kept[i]);
    }
    return unused;
}

/* A fork takes along whatever lock another thread holds in that moment: the child needs none. */
static void starts_while_other_threads_allocate(void **state) {
    struct fixture *f = *state;
    pthread_t threads[2];
    struct config_pair pairs[64];
    char names[64][8], value[4096];
    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    for (size_t i = 0; i < 64; i++) { /* of every size */
        snprintf(names[i], sizeof names[i], "N%zu", i);
        pairs[i] = (struct config_pair){ names[i], value + i * 64 };
    }
    f->config.environment = pairs;
    f->config.environment_len = 64;
    use_shell(f, "sleep 300");
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    allocating = true;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, allocate, NULL), 0);
    }
    alarm(60); /* where it waits, it waits for ever */
    for (int i = 0; i < 100; i++) {
        struct instance *instance = fleet_start(f->fleet, 0);
        assert_non_null(instance);
        fleet_kill(f->fleet, instance);
        turn_for(f, 1);
    }
    alarm(0);
    allocating = false;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    WAIT_FOR(f, f->heard.exits == 100);
}

static void names_versions_by_what_runs(void **state) {
    struct fixture *f = *state;
    char first[PLAN_NAME_BYTES], second[PLAN_NAME_BYTES];
    static const struct config_pair pairs[] = { { "A", "1" } };
    use_shell(f, "exit 1");
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    strcpy(first, fleet_version(f->fleet, 0));
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    assert_string_equal(first, fleet_version(f->fleet, 0));
    use_shell(f, "exit 2");
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    strcpy(second, fleet_version(f->fleet, 0));
    assert_string_not_equal(first, second);
    f->config.environment = pairs;
    f->config.environment_len = 1;
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    assert_string_not_equal(second, fleet_version(f->fleet, 0));
}

/* ---- starts that fail ---- */

static void says_that_a_command_does_not_exist(void **state) {
    struct fixture *f = *state;
    static const char *command[] = { "tidegate-no-such-command", NULL };
    f->config.command = command;
    f->config.command_len = 1;
    assert_null(fleet_start(f->fleet, 0));
    assert_string_equal(
        fleet_trouble(f->fleet, 0),
        "shop-1 did not start: tidegate-no-such-command: No such file or directory");
    assert_false(fleet_may_start(f->fleet, 0));
    assert_null(fleet_start(f->fleet, 0)); /* backs off */
    assert_null(fleet_first(f->fleet));
    turn_for(f, 20);
    assert_int_equal(f->heard.exits, 0); /* there was no instance */
}

static void says_that_a_folder_does_not_exist(void **state) {
    struct fixture *f = *state;
    f->config.folder = "/nowhere/at/all";
    assert_null(fleet_start(f->fleet, 0));
    assert_string_equal(fleet_trouble(f->fleet, 0),
                        "shop-1 did not start: /nowhere/at/all: No such file or directory");
}

static void says_that_a_file_is_no_command(void **state) {
    struct fixture *f = *state;
    static const char *command[] = { NULL };
    command[0] = f->mode;
    f->config.command = command;
    f->config.command_len = 1;
    assert_null(fleet_start(f->fleet, 0));
    assert_non_null(strstr(fleet_trouble(f->fleet, 0), "/mode: Permission denied"));
}

/* The milliseconds from a start that fails to when the next one may be. */
static uint64_t backs_off(struct fixture *f) {
    uint64_t start_us = clock_monotonic_us();
    unsigned before = f->heard.exits;
    assert_non_null(fleet_start(f->fleet, 0));
    WAIT_FOR(f, f->heard.exits == before + 1);
    WAIT_FOR(f, fleet_may_start(f->fleet, 0));
    return (clock_monotonic_us() - start_us) / 1000;
}

static void tells_the_last_words(void **state) {
    struct fixture *f = *state;
    use_shell(f, "echo starting; echo 'cannot find the database' >&2; echo; exit 4");
    assert_non_null(fleet_start(f->fleet, 0));
    WAIT_FOR(f, f->heard.exits == 1);
    assert_int_equal(WEXITSTATUS(f->heard.last_status), 4);
    const char *trouble = fleet_trouble(f->fleet, 0);
    if (strncmp(trouble, "shop-1 did not start: it ended with status 4 after ", 51) != 0 ||
        strstr(trouble, " ms; it said: cannot find the database") == NULL) {
        fail_msg("%s", trouble);
    }
    use_shell(f, "kill -9 $$");
    WAIT_FOR(f, fleet_start(f->fleet, 0) != NULL);
    WAIT_FOR(f, f->heard.exits == 2);
    assert_non_null(strstr(fleet_trouble(f->fleet, 0), "shop-2 did not start: it was ended by "
                                                       "signal 9"));
    assert_null(strstr(fleet_trouble(f->fleet, 0), "it said"));
}

static void backs_off_longer_each_time(void **state) {
    struct fixture *f = *state;
    use_shell(f, "exit 1");
    /* How much longer it may be, a busy machine decides. */
    assert_true(backs_off(f) >= FLEET_BACKOFF_FIRST_MS - 50);
    assert_true(backs_off(f) >= 2 * FLEET_BACKOFF_FIRST_MS - 50);
    assert_non_null(fleet_start(f->fleet, 0));
    WAIT_FOR(f, f->heard.exits == 3);
    assert_false(fleet_may_start(f->fleet, 0));
    /* A new configuration may have put it right: at once, and from the beginning. */
    use_server(f, "default");
    fleet_set_service(f->fleet, 0, "shop", &f->config);
    assert_true(fleet_may_start(f->fleet, 0));
    start_ready(f);
    assert_string_equal(fleet_trouble(f->fleet, 0), "");
}

static void does_not_wait_for_ever(void **state) {
    struct fixture *f = *state;
    f->config.health.startup_ms = 400;
    write_mode(f, "500");
    assert_non_null(fleet_start(f->fleet, 0));
    WAIT_FOR(f, f->heard.exits == 1);
    assert_int_equal(f->heard.ready, 0);
    assert_int_equal(WTERMSIG(f->heard.last_status), SIGKILL);
    assert_non_null(strstr(fleet_trouble(f->fleet, 0),
                           "shop-1 did not start: it was not healthy in "
                           "time ("));
    assert_false(fleet_may_start(f->fleet, 0));
}

static void is_no_trouble_to_stop_one_that_starts(void **state) {
    struct fixture *f = *state;
    write_mode(f, "500");
    struct instance *instance = fleet_start(f->fleet, 0);
    assert_non_null(instance);
    fleet_stop(f->fleet, instance);
    WAIT_FOR(f, f->heard.exits == 1);
    assert_string_equal(fleet_trouble(f->fleet, 0), "");
    assert_true(fleet_may_start(f->fleet, 0));
}

/* ---- health ---- */

static void tells_when_health_changes(void **state) {
    struct fixture *f = *state;
    struct instance *instance = start_ready(f);
    write_mode(f, "500");
    WAIT_FOR(f, f->heard.health == 1);
    assert_false(instance->healthy);
    assert_string_equal(instance->health_note, "it answered 500");
    assert_int_equal(instance->phase, INSTANCE_READY);
    turn_for(f, 300);
    assert_int_equal(f->heard.health, 1); /* said once */
    write_mode(f, "ok");
    WAIT_FOR(f, f->heard.health == 2);
    assert_true(instance->healthy);
    assert_string_equal(instance->health_note, "");
}

static void forgives_as_many_probes_as_it_is_told(void **state) {
    struct fixture *f = *state;
    f->config.health.fall = 4;
    f->config.health.interval_ms = 100;
    start_ready(f);
    uint64_t start_us = clock_monotonic_us();
    write_mode(f, "500");
    WAIT_FOR(f, f->heard.health == 1);
    /* quick ones follow the first */
    assert_true(clock_monotonic_us() - start_us >=
                3 * (uint64_t)(CADENCE_QUICK_LEAST_US * (1 - CADENCE_JITTER_RATIO)));
}

/* The one that hangs: it accepts, and says nothing. */
static void notices_one_that_hangs(void **state) {
    struct fixture *f = *state;
    f->config.health.timeout_ms = 200;
    struct instance *instance = start_ready(f);
    write_mode(f, "hang");
    WAIT_FOR(f, f->heard.health == 1);
    assert_false(instance->healthy);
    assert_string_equal(instance->health_note, "it does not answer in time");
    write_mode(f, "ok");
    WAIT_FOR(f, instance->healthy);
    kill(instance->pid, SIGSTOP); /* here the kernel still accepts in its name */
    WAIT_FOR(f, f->heard.health == 3);
    assert_false(instance->healthy);
    kill(instance->pid, SIGCONT);
    WAIT_FOR(f, instance->healthy);
}

/* A controller that was held up for long goes on probing all the same. */
static void probes_on_after_a_long_turn(void **state) {
    struct fixture *f = *state;
    struct instance *instance = start_ready(f);
    struct error err;
    for (int i = 0; i < 5; i++) {
        usleep(400000);
        assert_true(loop_turn(f->loop, 0, &err));
    }
    write_mode(f, "500");
    WAIT_FOR(f, !instance->healthy);
}

/* ---- samples ---- */

static void measures_what_it_uses(void **state) {
    struct fixture *f = *state;
    f->config.health.path = NULL;
    use_shell(f, "while :; do :; done");
    struct instance *instance = fleet_start(f->fleet, 0);
    assert_non_null(instance);
    assert_true(isnan(instance->cpu_ratio) && isnan(instance->memory_bytes));
    turn_for(f, 50);
    fleet_sample(f->fleet);
    assert_true(isnan(instance->cpu_ratio)); /* since when? */
    /* On a busy machine the shell comes to it late. */
    WAIT_FOR(f, (turn_for(f, 600), fleet_sample(f->fleet), instance->cpu_ratio > 0.05));
    if (!(instance->cpu_ratio < 1.2)) {
        fail_msg("cpu_ratio %g", instance->cpu_ratio);
    }
    assert_true(instance->memory_bytes > 100e3 && instance->memory_bytes < 100e6);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(starts_and_stops),
        TEST(tells_the_status),
        TEST(kills_after_the_grace),
        TEST(kills_at_once),
        TEST(ends_one_that_is_stopped),
        TEST(takes_its_children_with_it),
        TEST(sees_a_crash),
        TEST(runs_many),
        TEST(gives_port_environment_and_folder),
        TEST(gives_no_descriptors),
        TEST(starts_while_other_threads_allocate),
        TEST(names_versions_by_what_runs),
        TEST(says_that_a_command_does_not_exist),
        TEST(says_that_a_folder_does_not_exist),
        TEST(says_that_a_file_is_no_command),
        TEST(tells_the_last_words),
        TEST(backs_off_longer_each_time),
        TEST(does_not_wait_for_ever),
        TEST(is_no_trouble_to_stop_one_that_starts),
        TEST(tells_when_health_changes),
        TEST(forgives_as_many_probes_as_it_is_told),
        TEST(notices_one_that_hangs),
        TEST(probes_on_after_a_long_turn),
        TEST(measures_what_it_uses),
    };
    /* What we were started with is not what the fleet leaks. */
    assert(close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
