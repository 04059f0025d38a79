/* tidegate reference: docs/reference/config.md from the tables that parse it, docs/reference/cli.md
 * from what each verb says of itself. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "act/control/shop.h"
#include "tool/cli/verbs.h"

static const char help[] =
    "usage: tidegate reference config     docs/reference/config.md, from the tables that parse it\n"
    "       tidegate reference cli        docs/reference/cli.md, from what each verb says of "
    "itself\n";

static const char config_head[] =
    "# Configuration\n\n"
    "Made from the tables in the code by `tidegate reference config`; `make tidy` checks that it "
    "is up to date.\n"
    "YAML; `tidegate check shop.yaml` prints every error at once. Relative paths are meant from "
    "the folder of the file\n"
    "they stand in. Durations are written `250ms`, `10s`, `5m`, `24h`, `14d`; sizes `64KiB`, "
    "`512MiB`; rates `100/s`; shares\n"
    "`99%`; money `0.096 EUR` (one currency in the whole configuration).\n\n"
    "The smallest useful file:\n\n"
    "```yaml\n"
    "listen: [ { address: \":8080\" } ]\n"
    "services:\n"
    "  storefront: { command: [node, server.js, --port, \"$PORT\"], health: { path: /healthz } }\n"
    "routes:\n"
    "  - { path: /, service: storefront }\n"
    "```\n\n"
    "## At the top\n\n";

static const char cli_head[] =
    "# The command line\n\n"
    "What each `tidegate VERB --help` says, by `tidegate reference cli`; `make tidy` checks that "
    "it is up to date.\n\n"
    "Data goes to stdout, talk to stderr. Exit status: 0 done; 1 the answer is no (`check` found "
    "errors, a broken audit\n"
    "chain, a reload that was refused); 2 bad usage or input; 3 it broke.\n\n"
    "Signals of `run`: TERM and INT finish what is under way and end; HUP reads the configuration "
    "again.\n";

static int print_config(void) {
    fputs(config_head, stdout);
    config_reference(&shop_table, stdout);
    return EXIT_DONE;
}

static int print_cli(void) {
    fputs(cli_head, stdout);
    for (size_t i = 0; i < cli_verb_count; i++) {
        const struct verb *verb = &cli_verbs[i];
        char name[32], option[] = "--help", *arguments[] = { name, option, NULL };
        snprintf(name, sizeof name, "%s", verb->name);
        printf("\n## %s\n\n```\n", verb->name);
        optind = 0; /* getopt begins anew */
        if (verb->run(2, arguments) != EXIT_DONE) {
            return EXIT_BROKE;
        }
        fputs("```\n", stdout);
    }
    return EXIT_DONE;
}

int cli_reference(int argc, char **argv) {
    const char *what = argc == 2 ? argv[1] : "";
    if (strcmp(what, "config") == 0) {
        return print_config();
    }
    if (strcmp(what, "cli") == 0) {
        return print_cli();
    }
    bool asked = strcmp(what, "--help") == 0;
    fputs(help, asked ? stdout : stderr);
    return asked ? EXIT_DONE : EXIT_USAGE;
}
