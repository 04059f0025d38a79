/* What was seen of volumes, in its file: also when memory is out. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/control/volumes.h"
#include "base/clock.h"

#define NOW_MS (INT64_C(500000) * MS_PER_HOUR)

static char folder[64];
static struct volumes volumes, again;
static unsigned allocations, failing; /* of jansson; the one that fails */

static void *allocate(size_t bytes) {
    if (allocations++ == failing) {
        errno = ENOMEM;
        return NULL;
    }
    return malloc(bytes);
}

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/tidegate-volumes-XXXXXX");
    const struct storage_config one = { .path = "/one" }, two = { .path = "/two" };
    bool good = mkdtemp(folder) != NULL;
    struct volumes *both[] = { &volumes, &again };
    for (size_t i = 0; i < 2; i++) {
        good = good && volumes_add(both[i], &one, true) && volumes_add(both[i], &two, true);
    }
    for (int64_t hour = 0; hour < 3; hour++) {
        storage_remember(&volumes.list[0].storage, NOW_MS + hour * MS_PER_HOUR, 1e9);
        storage_remember(&volumes.list[1].storage, NOW_MS + hour * MS_PER_HOUR, 2e9 + (double)hour);
    }
    return !good;
}

static int tear_down(void **state) {
    char command[96];
    (void)state;
    volumes_fini(&volumes);
    volumes_fini(&again);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static size_t points_of(const struct volume *volume) {
    struct storage_point point;
    size_t len = 0;
    while (storage_recall(&volume->storage, len, &point)) {
        len++;
    }
    return len;
}

static void what_was_written_is_read(void **state) {
    (void)state;
    struct error err = { 0 };
    assert_true(volumes_write(&volumes, folder, &err));
    assert_true(volumes_read(&again, folder, NOW_MS + 9 * MS_PER_HOUR, &err));
    assert_int_equal(points_of(&volumes.list[1]), 3);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(points_of(&again.list[i]), points_of(&volumes.list[i]));
    }
}

/* Whichever allocation fails: the error says so, and the file of before is there, whole. */
static void without_memory_the_last_one_stays_and_it_is_said_why(void **state) {
    (void)state;
    struct error err = { 0 };
    char next[96];
    snprintf(next, sizeof next, "%s/" VOLUMES_FILE ".next", folder);
    assert_true(volumes_write(&volumes, folder, &err));
    unsigned failed = 0;
    for (failing = 0;; failing++) {
        err = (struct error){ 0 };
        allocations = 0;
        json_set_alloc_funcs(allocate, free);
        bool written = volumes_write(&volumes, folder, &err);
        json_set_alloc_funcs(malloc, free);
        if (written) {
            assert_true(allocations <= failing); /* none failed */
            break;
        }
        failed++;
        if (strstr(err.text, "Cannot allocate memory") == NULL || err.system_errno != ENOMEM) {
            fail_msg("allocation %u: %s", failing, err.text);
        }
        json_t *root = NULL;
        char path[96];
        snprintf(path, sizeof path, "%s/" VOLUMES_FILE, folder);
        root = json_load_file(path, 0, NULL);
        json_t *list = json_object_get(root, "volumes");
        assert_int_equal(json_array_size(list), 2);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(json_array_size(json_object_get(json_array_get(list, i), "points")),
                             6);
        }
        json_decref(root);
    }
    assert_true(failed > 10);
    assert_int_equal(access(next, F_OK), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_the_last_one_stays_and_it_is_said_why,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
