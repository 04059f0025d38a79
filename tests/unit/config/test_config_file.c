/* Blocks that are only there when they are written, and files whose text belongs to a
 * configuration. */
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

#include "config/config.h"

#define FILE_BYTES_MAX 8

struct page {
    const char *file;
    struct slice text;
    uint32_t count;
};
struct book {
    struct page *page;
    struct page *pages;
    size_t page_count;
};

static void check_page(const struct config_place *place, void *item) {
    struct page *page = item;
    if (page->file != NULL) {
        config_place_file(place, "file", page->file, FILE_BYTES_MAX, &page->text);
    }
}

static const struct config_field page_fields[] = {
    { "file", CONFIG_PATH, offsetof(struct page, file), .help = "a file" },
    { "count", CONFIG_COUNT, offsetof(struct page, count), .fallback = "7", .help = "a number" },
};
static const struct config_table page_table =
    CONFIG_TABLE_CHECKED(struct page, page_fields, check_page);
static const struct config_field book_fields[] = {
    { "page", CONFIG_BLOCK, offsetof(struct book, page), .table = &page_table, .allocated = true,
      .help = "a page" },
    { "pages", CONFIG_BLOCKS, offsetof(struct book, pages), .table = &page_table,
      .count_offset = offsetof(struct book, page_count), .help = "pages" },
};
static const struct config_table book_table = CONFIG_TABLE(struct book, book_fields);

struct fixture {
    char folder[64];
    struct book book;
    struct arena arena;
    struct config_report report;
};

static int set_up(void **state) {
    static struct fixture f;
    memset(&f, 0, sizeof f);
    strcpy(f.folder, "/tmp/tidegate-file-XXXXXX");
    *state = &f;
    return mkdtemp(f.folder) == NULL;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    char command[96];
    arena_fini(&f->arena);
    config_report_fini(&f->report);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    return system(command);
}

static void write_file(struct fixture *f, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static bool load(struct fixture *f, const char *text) {
    char name[96], currency[UNITS_CURRENCY_BYTES];
    arena_fini(&f->arena);
    arena_init(&f->arena, 65536);
    config_report_fini(&f->report);
    f->report = (struct config_report){ 0 };
    snprintf(name, sizeof name, "%s/book.yaml", f->folder);
    const struct config_node *root = config_read_text(
        slice_from(text), arena_text(&f->arena, slice_from(name)), &f->arena, &f->report);
    return root != NULL &&
           config_apply(&book_table, root, &f->book, &f->arena, currency, &f->report);
}

static void a_block_is_there_when_it_is_written(void **state) {
    struct fixture *f = *state;
    assert_true(load(f, "pages: []"));
    assert_null(f->book.page);
    assert_true(load(f, "page: ~"));
    assert_null(f->book.page);
    assert_true(load(f, "page: {}"));
    assert_int_equal(f->book.page->count, 7);
    assert_true(load(f, "page: { count: 8 }"));
    assert_int_equal(f->book.page->count, 8);
    assert_false(load(f, "page: 3"));
    assert_false(load(f, "page: { cuont: 8 }"));
}

static void a_file_is_read_once(void **state) {
    struct fixture *f = *state;
    write_file(f, "a.txt", "12345678");
    assert_true(load(f, "pages: [ { file: a.txt }, { file: a.txt } ]"));
    assert_true(slice_equal(f->book.pages[0].text, SLICE("12345678")));
    assert_ptr_equal(f->book.pages[0].text.data, f->book.pages[1].text.data);
    write_file(f, "a.txt", "");
    assert_true(load(f, "page: { file: a.txt }")); /* anew with the next configuration */
    assert_int_equal(f->book.page->text.len, 0);
}

static void says_what_is_wrong_with_a_file(void **state) {
    struct fixture *f = *state;
    char pipe[128];
    write_file(f, "long.txt", "123456789");
    snprintf(pipe, sizeof pipe, "%s/pipe", f->folder);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "page: { file: long.txt }", "book.yaml:1:15: file: " },
        { "page: { file: long.txt }", "long.txt has 9 bytes, expected at most 8" },
        { "page: { file: none.txt }", "none.txt: No such file or directory" },
        { "page: { file: . }", "is not a file" },
        { "page: { file: pipe }", "is not a file" }, /* and nobody waits for its writer */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool good = load(f, cases[i].text);
        struct slice said = buffer_slice(&f->report.text);
        if (good || slice_find_slice(said, slice_from(cases[i].why)) == SLICE_NONE) {
            fail_msg("%s: %.*s", cases[i].text, SLICE_ARG(said));
        }
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_block_is_there_when_it_is_written),
        CASE(a_file_is_read_once),
        CASE(says_what_is_wrong_with_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
