/* Output of instances: lines whole, cut, without an end, and too many of them. */
#include <fcntl.h>
#include <sys/stat.h>

#include "act/fleet/output.h"
#include "fleet_fixture.h"

/* The memfds stand open in this process, which writes to them as an instance would. */
static struct output output;

static int open_output(void **state) {
    (void)state;
    return !output_open(&output, NULL);
}

static int close_output(void **state) {
    (void)state;
    output_fini(&output);
    return 0;
}

static void put(int which, const char *text) {
    assert_int_equal(write(output.fds[which], text, strlen(text)), (ssize_t)strlen(text));
}

static void assert_lines(const char *wanted) {
    struct slice lines = buffer_slice(&output.lines);
    if (!slice_equal(lines, slice_from(wanted))) {
        fail_msg("'%.*s' instead of '%s'", SLICE_ARG(lines), wanted);
    }
}

static void keeps_lines_whole(void **state) {
    (void)state;
    put(0, "one\ntw");
    put(1, "err");
    output_read(&output, false);
    assert_lines("one\n");
    put(0, "o\n\nthree\n");
    output_read(&output, false);
    assert_lines("one\ntwo\n\nthree\n");
    put(1, "or\n");
    output_read(&output, false);
    assert_lines("one\ntwo\n\nthree\nerror\n");
    output_read(&output, false); /* nothing twice */
    assert_lines("one\ntwo\n\nthree\nerror\n");
    put(0, "last words");
    output_read(&output, false);
    assert_lines("one\ntwo\n\nthree\nerror\n");
    output_read(&output, true);
    assert_lines("one\ntwo\n\nthree\nerror\nlast words\n");
    output_read(&output, true);
    assert_lines("one\ntwo\n\nthree\nerror\nlast words\n");
}

static void cuts_long_lines(void **state) {
    static char text[3 * OUTPUT_LINE_BYTES + 2];
    (void)state;
    memset(text, 'x', sizeof text - 2);
    text[sizeof text - 2] = '\n';
    put(0, text);
    put(0, "short\n");
    output_read(&output, false);
    struct slice lines = buffer_slice(&output.lines);
    assert_int_equal(lines.len, OUTPUT_LINE_BYTES + 1 + 6);
    assert_true(slice_ends_with(lines, SLICE("xxx\nshort\n")));
    /* Also one that never ends is only so long in memory. */
    for (int i = 0; i < 100; i++) {
        text[sizeof text - 2] = '\0';
        put(1, text);
        output_read(&output, false);
    }
    assert_int_equal(buffer_len(&output.partial[1]), OUTPUT_LINE_BYTES);
}

static void keeps_the_newest_lines(void **state) {
    char line[64];
    (void)state;
    for (int i = 0; i < 20000; i++) {
        snprintf(line, sizeof line, "line %d\n", i);
        put(0, line);
        if (i % 1000 == 0) {
            output_read(&output, false);
        }
    }
    output_read(&output, false);
    struct slice lines = buffer_slice(&output.lines);
    assert_in_range(lines.len, FLEET_OUTPUT_BYTES - 100, FLEET_OUTPUT_BYTES);
    assert_true(slice_starts_with(lines, SLICE("line ")));
    assert_true(slice_ends_with(lines, SLICE("line 19998\nline 19999\n")));
    assert_true(slice_equal(output_last_line(&output), SLICE("line 19999")));
}

static void finds_the_last_line_that_says_something(void **state) {
    (void)state;
    assert_int_equal(output_last_line(&output).len, 0);
    put(0, "\n \t \n");
    output_read(&output, false);
    assert_int_equal(output_last_line(&output).len, 0);
    put(0, "  it failed \n\n   \n");
    output_read(&output, false);
    assert_true(slice_equal(output_last_line(&output), SLICE("it failed")));
}

static uint64_t memory_bytes(int which) {
    struct stat info;
    assert_int_equal(fstat(output.fds[which], &info), 0);
    return (uint64_t)info.st_blocks * 512;
}

static void gives_memory_back(void **state) {
    static char text[1 << 16];
    (void)state;
    memset(text, 'y', sizeof text - 2);
    text[sizeof text - 2] = '\n';
    for (int i = 0; i < 10; i++) {
        put(0, text);
    }
    assert_true(memory_bytes(0) >= 600000);
    output_read(&output, false);
    assert_true(memory_bytes(0) <= 4096);
}

/* One that writes faster than it is read: the newest is what counts, and memory is bounded. */
static void skips_what_a_flood_is_too_fast_for(void **state) {
    static char text[1 << 20];
    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        text[i] = i % 64 == 63 ? '\n' : 'z';
    }
    for (int second = 0; second < 5; second++) {
        for (int i = 0; i < 8; i++) {
            put(0, text);
        }
        output_read(&output, false);
        assert_true(memory_bytes(0) <= 2u << 20);
    }
    put(0, text);
    put(0, text);
    put(0, text);
    put(0, "\nthe reason why it ended\n");
    output_read(&output, true);
    assert_true(slice_equal(output_last_line(&output), SLICE("the reason why it ended")));
}

/* Nobody but the instance writes there; but what it does with it is its own business. */
static void survives_a_truncated_file(void **state) {
    (void)state;
    put(0, "before\n");
    output_read(&output, false);
    assert_int_equal(ftruncate(output.fds[0], 0), 0);
    put(0, "after\n");
    output_read(&output, false);
    assert_lines("before\nafter\n");
}

static void is_harmless_without_files(void **state) {
    struct output none;
    (void)state;
    output_init(&none);
    output_read(&none, true);
    assert_int_equal(output_last_line(&none).len, 0);
    output_fini(&none);
    output_fini(&none);
    output_adopt(&none, getpid()); /* our own stdout is no memfd of ours, or has nothing unread */
    output_fini(&none);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_output, close_output)
    const struct CMUnitTest tests[] = {
        TEST(keeps_lines_whole),         TEST(cuts_long_lines),
        TEST(keeps_the_newest_lines),    TEST(finds_the_last_line_that_says_something),
        TEST(gives_memory_back),         TEST(skips_what_a_flood_is_too_fast_for),
        TEST(survives_a_truncated_file), TEST(is_harmless_without_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
