/* Options of the verbs: what those that take many of them have in common. */
#pragma once
#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct options_table {
    const char *verb;
    const struct option *list;
    /* One option with its value; false with `err` set. */
    bool (*take)(void *self, int option, const char *value, struct error *err);
};

/* Every option up to the first operand that is left, which is argv[optind]. */
bool options_parse(const struct options_table *table, void *self, int argc, char **argv,
                   struct error *err);

bool options_want_help(int argc, char **argv);

/* Says what went wrong; the exit status of DESIGN.md §4 that belongs to it. */
int options_failed(const char *verb, const struct error *err);

/* Values; each names its option in the error. */
bool options_span(const char *option, const char *text, int64_t *ms, struct error *err); /* > 0 */
bool options_amount(const char *option, const char *text, double *amount, struct error *err);
bool options_rate(const char *option, const char *text, double *rps, struct error *err); /* > 0 */
bool options_number(const char *option, const char *text, uint64_t *number, struct error *err);

struct options_range {
    uint32_t least, most;
};
bool options_count(const char *option, const char *text, struct options_range range,
                   uint32_t *count, struct error *err);

/* One more season, `count` of them ascending in season_ms. */
bool options_season(const char *text, int64_t *season_ms, size_t *count, struct error *err);
