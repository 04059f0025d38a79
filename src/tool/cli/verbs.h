/* The verbs: each takes its own arguments (argv[0] is the verb) and returns the exit status of
 * DESIGN.md §4. One file a verb; the table is in main.c. */
#pragma once

#include <stddef.h>

enum { EXIT_DONE = 0, EXIT_NO = 1, EXIT_USAGE = 2, EXIT_BROKE = 3 };

struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help; /* NULL: works, but is not listed */
};

extern const struct verb cli_verbs[];
extern const size_t cli_verb_count;

int cli_run(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_top(int argc, char **argv);
int cli_reload(int argc, char **argv);
int cli_upgrade(int argc, char **argv);
int cli_replay(int argc, char **argv);
int cli_forecast(int argc, char **argv);
int cli_backtest(int argc, char **argv);
int cli_simulate(int argc, char **argv);
int cli_audit(int argc, char **argv);
int cli_campaign(int argc, char **argv);
int cli_maintenance(int argc, char **argv);
int cli_token(int argc, char **argv);
int cli_reference(int argc, char **argv);
