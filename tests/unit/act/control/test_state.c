/* The state folder: where it is, and that it has one owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/control/state.h"

static char folder[64], config_path[96];

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/tidegate-state-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    snprintf(config_path, sizeof config_path, "%s/shop.yaml", folder);
    return 0;
}

static int tear_down(void **state) {
    char command[96];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void is_beside_the_configuration(void **state) {
    struct state_folder s;
    struct error err;
    char wanted[PATH_MAX], here[PATH_MAX];
    struct stat info;
    (void)state;
    assert_true(state_folder_find(config_path, &s, &err));
    snprintf(wanted, sizeof wanted, "%s/var", folder);
    assert_string_equal(s.path, wanted);
    snprintf(wanted, sizeof wanted, "%s/var/tidegate.sock", folder);
    assert_string_equal(s.socket, wanted);
    assert_int_equal(s.lock_fd, -1);
    assert_int_equal(stat(s.path, &info), -1); /* finding it creates nothing */
    assert_non_null(getcwd(here, sizeof here - 4));
    strcat(here, "/var");
    assert_true(state_folder_find(NULL, &s, &err));
    assert_string_equal(s.path, here);
    assert_true(state_folder_find("shop.yaml", &s, &err));
    assert_string_equal(s.path, here);
}

static void needs_a_folder(void **state) {
    struct state_folder s;
    struct error err;
    char path[PATH_MAX + 10];
    (void)state;
    assert_false(state_folder_find("/nowhere/at/all/shop.yaml", &s, &err));
    assert_int_equal(err.kind, ERROR_SYSTEM);
    assert_string_equal(err.text, "folder /nowhere/at/all: No such file or directory");
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_false(state_folder_find(path, &s, &err));
    assert_int_equal(err.kind, ERROR_LIMIT);
}

static void has_one_owner(void **state) {
    struct state_folder first, second;
    struct error err;
    char wanted[300];
    (void)state;
    assert_true(state_folder_find(config_path, &first, &err));
    assert_true(state_folder_find(config_path, &second, &err));
    assert_true(state_folder_lock(&first, &err));
    assert_true(first.lock_fd >= 0);
    assert_false(state_folder_lock(&second, &err));
    assert_int_equal(err.kind, ERROR_BUSY);
    snprintf(wanted, sizeof wanted,
             "Tidegate already runs in %s/var (process %d); stop it first, or use another folder",
             folder, (int)getpid());
    assert_string_equal(err.text, wanted);
    assert_int_equal(second.lock_fd, -1);
    state_folder_unlock(&second); /* has nothing to give back */
    assert_false(state_folder_lock(&second, &err));
    state_folder_unlock(&first);
    assert_int_equal(first.lock_fd, -1);
    state_folder_unlock(&first);
    assert_true(state_folder_lock(&second, &err));
    state_folder_unlock(&second);
}

/* The lock dies with its process, however that ends; the pid it wrote is no obstacle. */
static void is_free_after_a_kill(void **state) {
    struct state_folder s;
    struct error err;
    int ready[2];
    char byte, wanted[32];
    (void)state;
    assert_true(state_folder_find(config_path, &s, &err));
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        byte = state_folder_lock(&s, &err) ? 'y' : 'n';
        _exit(write(ready[1], &byte, 1) == 1 ? pause() : 1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_false(state_folder_lock(&s, &err));
    snprintf(wanted, sizeof wanted, "(process %d)", (int)child);
    assert_non_null(strstr(err.text, wanted));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(state_folder_lock(&s, &err));
    state_folder_unlock(&s);
    close(ready[0]);
    close(ready[1]);
}

static void says_why_it_cannot(void **state) {
    struct state_folder s;
    struct error err;
    char path[96], wanted[200];
    (void)state;
    assert_true(state_folder_find(config_path, &s, &err));
    snprintf(path, sizeof path, "%s/var", folder);
    FILE *file = fopen(path, "w"); /* a file where the folder should be */
    assert_non_null(file);
    fclose(file);
    assert_false(state_folder_lock(&s, &err));
    assert_int_equal(err.kind, ERROR_SYSTEM);
    snprintf(wanted, sizeof wanted, "open %s/tidegate.lock: Not a directory", path);
    assert_string_equal(err.text, wanted);
}

/* A controller that is about to end is waited for; one that goes on is not pushed aside. */
static void one_controller_acts(void **state) {
    struct state_folder s;
    struct error err = { 0 };
    int first, second;
    (void)state;
    assert_true(state_folder_find(config_path, &s, &err));
    assert_true(state_folder_lock(&s, &err));
    assert_true(state_folder_lock_controller(&s, 0, &first, &err));
    assert_false(state_folder_lock_controller(&s, 30, &second, &err));
    assert_int_equal(err.kind, ERROR_BUSY);
    pid_t pid = fork();
    if (pid == 0) {
        usleep(100000);
        _exit(0); /* its copy of `first` goes with it */
    }
    close(first);
    assert_true(state_folder_lock_controller(&s, 10000, &second, &err));
    waitpid(pid, NULL, 0);
    close(second);
    state_folder_unlock(&s);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(is_beside_the_configuration), TEST(needs_a_folder),     TEST(has_one_owner),
        TEST(is_free_after_a_kill),        TEST(says_why_it_cannot), TEST(one_controller_acts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
