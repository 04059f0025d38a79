/* Rate limits as they go: numbers for the API, and a decision when one begins to refuse a lot and
 * when it has ended. The workers refuse by themselves; nothing of it waits for us. */
#include <math.h>
#include <stdio.h>

#include "act/control/controller_internal.h"

#define MUCH_PER_S 10.0  /* refused, and */
#define MUCH_RATIO 0.1   /* of what came to the limit */
#define TELL_US 60000000 /* one decision in such a time, of each limit; calm for so long: ended */

static void tell_refusing(struct controller *c, const struct rate_config *config,
                          const struct rate_watch *w, bool begins) {
    char evidence[DECISION_EVIDENCE_BYTES];
    const char *does = config->dry_run ? "would_refuse" : "refuse";
    const struct told told = { .kind = "rate_limit",
                               .action = begins ? does : "calm",
                               .subject = config->name,
                               .service = -1,
                               .noticed_ms = NAN,
                               .evidence = evidence };
    snprintf(evidence, sizeof evidence,
             "{\"rate_rps\":%g,\"burst\":%u,\"dry_run\":%s,\"allowed_rps\":%.1f,"
             "\"refused_rps\":%.1f,\"refused\":%llu}",
             config->rate_rps, config->burst, config->dry_run ? "true" : "false", w->allowed_rps,
             w->refused_rps, (unsigned long long)(w->now.refused - w->refused_before));
    if (begins) {
        tell(c, &told, "rate limit %s %s %.0f requests/s and lets %.0f requests/s pass",
             config->name, config->dry_run ? "would refuse" : "refuses", w->refused_rps,
             w->allowed_rps);
    } else {
        tell(c, &told, "rate limit %s is calm again: %llu requests %s refused", config->name,
             (unsigned long long)(w->now.refused - w->refused_before),
             config->dry_run ? "would have been" : "were");
    }
}

static void judge(struct controller *c, const struct rate_config *config, struct rate_watch *w,
                  uint64_t refused_before) {
    double all_rps = w->allowed_rps + w->refused_rps;
    bool much = w->refused_rps >= MUCH_PER_S && w->refused_rps >= MUCH_RATIO * all_rps;
    w->much_us = much ? c->now_us : w->much_us;
    if (c->now_us - w->told_us < TELL_US && w->told_us != 0) {
        return;
    }
    bool begins = much && !w->refusing;
    bool ends = w->refusing && c->now_us - w->much_us >= TELL_US;
    if (!begins && !ends) {
        return;
    }
    w->refused_before = begins ? refused_before : w->refused_before;
    tell_refusing(c, config, w, begins);
    w->refusing = begins;
    w->told_us = c->now_us;
}

static void observe(struct controller *c, unsigned index, uint64_t id) {
    struct rate_watch *w = &c->rates[index];
    struct rate_counts now = vitals_rate_counts(c->config.vitals, index, id);
    bool known = w->id == id && now.allowed >= w->now.allowed && now.refused >= w->now.refused;
    if (!known) {
        *w = (struct rate_watch){ .id = id, .now = now, .at_us = c->now_us };
        return;
    }
    double seconds = (double)(c->now_us - w->at_us) / 1e6;
    if (seconds <= 0) {
        return;
    }
    uint64_t refused_before = w->now.refused;
    w->allowed_rps = (double)(now.allowed - w->now.allowed) / seconds;
    w->refused_rps = (double)(now.refused - w->now.refused) / seconds;
    w->now = now;
    w->at_us = c->now_us;
    judge(c, &c->shop.rates[index], w, refused_before);
}

/* Requests that no bucket counted. */
static void watch_table(struct controller *c) {
    uint64_t full = 0;
    for (unsigned i = 0; i < c->config.worker_count; i++) {
        full += vitals_get(&c->config.vitals->workers[i].rate_table_full);
    }
    if (full <= c->rate_table_full_told || c->now_us - c->rate_table_told_us < TELL_US) {
        return;
    }
    const struct told told = { .kind = "rate_limit",
                               .action = "let_through",
                               .subject = "rate_limit_keys",
                               .service = -1,
                               .noticed_ms = NAN };
    tell(c, &told,
         "%llu requests passed uncounted: of %u places for rate limits none was free for their "
         "keys; more rate_limit_keys help",
         (unsigned long long)(full - c->rate_table_full_told),
         rate_table_keys(&c->config.vitals->rate_table));
    c->rate_table_full_told = full;
    c->rate_table_told_us = c->now_us;
}

void rates_second(struct controller *c) {
    const struct plan *plan = plan_current(c->config.plans);
    for (uint32_t i = 0; plan != NULL && i < plan->rate_count && i < c->shop.rate_count; i++) {
        observe(c, i, plan->rates[i].id);
    }
    watch_table(c);
}

void rates_fill_view(const struct controller *c, struct api_view *view) {
    const struct rate_table *table = &c->config.vitals->rate_table;
    view->rate_count = (uint32_t)c->shop.rate_count;
    for (uint32_t i = 0; i < view->rate_count; i++) {
        const struct rate_config *from = &c->shop.rates[i];
        const struct rate_watch *w = &c->rates[i];
        struct api_rate *to = &view->rates[i];
        *to = (struct api_rate){ .id = w->id,
                                 .rate_rps = from->rate_rps,
                                 .burst = from->burst,
                                 .dry_run = from->dry_run,
                                 .allowed = w->now.allowed,
                                 .refused = w->now.refused,
                                 .allowed_rps = w->allowed_rps,
                                 .refused_rps = w->refused_rps };
        snprintf(to->name, sizeof to->name, "%s", from->name);
        snprintf(to->by, sizeof to->by, "%.*s", SLICE_ARG(from->by));
    }
    view->rate_keys = rate_table_keys(table);
    view->rate_table_used_ratio =
        view->rate_count > 0 ? rate_table_used_ratio(table, c->now_us * 1000) : 0;
}
