/* tidegate check shop.yaml: every error of the configuration at once, and of the files it names. */
#include <stdio.h>
#include <string.h>

#include "act/control/inputs.h"
#include "act/control/shop.h"
#include "base/clock.h"
#include "tool/cli/verbs.h"

static const char help[] =
    "usage: tidegate check shop.yaml\n\n"
    "Prints every error and warning of the configuration, and of the calendar, customers and "
    "history\n"
    "that it names, as FILE:LINE:COLUMN: what was expected. Exit status 1 when there are errors.\n";

int cli_check(int argc, char **argv) {
    struct shop shop;
    struct config_report report;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return EXIT_DONE;
    }
    if (argc != 2 || argv[1][0] == '-') {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    config_report_init(&report);
    bool good = shop_load(argv[1], &shop, &report);
    if (good) {
        good = inputs_check(&shop, clock_unix_ms(), &report);
        if (good) {
            printf("%s: good: %zu services, %zu routes, %zu listeners\n", argv[1],
                   shop.service_count, shop.route_count, shop.listen_count);
        }
        shop_fini(&shop);
    }
    config_report_print(&report, stderr);
    if (!good) {
        fprintf(stderr, "%s: %u error%s\n", argv[1], report.errors, report.errors == 1 ? "" : "s");
    }
    config_report_fini(&report);
    return good ? EXIT_DONE : EXIT_NO;
}
