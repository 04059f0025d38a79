/* tidegate audit list|verify: the decisions as they were written, and whether they still are. Reads
 * the store; a running Tidegate is not disturbed. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "record/store/store.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"

#define STORE_DEFAULT "sqlite:var/tidegate.db"
#define LIMIT_DEFAULT 100

static const char help[] =
    "usage: tidegate audit list [OPTION…]     the decisions with their reasons, newest first\n"
    "       tidegate audit verify [OPTION…]   whether each is as it was written; exit status 1 "
    "and\n"
    "                                         the first broken one if not\n\n"
    "  --store SPEC     default " STORE_DEFAULT ", in the current folder\n"
    "  --limit N        list: at most so many (default 100)\n"
    "  --service NAME   list: of that service only\n"
    "  --kind KIND      list: of that kind only\n"
    "  --json           for programs; list: a line each\n\n"
    "verify prints the hash of the last link. Noted elsewhere, it shows later that nothing was "
    "cut\n"
    "off at the end: the chain itself can't show that.\n";

struct request {
    const char *store;
    struct store_decision_query query;
    bool json;
};

static const struct option_field options[] = {
    { "store", OPTION_TEXT, .offset = offsetof(struct request, store) },
    { "limit", OPTION_COUNT, .offset = offsetof(struct request, query.limit),
      .range = { 1, STORE_QUERY_ROWS_MAX } },
    { "service", OPTION_SLICE, .offset = offsetof(struct request, query.service) },
    { "kind", OPTION_SLICE, .offset = offsetof(struct request, query.kind) },
    { "json", OPTION_FLAG, .offset = offsetof(struct request, json) },
};
static const struct options_table table = OPTIONS_TABLE("audit", options);

static int fail(const struct error *err) {
    fprintf(stderr, "tidegate audit: %s\n", err->text);
    return err->kind == ERROR_INVALID || err->kind == ERROR_NOT_FOUND ? EXIT_USAGE : EXIT_BROKE;
}

/* ---- list ---- */

static json_t *known(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static void print_json(const struct decision *d, const char *time) {
    json_t *evidence = json_loads(d->evidence[0] == '\0' ? "{}" : d->evidence, 0, NULL);
    json_t *line = json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "id", (json_int_t)d->id, "time",
        time, "kind", d->kind, "service", d->service, "subject", d->subject, "action", d->action,
        "reason", d->reason, "evidence", evidence != NULL ? evidence : json_null(), "worth",
        known(d->worth), "noticed_ms", known(d->noticed_ms), "healed_ms", known(d->healed_ms));
    if (line == NULL) {
        fprintf(stderr, "tidegate audit: decision %" PRId64 " holds text that is not UTF-8\n",
                d->id);
        return;
    }
    json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(10));
    putchar('\n');
    json_decref(line);
}

static bool print_decision(void *self, const struct decision *d) {
    const struct request *r = self;
    char time[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(d->time_ms, time);
    if (r->json) {
        print_json(d, time);
        return true;
    }
    printf("%6" PRId64 "  %-24s  %-8s  %s %s: %s", d->id, time, d->kind, d->action,
           d->subject[0] != '\0' ? d->subject : d->service, d->reason);
    if (!isnan(d->healed_ms)) {
        printf(" (healed after %.0f ms)", d->healed_ms);
    }
    putchar('\n');
    return true;
}

static int list(struct request *r, struct store *store) {
    struct error err = { 0 };
    if (!store_read_decisions(store, &r->query, print_decision, r, &err)) {
        return fail(&err);
    }
    return EXIT_DONE;
}

/* ---- verify ---- */

static void print_verdict(const struct request *r, const struct store_chain *chain) {
    if (r->json) {
        printf("{\"whole\":%s,\"links\":%" PRIu64 ",\"head\":\"%s\",\"broken_id\":",
               chain->whole ? "true" : "false", chain->rows, chain->head_hash);
        if (chain->whole) {
            printf("null,\"problem\":null}\n");
        } else {
            printf("%" PRId64 ",\"problem\":\"%s\"}\n", chain->broken_id, chain->problem);
        }
    } else if (chain->whole) {
        printf("whole: %" PRIu64 " links, the last is %s\n", chain->rows, chain->head_hash);
    } else {
        printf("broken at decision %" PRId64 ": %s; %" PRIu64 " links before it are whole, to %s\n",
               chain->broken_id, chain->problem, chain->rows, chain->head_hash);
    }
}

static int verify(struct request *r, struct store *store) {
    struct store_chain chain;
    struct error err = { 0 };
    if (!store_verify_chain(store, &chain, &err)) {
        return fail(&err);
    }
    print_verdict(r, &chain);
    return chain.whole ? EXIT_DONE : EXIT_NO;
}

static int run(struct request *r, int (*verb)(struct request *, struct store *)) {
    struct error err = { 0 };
    struct store *store = store_open_reader(slice_from(r->store), NULL, &err);
    if (store == NULL) {
        return fail(&err);
    }
    int status = verb(r, store);
    store_close(store, 0);
    return status;
}

int cli_audit(int argc, char **argv) {
    struct request r = { .store = STORE_DEFAULT, .query = { .limit = LIMIT_DEFAULT } };
    int status;
    if (!options_take(&table, &r, argc, argv, &status)) {
        return status;
    }
    if (optind == argc - 1 && strcmp(argv[optind], "list") == 0) {
        return run(&r, list);
    }
    if (optind == argc - 1 && strcmp(argv[optind], "verify") == 0) {
        return run(&r, verify);
    }
    return options_misused(&table);
}
