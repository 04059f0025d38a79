/* Slices and lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/list.h"
#include "base/slice.h"

static void compares(void **state) {
    (void)state;
    assert_true(slice_equal(SLICE("abc"), SLICE("abc")));
    assert_false(slice_equal(SLICE("abc"), SLICE("abC")));
    assert_false(slice_equal(SLICE("abc"), SLICE("ab")));
    assert_true(slice_equal((struct slice){ 0 }, SLICE("")));
    assert_true(slice_equal(SLICE("a\0b"), SLICE("a\0b")));
    assert_false(slice_equal(SLICE("a\0b"), SLICE("a\0c")));
    assert_true(slice_equal_fold(SLICE("aBc"), SLICE("AbC")));
    assert_false(slice_equal_fold(SLICE("abc"), SLICE("abd")));
    assert_true(slice_compare(SLICE("a"), SLICE("b")) < 0);
    assert_true(slice_compare(SLICE("ab"), SLICE("a")) > 0);
    assert_true(slice_compare(SLICE(""), SLICE("a")) < 0);
    assert_int_equal(slice_compare(SLICE("ab"), SLICE("ab")), 0);
    assert_true(slice_compare(SLICE("\xff"), SLICE("a")) > 0); /* bytes, not signed characters */
}

static void takes_parts(void **state) {
    struct slice s = SLICE("hello");
    (void)state;
    assert_true(slice_equal(slice_skip(s, 2), SLICE("llo")));
    assert_int_equal(slice_skip(s, 5).len, 0);
    assert_true(slice_equal(slice_sub(s, 1, 3), SLICE("ell")));
    assert_true(slice_equal(slice_sub(s, 3, 99), SLICE("lo")));
    assert_int_equal(slice_sub(s, 5, 1).len, 0);
    assert_int_equal(slice_sub(s, 99, 1).len, 0);
    assert_int_equal(slice_sub(s, 1, SIZE_MAX).len, 4);
    assert_true(slice_starts_with(s, SLICE("he")) && slice_starts_with(s, SLICE("")));
    assert_false(slice_starts_with(s, SLICE("hello!")));
    assert_true(slice_ends_with(s, SLICE("lo")) && slice_ends_with(s, s));
    assert_false(slice_ends_with(SLICE("o"), SLICE("lo")));
    assert_int_equal(slice_from(NULL).len, 0);
}

static void finds(void **state) {
    (void)state;
    assert_int_equal(slice_find(SLICE("abcb"), 'b'), 1);
    assert_int_equal(slice_find(SLICE("abc"), 'd'), SLICE_NONE);
    assert_int_equal(slice_find((struct slice){ 0 }, 'd'), SLICE_NONE);
    assert_int_equal(slice_find(slice_sub(SLICE("abc"), 0, 2), 'c'), SLICE_NONE);
    assert_int_equal(slice_find_slice(SLICE("aabab"), SLICE("ab")), 1);
    assert_int_equal(slice_find_slice(SLICE("aab"), SLICE("b ")), SLICE_NONE);
    assert_int_equal(slice_find_slice(SLICE("a"), SLICE("")), 0);
    assert_int_equal(slice_find_slice(SLICE("a"), SLICE("aa")), SLICE_NONE);
}

static void trims(void **state) {
    static const char *const cases[][2] = {
        { "  a b\t ", "a b" }, { "\t", "" }, { "", "" }, { "a", "a" }, { "\na ", "\na" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(slice_equal(slice_trim(slice_from(cases[i][0])), slice_from(cases[i][1])));
    }
}

static void cuts(void **state) {
    static const struct {
        const char *text;
        const char *parts[4];
        size_t count;
    } cases[] = {
        { "a,b,c", { "a", "b", "c" }, 3 },
        { "a", { "a" }, 1 },
        { "", { "" }, 1 },
        { ",", { "", "" }, 2 },
        { "a,", { "a", "" }, 2 },
        { ",,b", { "", "", "b" }, 3 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice rest = slice_from(cases[i].text), part;
        size_t count = 0;
        while (slice_cut(&rest, ',', &part)) {
            assert_true(count < cases[i].count);
            assert_true(slice_equal(part, slice_from(cases[i].parts[count++])));
        }
        assert_int_equal(count, cases[i].count);
    }
    struct slice nothing = { 0 }, part;
    assert_false(slice_cut(&nothing, ',', &part));
}

static void copies_text(void **state) {
    char out[4] = "xyz";
    (void)state;
    assert_true(slice_copy_text(SLICE("abc"), out, sizeof out));
    assert_string_equal(out, "abc");
    assert_false(slice_copy_text(SLICE("abcd"), out, sizeof out));
    assert_string_equal(out, "");
    assert_true(slice_copy_text((struct slice){ 0 }, out, 1));
}

struct item {
    int number;
    struct list link;
};

/* At every length around its widths, between bytes that must stay. */
static void puts_bytes(void **state) {
    (void)state;
    for (size_t len = 0; len <= 140; len++) {
        char *exact = malloc(len + 1), text[160]; /* so that a read past it is seen */
        assert_non_null(exact);
        char *from = exact + 1; /* not aligned */
        for (size_t i = 0; i < len; i++) {
            from[i] = (char)(i + 1);
        }
        memset(text, '.', sizeof text);
        assert_ptr_equal(slice_put(text + 3, slice_of(from, len)), text + 3 + len);
        assert_memory_equal(text, "...", 3);
        assert_memory_equal(text + 3, from, len);
        assert_memory_equal(text + 3 + len, "...", 3);
        free(exact);
    }
    char text[4] = "...";
    assert_ptr_equal(slice_put(text, (struct slice){ 0 }), text);
    assert_string_equal(text, "...");
}

static void links(void **state) {
    struct list head;
    struct item items[4] = { { .number = 0 }, { .number = 1 }, { .number = 2 }, { .number = 3 } };
    int order = 0;
    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_first(&head));
    for (int i = 1; i < 4; i++) {
        list_append(&head, &items[i].link);
    }
    list_prepend(&head, &items[0].link);
    assert_true(list_linked(&items[2].link));
    LIST_EACH(&head, link, saved) { /* in order, and each may go */
        struct item *item = LIST_ITEM(link, struct item, link);
        assert_int_equal(item->number, order++);
        if (item->number % 2 == 1) {
            list_remove(link);
        }
    }
    assert_int_equal(order, 4);
    assert_false(list_linked(&items[1].link));
    list_remove(&items[1].link); /* again does nothing */
    assert_ptr_equal(list_first(&head), &items[0].link);
    assert_ptr_equal(items[0].link.next, &items[2].link);
    assert_ptr_equal(items[2].link.next, &head);
    assert_ptr_equal(head.prev, &items[2].link);
    struct list never = { 0 };
    list_remove(&never);
    assert_false(list_linked(&never));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),   cmocka_unit_test(takes_parts), cmocka_unit_test(finds),
        cmocka_unit_test(trims),      cmocka_unit_test(cuts),        cmocka_unit_test(copies_text),
        cmocka_unit_test(puts_bytes), cmocka_unit_test(links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
