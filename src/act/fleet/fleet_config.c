#include "act/fleet/fleet_config.h"

#include <string.h>

#include "act/shm/plan.h"
#include "decide/balance/balance.h"
#include "wire/net/address.h"

#define HEALTH_NAME_MAX 100
#define HEALTH(member) offsetof(struct health_config, member)
#define FLEET(member) offsetof(struct fleet_config, member)

static const char *const kinds[] = { "process", "static", "podman", "kubernetes", NULL };

const char *fleet_kind_name(enum fleet_kind kind) {
    return kinds[kind];
}

static void check_health(const struct config_place *place, void *item) {
    const struct health_config *c = item;
    if (c->path != NULL && c->path[0] != '/') {
        config_place_error(place, "path", "path: expected a path that begins with '/', found '%s'",
                           c->path);
    }
    for (const char *at = c->path; at != NULL && *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7f) { /* it would end the request line */
            config_place_error(place, "path", "path: expected a path without blanks");
            return;
        }
    }
}

static void check_process(const struct config_place *place, const struct fleet_config *c) {
    if (c->command_len == 0) {
        config_place_error(place, "command",
                           "command: expected how an instance is started, such as "
                           "[node, server.js, --port, \"$PORT\"]");
    }
    if (c->command_len > FLEET_ARGUMENTS_MAX) {
        config_place_error(place, "command", "command: expected at most %d words, found %zu",
                           FLEET_ARGUMENTS_MAX, c->command_len);
    }
    for (size_t i = 0; i < c->environment_len; i++) {
        const char *name = c->environment[i].name;
        if (name != NULL && (name[0] == '\0' || strchr(name, '=') != NULL)) {
            config_place_error(place, "environment",
                               "environment: expected a name without '=', found '%s'", name);
        }
    }
    if (c->endpoint_len > 0) {
        config_place_error(place, "endpoints", "endpoints: only of `fleet: static`");
    }
}

static void check_static(const struct config_place *place, const struct fleet_config *c) {
    if (c->endpoint_len == 0) {
        config_place_error(place, "endpoints",
                           "endpoints: expected at least one, such as [\"10.0.0.5:8000\"]");
    }
    if (c->command_len > 0) {
        config_place_error(place, "command", "command: only of `fleet: process`");
    }
    for (size_t i = 0; i < c->endpoint_len; i++) {
        struct address address;
        struct error err;
        const struct config_place at = config_place_item(place, "endpoints", i);
        const char *text = c->endpoints[i].address, *zone = c->endpoints[i].zone;
        if (zone != NULL && strlen(zone) > BALANCE_ZONE_MAX) {
            config_place_error(&at, "zone", "zone: expected at most %d bytes", BALANCE_ZONE_MAX);
        }
        if (text == NULL) {
            continue; /* not even text: said already */
        }
        if (text[0] == '\0') {
            config_place_error(&at, NULL, "endpoints: expected an address such as 10.0.0.5:8000");
        } else if (!address_parse(slice_from(text), 80, &address, &err) &&
                   err.kind != ERROR_NOT_FOUND) {
            config_place_error(&at, NULL, "endpoints: %s", err.text);
        }
    }
}

static void check(const struct config_place *place, void *item) {
    const struct fleet_config *c = item;
    if (c->kind == FLEET_PROCESS) {
        check_process(place, c);
    } else if (c->kind == FLEET_STATIC) {
        check_static(place, c);
    } else {
        config_place_error(place, "fleet",
                           "fleet: this version runs `process` and `static`; %s comes later",
                           kinds[c->kind]);
    }
    if (c->health.grpc != NULL && c->protocol != FLEET_PROTOCOL_H2) {
        config_place_error(place, "health", "health.grpc: expected `protocol: h2` with it");
    }
    if (c->health.grpc != NULL && strlen(c->health.grpc) > HEALTH_NAME_MAX) {
        config_place_error(place, "health", "health.grpc: expected a name of at most %d bytes",
                           HEALTH_NAME_MAX);
    }
    if (c->health.grpc != NULL && c->health.path != NULL) {
        config_place_error(place, "health", "health: expected either path or grpc");
    }
    if (c->version != NULL &&
        (strlen(c->version) >= PLAN_NAME_BYTES || strpbrk(c->version, ": \t\"") != NULL)) {
        config_place_error(place, "version",
                           "version: expected a short name without blanks or colons");
    }
}

#define ENDPOINT(member) offsetof(struct endpoint_config, member)
static const struct config_field endpoint_fields[] = {
    { "address", CONFIG_TEXT, ENDPOINT(address), .required = true, .help = "`host:port`" },
    { "weight", CONFIG_COUNT, ENDPOINT(weight), .fallback = "1", .min = 1,
      .max = BALANCE_WEIGHT_MAX, .help = "its share beside the others'" },
    { "zone", CONFIG_TEXT, ENDPOINT(zone),
      .help = "where it stands; those in our own `zone` are preferred" },
};
static const struct config_table endpoint_table = {
    .fields = endpoint_fields,
    .len = sizeof endpoint_fields / sizeof *endpoint_fields,
    .item_bytes = sizeof(struct endpoint_config),
    .plain = true,
};

static const struct config_field health_fields[] = {
    { "path", CONFIG_TEXT, HEALTH(path),
      .help = "asked with GET: a status of 200 to 399 is health; without it a connection that is "
              "accepted" },
    { "grpc", CONFIG_TEXT, HEALTH(grpc),
      .help = "asked by grpc.health.v1 under this name instead; `\"\"`: for the whole server" },
    { "interval", CONFIG_DURATION, HEALTH(interval_ms), .fallback = "1s", .min = 50, .max = 3600000,
      .help = "between two probes" },
    { "timeout", CONFIG_DURATION, HEALTH(timeout_ms), .fallback = "1s", .min = 10, .max = 600000,
      .help = "a probe that takes longer has failed" },
    { "failures", CONFIG_COUNT, HEALTH(failures), .fallback = "2", .min = 1, .max = 100,
      .help = "so many failed probes in a row take an instance out of rotation; after the first, "
              "the next follows at once" },
    { "startup", CONFIG_DURATION, HEALTH(startup_ms), .fallback = "60s", .min = 100, .max = 3600000,
      .help = "one that is not healthy by then has failed to start" },
};
static const struct config_table health_table =
    CONFIG_TABLE_CHECKED(struct health_config, health_fields, check_health);

static const char *const protocols[] = { "http/1.1", "h2", NULL };

static const struct config_field fields[] = {
    { "fleet", CONFIG_CHOICE, FLEET(kind), .choices = kinds, .fallback = "process",
      .help = "who runs the instances: we as processes, somebody else at fixed addresses" },
    { "command", CONFIG_TEXT, FLEET(command), .many = true, .count_offset = FLEET(command_len),
      .help = "how a process is started; `$PORT` in it, and in its environment, is the port" },
    { "folder", CONFIG_PATH, FLEET(folder), .fallback = ".", .help = "in which the command runs" },
    { "environment", CONFIG_PAIRS, FLEET(environment), .count_offset = FLEET(environment_len),
      .help = "added to ours" },
    { "endpoints", CONFIG_BLOCKS, FLEET(endpoints), .table = &endpoint_table,
      .count_offset = FLEET(endpoint_len), .help = "of `static`: where it answers" },
    { "protocol", CONFIG_CHOICE, FLEET(protocol), .choices = protocols, .fallback = "http/1.1",
      .help = "what it speaks; `h2`: HTTP/2 without asking first (prior knowledge), as gRPC "
              "services do" },
    { "version", CONFIG_TEXT, FLEET(version),
      .help = "of the release, for people; a hash of the command without it" },
    { "grace", CONFIG_DURATION, FLEET(grace_ms), .fallback = "10s", .max = 3600000,
      .help = "between TERM and KILL" },
    { "health", CONFIG_BLOCK, FLEET(health), .table = &health_table,
      .help = "how an instance is asked how it is" },
};
const struct config_table fleet_config_table =
    CONFIG_TABLE_CHECKED(struct fleet_config, fields, check);
