/* tidegate maintenance start|end|list: instances out of rotation by hand. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "tool/cli/ask.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"

#define PATH_BYTES_MAX 900
#define LOOK_AGAIN_MS 200

static const char help[] =
    "usage: tidegate maintenance start SERVICE/INSTANCE [OPTION…]   out of rotation\n"
    "       tidegate maintenance end SERVICE/INSTANCE [OPTION…]     back into it\n"
    "       tidegate maintenance list [OPTION…]                     who is out, until when and "
    "why\n\n"
    "The instance takes no new requests and finishes what it carries; what is still there after\n"
    "timeouts.drain (WebSockets, say) is closed. It is neither healed nor replaced nor counted as\n"
    "capacity, and it runs on. The last instance that serves is not taken out: exit status 1.\n\n"
    "  --for DURATION   start: it ends by itself, after 30m, say\n"
    "  --reason TEXT    start: for those who wonder; it is in the decisions\n"
    "  --force          start: even the last one that serves\n"
    "  --wait           start: return when nothing is in flight there any more\n"
    "  --config FILE    the Tidegate of that file; without it that of the current folder\n"
    "  --json           for programs\n";

struct request {
    const char *config, *duration, *reason, *subject;
    bool force, wait, json;
};

static const struct option_field options[] = {
    { "config", OPTION_TEXT, .offset = offsetof(struct request, config) },
    { "for", OPTION_TEXT, .offset = offsetof(struct request, duration) },
    { "reason", OPTION_TEXT, .offset = offsetof(struct request, reason) },
    { "force", OPTION_FLAG, .offset = offsetof(struct request, force) },
    { "wait", OPTION_FLAG, .offset = offsetof(struct request, wait) },
    { "json", OPTION_FLAG, .offset = offsetof(struct request, json) },
};
static const struct options_table table = OPTIONS_TABLE("maintenance", options);

/* ---- the question ---- */

/* False when it is too long. */
static bool write_path(const struct request *r, struct buffer *out) {
    struct slice rest = slice_from(r->subject), service;
    char separator = '?';
    (void)slice_cut(&rest, '/', &service);
    return buffer_append_text(out, "/api/v1/services/") && ask_append_encoded(out, service) &&
           buffer_append_text(out, "/endpoints/") && ask_append_encoded(out, rest) &&
           buffer_append_text(out, "/maintenance") &&
           ask_append_parameter(out, &separator, "for", r->duration) &&
           ask_append_parameter(out, &separator, "reason", r->reason) &&
           ask_append_parameter(out, &separator, "force", r->force ? "true" : NULL) &&
           buffer_append_byte(out, '\0');
}

/* ---- the answer ---- */

static int ask_or_say(const struct request *r, const char *method, const char *path,
                      struct answer *answer) {
    struct error err;
    if (!ask(r->config, method, path, answer, &err)) {
        fprintf(stderr, "tidegate maintenance: %s\n", err.text);
        return EXIT_BROKE;
    }
    return ask_judge("maintenance", answer);
}

static int change(const struct request *r, const char *method, struct answer *answer) {
    struct buffer path;
    buffer_init(&path, PATH_BYTES_MAX);
    if (!write_path(r, &path)) {
        fputs("tidegate maintenance: that is too long\n", stderr);
        buffer_fini(&path);
        return EXIT_USAGE;
    }
    int status = ask_or_say(r, method, buffer_slice(&path).data, answer);
    buffer_fini(&path);
    return status;
}

/* ---- the verbs ---- */

static const json_t *find(const json_t *list, const char *subject) {
    const json_t *item;
    size_t i;
    json_array_foreach (list, i, item) {
        char name[160];
        snprintf(name, sizeof name, "%s/%s", ask_text(item, "service", ""),
                 ask_text(item, "instance", ""));
        if (strcmp(name, subject) == 0) {
            return item;
        }
    }
    return NULL;
}

/* Somebody may end it meanwhile: then there is nothing to wait for, and that is no success. */
static int wait_until_idle(const struct request *r) {
    for (;;) {
        struct answer answer;
        int status = ask_or_say(r, "GET", "/api/v1/maintenance", &answer);
        const json_t *entry = find(json_object_get(answer.body, "maintenance"), r->subject);
        json_int_t in_flight = json_integer_value(json_object_get(entry, "in_flight"));
        bool over = status != EXIT_DONE || entry == NULL || in_flight == 0;
        if (status == EXIT_DONE && entry == NULL) {
            fprintf(stderr, "tidegate maintenance: %s is not in maintenance any more\n",
                    r->subject);
            status = EXIT_NO;
        }
        answer_fini(&answer);
        if (over) {
            return status;
        }
        nanosleep(&(struct timespec){ .tv_nsec = LOOK_AGAIN_MS * 1000000L }, NULL);
    }
}

static int start(const struct request *r) {
    struct answer answer;
    int status = change(r, "POST", &answer);
    if (status == EXIT_DONE && r->wait) {
        status = wait_until_idle(r);
    }
    if (status == EXIT_DONE && r->json) {
        ask_print_json(answer.body);
    } else if (status == EXIT_DONE) {
        printf("%s is out of rotation%s%s\n", r->subject,
               ask_text(answer.body, "until", NULL) != NULL ? " until " : "",
               ask_text(answer.body, "until", ""));
    }
    answer_fini(&answer);
    return status;
}

static int end(const struct request *r) {
    struct answer answer;
    int status = change(r, "DELETE", &answer);
    if (status == EXIT_DONE && r->json) {
        ask_print_json(answer.body);
    } else if (status == EXIT_DONE) {
        printf("%s is back\n", r->subject);
    }
    answer_fini(&answer);
    return status;
}

static int list(const struct request *r) {
    struct answer answer;
    int status = ask_or_say(r, "GET", "/api/v1/maintenance", &answer);
    const json_t *entries = json_object_get(answer.body, "maintenance"), *item;
    size_t i;
    if (status == EXIT_DONE && r->json) {
        ask_print_json(answer.body);
    } else if (status == EXIT_DONE) {
        json_array_foreach (entries, i, item) {
            const json_t *in_flight = json_object_get(item, "in_flight");
            printf("%s/%s  since %s  until %s  in flight %lld  by %s  %s\n",
                   ask_text(item, "service", ""), ask_text(item, "instance", ""),
                   ask_text(item, "since", "-"), ask_text(item, "until", "it is ended"),
                   (long long)json_integer_value(in_flight), ask_text(item, "by", "-"),
                   ask_text(item, "reason", ""));
        }
    }
    answer_fini(&answer);
    return status;
}

int cli_maintenance(int argc, char **argv) {
    struct request r = { .config = NULL };
    int status;
    if (!options_take(&table, &r, argc, argv, &status)) {
        return status;
    }
    const char *verb = optind < argc ? argv[optind] : "";
    bool lists = strcmp(verb, "list") == 0, starts = strcmp(verb, "start") == 0;
    bool of_start = r.duration != NULL || r.reason != NULL || r.force || r.wait;
    if (argc - optind != (lists ? 1 : 2) || (of_start && !starts)) {
        return options_misused(&table);
    }
    r.subject = lists ? NULL : argv[optind + 1];
    if (lists) {
        return list(&r);
    }
    if (strchr(r.subject, '/') == NULL || (!starts && strcmp(verb, "end") != 0)) {
        return options_misused(&table);
    }
    return starts ? start(&r) : end(&r);
}
