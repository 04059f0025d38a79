/* The admin API: HTTP/JSON under /api/v1, server-sent events, /metrics, /healthz and the dashboard,
 * in the controller's event loop. Who may ask for what is the table in routes.c, who asks is found
 * out in callers.c: over TCP (admin.address) by a token, over the Unix socket in the state folder
 * by the user (docs/decisions/0036).
 *
 * It knows nothing of the controller: that fills a struct api_view each tick and hands it over
 * (api_tick), with struct api_source for what is asked for only now and then. What was, comes from
 * the store; what is, from the view. Contract: openapi.json in this folder, served by the binary.
 * Not here: measuring or deciding anything. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "act/fleet/fleet.h"
#include "act/shm/plan.h"
#include "act/shm/vitals.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"
#include "record/store/store.h"
#include "record/telemetry/decision.h"
#include "wire/net/loop.h"

#define API_CONNECTIONS_MAX 64
#define API_EVENT_CLIENTS_MAX 16       /* of the connections, those that hear events */
#define API_EVENT_PENDING_BYTES 524288 /* a reader that is further behind is dropped */
#define API_HEAD_TIMEOUT_US 10000000
#define API_IDLE_TIMEOUT_US 60000000
#define API_BODY_BYTES_MAX 65536
#define API_ANSWER_BYTES_MAX (8u << 20)
#define API_DECISIONS 1024      /* newest ones kept in memory */
#define API_HISTORY_SECONDS 900 /* of each service, kept in memory, one row a second */
#define API_CAMPAIGNS_MAX 64
#define API_CAMPAIGN_ID_BYTES 96
#define API_CAMPAIGN_NAME_BYTES 128
#define API_CERTIFICATES_MAX 256
#define API_TEXT_BYTES 256
#define API_VOLUMES_MAX 17
#define API_CALLS_MAX 256 /* pairs of services that are shown */
#define API_MAINTENANCE_MAX PLAN_ENDPOINTS_MAX

/* ---- the view: what is, as plain values; NaN in a double: not known (null in JSON) ---- */

struct api_stage {
    double offered_rps, served_rps;
    double latency_ms_p50, latency_ms_p95,
        latency_ms_p99; /* of the last second; NaN: none served */
};

/* What was said of steps that have come since; NaN: nothing to say it from. */
struct api_accuracy {
    int64_t since_ms; /* unix; 0: of none */
    int64_t ahead_ms; /* how long before it was said */
    size_t steps;
    double mase, wape;
    double in_band, under_bound; /* shares within q0.1 to q0.9, and below q0.95 */
};

#define API_LEFT_OUT_MAX 32
struct api_left_out { /* [from_ms, to_ms), unix */
    int64_t from_ms, to_ms;
    const char *reason;
};

struct api_forecast {
    int64_t start_ms; /* unix, of step 0 */
    int64_t step_ms;
    size_t steps; /* 0: the forecaster is silent */
    /* Of `steps` values, rps; borrowed until the next api_tick. `quantiles` holds q0.1, q0.5 and
     * q0.9, step by step, `quantile_stride` doubles apart. `provision`: what is provisioned, NaN
     * where the forecast is not followed and no campaign begins. */
    const double *mean, *provision;
    const double *quantiles;
    size_t quantile_stride;
    double provision_quantile;
    struct api_accuracy accuracy; /* of the past week */
    const char *knows;            /* how much of the past stands behind it; see forecast_knows */
    struct api_left_out left_out[API_LEFT_OUT_MAX]; /* of what is learned as demand */
    size_t left_out_count;
};

/* An instance that a person has taken out of rotation. */
struct api_maintenance {
    char service[PLAN_NAME_BYTES], instance[PLAN_NAME_BYTES];
    char reason[API_TEXT_BYTES]; /* in the person's words; empty: none was given */
    char by[PLAN_NAME_BYTES];    /* who asked */
    int64_t since_ms, until_ms;  /* unix; until 0: until it is ended */
};

/* What one instance carries within the objective, as far as it is known. */
struct api_capacity {
    double low_rps, likely_rps, high_rps;
    char source[16];                 /* "learned", "configured" */
    double lambda_rps, sigma, kappa; /* of the Universal Scalability Law; NaN: not fitted */
    double objective_ms;             /* aimed at; above the configured one where that is hopeless */
};

struct api_service {
    char name[PLAN_NAME_BYTES];
    char fleet[16];                   /* "process", "static" */
    char balance[16];                 /* the policy: "fastest" */
    char trouble[2 * API_TEXT_BYTES]; /* why its instances do not come up; empty: none */
    /* The last whole second. */
    double demand_rps; /* offered, before admission */
    double served_rps, refused_rps, failed_rps;
    double retries_rps, retries_refused_rps; /* sent again; not, for want of budget */
    double hedges_rps, hedges_won_rps;       /* second attempts; and those that answered */
    double latency_ms_p50, latency_ms_p95, latency_ms_p99;
    struct api_stage stages[STAGE_COUNT];
    uint32_t in_flight, waiting;
    /* What is thought of it. */
    double forecast_rps, forecast_rps_low, forecast_rps_high; /* q0.5, q0.1, q0.9 of this moment */
    double capacity_rps; /* of all that serve, within the objective */
    double called_rps;   /* of the demand, what services that call it ask for; NaN: none does */
    double instance_capacity_rps; /* of one, as plans count on it: the lower bound */
    struct api_capacity instance_capacity;
    double objective_ms, objective_share_ratio; /* configured */
    double within_objective_ratio;              /* of the last minute's answers; NaN: none */
    double lead_ms;                             /* high quantile of the start-up time */
    uint32_t instances_min, instances_max, instances_wanted, spares_wanted;
    uint32_t connections_ahead;  /* to each instance, before a wave; 0: none is seen */
    char reason[API_TEXT_BYTES]; /* the sentence of the last plan */
    struct fleet_probes probes;  /* of this controller */
    struct api_forecast forecast;
};

struct api_instance {
    char id[PLAN_NAME_BYTES], version[PLAN_NAME_BYTES], address[64];
    char zone[64]; /* empty: not said */
    uint32_t weight;
    uint16_t service; /* index into view.services */
    uint8_t state;    /* enum endpoint_state */
    pid_t pid;        /* 0: not a process of ours */
    uint32_t in_flight;
    double latency_ms; /* smoothed time to first byte; NaN: nothing answered yet */
    double requests_rps, errors_rps;
    double cpu_ratio;          /* of one CPU; NaN: not measured */
    double memory_bytes;       /* NaN: not measured */
    double startup_ms;         /* NaN: not ready yet, or adopted */
    int64_t started_ms;        /* unix; 0: not known */
    char note[API_TEXT_BYTES]; /* why it is ejected or draining; empty */
    bool healthy, suspicious;  /* by its probes; they come more often than usual */
    double probe_ms;           /* the last one took; NaN: none has ended */
    enum probe_result probe_result;
    const struct api_maintenance *maintenance; /* of view.maintenance; NULL: none */
};

struct api_campaign {
    char id[API_CAMPAIGN_ID_BYTES]; /* empty: it can't be changed (a holiday) */
    char name[API_TEXT_BYTES], kind[PLAN_NAME_BYTES];
    char channel[PLAN_NAME_BYTES], audience[PLAN_NAME_BYTES]; /* empty: not said */
    int64_t start_ms, end_ms;                                 /* end exclusive */
    double multiplier;                                        /* NaN: learned */
    struct {
        double peak, low,
            high; /* of demand; 0.8 of certainty between low and high; NaN: not known */
        uint32_t learned_from; /* past ones of its kind */
        char phase[12];        /* "waiting", "running", "over"; empty */
        int64_t onset_ms;      /* when demand began to rise; 0: not seen */
    } expected;
};

/* The access log; the counters of this controller. */
struct api_access_log {
    bool on, failing;
    uint64_t records, sampled_out, failures, rotations;
    uint64_t dropped, texts_dropped; /* by the workers, since the segment was made */
};

struct api_certificate {
    char name[PLAN_NAME_BYTES]; /* the first it is for */
    char kind[12];              /* "rsa", "ecdsa", "ed25519" */
    int64_t not_after_ms;
};

/* A rate limit. */
struct api_rate {
    uint64_t id; /* in the vitals */
    char name[PLAN_NAME_BYTES], by[PLAN_NAME_BYTES];
    double rate_rps;
    uint32_t burst;
    bool dry_run;              /* refused: would have been */
    uint64_t allowed, refused; /* since the limit is known */
    double allowed_rps, refused_rps;
};

/* How often one service calls another one for each of its requests. */
struct api_call {
    uint16_t caller, called;  /* indices into view.services */
    double configured;        /* NaN: it is not */
    double likely, low, high; /* as learned, with 0.9 of certainty; NaN: not seen */
    double requests;          /* of the caller, that it was learned from */
    const char *source;       /* of what is planned by: "configured", "traces", "addresses" */
    bool planned;             /* else there is too little evidence, or it would be a cycle */
};

/* A volume that is watched (`storage`). */
struct api_volume {
    const char *path, *state; /* "unknown", "fine", "grow", "full", "silent" */
    bool configured;          /* else it is the store's */
    double used_bytes, size_bytes;
    double inodes_ratio, full_at_ratio;
    double full_in_s, full_in_s_low,
        full_in_s_high;                     /* NaN and infinity: it cannot be said, never */
    double growth, growth_low, growth_high; /* bytes a second; 0.9 of certainty */
    double seen_s; /* for how long: no further than 12 times that is looked ahead */
    double size_wanted_bytes;
    bool limited;              /* more would be needed than it may have */
    char text[API_TEXT_BYTES]; /* for people */
};

/* The calendar that another server keeps (`demand.calendar`). */
struct api_calendar {
    bool on;
    double success_s; /* unix, when it was had last, new or the same; 0: not since the start */
    double age_s;     /* since then, or since it is asked for */
    uint64_t failures;
    size_t events; /* that it announces */
};

struct api_view {
    int64_t now_ms; /* unix, when it was filled */
    pid_t supervisor, controller;
    pid_t workers[PLAN_WORKERS_MAX];
    uint32_t worker_count;
    uint64_t plan_version;
    int64_t started_ms;     /* of this controller */
    bool sandboxed;         /* it is configured */
    uint32_t sandbox_parts; /* in force in every worker that runs: 1 << enum guard_part */
    bool draining;
    char currency[8];          /* "EUR"; empty: no price known */
    double margin_per_request; /* NaN: not known */
    uint32_t service_count, instance_count, campaign_count, certificate_count;
    uint32_t maintenance_count, call_count;
    struct api_access_log access_log;
    struct api_calendar calendar;
    struct api_service services[PLAN_SERVICES_MAX];
    struct api_instance instances[PLAN_ENDPOINTS_MAX];
    struct api_maintenance maintenance[API_MAINTENANCE_MAX];
    struct api_campaign campaigns[API_CAMPAIGNS_MAX];          /* running or to come, by start */
    struct api_certificate certificates[API_CERTIFICATES_MAX]; /* each name and kind once */
    struct api_call calls[API_CALLS_MAX];
    uint32_t volume_count;
    struct api_volume volumes[API_VOLUMES_MAX];
    uint32_t rate_count, rate_keys; /* rate_keys: places in the table of all limits */
    double rate_table_used_ratio;   /* of them, those whose bucket is not full; an estimate */
    struct api_rate rates[PLAN_RATES_MAX];
};

/* ---- what control does for the API ---- */

struct api_maintenance_order {
    struct slice service, instance, reason, by;
    int64_t for_ms; /* 0: until it is ended */
    bool force;     /* even the last one that serves */
    bool expired;   /* its time is up: nobody asked */
};

/* Empty, 0 and NaN: as it is, or not said. */
struct api_campaign_order {
    struct slice id, name, kind, channel, audience, by;
    int64_t start_ms, end_ms;
    double multiplier;
    uint32_t sequence;
    bool cancelled;
    char *id_out; /* API_CAMPAIGN_ID_BYTES: which one it was */
};

struct api_source {
    void *self;
    /* Last lines of output of the instance, oldest first, each ended by \n. False: no such one. */
    bool (*instance_output)(void *self, struct slice id, struct buffer *out);
    /* Reads the configuration again. False: it has errors; `report` has them, a line each, and
     * nothing was changed. */
    bool (*reload)(void *self, struct buffer *report);
    /* Lets everything finish, then ends Tidegate. */
    void (*drain)(void *self);
    /* Takes one instance out of rotation, lets it finish and replaces it. */
    bool (*drain_instance)(void *self, struct slice id, struct error *err);
    /* Takes one out until it is ended; told again it takes over what is new. ERROR_NOT_FOUND;
     * ERROR_BUSY: nobody else serves, or it is leaving. The view has it when this returns. */
    bool (*start_maintenance)(void *self, const struct api_maintenance_order *order,
                              struct error *err);
    bool (*end_maintenance)(void *self, const struct api_maintenance_order *order,
                            struct error *err);
    /* Somebody changed something: for the audit chain. NULL: nobody writes it down. */
    void (*changed)(void *self, const char *action, struct slice subject, const char *who);
    /* Announces a campaign, or changes the one that it is. The view has it when this returns. */
    bool (*put_campaign)(void *self, const struct api_campaign_order *order, struct error *err);
    /* order->id: its id, or its name when no other has it. */
    bool (*remove_campaign)(void *self, const struct api_campaign_order *order, struct error *err);
};

struct api_options {
    struct loop *loop;
    struct slice tcp_address; /* "127.0.0.1:9900"; empty: none */
    bool anonymous_views;     /* over TCP, who shows no token may read */
    const char *socket_path;  /* absolute; NULL: none */
    /* Further names under which a browser may ask for us (Host), besides numeric addresses and
     * localhost: against DNS rebinding. */
    const struct slice *hosts;
    size_t host_count;
    struct store *store;         /* NULL: no history */
    const struct vitals *vitals; /* for /metrics; NULL: fewer metrics */
    struct api_source source;
};

struct api;

/* Listens. Fails when an address cannot be had; options are copied but for what they point to. */
struct api *api_new(const struct api_options *options, struct error *err);
void api_free(struct api *api); /* closes all connections */

/* Once a second: the view is borrowed until the next call; sends the `tick` event. */
void api_tick(struct api *api, const struct api_view *view);
/* A decision was taken (it has its id): kept, and sent as an event at once. */
void api_decided(struct api *api, const struct decision *decision);
/* The fault behind that decision is over. */
void api_healed(struct api *api, int64_t decision_id, double noticed_ms, double healed_ms);
