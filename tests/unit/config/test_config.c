/* Tables applied to text: every type, defaults, and what is said about what is wrong. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "config_text.h"

/* ---- a table with everything in it ---- */

enum colour { RED, GREEN, BLUE };
static const char *const colours[] = { "red", "green", "blue", NULL };

struct inner {
    int64_t wait_ms;
    const char *path;
};
struct named {
    const char *name;
    uint32_t count;
    struct inner inner;
};
struct inlined {
    uint32_t depth;
};
struct whole {
    bool flag, on_by_default;
    uint32_t count, bounded;
    double number, rate, share, price, cost;
    int64_t wait_ms;
    uint64_t bytes;
    const char *text, *fallback_text, *path, *fallback_path;
    struct slice slice;
    enum colour colour;
    const struct config_pair *pairs;
    size_t pair_count;
    uint32_t three[3];
    size_t three_count;
    int64_t seasons_ms[4];
    size_t season_count;
    const char **words;
    double *numbers;
    size_t number_count, word_count;
    struct slice *slices;
    uint32_t beside_slices; /* in the table before them: must not be wiped */
    size_t slice_count;
    struct inner inner;
    struct inner *list;
    size_t list_count;
    struct named *named;
    size_t named_count;
    struct inlined inlined;
};

#define INNER(member) offsetof(struct inner, member)
#define NAMED(member) offsetof(struct named, member)
#define WHOLE(member) offsetof(struct whole, member)

static void check_inner(const struct config_place *place, void *item) {
    const struct inner *inner = item;
    if (inner->wait_ms == 13) {
        config_place_error(place, "wait", "wait: not %d", 13);
    }
    if (inner->wait_ms == 14) {
        config_place_error(place, NULL, "this block is wrong");
        config_place_error(place, "path", "path: not written, so the block's place");
    }
    if (inner->wait_ms == 15) {
        config_place_warning(place, "wait", "wait: %d is odd", 15);
    }
}

static const struct config_field inner_fields[] = {
    { "wait", CONFIG_DURATION, INNER(wait_ms), .fallback = "2s", .help = "how long" },
    { "path", CONFIG_PATH, INNER(path), .help = "where" },
};
static const struct config_table inner_table =
    CONFIG_TABLE_CHECKED(struct inner, inner_fields, check_inner);

static const struct config_field named_fields[] = {
    { "count", CONFIG_COUNT, NAMED(count), .required = true, .help = "how many" },
    { "inner", CONFIG_BLOCK, NAMED(inner), .table = &inner_table, .help = "inside" },
};
static const struct config_table named_table = CONFIG_TABLE(struct named, named_fields);

static const struct config_field inlined_fields[] = {
    { "depth", CONFIG_COUNT, 0, .fallback = "3", .help = "how deep" },
};
static const struct config_table inlined_table = CONFIG_TABLE(struct inlined, inlined_fields);

static const struct config_field fields[] = {
    { "flag", CONFIG_BOOL, WHOLE(flag), .help = "h" },
    { "on_by_default", CONFIG_BOOL, WHOLE(on_by_default), .fallback = "true", .help = "h" },
    { "count", CONFIG_COUNT, WHOLE(count), .help = "h" },
    { "bounded", CONFIG_COUNT, WHOLE(bounded), .fallback = "5", .min = 2, .max = 9, .help = "h" },
    { "number", CONFIG_NUMBER, WHOLE(number), .min = -1, .max = 1, .help = "h" },
    { "rate", CONFIG_RATE, WHOLE(rate), .help = "h" },
    { "share", CONFIG_SHARE, WHOLE(share), .min = 0.5, .max = 1, .help = "h" },
    { "price", CONFIG_MONEY, WHOLE(price), .help = "h" },
    { "cost", CONFIG_MONEY, WHOLE(cost), .help = "h" },
    { "wait", CONFIG_DURATION, WHOLE(wait_ms), .fallback = "1s", .min = 100, .max = 60000,
      .help = "h" },
    { "bytes", CONFIG_SIZE, WHOLE(bytes), .min = 1, .max = 4096, .help = "h" },
    { "text", CONFIG_TEXT, WHOLE(text), .help = "h" },
    { "fallback_text", CONFIG_TEXT, WHOLE(fallback_text), .fallback = "hello", .help = "h" },
    { "path", CONFIG_PATH, WHOLE(path), .help = "h" },
    { "fallback_path", CONFIG_PATH, WHOLE(fallback_path), .fallback = "var", .help = "h" },
    { "slice", CONFIG_SLICE, WHOLE(slice), .help = "h" },
    { "colour", CONFIG_CHOICE, WHOLE(colour), .choices = colours, .fallback = "green",
      .help = "h" },
    { "pairs", CONFIG_PAIRS, WHOLE(pairs), .count_offset = WHOLE(pair_count), .help = "h" },
    { "three", CONFIG_COUNT, WHOLE(three), .many = true, .items_max = 3,
      .count_offset = WHOLE(three_count), .help = "h" },
    { "seasons", CONFIG_DURATION, WHOLE(seasons_ms), .many = true, .items_max = 4,
      .count_offset = WHOLE(season_count), .fallback = "1d, 7d", .help = "h" },
    { "words", CONFIG_TEXT, WHOLE(words), .many = true, .count_offset = WHOLE(word_count),
      .help = "h" },
    { "numbers", CONFIG_NUMBER, WHOLE(numbers), .many = true, .count_offset = WHOLE(number_count),
      .help = "h" },
    { "beside_slices", CONFIG_COUNT, WHOLE(beside_slices), .fallback = "77", .help = "h" },
    { "slices", CONFIG_SLICE, WHOLE(slices), .many = true, .count_offset = WHOLE(slice_count),
      .help = "h" },
    { "inner", CONFIG_BLOCK, WHOLE(inner), .table = &inner_table, .help = "h" },
    { "list", CONFIG_BLOCKS, WHOLE(list), .table = &inner_table, .count_offset = WHOLE(list_count),
      .help = "h" },
    { "named", CONFIG_NAMED_BLOCKS, WHOLE(named), .table = &named_table,
      .count_offset = WHOLE(named_count), .help = "h" },
    { "inlined", CONFIG_INLINE, WHOLE(inlined), .table = &inlined_table },
};
static const struct config_table whole_table = CONFIG_TABLE(struct whole, fields);

/* ---- fixture ---- */

struct fixture {
    struct config_text text;
    struct whole whole;
};

static int set_up(void **state) {
    static struct fixture f;
    config_text_init(&f.text, "etc/t.yaml");
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    config_text_fini(&f->text);
    return 0;
}

static bool apply(struct fixture *f, const char *text) {
    memset(&f->whole, 0xee, sizeof f->whole);
    return config_text_apply(&f->text, &whole_table, text, &f->whole);
}

static const char *reported(struct fixture *f) {
    return config_text_said(&f->text);
}

static void assert_refused(struct fixture *f, const char *text, const char *report) {
    bool good = apply(f, text);
    const char *said = reported(f);
    if (good || strcmp(said, report) != 0) {
        fail_msg("'%s': %s: %s", text, good ? "taken" : "refused", said);
    }
}

/* ---- what is taken ---- */

static void applies_every_type(void **state) {
    struct fixture *f = *state;
    const struct whole *w = &f->whole;
    assert_true(apply(f, "flag: yes\non_by_default: off\ncount: 4294967295\nbounded: 9\n"
                         "number: -1\nrate: 30/m\nshare: 50%\nprice: 0.10 EUR\ncost: 2 EUR\n"
                         "wait: 60s\nbytes: 4KiB\ntext: 'a b'\npath: x/y\nslice: sl\n"
                         "colour: blue\npairs: { A: 1, B: '', C: true }\nthree: [1, 2, 3]\n"
                         "seasons: [2h]\nwords: [x, '', z]\nnumbers: [1, 2.5]\n"
                         "slices: [p, q]\ninner: { wait: 0, path: /abs }\n"
                         "list: [ { wait: 1s }, { path: p } ]\n"
                         "named: { b: { count: 1 }, a: { count: 2, inner: { wait: 5m } } }\n"
                         "depth: 8\n"));
    assert_string_equal(reported(f), "");
    assert_true(w->flag);
    assert_false(w->on_by_default);
    assert_int_equal(w->count, UINT32_MAX);
    assert_int_equal(w->bounded, 9);
    assert_true(w->number == -1 && w->rate == 0.5 && w->share == 0.5);
    assert_true(w->price == 0.10 && w->cost == 2);
    assert_string_equal(f->text.currency, "EUR");
    assert_int_equal(w->wait_ms, 60000);
    assert_int_equal(w->bytes, 4096);
    assert_string_equal(w->text, "a b");
    assert_string_equal(w->path, "etc/x/y"); /* beside the file */
    assert_true(slice_equal(w->slice, SLICE("sl")));
    assert_int_equal(w->colour, BLUE);
    assert_int_equal(w->pair_count, 3);
    assert_string_equal(w->pairs[0].name, "A");
    assert_string_equal(w->pairs[0].value, "1");
    assert_string_equal(w->pairs[1].value, "");
    assert_string_equal(w->pairs[2].value, "true");
    assert_int_equal(w->three_count, 3);
    assert_int_equal(w->three[2], 3);
    assert_int_equal(w->season_count, 1);
    assert_int_equal(w->seasons_ms[0], 7200000);
    assert_int_equal(w->word_count, 3);
    assert_string_equal(w->words[1], "");
    assert_string_equal(w->words[2], "z");
    assert_int_equal(w->number_count, 2);
    assert_true(w->numbers[1] == 2.5);
    assert_int_equal(w->slice_count, 2);
    assert_true(slice_equal(w->slices[1], SLICE("q")));
    assert_int_equal(w->inner.wait_ms, 0);
    assert_string_equal(w->inner.path, "/abs");
    assert_int_equal(w->list_count, 2);
    assert_int_equal(w->list[0].wait_ms, 1000);
    assert_null(w->list[0].path);
    assert_int_equal(w->list[1].wait_ms, 2000);
    assert_string_equal(w->list[1].path, "etc/p");
    assert_int_equal(w->named_count, 2);
    assert_string_equal(w->named[0].name, "b");
    assert_int_equal(w->named[0].inner.wait_ms, 2000);
    assert_string_equal(w->named[1].name, "a");
    assert_int_equal(w->named[1].count, 2);
    assert_int_equal(w->named[1].inner.wait_ms, 300000);
    assert_int_equal(w->inlined.depth, 8);
}

static void assert_defaults(const struct whole *w) {
    assert_true(!w->flag && w->on_by_default);
    assert_int_equal(w->count, 0);
    assert_int_equal(w->bounded, 5);
    assert_true(isnan(w->number) && isnan(w->rate) && isnan(w->share) && isnan(w->price));
    assert_int_equal(w->wait_ms, 1000);
    assert_int_equal(w->bytes, 0);
    assert_true(w->text == NULL && w->path == NULL && w->slice.len == 0);
    assert_string_equal(w->fallback_text, "hello");
    assert_string_equal(w->fallback_path, "etc/var"); /* as if it stood in the file */
    assert_int_equal(w->colour, GREEN);
    assert_int_equal(w->pair_count + w->three_count + w->word_count + w->number_count +
                         w->slice_count + w->list_count + w->named_count,
                     0);
    assert_true(w->pairs == NULL && w->words == NULL && w->numbers == NULL && w->slices == NULL &&
                w->list == NULL && w->named == NULL);
    assert_int_equal(w->season_count, 2);
    assert_int_equal(w->seasons_ms[0], 86400000);
    assert_int_equal(w->seasons_ms[1], 604800000);
    assert_int_equal(w->beside_slices, 77);
    assert_int_equal(w->inner.wait_ms, 2000);
    assert_null(w->inner.path);
    assert_int_equal(w->inlined.depth, 3);
}

static void fills_in_defaults(void **state) {
    struct fixture *f = *state;
    assert_true(apply(f, ""));
    assert_defaults(&f->whole);
    assert_string_equal(f->text.currency, "");
}

/* A key without a value is as good as none, for every type. */
static void takes_null_as_not_written(void **state) {
    struct fixture *f = *state;
    assert_true(apply(f, "flag:\non_by_default: ~\ncount: null\nbounded:\nnumber:\nrate:\nshare:\n"
                         "price:\nwait:\nbytes:\ntext:\npath:\nfallback_path:\nslice:\ncolour:\n"
                         "pairs:\nthree:\nseasons:\nwords:\nnumbers:\nslices:\ninner:\nlist:\n"
                         "named:\ndepth:\n"));
    assert_defaults(&f->whole);
    assert_true(apply(f, "list: [ ~, {} ]\n"));
    assert_int_equal(f->whole.list_count, 2);
    assert_int_equal(f->whole.list[0].wait_ms, 2000);
    assert_refused(f, "named: { x: }\n", "etc/t.yaml:1:13: expected the key 'count': how many\n");
}

static void takes_one_value_as_a_list_of_one(void **state) {
    struct fixture *f = *state;
    assert_true(apply(f, "three: 7\nwords: only\nseasons: 2h\n"));
    assert_int_equal(f->whole.three_count, 1);
    assert_int_equal(f->whole.three[0], 7);
    assert_int_equal(f->whole.word_count, 1);
    assert_string_equal(f->whole.words[0], "only");
    assert_int_equal(f->whole.season_count, 1);
    assert_true(apply(f, "words: []\n"));
    assert_int_equal(f->whole.word_count, 0);
}

/* ---- what is refused ---- */

static void says_what_was_expected(void **state) {
    static const struct {
        const char *text, *report;
    } cases[] = {
        { "flag: maybe", "1:7: flag: expected true or false, found 'maybe'" },
        { "flag: True", "1:7: flag: expected true or false, found 'True'" },
        { "count: -1", "1:8: count: expected a whole number, found '-1'" },
        { "count: 4294967296", "1:8: count: expected a whole number, found '4294967296'" },
        { "count: 1.0", "1:8: count: expected a whole number, found '1.0'" },
        { "count: ''", "1:8: count: expected a whole number, found ''" },
        { "bounded: 1", "1:10: bounded: expected 2 to 9, found '1'" },
        { "bounded: 10", "1:10: bounded: expected 2 to 9, found '10'" },
        { "number: one", "1:9: number: expected a number, found 'one'" },
        { "number: nan", "1:9: number: expected a number, found 'nan'" },
        { "number: 1.01", "1:9: number: expected -1 to 1, found '1.01'" },
        { "rate: 100", "1:7: rate: expected a rate such as 100/s, found '100'" },
        { "share: 0.5", "1:8: share: expected a share such as 99%, found '0.5'" },
        { "share: 49%", "1:8: share: expected 50 to 100 %, found '49%'" },
        { "price: 1", "1:8: price: expected money such as 0.096 EUR, found '1'" },
        { "wait: 5", "1:7: wait: expected a duration such as 250ms, 10s, 5m or 24h, found '5'" },
        { "wait: 99ms", "1:7: wait: expected 0.1 to 60 s, found '99ms'" },
        { "wait: 61s", "1:7: wait: expected 0.1 to 60 s, found '61s'" },
        { "bytes: 1K", "1:8: bytes: expected a size such as 64KiB or 512MiB, found '1K'" },
        { "bytes: 8KiB", "1:8: bytes: expected 1 to 4096 bytes, found '8KiB'" },
        { "colour: grean", "1:9: colour: expected one of red, green, blue, found 'grean'" },
        { "text: [a]", "1:7: text: expected text, found a list" },
        { "text: { a: b }", "1:7: text: expected text, found a block" },
        { "wait: [1s]", "1:7: wait: expected a duration such as 250ms, 10s, 5m or 24h, found a "
                        "list" },
        { "three: [1, 2, 3, 4]", "1:8: three: expected at most 3, found 4" },
        { "three: { a: 1 }", "1:8: three: expected a list" },
        { "three: [1, x]", "1:12: three: expected a whole number, found 'x'" },
        { "three: [1, [2]]", "1:12: three: expected a whole number, found a list" },
        { "pairs: [a]", "1:8: pairs: expected NAME: value pairs" },
        { "pairs: a", "1:8: pairs: expected NAME: value pairs" },
        { "pairs: { a: [1] }", "1:13: a: expected text" },
        { "inner: 5", "1:8: expected a block of keys, found a value" },
        { "inner: [a]", "1:8: expected a block of keys, found a list" },
        { "list: { a: 1 }", "1:7: list: expected a list" },
        { "list: x", "1:7: list: expected a list" },
        { "list: [ 1 ]", "1:9: expected a block of keys, found a value" },
        { "named: [ { count: 1 } ]", "1:8: named: expected a name and a block for each" },
        { "named: { x: 5 }", "1:13: expected a block of keys, found a value" },
        { "named: { x: {} }", "1:13: expected the key 'count': how many" },
        { "inner: { wait: 13ms }", "1:16: wait: not 13" },
        { "inner: { wiat: 1s }", "1:10: unknown key 'wiat': did you mean 'wait'?" },
        { "inner: { zzzzz: 1s }", "1:10: unknown key 'zzzzz': expected one of wait, path" },
        { "inlined: { depth: 3 }", "1:1: unknown key 'inlined': did you mean 'inner'?" },
        { "dept: 3", "1:1: unknown key 'dept': did you mean 'depth'?" },
        { "name: 3", "1:1: unknown key 'name': did you mean 'named'?" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char wanted[300];
        snprintf(wanted, sizeof wanted, "etc/t.yaml:%s\n", cases[i].report);
        assert_refused(f, cases[i].text, wanted);
    }
}

static void says_every_error_at_once(void **state) {
    struct fixture *f = *state;
    assert_refused(f,
                   "flag: 1\n"
                   "colur: red\n"
                   "named:\n"
                   "  a: { cuont: 1 }\n"
                   "  b: { count: 1, inner: { wait: 13ms } }\n"
                   "inner:\n"
                   "  wait: 14ms\n"
                   "wait: soon\n",
                   "etc/t.yaml:2:1: unknown key 'colur': did you mean 'colour'?\n"
                   "etc/t.yaml:1:7: flag: expected true or false, found '1'\n"
                   "etc/t.yaml:8:7: wait: expected a duration such as 250ms, 10s, 5m or 24h, found "
                   "'soon'\n"
                   "etc/t.yaml:7:3: this block is wrong\n"
                   "etc/t.yaml:7:3: path: not written, so the block's place\n"
                   "etc/t.yaml:4:8: unknown key 'cuont': did you mean 'count'?\n"
                   "etc/t.yaml:4:6: expected the key 'count': how many\n"
                   "etc/t.yaml:5:33: wait: not 13\n");
}

static void keeps_one_currency(void **state) {
    struct fixture *f = *state;
    assert_refused(f, "cost: 1 USD\nprice: 2 EUR\n", /* the table's order, not the file's */
                   "etc/t.yaml:1:7: cost: expected EUR as in etc/t.yaml:2:8, found 'USD'\n");
}

static void warns_and_goes_on(void **state) {
    struct fixture *f = *state;
    assert_true(apply(f, "inner: { wait: 15ms }\n"));
    assert_int_equal(f->text.report.warnings, 1);
    assert_string_equal(reported(f), "etc/t.yaml:1:16: warning: wait: 15 is odd\n");
}

static void bounds_what_it_says(void **state) {
    struct fixture *f = *state;
    struct buffer text;
    char shown[64] = "";
    buffer_init(&text, 1u << 20);
    for (int i = 0; i < CONFIG_ERRORS_MAX + 50; i++) {
        assert_true(buffer_printf(&text, "unknown_%d: 1\n", i));
    }
    assert_true(buffer_append_byte(&text, '\0'));
    assert_false(apply(f, buffer_slice(&text).data));
    assert_int_equal(f->text.report.errors, CONFIG_ERRORS_MAX + 50);
    FILE *file = tmpfile();
    config_report_print(&f->text.report, file);
    rewind(file);
    unsigned lines = 0;
    char line[2048];
    while (fgets(line, sizeof line, file) != NULL) {
        lines++;
        snprintf(shown, sizeof shown, "%.60s", line);
    }
    fclose(file);
    assert_int_equal(lines, CONFIG_ERRORS_MAX + 1);
    assert_string_equal(shown, "… and 50 more\n");
    buffer_fini(&text);
}

/* What comes from the file cannot begin a line of its own, or drive a terminal. */
static void keeps_a_line_to_a_line(void **state) {
    struct fixture *f = *state;
    assert_refused(f, "count: \"1\\n\\e[31mt.yaml:1:1: all is well\"\n",
                   "etc/t.yaml:1:8: count: expected a whole number, found '1??[31mt.yaml:1:1: all "
                   "is well'\n");
    assert_refused(
        f, "\"a\\nb\": 1\n\"\\x7f\xc3\xa4zzzz\": 1\n",
        "etc/t.yaml:1:1: unknown key 'a?b': expected one of flag, on_by_default, count, "
        "bounded, number, rate, share, price, cost, wait, bytes, text, fallback_text, "
        "path, fallback_path, slice, colour, pairs, three, seasons, words, numbers, "
        "beside_slices, slices, inner, list, named, depth\n"
        "etc/t.yaml:2:1: unknown key '?\xc3\xa4zzzz': expected one of flag, "
        "on_by_default, count, bounded, number, rate, share, price, cost, wait, bytes, "
        "text, fallback_text, path, fallback_path, slice, colour, pairs, three, seasons, "
        "words, numbers, beside_slices, slices, inner, list, named, depth\n");
}

/* However little memory there is: an error, or everything that is written. */
static void says_when_memory_is_out(void **state) {
    static const char text[] = "path: x/y\npairs: { A: 1 }\nwords: [a, b]\nlist: [ {} ]\n"
                               "named: { n: { count: 1, inner: { path: q } } }\n";
    struct fixture *f = *state;
    bool whole = false;
    for (size_t limit_bytes = 0; !whole; limit_bytes += 8) {
        assert_true(limit_bytes < 100000);
        arena_fini(&f->text.arena);
        arena_init(&f->text.arena, limit_bytes);
        whole = apply(f, text);
        if (!whole && f->text.report.errors == 0) {
            fail_msg("%zu bytes: refused without an error", limit_bytes);
        }
        const struct whole *w = &f->whole;
        if (whole &&
            (w->path == NULL || w->pair_count != 1 || w->word_count != 2 ||
             w->fallback_path == NULL || w->season_count != 2 || w->named[0].inner.path == NULL)) {
            fail_msg("%zu bytes: something was left out in silence", limit_bytes);
        }
    }
}

static void knows_places(void **state) {
    struct fixture *f = *state;
    const struct config_node *root = config_read_text(SLICE("a: { b: 1, n: ~ }\nl: [x, y]\n"), "t",
                                                      &f->text.arena, &f->text.report);
    struct config_place place = { .node = root, .report = &f->text.report };
    assert_true(config_place_has(&place, "a"));
    assert_false(config_place_has(&place, "b"));
    struct config_place a = config_place_block(&place, "a");
    assert_true(config_place_has(&a, "b"));
    assert_false(config_place_has(&a, "n"));
    struct config_place second = config_place_item(&place, "l", 1);
    struct config_place none = config_place_item(&place, "l", 2);
    struct config_place nothing = config_place_block(&place, "zzz");
    config_place_error(&second, NULL, "second");
    config_place_error(&none, NULL, "none");
    config_place_error(&nothing, "a", "nothing");
    config_place_error(&a, "b", "b");
    assert_string_equal(reported(f), "t:2:8: second\nt:1:1: none\nt:1:4: nothing\nt:1:9: b\n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(applies_every_type),        TEST(fills_in_defaults),
        TEST(takes_null_as_not_written), TEST(takes_one_value_as_a_list_of_one),
        TEST(says_what_was_expected),    TEST(says_every_error_at_once),
        TEST(keeps_one_currency),        TEST(warns_and_goes_on),
        TEST(bounds_what_it_says),       TEST(keeps_a_line_to_a_line),
        TEST(says_when_memory_is_out),   TEST(knows_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
