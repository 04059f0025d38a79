/* tidegate VERB …: the table of verbs. */
#include <stdio.h>
#include <string.h>

#include "tool/cli/verbs.h"
#include "wire/net/tls.h"

const struct verb cli_verbs[] = {
    { "run", cli_run,
      "shop.yaml | --to HOST:PORT…   carry traffic: supervisor, workers, controller" },
    { "check", cli_check, "shop.yaml                     every error of a configuration at once" },
    { "status", cli_status, "what runs now" },
    { "top", cli_top, "what runs now, live in the terminal" },
    { "reload", cli_reload, "take up the changed configuration; no connection is closed" },
    { "upgrade", cli_upgrade, "a new binary takes over; nothing is dropped" },
    { "maintenance", cli_maintenance,
      "start | end | list            an instance out of rotation by hand" },
    { "campaign", cli_campaign,
      "add | list | remove | import  what is announced: sends, sales, events" },
    { "replay", cli_replay, "TRACE --to URL                visitors from a real trace, open loop" },
    { "forecast", cli_forecast, "FILE --horizon 24h            demand ahead, with its quantiles" },
    { "backtest", cli_backtest, "FILE                          policies on recorded demand" },
    { "simulate", cli_simulate,
      "--config shop.yaml --seed N   days that never were, with faults, and what must hold" },
    { "audit", cli_audit,
      "list | verify                 the decisions, and whether they are whole" },
    { "token", cli_token,
      "create | list | revoke        who may ask the API over TCP, and change things" },
    { "reference", cli_reference, NULL },
};
const size_t cli_verb_count = sizeof cli_verbs / sizeof cli_verbs[0];

static int usage(FILE *to, int status) {
    fputs("usage: tidegate VERB [ARGUMENT…]       tidegate VERB --help says more\n\n", to);
    for (size_t i = 0; i < cli_verb_count; i++) {
        if (cli_verbs[i].help != NULL) {
            fprintf(to, "  %-11s %s\n", cli_verbs[i].name, cli_verbs[i].help);
        }
    }
    fputs("\nexit status: 0 done, 1 the answer is no, 2 bad usage or input, 3 it broke\n", to);
    return status;
}

int main(int argc, char **argv) {
    tls_init();
    if (argc < 2) {
        return usage(stderr, EXIT_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        return usage(stdout, EXIT_DONE);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("tidegate " TIDEGATE_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < cli_verb_count; i++) {
        if (strcmp(argv[1], cli_verbs[i].name) == 0) {
            return cli_verbs[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "tidegate: '%s' is not a verb\n", argv[1]);
    return usage(stderr, EXIT_USAGE);
}
