/* What was learned of calls, over a restart: a row a caller in the store, and a page in the
 * notebook for a controller that comes after one that crashed. A row that cannot be taken costs
 * what was learned of that caller, and is replaced as soon as there is something new to keep. */
#include <stdio.h>
#include <string.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"

/* Who called whom so long ago says little of what runs now, and is learned anew in a minute. */
#define STALE_MS (30 * MS_PER_DAY)

_Static_assert(DEPENDENCY_MEMORY_BYTES <= STORE_EVIDENCE_BYTES, "the store takes it whole");
_Static_assert(PLAN_NAME_BYTES <= DEPENDENCY_NAME_BYTES, "names are kept whole");

static void list_names(const struct controller *c, const char *names[DEPENDENCY_SERVICES_MAX]) {
    for (unsigned i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        names[i] = i < PLAN_SERVICES_MAX && c->services[i].used ? c->services[i].name : NULL;
    }
}

/* ---- keeping ---- */

static unsigned count_called(const struct controller *c, unsigned caller) {
    unsigned called = 0;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        called += c->dependencies.pairs[caller][i].calls > 0;
    }
    return called;
}

static bool has_news(const struct controller *c, unsigned caller) {
    return count_called(c, caller) > 0 &&
           c->dependencies.callers[caller].requests != c->calls_kept[caller];
}

void calls_keep(struct controller *c) {
    const char *names[DEPENDENCY_SERVICES_MAX];
    list_names(c, names);
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        struct store_calls row = { .time_ms = clock_unix_ms() };
        if (c->store == NULL || names[i] == NULL || !has_news(c, i)) {
            continue; /* what was restored and not added to is there already */
        }
        memcpy(row.service, c->services[i].name, sizeof c->services[i].name);
        row.len = (uint32_t)dependencies_save(&c->dependencies, i, names, row.bytes);
        store_put_calls(c->store, &row);
        c->calls_kept[i] = c->dependencies.callers[i].requests;
    }
}

void calls_note(struct controller *c) {
    const char *names[DEPENDENCY_SERVICES_MAX];
    list_names(c, names);
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        struct notebook_page *page = names[i] == NULL || count_called(c, i) == 0
                                         ? NULL
                                         : notebook_find(c->config.notebook, names[i]);
        if (page != NULL) {
            page->calls_bytes =
                (uint32_t)dependencies_save(&c->dependencies, i, names, page->calls);
        }
    }
}

/* ---- recalling ---- */

struct recall {
    struct controller *c;
    const char *names[DEPENDENCY_SERVICES_MAX];
    unsigned caller;
};

static void refuse(const struct recall *recall, const char *why) {
    log_warn("calls_not_restored", "service=%s error=\"%s\" action=learn_them_anew",
             recall->names[recall->caller], why);
}

static bool take(const struct recall *recall, const uint8_t *bytes, size_t len, const char *from) {
    struct controller *c = recall->c;
    if (!dependencies_restore(&c->dependencies, recall->caller, recall->names, bytes, len)) {
        refuse(recall, "what was kept is not as we write it");
        return false;
    }
    log_info("calls_restored", "service=%s from=%s called=%u requests=%.0f",
             recall->names[recall->caller], from, count_called(c, recall->caller),
             c->dependencies.callers[recall->caller].requests);
    return true;
}

static bool take_row(void *self, const struct store_calls *row) {
    const struct recall *recall = self;
    int64_t age_ms = clock_unix_ms() - row->time_ms;
    if (age_ms > STALE_MS) {
        char why[64];
        snprintf(why, sizeof why, "it was kept %lld days ago", (long long)(age_ms / MS_PER_DAY));
        refuse(recall, why);
    } else if (take(recall, row->bytes, row->len, "store")) {
        struct controller *c = recall->c;
        c->calls_kept[recall->caller] = c->dependencies.callers[recall->caller].requests;
    }
    return true;
}

static void recall_caller(struct recall *recall) {
    struct controller *c = recall->c;
    const char *name = recall->names[recall->caller];
    const struct notebook_page *page = notebook_find(c->config.notebook, name);
    struct error err = { 0 };
    c->calls_kept[recall->caller] = 0;
    if (page != NULL && page->calls_bytes > 0 && page->calls_bytes <= sizeof page->calls) {
        (void)take(recall, page->calls, page->calls_bytes, "notebook");
        return; /* whoever noted it may have ended before it was kept */
    }
    bool read =
        c->store == NULL || store_read_calls(c->store, slice_from(name), take_row, recall, &err);
    if (!read && err.kind != ERROR_NOT_FOUND) { /* none yet is no trouble */
        log_warn("calls_not_read", "service=%s error=\"%s\" action=learn_them_anew", name,
                 err.text);
    }
}

uint64_t calls_recall(struct controller *c) {
    struct recall recall = { .c = c };
    uint64_t recalled = 0;
    list_names(c, recall.names);
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        if (c->services[i].used && !c->services[i].calls_recalled) {
            recall.caller = i;
            recall_caller(&recall);
            c->services[i].calls_recalled = true;
            recalled |= UINT64_C(1) << i;
        }
    }
    return recalled;
}
