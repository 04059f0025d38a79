/* What a service's block in shop.yaml says about its instances: how they are had and asked how they
 * are. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "decide/balance/balance_config.h"

#define FLEET_ARGUMENTS_MAX 256 /* words of a command */

enum fleet_kind { FLEET_PROCESS, FLEET_STATIC, FLEET_PODMAN, FLEET_KUBERNETES };

enum fleet_protocol { FLEET_PROTOCOL_H1, FLEET_PROTOCOL_H2 }; /* as enum plan_protocol */

#define HEALTH_HEADERS_MAX 16
#define EXPECT_STATUSES_MAX 16
#define EXPECT_BODY_BYTES_MAX 512

/* What an answer must be; compiled by expectation.h. */
struct expect_config {
    const char **status; /* "204", "2xx", "200-399" */
    size_t status_len;
    const char *body; /* NULL: any; a text that stands in it, or "/a pattern/" */
};

struct health_config {
    const char *path; /* NULL: a connection that is accepted is health enough */
    const char *grpc; /* NULL: not asked; else the service's name for grpc.health.v1 */
    bool tcp;         /* said so: neither path nor grpc */
    int method;       /* 0: GET, 1: HEAD */
    const char *host; /* NULL: its address */
    const struct config_pair *headers;
    size_t header_count;
    uint32_t port; /* 0: that of the instance */
    struct expect_config expect;
    int64_t interval_ms, timeout_ms, startup_ms;
    uint32_t rise, fall;
    uint32_t failures; /* another word for `fall`; 0: not used */
};

struct endpoint_config {
    const char *address; /* "host:port" */
    uint32_t weight;
    const char *zone; /* NULL: not said */
};

struct fleet_config {
    enum fleet_kind kind;
    const char **command; /* of process; "$PORT" stands for the port */
    size_t command_len;
    const char *folder; /* in which it runs */
    const char *user;   /* as whom; NULL: as we */
    const struct config_pair *environment;
    size_t environment_len;
    struct endpoint_config *endpoints; /* of static */
    size_t endpoint_len;
    const char *version; /* NULL: a hash of command and environment */
    int64_t grace_ms;
    enum fleet_protocol protocol;
    struct health_config health;
};

extern const struct config_table fleet_config_table; /* to be inlined in the service's block */
const char *fleet_kind_name(enum fleet_kind kind);
