/* The shop: everything that shop.yaml says, put together from the rooms' blocks, and what belongs
 * together checked. Immutable once loaded; its memory is one arena. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "act/control/dial_config.h"
#include "act/control/listen_config.h"
#include "act/fleet/fleet_config.h"
#include "act/guard/guard.h"
#include "act/proxy/compression_config.h"
#include "act/proxy/proxy_config.h"
#include "act/proxy/rate_config.h"
#include "act/proxy/retry_config.h"
#include "base/log.h"
#include "config/config.h"
#include "decide/admission/overload_config.h"
#include "decide/autoscale/scale_config.h"
#include "decide/autoscale/storage_config.h"
#include "decide/balance/balance_config.h"
#include "decide/forecast/demand_config.h"
#include "decide/value/value_config.h"
#include "record/telemetry/access_log_config.h"
#include "wire/net/loop.h"

#define SHOP_ADMIN_DEFAULT "127.0.0.1:9900"
#define SHOP_STORE_DEFAULT "sqlite:var/tidegate.db"

struct service_config {
    const char *name;
    struct fleet_config fleet;
    struct instances_config instances;
    struct unit_config unit;
    struct objective_config objective;
    struct upstream_config timeouts;
    struct balance_config balance;
    int compression; /* enum plan_switch */
    struct dial_config dial;
    struct retry_config retry;
    struct hedge_config hedge;
    struct circuit_config circuit;
    const struct config_pair *calls; /* of other services, for each request (calls_config.h) */
    size_t call_count;
};

struct job_config { /* read and checked; carried out by a later version */
    const char *name;
    const char **command;
    size_t command_len;
    int64_t deadline_ms;
    int class;
};

struct rollout_config { /* likewise */
    double steps[16];
    size_t step_count;
    const char **guard;
    size_t guard_len;
};

enum shop_anonymous { ANONYMOUS_AUTO, ANONYMOUS_VIEWER, ANONYMOUS_NONE };

struct shop {
    const char **include; /* files whose keys were added */
    size_t include_count;
    struct listen_config *listen;
    size_t listen_count;
    struct slice *trusted_proxies; /* networks */
    size_t trusted_proxy_count;
    struct slice *unlimited_clients; /* networks */
    size_t unlimited_client_count;
    int forwarded_by; /* 0: X-Forwarded-For, 1: Forwarded */
    struct {
        const char *address; /* NULL: none */
        struct slice *hosts;
        size_t host_count;
        int anonymous;    /* enum shop_anonymous */
        bool best_effort; /* a port that somebody else has is no reason not to start */
    } admin;
    const char *store;
    const char *zone; /* of this node; NULL: not said */
    uint32_t workers; /* 0: one for each CPU */
    enum loop_io io;
    int sandbox;      /* enum guard_mode */
    const char *user; /* that workers become; NULL: see guard_find_user */
    struct service_config *services;
    size_t service_count;
    struct route_config *routes;
    size_t route_count;
    struct rate_config *rates; /* `rate_limits` */
    size_t rate_count;
    uint32_t rate_keys;
    struct page_config *pages; /* for errors that we answer */
    size_t page_count;
    struct demand_config demand;
    struct storage_config *storage; /* volumes */
    size_t storage_count;
    struct value_config value;
    struct overload_config overload;
    struct compression_config compression;
    struct rollout_config rollout;
    struct job_config *jobs;
    size_t job_count;
    struct limits_config limits;
    struct timeouts_config timeouts;
    struct access_log_config access_log;
    struct {
        enum log_level level;
    } log;
    char currency[UNITS_CURRENCY_BYTES]; /* of all money in it; empty: none */
    struct arena arena;
};

extern const struct config_table shop_table; /* for the reference */

/* Reads and checks the file and those it includes. False when `report` has errors; warnings may be
 * there in any case. `shop` needs shop_fini only after success. */
bool shop_load(const char *path, struct shop *shop, struct config_report *report);

/* What `run --to` serves: every endpoint of one static service, under every path. `listen` NULL:
 * ":8080". */
bool shop_default(const char *const *endpoints, size_t endpoint_count, const char *listen,
                  struct shop *shop, struct config_report *report);
void shop_fini(struct shop *shop);

/* Whether somebody who shows no token to the admin address may read. */
bool shop_anonymous_views(const struct shop *shop);

const struct service_config *shop_service(const struct shop *shop, struct slice name);
bool shop_listens_at(const struct shop *shop, const struct address *address);
