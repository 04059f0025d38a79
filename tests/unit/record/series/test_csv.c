#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record/series/csv.h"

static struct arena arena;

static int setup(void **state) {
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void expect_cell(const struct csv_reader *r, size_t cell, const char *text) {
    assert_true(cell < r->len);
    assert_int_equal(r->cells[cell].text.len, slice_from(text).len);
    assert_memory_equal(r->cells[cell].text.data, text, slice_from(text).len);
}

static void records_and_places(void **state) {
    (void)state;
    struct csv_reader r;
    csv_init(&r,
             SLICE("\xef\xbb\xbf"
                   "time,a b\r\n1, 2 ,\r\n\r\n\"x,\"\"y\"\"\",\"two\nlines\"\n3,4"),
             "f.csv", &arena);
    assert_int_equal(csv_next(&r, NULL), CSV_RECORD);
    expect_cell(&r, 0, "time");
    expect_cell(&r, 1, "a b");
    assert_int_equal(csv_find(&r, SLICE("A B")), 1);
    assert_true(csv_find(&r, SLICE("c")) == SLICE_NONE);
    assert_int_equal(csv_next(&r, NULL), CSV_RECORD);
    assert_int_equal(r.len, 3);
    expect_cell(&r, 1, "2");
    expect_cell(&r, 2, "");
    assert_int_equal(r.cells[1].column, 3);
    assert_int_equal(csv_next(&r, NULL), CSV_RECORD); /* the empty line does not count */
    assert_int_equal(r.line, 4);
    expect_cell(&r, 0, "x,\"y\"");
    expect_cell(&r, 1, "two\nlines");
    assert_int_equal(csv_next(&r, NULL), CSV_RECORD);
    assert_int_equal(r.line, 6); /* the quoted newline counts */
    expect_cell(&r, 1, "4");
    assert_int_equal(csv_next(&r, NULL), CSV_END);
}

static void broken_text_names_the_place(void **state) {
    (void)state;
    static const struct {
        const char *name, *text, *error;
    } cases[] = {
        { "open quote", "a,b\n1,\"2\n",
          "f.csv:2:3: expected a closing quote, found the end of the "
          "file" },
        { "text after a quote", "\"a\"b\n", "f.csv:1:4: expected a comma after the closing quote" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct csv_reader r;
        struct error err = { 0 };
        enum csv_result result;
        csv_init(&r, slice_from(cases[i].text), "f.csv", &arena);
        while ((result = csv_next(&r, &err)) == CSV_RECORD) {
        }
        assert_int_equal(result, CSV_BAD);
        assert_string_equal(err.text, cases[i].error);
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_and_places, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_text_names_the_place, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
