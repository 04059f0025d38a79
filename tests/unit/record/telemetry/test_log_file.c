#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "record/telemetry/log_file.h"

#define NOON_MS 1448625600000 /* 2015-11-27T12:00:00Z */

static char folder[64], path[128];

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/tidegate-log-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/access.log", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    assert_non_null(dir);
    /* cppcheck-suppress readdirCalled; readdir_r is obsolete, and nobody shares the stream */
    while ((entry = readdir(dir)) != NULL) {
        unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    rmdir(folder);
    return 0;
}

static void put_file(const char *name, const char *text) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", folder, name);
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static bool is_there(const char *name) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", folder, name);
    return access(full, F_OK) == 0;
}

static void expect_text(const char *name, const char *text) {
    char full[256], got[256];
    snprintf(full, sizeof full, "%s/%s", folder, name);
    gzFile file = gzopen(full, "r"); /* reads plain files too */
    assert_non_null(file);
    int len = gzread(file, got, sizeof got - 1);
    got[len < 0 ? 0 : len] = '\0';
    gzclose(file);
    assert_string_equal(got, text);
}

static struct log_file opened(uint64_t rotate_bytes) {
    struct log_file f;
    struct error err = { 0 };
    const struct log_file_options options = { .path = path,
                                              .rotate_bytes = rotate_bytes,
                                              .keep = 3 };
    log_file_init(&f, &options);
    if (!log_file_open(&f, &err)) {
        fail_msg("%s", err.text);
    }
    f.tidy_due = false; /* the test calls log_file_tidy itself */
    return f;
}

static void add(struct log_file *f, const char *text) {
    struct error err = { 0 };
    assert_true(log_file_open(f, &err));
    assert_int_equal(log_file_write(f, slice_from(text), &err), strlen(text));
}

static void lines_are_appended(void **state) {
    (void)state;
    put_file("access.log", "old\n");
    struct log_file f = opened(0);
    add(&f, "new\n");
    assert_int_equal(f.bytes, 8);
    log_file_fini(&f);
    expect_text("access.log", "old\nnew\n");
}

static void a_torn_line_is_ended_first(void **state) {
    (void)state;
    put_file("access.log", "whole\nhal");
    struct log_file f = opened(0);
    add(&f, "new\n");
    log_file_fini(&f);
    expect_text("access.log", "whole\nhal\nnew\n");
}

static void a_moved_file_is_begun_anew(void **state) {
    (void)state;
    char aside[160];
    struct log_file f = opened(0);
    add(&f, "1\n");
    log_file_check_moved(&f);
    assert_true(f.fd >= 0);
    snprintf(aside, sizeof aside, "%s.1", path);
    rename(path, aside);
    add(&f, "2\n"); /* until somebody looks */
    log_file_check_moved(&f);
    assert_int_equal(f.fd, -1);
    add(&f, "3\n");
    log_file_fini(&f);
    expect_text("access.log.1", "1\n2\n");
    expect_text("access.log", "3\n");
}

static void a_truncated_file_goes_on(void **state) {
    (void)state;
    struct log_file f = opened(0);
    add(&f, "12345\n");
    assert_int_equal(truncate(path, 0), 0);
    log_file_check_moved(&f);
    assert_int_equal(f.bytes, 0);
    add(&f, "6\n");
    log_file_fini(&f);
    expect_text("access.log", "6\n");
}

static void a_large_file_is_put_aside(void **state) {
    (void)state;
    struct error err = { 0 };
    struct log_file f = opened(4);
    assert_true(log_file_rotate_if_due(&f, NOON_MS, &err)); /* an empty one never */
    add(&f, "12\n");
    assert_true(log_file_rotate_if_due(&f, NOON_MS, &err));
    assert_int_equal(f.rotations, 0);
    add(&f, "3\n");
    for (unsigned i = 1; i <= 3; i++) { /* three within one second */
        assert_true(log_file_rotate_if_due(&f, NOON_MS, &err));
        assert_int_equal(f.rotations, i);
        f.tidy_due = false;
        add(&f, i == 1 ? "second\n" : "third\n");
    }
    log_file_fini(&f);
    expect_text("access.log-20151127T120000Z", "12\n3\n");
    expect_text("access.log-20151127T120000Z-1", "second\n");
    expect_text("access.log-20151127T120000Z-2", "third\n");
}

static void an_old_file_is_put_aside(void **state) {
    (void)state;
    struct error err = { 0 };
    struct log_file f = opened(0);
    f.options.rotate_age_ms = 1000;
    add(&f, "1\n");
    assert_true(log_file_rotate_if_due(&f, f.born_ms + 999, &err));
    assert_int_equal(f.rotations, 0);
    assert_true(log_file_rotate_if_due(&f, f.born_ms + 1000, &err));
    assert_int_equal(f.rotations, 1);
    log_file_fini(&f);
}

/* What somebody else put at the path meanwhile is not ours to put aside. */
static void a_foreign_file_is_not_put_aside(void **state) {
    (void)state;
    struct error err = { 0 };
    char aside[160];
    struct log_file f = opened(2);
    add(&f, "123\n");
    snprintf(aside, sizeof aside, "%s.1", path);
    rename(path, aside);
    put_file("access.log", "x");
    assert_true(log_file_rotate_if_due(&f, NOON_MS, &err));
    assert_int_equal(f.rotations, 0);
    assert_int_equal(f.fd, -1);
    expect_text("access.log", "x");
    log_file_fini(&f);
}

static void what_is_too_much_is_deleted_and_the_rest_compressed(void **state) {
    (void)state;
    static const char *const stamps[] = { "20151127T120000Z", "20151127T120000Z-9",
                                          "20151127T120000Z-10", "20151127T120001Z" };
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "access.log-%s", stamps[i]);
        put_file(name, stamps[i]);
    }
    put_file("access.log-20151127", "logrotate's");
    put_file("access.log-20151127T120000Z-10.gz.half", "what a killed process left");
    put_file("other.log-20151127T120000Z", "another's");
    log_file_tidy(path, 2, true);
    assert_false(is_there("access.log-20151127T120000Z"));
    assert_false(is_there("access.log-20151127T120000Z.gz"));
    assert_false(is_there("access.log-20151127T120000Z-9.gz"));
    assert_false(is_there("access.log-20151127T120000Z-10"));
    expect_text("access.log-20151127T120000Z-10.gz", stamps[2]);
    expect_text("access.log-20151127T120001Z.gz", stamps[3]);
    assert_true(is_there("access.log-20151127"));
    assert_true(is_there("other.log-20151127T120000Z"));
    log_file_tidy(path, 1, true);
    assert_false(is_there("access.log-20151127T120000Z-10.gz"));
    expect_text("access.log-20151127T120001Z.gz", stamps[3]);
}

static void a_full_disk_is_told(void **state) {
    (void)state;
    struct log_file f;
    struct error err = { 0 };
    const struct log_file_options options = { .path = "/dev/full", .rotate_bytes = 1, .keep = 1 };
    log_file_init(&f, &options);
    assert_true(log_file_open(&f, &err));
    assert_int_equal(log_file_write(&f, SLICE("x\n"), &err), 0);
    assert_int_equal(err.kind, ERROR_SYSTEM);
    assert_true(log_file_rotate_if_due(&f, NOON_MS, &err)); /* no regular file */
    assert_int_equal(f.rotations, 0);
    log_file_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define ONE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        ONE(lines_are_appended),
        ONE(a_torn_line_is_ended_first),
        ONE(a_moved_file_is_begun_anew),
        ONE(a_truncated_file_goes_on),
        ONE(a_large_file_is_put_aside),
        ONE(an_old_file_is_put_aside),
        ONE(a_foreign_file_is_not_put_aside),
        ONE(what_is_too_much_is_deleted_and_the_rest_compressed),
        ONE(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
