#include "tool/cli/options.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/slice.h"
#include "config/units.h"
#include "decide/forecast/forecast.h"
#include "tool/cli/verbs.h"

/* ---- values ---- */

static bool parse_span(const char *option, const char *text, int64_t *ms, struct error *err) {
    return (units_parse_duration_ms(slice_from(text), ms) && *ms > 0) ||
           error_set(err, ERROR_INVALID,
                     "--%s: expected a duration such as 90s, 5m, 24h or 14d, found '%s'", option,
                     text);
}

static bool parse_amount(const char *option, const char *text, double *amount, struct error *err) {
    return (parse_double(slice_from(text), amount) && *amount > 0) ||
           error_set(err, ERROR_INVALID, "--%s: expected a number above 0, found '%s'", option,
                     text);
}

static bool parse_rate(const char *option, const char *text, double *rps, struct error *err) {
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
    if (!parse_span("season", text, &ms, err)) {
        return false;
    }
    size_t at = (*count)++;
    for (; at > 0 && season_ms[at - 1] > ms; at--) {
        season_ms[at] = season_ms[at - 1];
    }
    season_ms[at] = ms;
    return true;
}

/* ---- the table ---- */

static bool take(const struct option_field *f, void *request, const char *value,
                 struct error *err) {
    void *into = (char *)request + f->offset;
    switch (f->type) {
    case OPTION_FLAG:
        *(bool *)into = true;
        return true;
    case OPTION_TEXT:
        *(const char **)into = value;
        return true;
    case OPTION_SLICE:
        *(struct slice *)into = slice_from(value);
        return true;
    case OPTION_SPAN:
        return parse_span(f->name, value, into, err);
    case OPTION_AMOUNT:
        return parse_amount(f->name, value, into, err);
    case OPTION_RATE:
        return parse_rate(f->name, value, into, err);
    case OPTION_COUNT:
        return options_count(f->name, value, f->range, into, err);
    case OPTION_OWN:
        break;
    }
    return f->take(request, value, err);
}

#define FIRST_FIELD 256 /* none is taken for getopt's ':' or '?' */

static bool parse(const struct options_table *table, void *request, int argc, char **argv,
                  struct error *err) {
    struct option list[OPTIONS_MAX + 1] = { 0 };
    int found;
    assert(table->len <= OPTIONS_MAX);
    for (size_t i = 0; i < table->len; i++) {
        list[i].name = table->fields[i].name;
        list[i].has_arg = table->fields[i].type == OPTION_FLAG ? no_argument : required_argument;
        list[i].val = FIRST_FIELD + (int)i;
    }
    opterr = 0;
    while ((found = getopt_long(argc, argv, ":", list, NULL)) != -1) {
        if (found < FIRST_FIELD) {
            return error_set(err, ERROR_INVALID,
                             found == ':' ? "%s lacks its value; `tidegate %s --help` says which"
                                          : "'%s' is not an option of %s",
                             argv[optind - 1], table->verb);
        }
        if (!take(&table->fields[found - FIRST_FIELD], request, optarg, err)) {
            return false;
        }
    }
    return true;
}

static bool wants_help(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }
    return false;
}

bool options_take(const struct options_table *table, void *request, int argc, char **argv,
                  int *status) {
    struct error err = { 0 };
    if (wants_help(argc, argv)) {
        fputs(table->help, stdout);
        *status = EXIT_DONE;
        return false;
    }
    if (!parse(table, request, argc, argv, &err)) {
        *status = options_failed(table, &err);
        return false;
    }
    return true;
}

int options_failed(const struct options_table *table, const struct error *err) {
    fprintf(stderr, "tidegate %s: %s\n", table->verb, err->text);
    bool missing = err->kind == ERROR_SYSTEM && err->system_errno == ENOENT;
    return err->kind == ERROR_INVALID || err->kind == ERROR_LIMIT || missing ? EXIT_USAGE
                                                                             : EXIT_BROKE;
}

int options_misused(const struct options_table *table) {
    fputs(table->help, stderr);
    return EXIT_USAGE;
}

/* ---- --config and --service ---- */

bool options_load_shop(const char *config_path, struct shop *shop, struct error *err) {
    struct config_report report;
    config_report_init(&report);
    bool loaded = shop_load(config_path, shop, &report);
    if (!loaded) {
        config_report_print(&report, stderr);
    }
    config_report_fini(&report);
    return loaded || error_set(err, ERROR_INVALID, "%s has errors", config_path);
}

const struct service_config *options_service(const struct shop *shop, const char *name,
                                             const char *config_path, struct error *err) {
    const struct service_config *service =
        name == NULL ? &shop->services[0] : shop_service(shop, slice_from(name));
    if (service == NULL) {
        error_set(err, ERROR_INVALID, "--service: there is no '%s' in %s", name, config_path);
    }
    return service;
}
