/* tidegate reload: the running Tidegate reads its configuration again. */
#include <stdio.h>
#include <string.h>

#include "tool/cli/ask.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"

static const char help[] =
    "usage: tidegate reload [shop.yaml]\n\n"
    "The Tidegate of this folder (or of that file) takes up its changed configuration. No "
    "connection is\n"
    "closed. When it has errors they are printed, nothing changes, and the exit status is 1.\n"
    "`admin`, `store` and `workers` are read at the start only; a change is told.\n";

static void print_lines(const json_t *lines) {
    const json_t *line;
    size_t i;
    json_array_foreach (lines, i, line) {
        fprintf(stderr, "%s\n", json_is_string(line) ? json_string_value(line) : "?");
    }
}

static void print_errors(const json_t *body) {
    const json_t *errors = json_object_get(body, "errors");
    print_lines(errors);
    const char *detail = json_string_value(json_object_get(body, "detail"));
    if (json_array_size(errors) == 0 && detail != NULL) {
        fprintf(stderr, "%s\n", detail);
    }
}

static const struct options_table table = { .verb = "reload", .help = help };

int cli_reload(int argc, char **argv) {
    struct answer answer;
    struct error err;
    int status;
    if (!options_take(&table, NULL, argc, argv, &status)) {
        return status;
    }
    if (argc - optind > 1) {
        return options_misused(&table);
    }
    if (!ask(optind < argc ? argv[optind] : NULL, "POST", "/api/v1/reload", &answer, &err)) {
        fprintf(stderr, "tidegate reload: %s\n", err.text);
        return EXIT_BROKE;
    }
    bool refused = answer.status == 422, done = answer.status >= 200 && answer.status < 300;
    if (done) {
        print_lines(json_object_get(answer.body, "warnings"));
    } else {
        print_errors(answer.body);
    }
    answer_fini(&answer);
    if (done) {
        puts("reloaded");
    } else {
        fputs("tidegate reload: nothing was changed\n", stderr);
    }
    return done ? EXIT_DONE : refused ? EXIT_NO : EXIT_BROKE;
}
