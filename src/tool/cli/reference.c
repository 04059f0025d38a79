/* tidegate reference config: docs/reference/config.md, from the tables that parse it. */
#include <stdio.h>
#include <string.h>

#include "act/control/shop.h"
#include "tool/cli/verbs.h"

static const char head[] =
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

int cli_reference(int argc, char **argv) {
    if (argc != 2 || strcmp(argv[1], "config") != 0) {
        fputs("usage: tidegate reference config\n", stderr);
        return EXIT_USAGE;
    }
    fputs(head, stdout);
    config_reference(&shop_table, stdout);
    return EXIT_DONE;
}
