#include "tool/cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "config/units.h"
#include "decide/forecast/forecast.h"
#include "tool/cli/verbs.h"

bool options_parse(const struct options_table *table, void *self, int argc, char **argv,
                   struct error *err) {
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", table->list, NULL)) != -1) {
        if (option == '?') {
            return error_set(err, ERROR_INVALID, "'%s' is not an option of %s, or lacks its value",
                             argv[optind - 1], table->verb);
        }
        if (!table->take(self, option, optarg, err)) {
            return false;
        }
    }
    return true;
}

bool options_want_help(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }
    return false;
}

int options_failed(const char *verb, const struct error *err) {
    fprintf(stderr, "tidegate %s: %s\n", verb, err->text);
    bool missing = err->kind == ERROR_SYSTEM && err->system_errno == ENOENT;
    return err->kind == ERROR_INVALID || err->kind == ERROR_LIMIT || missing ? EXIT_USAGE
                                                                             : EXIT_BROKE;
}

bool options_span(const char *option, const char *text, int64_t *ms, struct error *err) {
    return (units_parse_duration_ms(slice_from(text), ms) && *ms > 0) ||
           error_set(err, ERROR_INVALID,
                     "--%s: expected a duration such as 90s, 5m, 24h or 14d, found '%s'", option,
                     text);
}

bool options_amount(const char *option, const char *text, double *amount, struct error *err) {
    return (parse_double(slice_from(text), amount) && *amount > 0) ||
           error_set(err, ERROR_INVALID, "--%s: expected a number above 0, found '%s'", option,
                     text);
}

bool options_rate(const char *option, const char *text, double *rps, struct error *err) {
    return (units_parse_rate_rps(slice_from(text), rps) && *rps > 0) ||
           error_set(err, ERROR_INVALID, "--%s: expected a rate such as 10/s, found '%s'", option,
                     text);
}

bool options_number(const char *option, const char *text, uint64_t *number, struct error *err) {
    return parse_uint(slice_from(text), number) ||
           error_set(err, ERROR_INVALID, "--%s: expected a number, found '%s'", option, text);
}

bool options_count(const char *option, const char *text, struct options_range range,
                   uint32_t *count, struct error *err) {
    uint64_t number;
    if (!parse_uint(slice_from(text), &number) || number < range.least || number > range.most) {
        return error_set(err, ERROR_INVALID, "--%s: expected a number from %u to %u, found '%s'",
                         option, range.least, range.most, text);
    }
    *count = (uint32_t)number;
    return true;
}

bool options_season(const char *text, int64_t *season_ms, size_t *count, struct error *err) {
    int64_t ms;
    if (*count == FORECAST_SEASONS_MAX) {
        return error_set(err, ERROR_INVALID, "--season: expected at most %d", FORECAST_SEASONS_MAX);
    }
    if (!options_span("season", text, &ms, err)) {
        return false;
    }
    size_t at = (*count)++;
    for (; at > 0 && season_ms[at - 1] > ms; at--) {
        season_ms[at] = season_ms[at - 1];
    }
    season_ms[at] = ms;
    return true;
}
