#include "act/control/calendar_feed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "act/control/controller_internal.h"
#include "act/control/fetch.h"
#include "act/control/secret_file.h"
#include "act/control/state_file.h"
#include "base/clock.h"
#include "wire/http/url.h"

#define RETRY_US UINT64_C(60000000) /* after a failure, when it is not due earlier */
/* Recurrences are expanded in a window, which moves on. */
#define PARSE_AGAIN_MS MS_PER_DAY
#define HOST_BYTES 260

static const struct calendar_config *config_of(const struct controller *c) {
    return c->shop.demand.calendar;
}

static void host_of(const struct controller *c, char out[HOST_BYTES]) {
    struct url url;
    if (!url_parse(slice_from(config_of(c)->url), &url) ||
        !slice_copy_text(url.host, out, HOST_BYTES)) {
        snprintf(out, HOST_BYTES, "calendar");
    }
}

/* ---- what is known ---- */

static void forget(struct calendar_feed *f) {
    fetch_free(f->fetch);
    free((void *)(uintptr_t)f->text.data);
    calendar_fini(&f->calendar);
    *f = (struct calendar_feed){ .failures_all = f->failures_all }; /* it counts on */
    calendar_init(&f->calendar);
}

void calendar_feed_fini(struct calendar_feed *f) {
    forget(f);
}

static bool keep_text(struct calendar_feed *f, struct slice text, struct error *err) {
    char *copy = malloc(text.len + 1);
    if (copy == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory for the calendar");
    }
    memcpy(copy, text.data, text.len);
    free((void *)(uintptr_t)f->text.data);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the slice owns it now */
    f->text = slice_of(copy, text.len);
    return true;
}

/* ---- in the thread: recurrences of a stranger's calendar may take seconds ---- */

static void drop(void *calendar) {
    calendar_fini(calendar);
    free(calendar);
}

static void *read_calendar(struct slice text, const char *host, struct error *err) {
    int64_t now_ms = clock_unix_ms();
    struct calendar_window window = { now_ms - INPUTS_CALENDAR_BACK_MS,
                                      now_ms + INPUTS_CALENDAR_AHEAD_MS };
    struct calendar *c = malloc(sizeof *c);
    if (c == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for the calendar");
        return NULL;
    }
    calendar_init(c);
    c->raw = true; /* merged with the file and the book, then settled */
    bool good = slice_trim(text).len > 0
                    ? calendar_parse(c, text, host, window, err)
                    : error_set(err, ERROR_INVALID, "%s: expected a calendar, found nothing", host);
    if (!good) {
        drop(c);
        return NULL;
    }
    return c;
}

/* ---- over a restart ---- */

static void key_text(const struct calendar_feed *f, char out[17]) {
    snprintf(out, 17, "%016llx", (unsigned long long)f->key);
}

static void copy_member(const json_t *root, const char *name, char *out, size_t out_bytes) {
    const char *text = json_string_value(json_object_get(root, name));
    if (text == NULL || !slice_copy_text(slice_from(text), out, out_bytes)) {
        out[0] = '\0';
    }
}

static void recall(struct controller *c) {
    struct calendar_feed *f = &c->calendar_feed;
    char key[17], kept[17];
    struct error err = { 0 };
    json_t *root = NULL;
    if (!state_file_read(c->config.state->path, CALENDAR_FEED_FILE, &root, &err)) {
        log_warn("calendar_not_recalled", "error=\"%s\" action=wait_for_it", err.text);
        return;
    }
    key_text(f, key);
    copy_member(root, "of", kept, sizeof kept);
    const json_t *text = json_object_get(root, "text");
    if (json_is_string(text) && strcmp(key, kept) == 0 &&
        keep_text(f, slice_of(json_string_value(text), json_string_length(text)), &err)) {
        copy_member(root, "etag", f->etag, sizeof f->etag);
        copy_member(root, "modified", f->modified, sizeof f->modified);
    }
    json_decref(root);
}

static void remember(struct controller *c) {
    struct calendar_feed *f = &c->calendar_feed;
    char key[17];
    struct error err = { 0 };
    key_text(f, key);
    json_t *root = json_pack("{s:s, s:s, s:s, s:s%}", "of", key, "etag", f->etag, "modified",
                             f->modified, "text", f->text.data, f->text.len);
    if (root == NULL) {
        error_set(&err, ERROR_INVALID, "it is not UTF-8");
    } else if (f->text.len > STATE_FILE_BYTES_MAX / 2) {
        json_decref(root);
        error_set(&err, ERROR_LIMIT, "it has more than %u bytes", STATE_FILE_BYTES_MAX / 2);
    } else if (state_file_write(c->config.state->path, CALENDAR_FEED_FILE, root, &err)) {
        return;
    }
    log_warn("calendar_not_kept", "error=\"%s\" action=a_restart_waits_for_it", err.text);
}

void calendar_feed_apply(struct controller *c) {
    const struct calendar_config *config = config_of(c);
    struct calendar_feed *f = &c->calendar_feed;
    uint64_t key = config == NULL ? 0 : XXH64(config->url, strlen(config->url), 0);
    if (key != f->key) {
        forget(f);
        f->key = key;
        f->had_us = clock_monotonic_us(); /* the first time no turn has begun yet */
        if (key != 0) {
            recall(c);
        }
    }
    fetch_free(f->fetch); /* it asks as the old configuration wants it */
    f->fetch = NULL;
    f->parsed_ms = f->reading ? 0 : f->parsed_ms;
    f->reading = false;
    f->due_us = 0;
}

/* ---- news ---- */

static const struct told told_read = {
    .kind = "campaign", .action = "read", .subject = "calendar", .service = -1, .noticed_ms = NAN
};

static void failed(struct controller *c, const char *why) {
    struct calendar_feed *f = &c->calendar_feed;
    log_warn("calendar_refused", "error=\"%s\" failures=%u action=keep_the_last_one", why,
             f->failures + 1);
    f->failures_all++;
    if (f->failures++ == 0) {
        tell(c, &told_read, "the calendar cannot be had, what it said last holds: %s", why);
    }
}

static void succeeded(struct controller *c) {
    struct calendar_feed *f = &c->calendar_feed;
    if (f->failures > 0) {
        tell(c, &told_read, "the calendar can be had again");
    }
    f->failures = 0;
    f->had_us = c->now_us;
    f->had_ms = clock_unix_ms();
}

/* `known`: it was read again, nothing was asked. */
static void take_new(struct controller *c, bool known) {
    struct calendar_feed *f = &c->calendar_feed;
    struct slice text = fetch_body(f->fetch);
    struct error err;
    bool same = slice_equal(text, f->text);
    if (!same && !keep_text(f, text, &err)) {
        failed(c, err.text);
        return;
    }
    calendar_fini(&f->calendar);
    struct calendar *fresh = fetch_take(f->fetch);
    f->calendar = *fresh;
    free(fresh);
    f->parsed_ms = clock_unix_ms();
    if (!same || known) {
        campaigns_change(c);
    }
    if (known) {
        return;
    }
    snprintf(f->etag, sizeof f->etag, "%s", fetch_etag(f->fetch));
    snprintf(f->modified, sizeof f->modified, "%s", fetch_modified(f->fetch));
    succeeded(c);
    if (!same) {
        char host[HOST_BYTES];
        host_of(c, host);
        remember(c);
        tell(c, &told_read, "the calendar of %s has changed: %zu events", host, f->calendar.len);
    }
}

static void take(struct controller *c) {
    struct calendar_feed *f = &c->calendar_feed;
    uint64_t refresh_us = (uint64_t)config_of(c)->refresh_ms * 1000;
    switch (fetch_look(f->fetch)) {
    case FETCH_RUNNING:
        return;
    case FETCH_NEW:
        take_new(c, f->reading);
        break;
    case FETCH_SAME:
        succeeded(c);
        break;
    case FETCH_FAILED:
        failed(c, fetch_why(f->fetch));
        if (f->reading) { /* else an answer that it is the same would leave us with nothing */
            f->etag[0] = f->modified[0] = '\0';
        }
        break;
    }
    fetch_free(f->fetch);
    f->fetch = NULL;
    if (f->reading) { /* it is asked for as it was due */
        f->reading = false;
        return;
    }
    f->due_us = c->now_us + (f->failures > 0 && refresh_us > RETRY_US ? RETRY_US : refresh_us);
}

/* ---- asking ---- */

/* The first line of the file; what it may not hold ends it. */
static bool read_authorization(const char *path, struct slice *file, char **line,
                               struct error *err) {
    if (path == NULL) {
        return true;
    }
    if (!secret_file_read(path, file, err)) {
        return false;
    }
    char *text = (char *)(uintptr_t)file->data; /* one byte of room is behind it */
    size_t len = 0;
    while (len < file->len && text[len] >= ' ' && text[len] < 0x7f) {
        len++;
    }
    text[len] = '\0';
    *line = text;
    return true;
}

static void ask(struct controller *c) {
    const struct calendar_config *config = config_of(c);
    struct calendar_feed *f = &c->calendar_feed;
    struct slice ca = { 0 }, secret = { 0 };
    char *authorization = NULL;
    struct error err;
    if (read_authorization(config->authorization, &secret, &authorization, &err) &&
        (config->ca == NULL || secret_file_read(config->ca, &ca, &err))) {
        const struct fetch_order order = {
            .url = config->url,
            .read = read_calendar,
            .drop = drop,
            .accept = "text/calendar, text/csv;q=0.9, */*;q=0.1",
            .authorization = authorization,
            .ca = ca,
            .etag = f->etag,
            .modified = f->modified,
            .bytes_max = config->bytes_max,
            .timeout_us = (uint64_t)config->timeout_ms * 1000,
        };
        f->fetch = fetch_start(&order, &err);
    }
    secret_file_free(&secret);
    secret_file_free(&ca);
    if (f->fetch == NULL) {
        failed(c, err.text);
        f->due_us = c->now_us + RETRY_US;
    }
}

/* What is known, once more: after a restart, or since the window of recurrences has moved on. */
static void read_known(struct controller *c) {
    struct calendar_feed *f = &c->calendar_feed;
    const struct fetch_order order = { .url = config_of(c)->url,
                                       .known = f->text,
                                       .read = read_calendar,
                                       .drop = drop,
                                       .bytes_max = f->text.len };
    struct error err;
    f->fetch = fetch_start(&order, &err);
    f->reading = f->fetch != NULL;
    f->parsed_ms = clock_unix_ms();
}

void calendar_feed_second(struct controller *c) {
    if (config_of(c) == NULL) {
        return;
    }
    bool stale = c->calendar_feed.text.len > 0 &&
                 clock_unix_ms() - c->calendar_feed.parsed_ms > PARSE_AGAIN_MS;
    if (c->calendar_feed.fetch != NULL) {
        take(c);
    } else if (stale) {
        read_known(c);
    } else if (c->now_us >= c->calendar_feed.due_us) {
        ask(c);
    }
}

/* ---- for people ---- */

void calendar_feed_fill_view(const struct controller *c, struct api_calendar *out) {
    const struct calendar_feed *f = &c->calendar_feed;
    *out = (struct api_calendar){
        .on = config_of(c) != NULL,
        .success_s = (double)f->had_ms / 1000,
        .age_s = c->now_us > f->had_us ? (double)(c->now_us - f->had_us) / 1e6 : 0,
        .failures = f->failures_all,
        .events = f->calendar.len,
    };
}
