/* tidegate check shop.yaml: every error of the configuration at once, and of the files it names. */
#include <stdio.h>
#include <string.h>

#include "act/control/inputs.h"
#include "act/control/shop.h"
#include "base/clock.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"

static const char help[] =
    "usage: tidegate check shop.yaml\n\n"
    "Prints every error and warning of the configuration, and of the calendar, customers and "
    "history\n"
    "that it names, as FILE:LINE:COLUMN: what was expected. Exit status 1 when there are errors.\n";

static const struct options_table table = { .verb = "check", .help = help };

static const char *plural(size_t count) {
    return count == 1 ? "" : "s";
}

int cli_check(int argc, char **argv) {
    struct shop shop;
    struct config_report report;
    int status;
    if (!options_take(&table, NULL, argc, argv, &status)) {
        return status;
    }
    if (argc - optind != 1) {
        return options_misused(&table);
    }
    const char *path = argv[optind];
    config_report_init(&report);
    bool good = shop_load(path, &shop, &report);
    if (good) {
        good = inputs_check(&shop, clock_unix_ms(), &report);
        if (good) {
            printf("%s: good: %zu service%s, %zu route%s, %zu listener%s\n", path,
                   shop.service_count, plural(shop.service_count), shop.route_count,
                   plural(shop.route_count), shop.listen_count, plural(shop.listen_count));
        }
        shop_fini(&shop);
    }
    config_report_print(&report, stderr);
    if (!good) {
        fprintf(stderr, "%s: %u error%s\n", path, report.errors, plural(report.errors));
    }
    config_report_fini(&report);
    return good ? EXIT_DONE : EXIT_NO;
}
