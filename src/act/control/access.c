/* The access log of this controller: its thread, and what is told of it. */
#include <string.h>

#include "act/control/controller_internal.h"

#define HUNG_WAIT_MS 100         /* for a thread that is replaced; a hung one is left behind */
#define DROPPED_TOLD_US 10000000 /* at most so often */

static bool same_text(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same(const struct access_log_config *a, const struct access_log_config *b) {
    struct access_format x = access_log_format(a), y = access_log_format(b);
    return same_text(a->file, b->file) && x.style == y.style && x.fields == y.fields &&
           x.mask_addresses == y.mask_addresses && a->sample_ratio == b->sample_ratio &&
           a->rotate.size_bytes == b->rotate.size_bytes && a->rotate.age_ms == b->rotate.age_ms &&
           a->rotate.keep == b->rotate.keep && a->rotate.compress == b->rotate.compress;
}

static void tell_services(struct controller *c) {
    static char names[PLAN_SERVICES_MAX][PLAN_NAME_BYTES];
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        memcpy(names[i], c->services[i].name, sizeof names[i]);
    }
    access_writer_set_services(c->access, names);
}

void access_apply(struct controller *c, const struct access_log_config *before) {
    const struct access_log_config *now = &c->shop.access_log;
    struct error err;
    if (before == NULL) {
        for (unsigned i = 0; i < c->config.worker_count; i++) { /* a predecessor has told those */
            c->records_dropped_told += vitals_get(&c->config.vitals->workers[i].records_dropped);
        }
    }
    if (before == NULL || !same(before, now)) {
        access_writer_free(c->access, HUNG_WAIT_MS);
        c->access = now->file == NULL ? NULL : access_writer_new(now, c->config.vitals, &err);
        if (now->file != NULL && c->access == NULL) {
            log_error("access_log_not_started", "error=\"%s\" action=go_on_without", err.text);
        }
    } else if (c->access != NULL) {
        access_writer_reopen(c->access);
    }
    if (c->access != NULL) {
        tell_services(c);
    }
}

/* Without an access log nobody needs the records; a full ring would only count what it drops. */
static void throw_away(struct controller *c) {
    for (unsigned i = 0; i < c->config.worker_count; i++) {
        struct vitals_worker *w = &c->config.vitals->workers[i];
        vitals_release(w, atomic_load_explicit(&w->ring_head, memory_order_acquire));
    }
}

static void tell_dropped(struct controller *c, uint64_t dropped) {
    uint64_t more = dropped - c->records_dropped_told;
    if (more > 0 && c->now_us - c->records_dropped_told_us >= DROPPED_TOLD_US) {
        log_warn("access_log_dropped",
                 "requests=%llu reason=\"the file did not keep up\" action=go_on_without_them",
                 (unsigned long long)more);
        c->records_dropped_told = dropped;
        c->records_dropped_told_us = c->now_us;
    }
}

void access_second(struct controller *c) {
    struct api_access_log *shown = &c->view.access_log;
    *shown = (struct api_access_log){ .on = c->access != NULL };
    if (c->access == NULL) {
        throw_away(c);
        return;
    }
    for (unsigned i = 0; i < c->config.worker_count; i++) {
        shown->dropped += vitals_get(&c->config.vitals->workers[i].records_dropped);
        shown->texts_dropped += vitals_get(&c->config.vitals->workers[i].texts_dropped);
    }
    struct access_writer_stats stats = access_writer_stats(c->access);
    shown->records = stats.records;
    shown->sampled_out = stats.sampled_out;
    shown->failures = stats.failures;
    shown->rotations = stats.rotations;
    shown->failing = stats.failing;
    tell_dropped(c, shown->dropped);
}
