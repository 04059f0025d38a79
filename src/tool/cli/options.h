/* Options of the verbs: each verb has one table of them, which says what becomes of a value and
 * where it goes. */
#pragma once
#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "act/control/shop.h"
#include "base/error.h"

#define OPTIONS_MAX 24 /* of one verb */

/* What a value has to be, and what stands in the verb's request. */
enum option_type {
    OPTION_FLAG,   /* bool; it takes no value */
    OPTION_TEXT,   /* const char * */
    OPTION_SLICE,  /* struct slice */
    OPTION_SPAN,   /* int64_t, milliseconds, > 0 */
    OPTION_AMOUNT, /* double, > 0 */
    OPTION_RATE,   /* double, per second, > 0 */
    OPTION_COUNT,  /* uint32_t, within the range */
    OPTION_OWN,    /* what `take` makes of it */
};

struct options_range {
    uint32_t least, most;
};

struct option_field {
    const char *name;
    enum option_type type;
    size_t offset; /* in the request */
    struct options_range range;
    bool (*take)(void *request, const char *value, struct error *err);
};

struct options_table {
    const char *verb, *help;
    const struct option_field *fields;
    size_t len;
};
#define OPTIONS_TABLE(verb, fields)                                                                \
    { (verb), help, (fields), sizeof(fields) / sizeof(fields)[0] }

/* Takes every option, wherever it stands; the operands are argv[optind] and on. False: the verb is
 * done, with *status: somebody asked for --help, or an option is wrong, and that is said. */
bool options_take(const struct options_table *table, void *request, int argc, char **argv,
                  int *status);

/* Says what went wrong; the exit status of DESIGN.md §4 that belongs to it. */
int options_failed(const struct options_table *table, const struct error *err);
/* Prints the help, as there is no one thing that is wrong. */
int options_misused(const struct options_table *table);

/* The configuration of --config; what is wrong with it is printed. ERROR_INVALID. */
bool options_load_shop(const char *config_path, struct shop *shop, struct error *err);
/* Its service of that name, the first one for NULL. ERROR_INVALID. */
const struct service_config *options_service(const struct shop *shop, const char *name,
                                             const char *config_path, struct error *err);

/* For a `take`: each names its option in the error. */
bool options_number(const char *option, const char *text, uint64_t *number, struct error *err);
bool options_count(const char *option, const char *text, struct options_range range,
                   uint32_t *count, struct error *err);
/* One more season, `count` of them ascending in season_ms. */
bool options_season(const char *text, int64_t *season_ms, size_t *count, struct error *err);
