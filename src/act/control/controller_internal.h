/* Inside of the controller: its state, and what its files share.
 *
 *   controller.c   loop, timers, signals, start and end
 *   reload.c       the configuration read again
 *   services.c     shop.yaml's services ↔ indices of plan and vitals; learning and remembering
 *   calls.c        which service calls which
 *   dependencies.c the same, learned from traces
 *   members.c      instances ↔ slots of the plan, their states
 *   planner.c      the plan: built, published, acknowledged
 *   pools.c        connections ahead of a wave
 *   scale.c        how many: promote, start, drain
 *   accounts.c     what it cost, and what others would have
 *   heal.c         who is ill: eject, replace
 *   checks.c       requests and probes: what each tells the other
 *   maintenance.c  instances that a person took out
 *   rates.c        what rate limits refuse
 *   campaigns.c    what calendar file, calendar feed and campaign book announce
 *   access.c       the access log, by a thread of its own
 *   hear.c         what the workers decided by themselves
 *   tell.c         decisions to log, store and API
 *   storage.c      volumes that fill
 *   view.c         what is, for the API */
#pragma once
#include "act/api/api.h"
#include "act/control/access_writer.h"
#include "act/control/calendar_feed.h"
#include "act/control/campaign_book.h"
#include "act/control/certificates.h"
#include "act/control/controller.h"
#include "act/control/foresee.h"
#include "act/control/inputs.h"
#include "act/control/maintenance_book.h"
#include "act/control/sense.h"
#include "act/control/sticky.h"
#include "act/control/volumes.h"
#include "act/fleet/fleet.h"
#include "base/list.h"
#include "decide/autoscale/dependency.h"
#include "decide/autoscale/pool.h"
#include "decide/cost/ledger.h"
#include "decide/remediation/remedy.h"
#include "record/store/store.h"

#define CONTROLLER_HEAL_US 100000
#define CONTROLLER_SECOND_US 1000000
#define MEMBER_WINDOW_US 500000      /* evidence covers one to two of these */
#define MEMBER_DRAIN_LEAST_US 250000 /* workers have the plan by then */
#define MEMBER_RETURN_US 10000000    /* a static instance that was ill comes back after this */
#define FAULTS_MAX 64                /* open at a time */
#define OBJECTIVE_SECONDS 60

struct hedge_counts {
    uint64_t sent, won, lost;
};

/* How often something is told (hear.c). */
struct told_rate {
    uint32_t told;     /* places of the burst that are taken */
    uint64_t since_us; /* when one of them last became free */
    uint32_t untold;   /* that were too many, since the last that was told */
};

/* An instance in a slot of the plan. */
struct member {
    struct instance *instance; /* NULL: the slot is free */
    uint32_t generation;       /* of the slot; grows with each new instance in it */
    enum endpoint_state state;
    uint64_t state_since_us;
    bool leaving;           /* draining, ejected for good, or stopping: never back in rotation */
    enum finding finding;   /* for which it was ejected */
    bool retire;            /* told by a person to be replaced */
    struct told_rate heard; /* of workers, about it */
    char note[API_TEXT_BYTES];
    struct api_maintenance *maintenance; /* in the book; NULL: none. Not `leaving` then */
    bool cut;                            /* draining took too long: what is left there is ended */
    /* checks */
    uint64_t ejected_until_us; /* by workers, as seen last */
    unsigned check_changes;    /* of its health, not told yet */
    uint64_t check_told_us;
    /* evidence: `before` and `between` are readings at least MEMBER_WINDOW_US apart */
    struct endpoint_reading before, between;
    uint64_t before_us, between_us;
    uint64_t slow_since_us; /* 0: it is not slow */
    /* the last second, for the API and the capacity model */
    struct endpoint_reading second;
    uint64_t second_us;
    double requests_rps, errors_rps;
};

struct controlled {
    bool used;
    char name[PLAN_NAME_BYTES];
    const struct service_config *config; /* in the shop */
    struct foresee foresee;
    struct foresee_call calls[PLAN_SERVICES_MAX]; /* of it by others */
    bool foresees;                                /* foresee was initialised */
    bool calls_recalled;                          /* what it calls itself */
    struct pool pool;
    struct ledger ledger;
    bool accounts; /* ledger was initialised */
    bool decided;  /* for the first time since we started */
    struct remedy_policy remedy;
    struct service_reading last;
    struct service_second second;
    bool has_second;
    uint32_t told_instances; /* of the last decision that was told */
    enum autoscale_reason told_reason;
    bool told;
    uint64_t former_since_us; /* those of before the fleet's kind was changed serve; 0: none */
    bool former_told;
    struct told_rate panics, refusals; /* told of */
    uint64_t retries_refused;          /* at the last look */
    struct hedge_counts hedges;        /* likewise */
    /* answers within the objective in the last minute */
    uint64_t answers[OBJECTIVE_SECONDS], late[OBJECTIVE_SECONDS];
    unsigned minute_at;
};

/* Something is ill and not yet replaced by something well. */
struct fault {
    int64_t decision_id; /* 0: free */
    uint64_t happened_us, noticed_us;
    unsigned service;
    uint64_t plan_version; /* which heals it when all workers have it; 0: not built yet */
};

struct rate_watch { /* of a rate limit, at its index in the plan */
    uint64_t id;
    struct rate_counts now;
    uint64_t at_us;
    double allowed_rps, refused_rps; /* of the last second */
    bool refusing;                   /* was told */
    uint64_t told_us, much_us;       /* much_us: when much was refused last */
    uint64_t refused_before;         /* when that began */
};

struct controller {
    struct controller_config config;
    struct loop *loop;
    struct shop shop; /* ours, of the last good reload */
    struct inputs inputs;
    struct certificates certificates;
    struct sticky_secret sticky;
    struct fleet *fleet;
    struct store *store; /* NULL: it could not be opened */
    struct api *api;
    struct access_writer *access; /* NULL: no access log */
    uint64_t records_dropped_told, records_dropped_told_us;
    struct member members[PLAN_ENDPOINTS_MAX];
    struct controlled services[PLAN_SERVICES_MAX];
    uint8_t order[PLAN_SERVICES_MAX]; /* of services: callers first */
    unsigned order_count;
    struct dependencies dependencies;
    double calls_kept[PLAN_SERVICES_MAX]; /* requests that were followed, when it was kept last */
    uint64_t
        calls_learned[PLAN_SERVICES_MAX]; /* of those, that plans go by: a bit each, by caller */
    uint64_t traces_dropped, dependencies_settled_us;
    struct fault faults[FAULTS_MAX];
    struct maintenance_book maintenance;
    struct volumes volumes;
    struct rate_watch rates[PLAN_RATES_MAX];
    uint64_t rate_table_full_told, rate_table_told_us;
    struct campaign_book campaign_book;
    struct calendar_feed calendar_feed;
    struct calendar calendar;       /* of the inputs, the feed and the book, settled */
    struct timespec campaigns_seen; /* of the calendar file, when it was changed last */
    int64_t campaigns_bytes;
    unsigned campaigns_age_s;
    struct api_view view;
    struct told_rate heard; /* of workers, in all */
    bool plan_dirty, stopping;
    struct task publish;
    struct timer heal_tick, second_tick, follow_tick;
    struct watch signals, supervisor_gone;
    int signal_fd, lock_fd;
    int64_t started_ms;
    uint64_t now_us; /* of this turn */
    uint64_t capacity_kept_us;
    unsigned seconds_heard; /* since the start */
};

/* reload.c */
bool controller_reload(struct controller *c);
/* For the API: whether a reload would be taken, and then the supervisor is told; `text` says what
 * is wrong, or waits for the next start. `self` is the controller. */
bool reload_check(void *self, struct buffer *text);
/* Certificates as the configuration names them; health checks speak by them. */
void reload_certificates(struct controller *c);
/* Certificates that were replaced on disk. */
void reload_second(struct controller *c, int64_t now_ms);

/* services.c */
/* Puts the shop's services to indices: those that stay keep theirs. */
void services_apply(struct controller *c);
void services_second(struct controller *c, int64_t now_ms);
/* What was learned goes into the store. */
void services_keep(struct controller *c);
void services_fini(struct controller *c);

/* calls.c */
/* After the services have their indices. */
void calls_apply(struct controller *c);
void calls_second(struct controller *c);
/* Services that it calls as configured, a bit each. */
uint64_t calls_configured(const struct controller *c, unsigned caller);
/* NaN: it is not. */
double calls_ratio_configured(const struct controller *c, unsigned caller, unsigned called);
/* What its callers asked of the service at each step of the query, as far as the store knows; to be
 * freed. NULL: nobody calls it. */
double *calls_read_past(struct controller *c, const char *name,
                        const struct store_sample_query *query, size_t *steps);

/* calls_memory.c */
/* After the services have their indices: what was learned of those that are new, a bit each. */
uint64_t calls_recall(struct controller *c);
/* Into the store. */
void calls_keep(struct controller *c);
/* Into the notebook. */
void calls_note(struct controller *c);

/* dependencies.c */
/* Before the services' second. */
void dependencies_second(struct controller *c);
/* After the services have their indices: what was learned before a restart is planned by at once,
 * it was told of then. */
void dependencies_recall(struct controller *c);
void dependencies_fill_view(const struct controller *c, struct api_view *view);

/* members.c */
struct member *member_of(const struct instance *instance);
unsigned member_slot(const struct controller *c, const struct member *m);
/* Gives the instance a slot; the old plan's when it was in it. NULL: all are taken. */
struct member *member_add(struct controller *c, struct instance *instance);
void member_remove(struct controller *c, struct member *m);
void member_move(struct controller *c, struct member *m, enum endpoint_state state,
                 const char *note);
/* Out of rotation, finishes what it has, then ends. */
void member_drain(struct controller *c, struct member *m, const char *note);
unsigned members_count(const struct controller *c, unsigned service, enum endpoint_state state);
/* Drains that are done. */
void members_tick(struct controller *c);
#define EACH_MEMBER(c, m, service_index)                                                           \
    for (struct member *m = (c)->members; m < (c)->members + PLAN_ENDPOINTS_MAX; m++)              \
        if (m->instance != NULL && m->instance->service == (service_index))

/* access.c */
/* `before`: the configuration until now; NULL: there was none. Tells the thread to look at its file
 * anew, or puts another thread in its place. */
void access_apply(struct controller *c, const struct access_log_config *before);
/* Once a second. */
void access_second(struct controller *c);

/* planner.c */
/* The plan is out of date: a new one at the end of this turn. */
void planner_change(struct controller *c);
void planner_publish(struct controller *c);
/* Looks again in a moment: whether a plan can be published, whether all workers have it. */
void planner_follow(struct controller *c);
/* The oldest version that any living worker uses. */
uint64_t planner_version_in_use(const struct controller *c);

/* pools.c */
void pools_second(struct controller *c, unsigned service, int64_t now_ms);

/* scale.c */
void scale_service(struct controller *c, unsigned service);
/* As many in rotation as were wanted last, from those that are warm; what lacks is started. */
void scale_fill(struct controller *c, unsigned service);
bool member_is_outdated(const struct controller *c, const struct member *m);

/* accounts.c */
/* Its configuration is there, or has changed. */
void accounts_apply(struct controller *c, struct controlled *s);
void accounts_second(struct controller *c, unsigned service, int64_t now_ms);
/* What was seen is judged and written; before the store is closed. */
void accounts_end(struct controller *c, struct controlled *s);

/* heal.c */
void heal_tick(struct controller *c);
void heal_crashed(struct controller *c, struct member *m, int status);
void heal_health(struct controller *c, struct member *m);
/* A decision that opens a fault; the next published plan that has a spare in its place heals it. */
void faults_tick(struct controller *c);

/* checks.c */
/* What the requests of one in rotation say; each heal tick. */
void checks_hear(struct controller *c, struct member *m, const struct remedy_evidence *e);
void checks_probed(struct controller *c, struct member *m, bool well);
void checks_changed(struct controller *c, struct member *m);
void checks_tick(struct controller *c);

/* maintenance.c */
void maintenance_open(struct controller *c);
/* After the running instances were adopted. */
void maintenance_forget_ended(struct controller *c);
struct api_maintenance *maintenance_of(struct controller *c, const struct instance *instance);
/* One that has just got its slot: as the book says. */
void maintenance_adopt(struct controller *c, struct member *m);
/* It goes for good. */
void maintenance_forget(struct controller *c, struct member *m, const char *why);
/* ERROR_BUSY: not now, or not without force. ERROR_NOT_FOUND. */
bool maintenance_start(struct controller *c, const struct api_maintenance_order *order,
                       struct error *err);
bool maintenance_end(struct controller *c, const struct api_maintenance_order *order,
                     struct error *err);
void maintenance_tick(struct controller *c);

/* rates.c */
void rates_second(struct controller *c);
void rates_fill_view(const struct controller *c, struct api_view *view);

/* storage.c */
/* The configuration is there, or has changed. */
void storage_apply(struct controller *c);
void storage_second(struct controller *c);
/* Its past goes into the file. */
void storage_keep(struct controller *c);
void storage_fill_view(const struct controller *c, struct api_view *view);

/* hear.c */
/* Makes decisions of what workers did by themselves; with each tick of the healing. */
void hear_workers(struct controller *c);
/* Once a second: retries that the budget refused. */
void hear_second(struct controller *c);
/* campaigns.c */
/* Reads the book and makes c->calendar, which the services refer to. */
void campaigns_open(struct controller *c);
/* After the configuration was read again. */
void campaigns_apply(struct controller *c);
/* The inputs or the book have changed. */
void campaigns_change(struct controller *c);
void campaigns_second(struct controller *c);
/* For the API; `self` is the controller. A new one, or another version of one that is known. */
bool campaigns_put(void *self, const struct api_campaign_order *order, struct error *err);
/* ERROR_NOT_FOUND; ERROR_BUSY: several have that name. */
bool campaigns_remove(void *self, const struct api_campaign_order *order, struct error *err);

/* tell.c */
struct told {
    const char *kind, *action, *subject;
    int service;          /* -1: none */
    double noticed_ms;    /* NaN: no fault */
    const char *evidence; /* JSON object; NULL: none */
};
/* For certificates.c: its words as decisions. */
struct certificates_teller tell_certificates(struct controller *c);
/* For the API: who changed what. */
void tell_change(void *self, const char *action, struct slice subject, const char *who);
int64_t tell(struct controller *c, const struct told *told, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* view.c */
void view_fill(struct controller *c, int64_t now_ms);
