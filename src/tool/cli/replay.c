/* tidegate replay TRACE --to URL: visitors from a recorded trace or access log, open loop. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/units.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"
#include "tool/load/load.h"

#define SUMMARY_BYTES_MAX 16384
#define CONNECTIONS_MAX 60000 /* the ports of one client address */
#define CUSTOMERS_MAX 1000000
#define SHOP_PRODUCTS 1000 /* of examples/shop */

static const char help[] =
    "usage: tidegate replay TRACE --to URL [OPTION…]\n"
    "Sends the requests of a recorded trace at their times, whether or not earlier ones were\n"
    "answered; latency counts from the time a request was wanted. TRACE, plain or gzip, is CSV of\n"
    "requests per interval, or an access log (Common or Combined Log Format, or Tidegate's JSON),\n"
    "whose methods and paths are asked for again.\n\n"
    "  --to URL             http://HOST[:PORT]\n"
    "  --speed N            60: a minute of the trace takes a second (default 1)\n"
    "  --scale F            times as many requests (default 1)\n"
    "  --sessions           visitors who walk the example shop, from the first page to an order;\n"
    "                       the requests offered a second remain those of the trace\n"
    "  --think D            what they think between two pages, on average (default 3s)\n"
    "  --customers N        how many different ones are signed in: C1001 and on (default 200)\n"
    "  --connections N      at most, kept alive (default 2000); who finds none waits\n"
    "  --timeout D          from the wish to the last byte (default 30s)\n"
    "  --column NAME        of a CSV (default: the first numeric column)\n"
    "  --seed N             the same arrivals and visitors again (default 1)\n"
    "  --report FILE        JSON: served, refused, failed, latency by stage, each second\n"
    "  --json               the same to stdout\n\n"
    "A summary goes to stderr. Exit status: 0 done, whatever was answered; 2 bad usage or input;\n"
    "3 it broke or was interrupted\n";

struct request {
    const char *path, *url, *report_path;
    bool json;
    struct arrivals_options trace;
    struct load_options load;
};

static bool parse_span(const char *option, const char *text, uint64_t *us, struct error *err) {
    int64_t ms;
    if (!units_parse_duration_ms(slice_from(text), &ms) || ms <= 0 || ms > MS_PER_DAY) {
        return error_set(err, ERROR_INVALID,
                         "--%s: expected a duration such as 500ms or 30s, at most 24h, found '%s'",
                         option, text);
    }
    *us = (uint64_t)ms * 1000;
    return true;
}

static bool take_think(void *request, const char *value, struct error *err) {
    uint64_t us = 0;
    if (!parse_span("think", value, &us, err)) {
        return false;
    }
    ((struct request *)request)->load.habits.think_us_mean = (double)us;
    return true;
}

static bool take_timeout(void *request, const char *value, struct error *err) {
    return parse_span("timeout", value, &((struct request *)request)->load.timeout_us, err);
}

static bool take_seed(void *request, const char *value, struct error *err) {
    struct request *q = request;
    if (!options_number("seed", value, &q->trace.seed, err)) {
        return false;
    }
    q->load.seed = q->trace.seed;
    return true;
}

static const struct option_field options[] = {
    { "to", OPTION_TEXT, .offset = offsetof(struct request, url) },
    { "speed", OPTION_AMOUNT, .offset = offsetof(struct request, trace.speed) },
    { "scale", OPTION_AMOUNT, .offset = offsetof(struct request, trace.scale) },
    { "sessions", OPTION_FLAG, .offset = offsetof(struct request, load.sessions) },
    { "think", OPTION_OWN, .take = take_think },
    { "customers", OPTION_COUNT, .offset = offsetof(struct request, load.habits.customers),
      .range = { 0, CUSTOMERS_MAX } },
    { "connections", OPTION_COUNT, .offset = offsetof(struct request, load.connections_max),
      .range = { 1, CONNECTIONS_MAX } },
    { "timeout", OPTION_OWN, .take = take_timeout },
    { "column", OPTION_SLICE, .offset = offsetof(struct request, trace.column) },
    { "seed", OPTION_OWN, .take = take_seed },
    { "report", OPTION_TEXT, .offset = offsetof(struct request, report_path) },
    { "json", OPTION_FLAG, .offset = offsetof(struct request, json) },
};
static const struct options_table table = OPTIONS_TABLE("replay", options);

static void request_init(struct request *q) {
    *q = (struct request){
        .trace = { .speed = 1, .scale = 1, .seed = 1 },
        .load = { .habits = { .think_us_mean = 3e6, .customers = 200, .products = SHOP_PRODUCTS },
                  .connections_max = 2000,
                  .timeout_us = 30000000,
                  .seed = 1 },
    };
}

static bool take_operands(struct request *q, int argc, char **argv, struct error *err) {
    if (optind != argc - 1) {
        return error_set(err, ERROR_INVALID, "expected one TRACE");
    }
    q->path = argv[optind];
    return (q->url != NULL || error_set(err, ERROR_INVALID, "expected --to http://HOST[:PORT]")) &&
           (target_find(&q->load.target, slice_from(q->url), err) || error_wrap(err, "--to"));
}

static void say_before(const struct request *q, const struct arrivals *a) {
    fprintf(stderr, "%s: about %.0f requests in %.0f s to %s\n", q->path, arrivals_total(a),
            (double)arrivals_duration_us(a) / 1e6, q->url);
    if (a->missing > 0) {
        fprintf(stderr, "%zu of %zu intervals are not recorded: nobody comes in them\n", a->missing,
                a->len);
    }
    if (a->skipped > 0) {
        fprintf(stderr, "%zu lines are passed over: their requests cannot be sent again\n",
                a->skipped);
    }
}

static bool publish(const struct request *q, const struct tally *t, struct error *err) {
    struct buffer words;
    buffer_init(&words, SUMMARY_BYTES_MAX);
    tally_write_words(t, &words);
    fprintf(stderr, "%.*s", SLICE_ARG(buffer_slice(&words)));
    buffer_fini(&words);
    return (q->report_path == NULL || tally_write_json(t, q->report_path, err)) &&
           (!q->json || tally_write_json(t, "-", err)) &&
           (!t->interrupted || error_set(err, ERROR_UNAVAILABLE, "interrupted"));
}

static bool answer_request(struct request *q, struct error *err) {
    struct arrivals arrivals;
    static struct tally tally; /* large for a stack */
    if (!arrivals_read(&arrivals, q->path, &q->trace, err)) {
        return false;
    }
    say_before(q, &arrivals);
    q->load.progress = isatty(STDERR_FILENO);
    bool ok = load_run(&q->load, &arrivals, &tally, err);
    if (ok) {
        ok = publish(q, &tally, err);
        tally_fini(&tally);
    }
    arrivals_fini(&arrivals);
    return ok;
}

int cli_replay(int argc, char **argv) {
    struct request request;
    struct error err = { 0 };
    int status;
    request_init(&request);
    if (!options_take(&table, &request, argc, argv, &status)) {
        return status;
    }
    if (!take_operands(&request, argc, argv, &err) || !answer_request(&request, &err)) {
        return options_failed(&table, &err);
    }
    return EXIT_DONE;
}
