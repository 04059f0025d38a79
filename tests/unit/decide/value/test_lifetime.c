/* The customers' table: what is read, and where a wrong one is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "decide/value/lifetime.h"

static struct arena arena;

static void reads_a_table(void **state) {
    struct lifetime table;
    struct error err = { 0 };
    (void)state;
    assert_true(lifetime_parse(SLICE("customer,expected_orders,expected_value\r\n"
                                     "c-2,0.5,10\r\n\"c,1\",2,30.5\r\nc-3,1, 0 \n"),
                               "t.csv", &arena, &table, &err));
    assert_int_equal(table.len, 3);
    assert_true(slice_equal(table.customers[0].id, SLICE("c,1")));
    assert_float_equal(table.customers[0].expected_value, 30.5, 1e-9);
    assert_true(slice_equal(table.customers[1].id, SLICE("c-2")));
    assert_int_equal(table.customers[1].line, 2);
    assert_float_equal(table.mean, 13.5, 1e-9);
}

static void nobody_is_known(void **state) {
    struct lifetime table = { .len = 7 };
    struct error err = { 0 };
    (void)state;
    assert_true(lifetime_parse(SLICE("expected_value,customer\n"), "t.csv", &arena, &table, &err));
    assert_int_equal(table.len, 0);
    assert_float_equal(table.mean, 0, 0);
}

static void says_where_it_is_wrong(void **state) {
    static const struct {
        const char *name;
        struct slice text;
        const char *expected;
    } cases[] = {
        { "empty", SLICE(""), "t.csv:" },
        { "no header", SLICE("c-1,10\n"), "t.csv:1:1: expected a header" },
        { "a column is missing", SLICE("customer,value\nc-1,10\n"),
          "t.csv:1:1: expected a header" },
        { "no number", SLICE("customer,expected_value\nc-1,1\nc-2,ten\n"),
          "t.csv:3:5: expected the" },
        { "a negative number", SLICE("customer,expected_value\nc-1,-1\n"),
          "t.csv:2:5: expected the" },
        { "not finite", SLICE("customer,expected_value\nc-1,inf\n"), "t.csv:2:5: expected the" },
        { "too large", SLICE("customer,expected_value\nc-1,2e9\n"), "t.csv:2:5: expected the" },
        { "no value", SLICE("customer,expected_value\nc-1,\n"), "t.csv:2:5: expected the" },
        { "no cell", SLICE("customer,expected_value\nc-1\n"), "t.csv:2:4: expected the" },
        { "no id", SLICE("customer,expected_value\n,1\n"),
          "t.csv:2:1: expected the customer's id" },
        { "twice", SLICE("customer,expected_value\na,1\nb,2\na,3\n"),
          "t.csv:4:1: customer 'a' is also in line 2" },
        { "an open quote", SLICE("customer,expected_value\n\"a,1\n"), "t.csv:2:" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lifetime table = { .len = 7 };
        struct error err = { 0 };
        if (lifetime_parse(cases[i].text, "t.csv", &arena, &table, &err) ||
            strncmp(err.text, cases[i].expected, strlen(cases[i].expected)) != 0) {
            fail_msg("%s: '%s', not '%s'", cases[i].name, err.text, cases[i].expected);
        }
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_int_equal(table.len, 7); /* written on success only */
    }
}

static void holds_its_limit(void **state) {
    struct lifetime table;
    struct error err = { 0 };
    size_t room = 32 + (size_t)(LIFETIME_CUSTOMERS_MAX + 1) * 12, len;
    char *text = malloc(room);
    (void)state;
    assert_non_null(text);
    len = (size_t)snprintf(text, room, "customer,expected_value\n");
    for (int i = 0; i < LIFETIME_CUSTOMERS_MAX; i++) {
        len += (size_t)snprintf(text + len, room - len, "%d,1\n", i);
    }
    struct arena large;
    arena_init(&large, 64u << 20);
    assert_true(lifetime_parse(slice_of(text, len), "t.csv", &large, &table, &err));
    assert_int_equal(table.len, LIFETIME_CUSTOMERS_MAX);
    arena_reset(&large);
    len += (size_t)snprintf(text + len, room - len, "x,1\n");
    assert_false(lifetime_parse(slice_of(text, len), "t.csv", &large, &table, &err));
    assert_non_null(strstr(err.text, "at most 131072 customers"));
    arena_fini(&large);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_table),
        cmocka_unit_test(nobody_is_known),
        cmocka_unit_test(says_where_it_is_wrong),
        cmocka_unit_test(holds_its_limit),
    };
    arena_init(&arena, 16u << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
