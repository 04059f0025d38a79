/* Configuration: tables of keys, from which come the parser, `tidegate check` and
 * docs/reference/config.md. Each room declares its own block: a plain struct and a table that says
 * where each key goes in it, how it is written, its default and what it is for.
 *
 *     static const struct config_field fields[] = {
 *         { "path", CONFIG_TEXT, offsetof(struct health, path), .fallback = "/healthz",
 *           .help = "asked for" },
 *     };
 *     const struct config_table health_table = CONFIG_TABLE(struct health, fields);
 *
 * Every error is reported at once, with file, line, column and what was expected. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/slice.h"
#include "config/node.h"
#include "config/report.h"
#include "config/units.h"

/* What the field is in C. */
enum config_type {
    CONFIG_BOOL,         /* bool */
    CONFIG_COUNT,        /* uint32_t */
    CONFIG_NUMBER,       /* double */
    CONFIG_DURATION,     /* int64_t, milliseconds */
    CONFIG_SIZE,         /* uint64_t, bytes */
    CONFIG_RATE,         /* double, per second */
    CONFIG_SHARE,        /* double, ratio in [0, 1] */
    CONFIG_MONEY,        /* double; one currency in the whole configuration */
    CONFIG_TEXT,         /* const char *, NULL when empty */
    CONFIG_SLICE,        /* struct slice */
    CONFIG_PATH,         /* const char *, absolute or relative to where we were started */
    CONFIG_CHOICE,       /* enum of the size of int; value: index into choices */
    CONFIG_PAIRS,        /* const struct config_pair *, from `NAME: value` */
    CONFIG_BLOCK,        /* a struct with a table of its own, `key: { … }` */
    CONFIG_BLOCKS,       /* array of them, from a list */
    CONFIG_NAMED_BLOCKS, /* array of them, from `name: { … }`; the first member is the name */
    CONFIG_INLINE,       /* a struct whose keys stand here, among ours */
};

struct config_pair {
    const char *name, *value;
};

struct config_table;

struct config_field {
    const char *name;
    enum config_type type;
    size_t offset;
    const char *fallback;             /* as a person would write it; NULL: zero, NaN, NULL */
    const char *help;                 /* for the reference; one line */
    const struct config_table *table; /* of blocks */
    const char *const *choices;       /* of CONFIG_CHOICE; ended by NULL */
    bool many;                        /* a list of plain values */
    uint32_t items_max;               /* of a list: stored inline, so many; 0: allocated */
    size_t count_offset;              /* of a list, blocks or pairs: a size_t */
    double min, max;                  /* bounds, when max > min */
    bool required;
    bool allocated; /* a block: the member points to it, NULL when it is not written */
};

struct config_place;
struct config_run;

struct config_table {
    const struct config_field *fields;
    size_t len, item_bytes;
    /* A plain value may stand for the block: it is that of the first field. */
    bool plain;
    /* After all fields: what belongs together. May report with config_place_error. NULL: none. */
    void (*check)(const struct config_place *place, void *item);
};

#define CONFIG_TABLE(type, array)                                                                  \
    { .fields = (array), .len = sizeof(array) / sizeof(array)[0], .item_bytes = sizeof(type) }
#define CONFIG_TABLE_CHECKED(type, array, function)                                                \
    {                                                                                              \
        .fields = (array), .len = sizeof(array) / sizeof(array)[0], .item_bytes = sizeof(type),    \
        .check = (function)                                                                        \
    }

/* Fills `out` from the tree: defaults, then what is written. False when the report has errors.
 * `currency` gets the ISO code of the money in it, "" without any. All is in `arena`. */
bool config_apply(const struct config_table *table, const struct config_node *root, void *out,
                  struct arena *arena, char currency[UNITS_CURRENCY_BYTES],
                  struct config_report *report);

/* config_read_file and config_apply. */
bool config_load(const struct config_table *table, const char *path, void *out, struct arena *arena,
                 char currency[UNITS_CURRENCY_BYTES], struct config_report *report);

/* Where a check stands. `key` NULL: the block itself; a key that is not written: the block. */
struct config_place {
    const struct config_node *node;
    struct config_report *report;
    struct config_run *run; /* for config_place_file */
};

void config_place_error(const struct config_place *place, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_place_warning(const struct config_place *place, const char *key, const char *format,
                          ...) __attribute__((format(printf, 3, 4)));
/* The place of the block under `key`, or of item `index` of its list or map. */
struct config_place config_place_block(const struct config_place *place, const char *key);
struct config_place config_place_item(const struct config_place *place, const char *key,
                                      size_t index);
/* The text of a file that the key names, at most `bytes_max`, in the configuration's arena; a file
 * that several keys name is read once. Reports what is wrong. */
bool config_place_file(const struct config_place *place, const char *key, const char *path,
                       size_t bytes_max, struct slice *out);
/* Whether somebody wrote it. */
bool config_place_has(const struct config_place *place, const char *key);

/* The reference as Markdown: one section a block. */
void config_reference(const struct config_table *table, FILE *to);

/* The one of `names` that `name` was probably meant to be; NULL: none is near. */
const char *config_nearest(struct slice name, const char *const *names, size_t len);
