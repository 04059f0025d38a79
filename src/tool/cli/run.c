/* tidegate run: supervisor, workers and controller, in the foreground. */
#include <stdio.h>
#include <string.h>

#include "act/control/inputs.h"
#include "act/control/state.h"
#include "act/control/supervisor.h"
#include "base/clock.h"
#include "record/store/store.h"
#include "tool/cli/verbs.h"

#define ENDPOINTS_MAX 64

static const char help[] =
    "usage: tidegate run shop.yaml\n"
    "       tidegate run --to HOST:PORT [HOST:PORT…] [--listen ADDRESS]\n\n"
    "Carries traffic until TERM or INT: then what is under way is finished. HUP reads shop.yaml "
    "again,\nUSR2 hands over to the binary that is now where this one was (tidegate upgrade).\n\n"
    "  --to HOST:PORT…     no file: all requests go to these addresses, with safe defaults\n"
    "  --listen ADDRESS    with --to: where visitors come in (default :8080)\n\n"
    "What it remembers is in var/ beside shop.yaml (with --to: in the current folder).\n"
    "The dashboard is at http://127.0.0.1:9900/ unless admin.address says otherwise.\n";

struct request {
    const char *config_path; /* NULL: endpoints */
    const char *endpoints[ENDPOINTS_MAX];
    size_t endpoint_count;
    const char *listen;
};

static int usage_error(const char *text, const char *what) {
    fprintf(stderr, "tidegate run: %s%s\n\n%s", text, what, help);
    return EXIT_USAGE;
}

static int parse_arguments(int argc, char **argv, struct request *r) {
    bool to = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--to") == 0) {
            to = true;
        } else if (strcmp(argv[i], "--listen") == 0 && i + 1 < argc) {
            r->listen = argv[++i];
        } else if (argv[i][0] == '-') {
            return usage_error("unknown option, or one without its value: ", argv[i]);
        } else if (to && r->endpoint_count < ENDPOINTS_MAX) {
            r->endpoints[r->endpoint_count++] = argv[i];
        } else if (!to && r->config_path == NULL) {
            r->config_path = argv[i];
        } else {
            return usage_error("one too many: ", argv[i]);
        }
    }
    if (to && r->endpoint_count == 0) {
        return usage_error("--to: expected HOST:PORT", "");
    }
    if ((r->config_path != NULL) == to) {
        return usage_error("expected shop.yaml, or --to HOST:PORT", "");
    }
    if (!to && r->listen != NULL) {
        return usage_error("--listen goes with --to; a file has `listen:`", "");
    }
    return EXIT_DONE;
}

static bool load(const struct request *r, struct shop *shop) {
    struct config_report report;
    config_report_init(&report);
    bool good = r->config_path != NULL
                    ? shop_load(r->config_path, shop, &report)
                    : shop_default(r->endpoints, r->endpoint_count, r->listen, shop, &report);
    if (good && !inputs_check(shop, clock_unix_ms(), &report)) {
        shop_fini(shop);
        good = false;
    }
    config_report_print(&report, stderr);
    config_report_fini(&report);
    return good;
}

/* The folder that a relative store path is meant from: that of the state folder. */
static bool check_store(const struct request *r, const struct shop *shop, struct error *err) {
    struct state_folder state;
    if (!state_folder_find(r->config_path, &state, err)) {
        return false;
    }
    char *slash = strrchr(state.path, '/');
    *(slash == state.path ? slash + 1 : slash) = '\0';
    return store_check(slice_from(shop->store), state.path, err);
}

int cli_run(int argc, char **argv) {
    struct request request = { 0 };
    struct shop shop;
    struct error err = { 0 };
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return EXIT_DONE;
    }
    int status = parse_arguments(argc, argv, &request);
    if (status != EXIT_DONE) {
        return status;
    }
    if (!load(&request, &shop)) {
        return EXIT_USAGE;
    }
    if (!check_store(&request, &shop, &err)) {
        fprintf(stderr, "tidegate run: store: %s\n", err.text);
        shop_fini(&shop);
        return err.kind == ERROR_INVALID ? EXIT_USAGE : EXIT_BROKE;
    }
    bool done = supervisor_run(&shop, request.config_path, argv, &err);
    shop_fini(&shop);
    if (!done) {
        fprintf(stderr, "tidegate run: %s\n", err.text);
    }
    return done ? EXIT_DONE : err.kind == ERROR_INVALID ? EXIT_USAGE : EXIT_BROKE;
}
