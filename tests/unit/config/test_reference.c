/* The reference says every key, once and in the order of the tables, and is the same each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/config.h"

struct leaf {
    uint32_t count;
    int colour;
};
struct top {
    const char *text;
    struct leaf leaf, *leaves, *named;
    size_t leaf_count, named_count;
    struct leaf inlined;
};

static const char *const colours[] = { "red", "green", NULL };
static const struct config_field leaf_fields[] = {
    { "count", CONFIG_COUNT, 0, .fallback = "3", .help = "how many" },
    { "colour", CONFIG_CHOICE, offsetof(struct leaf, colour), .choices = colours, .help = "which" },
};
static const struct config_table leaf_table = CONFIG_TABLE(struct leaf, leaf_fields);

static const struct config_field inlined_fields[] = {
    { "depth", CONFIG_COUNT, 0, .required = true, .help = "how deep" },
};
static const struct config_table inlined_table = CONFIG_TABLE(struct leaf, inlined_fields);

#define TOP(member) offsetof(struct top, member)
static const struct config_field fields[] = {
    { "text", CONFIG_TEXT, TOP(text), .many = true, .help = "words" },
    { "leaf", CONFIG_BLOCK, TOP(leaf), .table = &leaf_table, .help = "one" },
    { "leaves", CONFIG_BLOCKS, TOP(leaves), .table = &leaf_table, .count_offset = TOP(leaf_count),
      .help = "some" },
    { "named", CONFIG_NAMED_BLOCKS, TOP(named), .table = &leaf_table,
      .count_offset = TOP(named_count), .help = "named ones" },
    { "inlined", CONFIG_INLINE, TOP(inlined), .table = &inlined_table },
};
static const struct config_table table = CONFIG_TABLE(struct top, fields);

static char *write_reference(void) {
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);
    assert_non_null(file);
    config_reference(&table, file);
    assert_int_equal(fclose(file), 0);
    return text;
}

#define HEAD "| key | written as | default | what it is |\n| --- | --- | --- | --- |\n"
#define LEAF                                                                                       \
    HEAD "| `count` | a whole number | `3` | how many |\n"                                         \
         "| `colour` | `red`, `green` | | which |\n"

static void says_every_key(void **state) {
    (void)state;
    char *text = write_reference();
    assert_string_equal(text, HEAD "| `text` | list of: text | | words |\n"
                                   "| `leaf` | a block of keys | | one |\n"
                                   "| `leaves` | a list of blocks | | some |\n"
                                   "| `named` | blocks by name | | named ones |\n"
                                   "| `depth` | a whole number | required | how deep |\n"
                                   "\n## leaf\n\n" LEAF "\n## leaves[]\n\n" LEAF
                                   "\n## named.NAME\n\n" LEAF);
    char *again = write_reference();
    assert_string_equal(text, again);
    free(text);
    free(again);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
