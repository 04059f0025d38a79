/* The volumes of this controller: which ones, when they are looked at, and what is told of them. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"

#define LOOK_US 15000000   /* how often */
#define SILENT_US 30000000 /* one that has not come back by then is told */
#define KEEP_US 3600000000 /* how often its points go into the file */
#define GIB (1024.0 * 1024 * 1024)
#define WORDS_BYTES 48

/* ---- which ones ---- */

/* The folder of the store's database. False: it is none of this machine. */
static bool store_folder(const struct controller *c, char out[PATH_MAX]) {
    struct slice spec = slice_from(c->shop.store == NULL ? "" : c->shop.store);
    if (!slice_starts_with(spec, SLICE("sqlite:"))) {
        return false;
    }
    spec = slice_skip(spec, 7);
    bool absolute = slice_starts_with(spec, SLICE("/"));
    int len = absolute ? snprintf(out, PATH_MAX, "%.*s", SLICE_ARG(spec))
                       : snprintf(out, PATH_MAX, "%s/../%.*s", c->config.state->path,
                                  SLICE_ARG(spec)); /* the state folder is in the configuration's */
    char *end = len < PATH_MAX ? strrchr(out, '/') : NULL;
    if (end == NULL) {
        return false;
    }
    end[end == out] = '\0';
    char resolved[PATH_MAX];
    if (realpath(out, resolved) != NULL) {
        memcpy(out, resolved, sizeof resolved);
    }
    return true;
}

static bool is_wanted(const struct controller *c, const struct volume *volume,
                      const char *of_store) {
    for (size_t i = 0; i < c->shop.storage_count; i++) {
        if (strcmp(c->shop.storage[i].path, volume->path) == 0) {
            return true;
        }
    }
    return of_store != NULL && strcmp(of_store, volume->path) == 0;
}

void storage_apply(struct controller *c) {
    char folder[PATH_MAX];
    const char *of_store = store_folder(c, folder) ? folder : NULL;
    bool fresh = false;
    struct error err;
    for (size_t i = 0; i < VOLUMES_MAX; i++) {
        struct volume *volume = &c->volumes.list[i];
        if (volume->path != NULL && !is_wanted(c, volume, of_store)) {
            volume_look_free(volume->look);
            free(volume->path);
            *volume = (struct volume){ .path = NULL };
        }
    }
    if (of_store != NULL) { /* first: a configured one of the same path takes it over */
        struct storage_config of_it = storage_config_default(of_store);
        fresh |= volumes_add(&c->volumes, &of_it, false);
    }
    for (size_t i = 0; i < c->shop.storage_count; i++) {
        fresh |= volumes_add(&c->volumes, &c->shop.storage[i], true);
    }
    if (fresh && !volumes_read(&c->volumes, c->config.state->path, clock_unix_ms(), &err)) {
        log_warn("storage_past_not_read", "error=\"%s\" action=learn_it_anew", err.text);
    }
}

/* ---- in words ---- */

static const char *in_size(double bytes, char out[WORDS_BYTES]) {
    snprintf(out, WORDS_BYTES, bytes >= GIB ? "%.1f GiB" : "%.0f MiB",
             bytes >= GIB ? bytes / GIB : bytes / (1024 * 1024));
    return out;
}

static const char *in_time(double ms, char out[WORDS_BYTES]) {
    double minutes = ms / MS_PER_MINUTE;
    if (minutes < 100) {
        snprintf(out, WORDS_BYTES, "%.0f min", minutes);
    } else if (minutes < 48 * 60) {
        snprintf(out, WORDS_BYTES, "%.0f h", minutes / 60);
    } else {
        snprintf(out, WORDS_BYTES, "%.0f days", minutes / 1440);
    }
    return out;
}

static void say_growth(const struct volume *v, char *out, size_t bytes) {
    const struct storage_outlook *o = &v->outlook;
    char a[WORDS_BYTES], b[WORDS_BYTES], c[WORDS_BYTES], d[WORDS_BYTES], e[WORDS_BYTES];
    int len = snprintf(out, bytes, "%s of %s are used", in_size(v->storage.used_bytes, a),
                       in_size(v->storage.size_bytes, b));
    if (isfinite(o->full_in_ms)) {
        len += snprintf(out + len, bytes - (size_t)len,
                        ", %s more a day as seen for %s: full at %.0f %% in %s, in %s at the "
                        "earliest",
                        in_size(o->growth * 86400, a), in_time((double)o->seen_ms, b),
                        v->policy.full_at_ratio * 100, in_time(o->full_in_ms, c),
                        in_time(o->full_in_ms_low, d));
    }
    if (o->size_wanted > v->storage.size_bytes) {
        snprintf(out + len, bytes - (size_t)len, "; make it %s%s, which takes %s",
                 in_size(o->size_wanted, a), o->limited ? " (more is not allowed)" : "",
                 in_time((double)v->policy.lead_ms, e));
    } else if (o->limited) {
        snprintf(out + len, bytes - (size_t)len, "; it may not be made larger: make room");
    }
}

static void tell_state(struct controller *c, const struct volume *v) {
    static const char *const actions[STORAGE_STATES] = { [STORAGE_UNKNOWN] = "look",
                                                         [STORAGE_FINE] = "relieve",
                                                         [STORAGE_GROW] = "grow",
                                                         [STORAGE_FULL] = "full" };
    const struct storage_outlook *o = &v->outlook;
    char words[DECISION_REASON_BYTES / 2], evidence[256], number[32] = "null";
    say_growth(v, words, sizeof words);
    if (isfinite(o->full_in_ms_low)) {
        snprintf(number, sizeof number, "%.0f", o->full_in_ms_low / 1000);
    }
    snprintf(evidence, sizeof evidence,
             "{\"used_bytes\":%.0f,\"size_bytes\":%.0f,\"full_at_ratio\":%.4f,"
             "\"full_in_s_low\":%s,\"size_wanted_bytes\":%.0f}",
             v->storage.used_bytes, v->storage.size_bytes, v->policy.full_at_ratio, number,
             o->size_wanted);
    const struct told told = { .kind = "storage",
                               .action = actions[o->state],
                               .subject = v->path,
                               .service = -1,
                               .noticed_ms = NAN,
                               .evidence = evidence };
    tell(c, &told, "%.80s: %s", v->path, words);
    if (o->state == STORAGE_FULL) {
        log_warn("volume_full", "path=%s used_ratio=%.3f action=make_room", v->path,
                 v->storage.used_bytes / v->storage.size_bytes);
    }
}

/* ---- looking ---- */

static void tell_silent(struct volume *v, const char *why) {
    if (!v->silent) {
        log_warn("volume_silent", "path=%s reason=\"%s\" action=go_on_without", v->path, why);
    }
    v->silent = true;
}

static void take_seen(struct controller *c, struct volume *v, const struct volume_seen *seen) {
    if (!seen->good) {
        tell_silent(v, seen->err.text);
        return;
    }
    const struct storage_sample sample = { .time_ms = clock_unix_ms(),
                                           .used_bytes = seen->used_bytes,
                                           .size_bytes = seen->size_bytes,
                                           .inodes_ratio = seen->inodes_ratio };
    enum storage_state before = v->storage.state;
    v->silent = false;
    v->seen = true;
    v->device = seen->device;
    storage_observe(&v->storage, &sample);
    v->outlook = storage_judge(&v->storage, &v->policy);
    bool first_and_fine = before == STORAGE_UNKNOWN && v->outlook.state == STORAGE_FINE;
    if (v->outlook.changed && !first_and_fine && !volumes_is_double(&c->volumes, v)) {
        tell_state(c, v);
    }
}

static void look(struct controller *c, struct volume *v) {
    struct volume_seen seen;
    if (v->look == NULL) {
        if (v->asked_us == 0 || c->now_us - v->asked_us >= LOOK_US) {
            v->look = volume_look_start(v->path);
            v->asked_us = c->now_us;
        }
    } else if (volume_look_done(v->look, &seen)) {
        volume_look_free(v->look);
        v->look = NULL;
        take_seen(c, v, &seen);
    } else if (c->now_us - v->asked_us >= SILENT_US) {
        tell_silent(v, "it does not answer");
    }
}

void storage_keep(struct controller *c) {
    struct error err;
    c->volumes.kept_us = c->now_us;
    if (!volumes_write(&c->volumes, c->config.state->path, &err)) {
        log_warn("storage_past_not_kept", "error=\"%s\" action=try_again_in_an_hour", err.text);
    }
}

void storage_second(struct controller *c) {
    for (size_t i = 0; i < VOLUMES_MAX; i++) {
        if (c->volumes.list[i].path != NULL) {
            look(c, &c->volumes.list[i]);
        }
    }
    if (c->volumes.kept_us == 0) {
        c->volumes.kept_us = c->now_us;
    } else if (c->now_us - c->volumes.kept_us >= KEEP_US) {
        storage_keep(c);
    }
}

/* ---- for people ---- */

void storage_fill_view(const struct controller *c, struct api_view *view) {
    view->volume_count = 0;
    for (size_t i = 0; i < VOLUMES_MAX; i++) {
        const struct volume *v = &c->volumes.list[i];
        if (v->path == NULL || volumes_is_double(&c->volumes, v)) {
            continue;
        }
        const struct storage_outlook *o = &v->outlook;
        struct api_volume *out = &view->volumes[view->volume_count++];
        *out = (struct api_volume){
            .path = v->path,
            .state = v->silent ? "silent" : storage_state_name(v->storage.state),
            .configured = v->configured,
            .used_bytes = v->storage.used_bytes,
            .size_bytes = v->storage.size_bytes,
            .inodes_ratio = v->storage.inodes_ratio,
            .full_at_ratio = v->policy.full_at_ratio,
            .full_in_s = v->seen ? o->full_in_ms / 1000 : NAN,
            .full_in_s_low = v->seen ? o->full_in_ms_low / 1000 : NAN,
            .full_in_s_high = v->seen ? o->full_in_ms_high / 1000 : NAN,
            .growth = v->seen ? o->growth : NAN,
            .growth_low = v->seen ? o->growth_low : NAN,
            .growth_high = v->seen ? o->growth_high : NAN,
            .seen_s = (double)o->seen_ms / 1000,
            .size_wanted_bytes = v->seen ? o->size_wanted : NAN,
            .limited = o->limited,
        };
        if (v->seen) {
            say_growth(v, out->text, sizeof out->text);
        }
    }
}
