/* YAML with positions: what is refused and where, includes, limits, and memory that is out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "config/node.h"

#define ARENA_BYTES (64u << 20)

struct fixture {
    struct arena arena;
    struct config_report report;
    char folder[64];
};

static int set_up(void **state) {
    static struct fixture f;
    arena_init(&f.arena, ARENA_BYTES);
    config_report_init(&f.report);
    strcpy(f.folder, "/tmp/tidegate-node-XXXXXX");
    *state = &f;
    return mkdtemp(f.folder) == NULL;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    char command[128];
    arena_fini(&f->arena);
    config_report_fini(&f->report);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    return system(command);
}

static struct config_node *read_text(struct fixture *f, struct slice text) {
    return config_read_text(text, "t.yaml", &f->arena, &f->report);
}

static const char *reported(struct fixture *f) {
    (void)buffer_append_byte(&f->report.text, '\0');
    return buffer_slice(&f->report.text).data;
}

static void assert_at(const struct config_node *node, uint32_t line, uint32_t column) {
    assert_non_null(node);
    assert_int_equal(node->at.line, line);
    assert_int_equal(node->at.column, column);
    assert_string_equal(node->at.file, "t.yaml");
}

static void remembers_positions(void **state) {
    struct fixture *f = *state;
    struct config_node *root = read_text(f, SLICE("# a shop\n"
                                                  "listen:\n"
                                                  "  - { address: \":80\" }\n"
                                                  "  - address: ':81'\n"
                                                  "    tls: {}\n"
                                                  "name:   Sch\xc3\xb6n\n"
                                                  "\xc3\xa4: { b: 1 }\n"));
    assert_non_null(root);
    assert_int_equal(f->report.errors, 0);
    assert_int_equal(root->kind, CONFIG_MAP);
    assert_int_equal(root->len, 3);
    assert_at(root->keys[0], 2, 1);
    const struct config_node *listen = config_node_find(root, "listen");
    assert_at(listen, 3, 3);
    assert_int_equal(listen->kind, CONFIG_LIST);
    assert_int_equal(listen->len, 2);
    assert_at(config_node_find(listen->items[0], "address"), 3, 16);
    assert_false(config_node_find(listen->items[0], "address")->plain);
    assert_at(config_node_find(listen->items[1], "address"), 4, 14);
    assert_at(config_node_find(listen->items[1], "tls"), 5, 10);
    assert_at(config_node_find(root, "name"), 6, 9);
    assert_true(config_node_find(root, "name")->plain);
    /* Columns count characters, as an editor does. */
    assert_at(config_node_find(config_node_find(root, "\xc3\xa4"), "b"), 7, 9);
}

static void knows_null(void **state) {
    struct fixture *f = *state;
    struct config_node *root =
        read_text(f, SLICE("a:\nb: ~\nc: null\nd: ''\ne: 'null'\nf: {}\ng: []\nh: nul\n"));
    static const char *const null_keys[] = { "a", "b", "c", "missing" };
    static const char *const other_keys[] = { "d", "e", "f", "g", "h" };
    assert_non_null(root);
    for (size_t i = 0; i < sizeof null_keys / sizeof *null_keys; i++) {
        assert_true(config_node_is_null(config_node_find(root, null_keys[i])));
    }
    for (size_t i = 0; i < sizeof other_keys / sizeof *other_keys; i++) {
        assert_false(config_node_is_null(config_node_find(root, other_keys[i])));
    }
    assert_null(config_node_find(config_node_find(root, "d"), "x")); /* of a scalar */
    assert_null(config_node_find(NULL, "x"));
}

static void takes_nothing_as_no_keys(void **state) {
    struct fixture *f = *state;
    static const char *const texts[] = { "",      "\n",  "# only a comment\n",
                                         "---\n", "~\n", "\xef\xbb\xbf" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config_node *root = read_text(f, slice_from(texts[i]));
        assert_non_null(root);
        assert_int_equal(root->kind, CONFIG_MAP);
        assert_int_equal(root->len, 0);
        assert_string_equal(root->at.file, "t.yaml");
    }
    assert_int_equal(f->report.errors, 0);
}

static void refuses_with_a_place(void **state) {
    static const struct {
        const char *text, *report; /* a prefix of what is said; NULL text: see the length */
    } cases[] = {
        { "a: 1\na: 2\n", "t.yaml:2:1: 'a' is there twice\n" },
        { "x: { b: 1, b: 1 }\n", "t.yaml:1:12: 'b' is there twice\n" },
        { "a: 1\na: 2\nb: 3\nb: 4\n",
          "t.yaml:2:1: 'a' is there twice\nt.yaml:4:1: 'b' is there twice\n" },
        { "[1]: 2\n", "t.yaml:1:1: expected a name before ':'\n" },
        { "{ { a: 1 }: 2 }\n", "t.yaml:1:3: expected a name before ':'\n" },
        { "- a\n", "t.yaml:1:1: expected keys such as 'services:' at the top\n" },
        { "  text\n", "t.yaml:1:3: expected keys such as 'services:' at the top\n" },
        { "a: [1,\nb: 2\n", "t.yaml:" },
        { "a: b: c\n", "t.yaml:1:5: this is not YAML: " },
        { "a: \"x\n", "t.yaml:2:1: this is not YAML: " },
        { "\ta: 1\n", "t.yaml:1:1: this is not YAML: " },
        { "a: *b\n", "t.yaml:1:4: this is not YAML: found undefined alias" },
        { "a: \xff\n", "t.yaml: expected text in UTF-8: " },
        { "a: \xc3\x28\n", "t.yaml: expected text in UTF-8: " },
        { "a: \xed\xa0\x80\n", "t.yaml: expected text in UTF-8: " },
        { "a: \"x\\0y\"\n", "t.yaml:1:4: expected text without a NUL\n" },
        { "\"a\\0\": 1\n", "t.yaml:1:1: expected text without a NUL\n" },
        { "a: 1\n---\nb: 2\n", "t.yaml:3:1: expected one document" },
        { "a: 1\n...\n---\n- b\n", "t.yaml:4:1: expected one document" },
        { "a: 1\n---\nb: [\n", "t.yaml:" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        config_report_fini(&f->report);
        struct config_node *root = read_text(f, slice_from(cases[i].text));
        uint32_t errors = f->report.errors;
        const char *said = reported(f);
        if (errors == 0 || strncmp(said, cases[i].report, strlen(cases[i].report)) != 0) {
            fail_msg("case %zu '%s': %u errors: %s", i, cases[i].text, errors, said);
        }
        (void)root; /* may be there: what else is wrong in it can be said too */
    }
    config_report_fini(&f->report);
    assert_null(read_text(f, SLICE("a: \0b\n")));
    assert_int_equal(f->report.errors, 1);
}

static void bounds_depth(void **state) {
    struct fixture *f = *state;
    char text[4 * CONFIG_DEPTH_MAX + 100];
    for (int levels = CONFIG_DEPTH_MAX - 1; levels <= CONFIG_DEPTH_MAX + 1; levels++) {
        /* "a" is level 0, its value level 1, and so on down to the scalar. */
        size_t len = (size_t)sprintf(text, "a: ");
        memset(text + len, '[', (size_t)levels);
        memset(text + len + levels, ']', (size_t)levels);
        config_report_fini(&f->report);
        struct config_node *root = read_text(f, slice_of(text, len + 2 * (size_t)levels));
        if ((root != NULL) != (levels <= CONFIG_DEPTH_MAX)) {
            fail_msg("%d levels", levels);
        }
        assert_int_equal(f->report.errors, root == NULL);
    }
    assert_non_null(strstr(reported(f), "t.yaml:1:36: expected at most 32 levels"));
    /* And far beyond, without a long wait or a deep stack. */
    size_t many = 200000;
    char *deep = malloc(many);
    memset(deep, '[', many);
    config_report_fini(&f->report);
    assert_null(read_text(f, slice_of(deep, many)));
    assert_int_equal(f->report.errors, 1);
    free(deep);
}

/* Nine levels of ten aliases each: a thousand million values from 300 bytes. */
static void bounds_aliases(void **state) {
    struct fixture *f = *state;
    struct buffer text;
    buffer_init(&text, 10000);
    assert_true(buffer_append_text(&text, "l0: &l0 [x,x,x,x,x,x,x,x,x,x]\n"));
    for (int i = 1; i < 9; i++) {
        assert_true(buffer_printf(&text, "l%d: &l%d [", i, i));
        for (int k = 0; k < 10; k++) {
            assert_true(buffer_printf(&text, "%s*l%d", k > 0 ? "," : "", i - 1));
        }
        assert_true(buffer_append_text(&text, "]\n"));
    }
    assert_null(read_text(f, buffer_slice(&text)));
    assert_int_equal(f->report.errors, 1);
    assert_non_null(strstr(reported(f), "expected at most 32 levels and 100000 values"));
    buffer_fini(&text);
}

static void follows_a_few_aliases(void **state) {
    struct fixture *f = *state;
    struct config_node *root = read_text(f, SLICE("a: &x { min: 1 }\nb: *x\nc: *x\n"));
    assert_non_null(root);
    assert_at(config_node_find(root, "c"), 1, 4); /* where it is written */
    assert_true(
        slice_equal(config_node_find(config_node_find(root, "b"), "min")->text, SLICE("1")));
}

static void bounds_an_alias_of_itself(void **state) {
    struct fixture *f = *state;
    assert_null(read_text(f, SLICE("a: &a [*a, *a, *a]\n")));
    assert_int_equal(f->report.errors, 1);
    config_report_fini(&f->report);
    assert_null(read_text(f, SLICE("&r a: { b: *r, c: &c { d: *c } }\n")));
    assert_true(f->report.errors > 0);
}

/* However little memory there is: an error, or the whole tree; nothing left out in silence. */
static void says_when_memory_is_out(void **state) {
    struct fixture *f = *state;
    arena_fini(&f->arena);
    arena_init(&f->arena, 1);
    assert_null(read_text(f, SLICE("")));
    assert_int_equal(f->report.errors, 1);
    const struct slice text = SLICE("a: { b: [1, 2, 3], c: text }\nd: [ { e: f }, { g: h } ]\n");
    bool whole = false;
    for (size_t limit_bytes = 0; !whole; limit_bytes += 8) {
        assert_true(limit_bytes < 100000);
        arena_fini(&f->arena);
        arena_init(&f->arena, limit_bytes);
        config_report_fini(&f->report);
        struct config_node *root = read_text(f, text);
        whole = root != NULL;
        if (!whole && f->report.errors == 0) {
            fail_msg("%zu bytes: no tree and no error", limit_bytes);
        }
        if (whole) {
            assert_int_equal(f->report.errors, 0);
            assert_int_equal(root->len, 2);
            assert_int_equal(config_node_find(root, "d")->items[1]->len, 1);
        }
    }
}

/* ---- files ---- */

static char *write_file(struct fixture *f, const char *name, const char *text) {
    static char path[8][128];
    static unsigned next;
    char *out = path[next++ % 8];
    snprintf(out, sizeof path[0], "%s/%s", f->folder, name);
    FILE *file = fopen(out, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return out;
}

static struct config_node *read_file(struct fixture *f, const char *path) {
    return config_read_file(path, &f->arena, &f->report);
}

static void assert_reported(struct fixture *f, const char *format, ...) {
    char wanted[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wanted, sizeof wanted, format, arguments);
    va_end(arguments);
    assert_string_equal(reported(f), wanted);
}

static void includes_files(void **state) {
    struct fixture *f = *state;
    char folder[128];
    snprintf(folder, sizeof folder, "%s/more", f->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    write_file(f, "more/b.yaml", "include: c.yaml\nservices: { b: { x: 1 } }\nstore: s\n");
    write_file(f, "more/c.yaml", "services: { c: { x: 1 } }\n"); /* beside b.yaml, not beside a */
    const char *path =
        write_file(f, "a.yaml", "include: [more/b.yaml]\nservices: { a: { x: 1 } }\n");
    struct config_node *root = read_file(f, path);
    assert_int_equal(f->report.errors, 0);
    assert_non_null(root);
    const struct config_node *services = config_node_find(root, "services");
    assert_int_equal(services->len, 3);
    assert_non_null(config_node_find(services, "a"));
    assert_non_null(config_node_find(services, "b"));
    assert_non_null(config_node_find(services, "c"));
    const struct config_node *store = config_node_find(root, "store");
    assert_int_equal(store->at.line, 3);
    assert_non_null(strstr(store->at.file, "/more/b.yaml"));
    assert_null(config_node_find(root, "include")); /* it has been carried out */
}

static void refuses_what_is_in_two_files(void **state) {
    struct fixture *f = *state;
    write_file(f, "b.yaml", "store: x\nservices:\n  a: { y: 2 }\n");
    const char *path =
        write_file(f, "a.yaml", "include: b.yaml\nstore: s\nservices: { a: { x: 1 } }\n");
    assert_null(read_file(f, path));
    assert_int_equal(f->report.errors, 2);
    assert_reported(f,
                    "%s/b.yaml:1:1: 'store' is already in %s/a.yaml:2:8\n"
                    "%s/b.yaml:3:3: 'a' is already in %s/a.yaml:3:16\n",
                    f->folder, f->folder, f->folder, f->folder);
}

static void notices_a_file_that_includes_itself(void **state) {
    struct fixture *f = *state;
    const char *path = write_file(f, "a.yaml", "include: a.yaml\n");
    assert_null(read_file(f, path));
    assert_non_null(strstr(reported(f), "a.yaml:1:10: expected at most 32 files; does one include "
                                        "itself?\n"));
    config_report_fini(&f->report);
    write_file(f, "b.yaml", "include: c.yaml\n");
    path = write_file(f, "c.yaml", "include: [b.yaml, b.yaml]\n");
    assert_null(read_file(f, path)); /* not two to the power of 32 times */
    assert_in_range(f->report.errors, 1, 40);
}

static void says_which_file_is_missing(void **state) {
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/none.yaml", f->folder);
    assert_null(read_file(f, path));
    assert_reported(f, "%s/none.yaml: No such file or directory\n", f->folder);
    config_report_fini(&f->report);
    assert_null(read_file(f, f->folder));
    assert_reported(f, "%s: expected a file\n", f->folder);
    config_report_fini(&f->report);
    assert_null(read_file(f, write_file(f, "a.yaml", "a: 1\ninclude:\n  - { b: 1 }\n")));
    assert_reported(f, "%s/a.yaml:3:3: expected a file, or a list of files\n", f->folder);
    config_report_fini(&f->report);
    assert_null(read_file(f, write_file(f, "a.yaml", "include: [ none.yaml, neither.yaml ]\n")));
    assert_int_equal(f->report.errors, 2);
    config_report_fini(&f->report);
    assert_non_null(read_file(f, write_file(f, "a.yaml", "include:\na: 1\n")));
    assert_int_equal(f->report.errors, 0);
}

static void refuses_a_file_that_is_too_large(void **state) {
    struct fixture *f = *state;
    const char *path = write_file(f, "a.yaml", "a: 1\n");
    assert_int_equal(truncate(path, CONFIG_FILE_BYTES_MAX + 1), 0);
    assert_null(read_file(f, path));
    assert_reported(f, "%s: expected at most 1048576 bytes, found 1048577\n", path);
}

/* As with text: an error, or everything that the files say. */
static void says_when_memory_is_out_for_files(void **state) {
    struct fixture *f = *state;
    write_file(f, "b.yaml", "services: { b: 1, c: 2 }\nx: y\n");
    const char *path = write_file(f, "a.yaml", "include: b.yaml\nservices: { a: 0 }\n");
    bool whole = false;
    for (size_t limit_bytes = 0; !whole; limit_bytes += 8) {
        assert_true(limit_bytes < 100000);
        arena_fini(&f->arena);
        arena_init(&f->arena, limit_bytes);
        config_report_fini(&f->report);
        struct config_node *root = read_file(f, path);
        whole = root != NULL && f->report.errors == 0;
        if (!whole && f->report.errors == 0) {
            fail_msg("%zu bytes: no tree and no error", limit_bytes);
        }
        if (whole && (root->len != 2 || config_node_find(root, "services")->len != 3)) {
            fail_msg("%zu bytes: keys were left out in silence", limit_bytes);
        }
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(remembers_positions),
        TEST(knows_null),
        TEST(takes_nothing_as_no_keys),
        TEST(refuses_with_a_place),
        TEST(bounds_depth),
        TEST(bounds_aliases),
        TEST(follows_a_few_aliases),
        TEST(bounds_an_alias_of_itself),
        TEST(says_when_memory_is_out),
        TEST(includes_files),
        TEST(refuses_what_is_in_two_files),
        TEST(notices_a_file_that_includes_itself),
        TEST(says_which_file_is_missing),
        TEST(refuses_a_file_that_is_too_large),
        TEST(says_when_memory_is_out_for_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
