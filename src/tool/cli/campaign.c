/* tidegate campaign add|list|remove|import: what marketing announces to a running Tidegate. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "act/api/api.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "config/units.h"
#include "decide/forecast/calendar.h"
#include "tool/cli/ask.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"

#define PATH_BYTES_MAX 1500
#define NUMBER_BYTES 32
/* Past ones teach; recurrences are expanded from then. */
#define IMPORT_BACK_MS (400 * MS_PER_DAY)
#define IMPORT_AHEAD_MS (400 * MS_PER_DAY)

static const char help[] =
    "usage: tidegate campaign add NAME --start TIME (--end TIME | --for DURATION) [OPTION…]\n"
    "       tidegate campaign list [OPTION…]          running and to come, and what is expected\n"
    "       tidegate campaign remove ID|NAME [OPTION…]   cancelled\n"
    "       tidegate campaign import FILE [OPTION…]   iCalendar or CSV start,end,name,kind,…\n\n"
    "Instances are there when a campaign begins. What it does to demand is learned from past ones "
    "of\n"
    "its kind and corrected while it runs. The same name and kind at an overlapping time is the "
    "same\n"
    "campaign: announced again it is changed, not doubled. With --id it is moved anywhere.\n\n"
    "  --start TIME       add: ISO 8601, or +DURATION from now (+30m)\n"
    "  --end TIME         add: likewise\n"
    "  --for DURATION     add: instead of --end\n"
    "  --kind KIND        add: of those that are alike (mail, push, sale); default campaign\n"
    "  --multiplier X     add: what the marketer expects, of the usual demand at the peak\n"
    "  --channel TEXT, --audience TEXT   add: for people\n"
    "  --id ID            add: of the campaign that is changed\n"
    "  --config FILE      the Tidegate of that file; without it that of the current folder\n"
    "  --json             for programs\n";

/* What is said of a campaign; NULL: not given. */
struct wording {
    const char *start, *end, *duration, *kind, *multiplier, *channel, *audience, *id;
};

struct request {
    const char *config_path;
    struct wording add;
    bool json;
};

static const struct option_field options[] = {
    { "config", OPTION_TEXT, .offset = offsetof(struct request, config_path) },
    { "start", OPTION_TEXT, .offset = offsetof(struct request, add.start) },
    { "end", OPTION_TEXT, .offset = offsetof(struct request, add.end) },
    { "for", OPTION_TEXT, .offset = offsetof(struct request, add.duration) },
    { "kind", OPTION_TEXT, .offset = offsetof(struct request, add.kind) },
    { "multiplier", OPTION_TEXT, .offset = offsetof(struct request, add.multiplier) },
    { "channel", OPTION_TEXT, .offset = offsetof(struct request, add.channel) },
    { "audience", OPTION_TEXT, .offset = offsetof(struct request, add.audience) },
    { "id", OPTION_TEXT, .offset = offsetof(struct request, add.id) },
    { "json", OPTION_FLAG, .offset = offsetof(struct request, json) },
};
static const struct options_table table = OPTIONS_TABLE("campaign", options);

static int ask_or_say(const struct request *r, const char *method, const struct buffer *path,
                      struct answer *answer) {
    struct error err;
    if (!ask(r->config_path, method, buffer_slice(path).data, answer, &err)) {
        fprintf(stderr, "tidegate campaign: %s\n", err.text);
        return EXIT_BROKE;
    }
    return ask_judge("campaign", answer);
}

/* ---- add ---- */

/* "+30m" is from now; anything else is for the API to judge. */
static bool write_time(const char *text, char out[NUMBER_BYTES]) {
    int64_t ms;
    if (text == NULL || text[0] != '+') {
        return text == NULL || snprintf(out, NUMBER_BYTES, "%s", text) < NUMBER_BYTES;
    }
    if (!units_parse_duration_ms(slice_from(text + 1), &ms)) {
        return false;
    }
    return snprintf(out, NUMBER_BYTES, "%.3f", (double)(clock_unix_ms() + ms) / 1000) <
           NUMBER_BYTES;
}

static bool write_add(const struct wording *w, const char *name, struct buffer *path) {
    char start[NUMBER_BYTES], end[NUMBER_BYTES], separator = '?';
    const struct {
        const char *name, *value;
    } parameters[] = {
        { "name", name },
        { "start", w->start != NULL ? start : NULL },
        { "end", w->end != NULL ? end : NULL },
        { "for", w->duration },
        { "kind", w->kind },
        { "multiplier", w->multiplier },
        { "channel", w->channel },
        { "audience", w->audience },
        { "id", w->id },
    };
    bool fits = write_time(w->start, start) && write_time(w->end, end) &&
                buffer_append_text(path, "/api/v1/campaigns");
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        fits =
            fits && ask_append_parameter(path, &separator, parameters[i].name, parameters[i].value);
    }
    return fits && buffer_append_byte(path, '\0');
}

static int add(const struct request *r, const char *name) {
    struct answer answer = { 0 };
    struct buffer path;
    buffer_init(&path, PATH_BYTES_MAX);
    int status = EXIT_USAGE;
    if (!write_add(&r->add, name, &path)) {
        fputs("tidegate campaign: expected a time such as 2026-11-27T08:00:00Z or +30m, and texts "
              "that are not that long\n",
              stderr);
    } else {
        status = ask_or_say(r, "POST", &path, &answer);
    }
    if (status == EXIT_DONE && r->json) {
        ask_print_json(answer.body);
    } else if (status == EXIT_DONE) {
        printf("%s  %s\n", ask_text(answer.body, "id", ""), name);
    }
    answer_fini(&answer);
    buffer_fini(&path);
    return status;
}

/* ---- list, remove ---- */

static void print_campaign(const json_t *c) {
    const json_t *expected = json_object_get(c, "expected");
    const json_t *peak = json_object_get(expected, "peak");
    printf("%s  %s to %s  %s (%s)", ask_text(c, "id", "-"), ask_text(c, "start", "-"),
           ask_text(c, "end", "-"), ask_text(c, "name", "-"), ask_text(c, "kind", "-"));
    if (json_is_number(peak)) {
        printf("  x%.1f (%.1f to %.1f, learned from %lld), %s", json_number_value(peak),
               json_number_value(json_object_get(expected, "peak_low")),
               json_number_value(json_object_get(expected, "peak_high")),
               (long long)json_integer_value(json_object_get(expected, "learned_from")),
               ask_text(expected, "phase", "-"));
    }
    putchar('\n');
}

static int list(const struct request *r) {
    struct answer answer = { 0 };
    struct buffer path;
    buffer_init(&path, PATH_BYTES_MAX);
    (void)(buffer_append_text(&path, "/api/v1/campaigns") && buffer_append_byte(&path, '\0'));
    int status = ask_or_say(r, "GET", &path, &answer);
    const json_t *campaigns = json_object_get(answer.body, "campaigns"), *item;
    size_t i;
    if (status == EXIT_DONE && r->json) {
        ask_print_json(answer.body);
    } else if (status == EXIT_DONE) {
        json_array_foreach (campaigns, i, item) {
            print_campaign(item);
        }
    }
    answer_fini(&answer);
    buffer_fini(&path);
    return status;
}

static int ask_remove(const struct request *r, struct slice name, struct answer *answer) {
    struct buffer path;
    buffer_init(&path, PATH_BYTES_MAX);
    bool fits = buffer_append_text(&path, "/api/v1/campaigns/") &&
                ask_append_encoded(&path, name) && buffer_append_byte(&path, '\0');
    int status = fits ? ask_or_say(r, "DELETE", &path, answer) : options_misused(&table);
    buffer_fini(&path);
    return status;
}

static int take_back(const struct request *r, const char *name) {
    struct answer answer = { 0 };
    int status = ask_remove(r, slice_from(name), &answer);
    if (status == EXIT_DONE && r->json) {
        ask_print_json(answer.body);
    } else if (status == EXIT_DONE) {
        printf("%s is cancelled\n", name);
    }
    answer_fini(&answer);
    return status;
}

/* ---- import ---- */

struct import {
    unsigned announced, cancelled;
};

static bool append_number(struct buffer *path, char *separator, const char *name, double value) {
    char text[NUMBER_BYTES];
    snprintf(text, sizeof text, "%.15g", value);
    return isnan(value) || ask_append_parameter(path, separator, name, text);
}

static bool append_slice(struct buffer *path, char *separator, const char *name,
                         struct slice value) {
    bool fits =
        value.len == 0 || (buffer_append_byte(path, *separator) && buffer_append_text(path, name) &&
                           buffer_append_byte(path, '=') && ask_append_encoded(path, value));
    if (value.len > 0) {
        *separator = '&';
    }
    return fits;
}

/* One that is too long is done without: the campaign is known by its name, kind and time. */
static struct slice short_uid(const struct calendar_event *e) {
    return e->uid.len < API_CAMPAIGN_ID_BYTES ? e->uid : SLICE("");
}

static bool write_event(const struct calendar_event *e, struct buffer *path) {
    char separator = '?';
    return buffer_append_text(path, "/api/v1/campaigns") &&
           append_slice(path, &separator, "id", short_uid(e)) &&
           append_slice(path, &separator, "name", e->name) &&
           append_slice(path, &separator, "kind", e->kind) &&
           append_slice(path, &separator, "channel", e->channel) &&
           append_slice(path, &separator, "audience", e->audience) &&
           append_number(path, &separator, "start", (double)e->start_ms / 1000) &&
           append_number(path, &separator, "end", (double)e->end_ms / 1000) &&
           append_number(path, &separator, "multiplier", e->multiplier) &&
           append_number(path, &separator, "sequence", e->sequence) &&
           buffer_append_byte(path, '\0');
}

/* What is cancelled and not known here needs no cancelling. */
static int import_event(const struct request *r, const struct calendar_event *e,
                        struct import *done) {
    struct answer answer = { 0 };
    struct buffer path;
    int status = EXIT_DONE;
    struct slice uid = short_uid(e);
    buffer_init(&path, PATH_BYTES_MAX);
    if (e->cancelled) {
        struct error err;
        bool fits = buffer_append_text(&path, "/api/v1/campaigns/") &&
                    ask_append_encoded(&path, uid.len > 0 ? uid : e->name) &&
                    buffer_append_byte(&path, '\0');
        if (fits && !ask(r->config_path, "DELETE", buffer_slice(&path).data, &answer, &err)) {
            fprintf(stderr, "tidegate campaign: %s\n", err.text);
            status = EXIT_BROKE;
        } else if (fits && answer.status != 404) {
            status = ask_judge("campaign", &answer);
            done->cancelled += status == EXIT_DONE;
        }
    } else if (!write_event(e, &path)) {
        fprintf(stderr, "tidegate campaign: the texts of '%.*s' are too long\n",
                SLICE_ARG(slice_sub(e->name, 0, 60)));
        status = EXIT_USAGE;
    } else {
        status = ask_or_say(r, "POST", &path, &answer);
        done->announced += status == EXIT_DONE;
    }
    answer_fini(&answer);
    buffer_fini(&path);
    return status;
}

static int import_file(const struct request *r, const char *file) {
    int64_t now_ms = clock_unix_ms();
    struct calendar_window window = { now_ms - IMPORT_BACK_MS, now_ms + IMPORT_AHEAD_MS };
    struct calendar calendar;
    struct import done = { 0 };
    struct error err;
    calendar_init(&calendar);
    calendar.raw = true; /* what is cancelled is told, too */
    int status = EXIT_DONE;
    if (!calendar_read(&calendar, file, window, &err)) {
        fprintf(stderr, "tidegate campaign: %s\n", err.text);
        status = EXIT_USAGE;
    }
    for (size_t i = 0; status == EXIT_DONE && i < calendar.len; i++) {
        status = import_event(r, &calendar.events[i], &done);
    }
    calendar_fini(&calendar);
    if (status == EXIT_DONE && r->json) {
        printf("{\"announced\": %u, \"cancelled\": %u}\n", done.announced, done.cancelled);
    } else if (status == EXIT_DONE) {
        printf("%u announced, %u cancelled\n", done.announced, done.cancelled);
    }
    return status;
}

static bool says_something(const struct wording *w) {
    return w->start != NULL || w->end != NULL || w->duration != NULL || w->kind != NULL ||
           w->multiplier != NULL || w->channel != NULL || w->audience != NULL || w->id != NULL;
}

int cli_campaign(int argc, char **argv) {
    struct request r = { .config_path = NULL };
    int status;
    if (!options_take(&table, &r, argc, argv, &status)) {
        return status;
    }
    const char *verb = optind < argc ? argv[optind] : "";
    bool lists = strcmp(verb, "list") == 0, adds = strcmp(verb, "add") == 0;
    bool moves = adds && r.add.id != NULL && argc - optind == 1;
    if ((argc - optind != (lists ? 1 : 2) && !moves) || (says_something(&r.add) && !adds)) {
        return options_misused(&table);
    }
    const char *subject = argc - optind == 2 ? argv[optind + 1] : NULL;
    return lists                         ? list(&r)
           : adds                        ? add(&r, subject)
           : strcmp(verb, "remove") == 0 ? take_back(&r, subject)
           : strcmp(verb, "import") == 0 ? import_file(&r, subject)
                                         : options_misused(&table);
}
