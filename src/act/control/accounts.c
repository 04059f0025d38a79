/* The ledger of each service, live: fed each second with what arrived and what was there, written
 * to the store every few seconds, and gone on with after a restart. A fleet that we do not scale
 * has none: nothing is decided there. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"

#define WRITE_EVERY_S 15

/* ---- to the store ---- */

static void write_hour(struct controller *c, const struct controlled *s,
                       const struct ledger_hour *hour) {
    double price = s->config->unit.price_per_hour; /* NaN: not known, nor is the cost */
    if (c->store == NULL || !(hour->seconds > 0)) {
        return;
    }
    for (int i = 0; i < LEDGER_POLICIES; i++) {
        const struct ledger_account *account = &hour->accounts[i];
        struct store_ledger_row row = {
            .hour_ms = hour->start_ms,
            .seconds = hour->seconds,
            .requests = hour->requests,
            .unserved = account->unserved,
            .refused = i == LEDGER_TIDEGATE ? hour->refused : NAN,
            .instance_hours = account->instance_hours,
            .cost = account->instance_hours * price,
            .instances_max = account->instances_max,
        };
        snprintf(row.service, sizeof row.service, "%s", s->name);
        snprintf(row.policy, sizeof row.policy, "%s", ledger_policy_names[i]);
        (void)store_put_ledger(c->store, &row); /* the next one says it again */
    }
}

static void judge(struct controller *c, struct controlled *s) {
    struct ledger_hour done;
    enum ledger_step step;
    while ((step = ledger_step(&s->ledger, &done)) != LEDGER_WAITS) {
        if (step == LEDGER_HOUR_ENDED) {
            write_hour(c, s, &done);
        }
    }
}

/* ---- from the store ---- */

struct past {
    struct ledger *ledger;
    struct ledger_hour now; /* the hour that is going on */
    unsigned found;         /* of its policies */
};

static int policy_of(const char *name) {
    for (int i = 0; i < LEDGER_POLICIES; i++) {
        if (strcmp(ledger_policy_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static bool take_row(void *self, const struct store_ledger_row *row) {
    struct past *past = self;
    int policy = policy_of(row->policy);
    if (policy == LEDGER_ORACLE) {
        ledger_remember_peak(past->ledger, row->hour_ms, row->instances_max);
    }
    if (row->hour_ms == past->now.start_ms && policy >= 0) {
        past->now.seconds = row->seconds;
        past->now.requests = row->requests;
        past->now.refused = policy == LEDGER_TIDEGATE ? row->refused : past->now.refused;
        past->now.accounts[policy] = (struct ledger_account){
            .instance_hours = row->instance_hours,
            .unserved = row->unserved,
            .instances_max = row->instances_max,
        };
        past->found++;
    }
    return true;
}

static void recall(struct controller *c, struct controlled *s) {
    struct error err = { 0 };
    int64_t now_ms = clock_unix_ms();
    struct past past = { .ledger = &s->ledger,
                         .now = { .start_ms = now_ms - now_ms % MS_PER_HOUR } };
    int64_t from_ms = past.now.start_ms - LEDGER_PEAK_HOURS * MS_PER_HOUR;
    if (c->store == NULL) {
        return;
    }
    if (!store_read_ledger(c->store, slice_from(s->name), from_ms, now_ms, take_row, &past, &err)) {
        if (err.kind != ERROR_NOT_FOUND) { /* none yet is no trouble */
            log_warn("ledger_not_read", "service=%s error=\"%s\" action=begin_anew", s->name,
                     err.text);
        }
    } else if (past.found == LEDGER_POLICIES) {
        ledger_resume(&s->ledger, &past.now);
    }
}

/* ---- life ---- */

static void begin(struct controller *c, struct controlled *s) {
    struct error err;
    s->accounts = ledger_init(&s->ledger, &s->foresee.policy, &err);
    if (!s->accounts) {
        log_warn("no_ledger", "service=%s error=\"%s\" action=go_on_without", s->name, err.text);
        return;
    }
    recall(c, s);
}

void accounts_end(struct controller *c, struct controlled *s) {
    if (s->accounts) {
        ledger_end(&s->ledger);
        judge(c, s);
        write_hour(c, s, &s->ledger.hour);
        ledger_fini(&s->ledger);
        s->accounts = false;
    }
}

void accounts_apply(struct controller *c, struct controlled *s) {
    if (s->config->fleet.kind == FLEET_STATIC) {
        accounts_end(c, s);
    } else if (s->accounts) {
        ledger_set_policy(&s->ledger, &s->foresee.policy);
    } else {
        begin(c, s);
    }
}

void accounts_second(struct controller *c, unsigned index, int64_t now_ms) {
    struct controlled *s = &c->services[index];
    struct ledger_second second = {
        .now_ms = now_ms,
        .seconds = s->second.seconds,
        .offered_rps = s->second.offered_rps,
        .refused_rps = s->second.refused_rps,
        .unit_rps = capacity_rps(&s->foresee.capacity),
        .startup_ms = lead_time_quantile_ms(&s->foresee.lead, 0.5),
    };
    if (!s->accounts) {
        return;
    }
    EACH_MEMBER(c, m, index) {
        second.paid++;
        second.able += m->state == ENDPOINT_SERVING || m->state == ENDPOINT_WARM;
    }
    ledger_observe(&s->ledger, &second);
    judge(c, s);
    if ((now_ms / 1000 + index) % WRITE_EVERY_S == 0) { /* not all at once */
        write_hour(c, s, &s->ledger.hour);
    }
}
