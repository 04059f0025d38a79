#include "act/fleet/fleet_config.h"

#include <string.h>

#include "act/fleet/expectation.h"
#include "act/guard/guard.h"
#include "act/shm/plan.h"
#include "decide/balance/balance.h"
#include "wire/http/message.h"
#include "wire/http/uri.h"
#include "wire/net/address.h"

#define HEALTH_NAME_MAX 100
#define HEALTH(member) offsetof(struct health_config, member)
#define EXPECT(member) offsetof(struct expect_config, member)
#define FLEET(member) offsetof(struct fleet_config, member)

static const char *const kinds[] = { "process", "static", "podman", "kubernetes", NULL };

const char *fleet_kind_name(enum fleet_kind kind) {
    return kinds[kind];
}

static void check_expect(const struct config_place *place, void *item) {
    struct error err;
    struct expectation *e = expectation_new(item, &err);
    if (e == NULL) {
        const char *key = strncmp(err.text, "status", 6) == 0 ? "status" : "body";
        config_place_error(place, key, "%s", err.text);
    }
    expectation_free(e);
}

static void check_path(const struct config_place *place, const char *path) {
    if (path[0] != '/') {
        config_place_error(place, "path", "path: expected a path that begins with '/', found '%s'",
                           path);
    }
    for (const char *at = path; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7f) { /* it would end the request line */
            config_place_error(place, "path", "path: expected a path without blanks");
            return;
        }
    }
}

/* What the probe says itself, or what would change how its request is framed. */
static bool is_ours(struct slice name) {
    static const enum http_field_id ours[] = {
        HTTP_FIELD_CONNECTION,
        HTTP_FIELD_CONTENT_LENGTH,
        HTTP_FIELD_EXPECT,
        HTTP_FIELD_KEEP_ALIVE,
        HTTP_FIELD_TE,
        HTTP_FIELD_TRAILER,
        HTTP_FIELD_TRANSFER_ENCODING,
        HTTP_FIELD_UPGRADE,
    };
    enum http_field_id id = http_field_id_of(name);
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (id == ours[i]) {
            return true;
        }
    }
    return false;
}

static void check_headers(const struct config_place *place, const struct health_config *c) {
    if (c->header_count > HEALTH_HEADERS_MAX) {
        config_place_error(place, "headers", "headers: expected at most %d, found %zu",
                           HEALTH_HEADERS_MAX, c->header_count);
    }
    for (size_t i = 0; i < c->header_count; i++) {
        const struct config_pair *pair = &c->headers[i];
        struct slice name = slice_from(pair->name);
        if (pair->name == NULL || pair->value == NULL) {
            continue; /* not even text: said already */
        }
        if (http_field_id_of(name) == HTTP_FIELD_HOST) {
            config_place_error(place, "headers", "headers: 'host' is a key of its own here");
        } else if (!http_is_token(name) || is_ours(name)) {
            config_place_error(place, "headers",
                               "headers: '%s' is no name of a field that can be set", pair->name);
        } else if (!http_is_field_value(slice_from(pair->value))) {
            config_place_error(place, "headers", "headers: the value of '%s' cannot be sent",
                               pair->name);
        }
    }
}

/* Keys that mean nothing without a path. */
static void check_of_path(const struct config_place *place) {
    static const char *const keys[] = { "expect", "method", "host", "headers" };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (config_place_has(place, keys[i])) {
            config_place_error(place, keys[i], "%s: only of a health check that has a path",
                               keys[i]);
        }
    }
}

static void check_health(const struct config_place *place, void *item) {
    struct health_config *c = item;
    if (c->path != NULL) {
        check_path(place, c->path);
        check_headers(place, c);
    } else {
        check_of_path(place);
    }
    if (c->tcp && (c->path != NULL || c->grpc != NULL)) {
        config_place_error(place, "tcp", "tcp: expected neither path nor grpc with it");
    }
    if (c->host != NULL && !uri_is_authority(slice_from(c->host))) {
        config_place_error(place, "host",
                           "host: expected such as shop.example or [::1]:80, "
                           "found '%s'",
                           c->host);
    }
    if (c->method != 0 && c->expect.body != NULL) {
        config_place_error(place, "method", "method: the answer to HEAD has no body to expect");
    }
    if (c->failures > 0 && config_place_has(place, "fall")) {
        config_place_error(place, "failures", "failures: another word for fall; expected one");
    }
    c->fall = c->failures > 0 ? c->failures : c->fall;
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
    struct guard_user user;
    struct error err;
    if (c->user != NULL && !guard_look_up_user(c->user, &user, &err)) {
        config_place_error(place, "user", "user: %s", err.text);
    }
    if (c->kind == FLEET_PROCESS) {
        check_process(place, c);
    } else if (c->kind == FLEET_STATIC) {
        check_static(place, c);
    } else {
        config_place_error(place, "fleet",
                           "fleet: this version runs `process` and `static`; %s comes later",
                           kinds[c->kind]);
    }
    if (c->kind == FLEET_STATIC && c->health.port > 0) {
        for (size_t i = 0; i < c->endpoint_len; i++) {
            const char *address = c->endpoints[i].address;
            if (address != NULL && strncmp(address, "unix:", 5) == 0) {
                config_place_error(place, "health", "health.port: a Unix socket has none");
            }
        }
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
static const struct config_field expect_fields[] = {
    { "status", CONFIG_TEXT, EXPECT(status), .many = true, .count_offset = EXPECT(status_len),
      .help = "one of these: `204`, `2xx`, `200-399`; without it 200 to 399" },
    { "body", CONFIG_TEXT, EXPECT(body),
      .help = "a text that stands in its first 16 KiB, or a pattern (PCRE2) between slashes: "
              "`/\"ready\": *true/`" },
};
static const struct config_table expect_table =
    CONFIG_TABLE_CHECKED(struct expect_config, expect_fields, check_expect);

static const char *const methods[] = { "GET", "HEAD", NULL };

static const struct config_field health_fields[] = {
    { "path", CONFIG_TEXT, HEALTH(path),
      .help = "asked for; `expect` says what answer is health; without a path a connection that is "
              "accepted is" },
    { "method", CONFIG_CHOICE, HEALTH(method), .choices = methods, .fallback = "GET",
      .help = "of the request" },
    { "host", CONFIG_TEXT, HEALTH(host), .help = "of the request; without it the address" },
    { "headers", CONFIG_PAIRS, HEALTH(headers), .count_offset = HEALTH(header_count),
      .help = "added to the request" },
    { "port", CONFIG_COUNT, HEALTH(port), .min = 1, .max = 65535,
      .help = "asked at this port instead of that of the instance" },
    { "expect", CONFIG_BLOCK, HEALTH(expect), .table = &expect_table,
      .help = "what the answer must be" },
    { "tcp", CONFIG_BOOL, HEALTH(tcp),
      .help = "a connection that is accepted is health, which is so without path and grpc anyway" },
    { "grpc", CONFIG_TEXT, HEALTH(grpc),
      .help = "asked by grpc.health.v1 under this name instead; `\"\"`: for the whole server" },
    { "interval", CONFIG_DURATION, HEALTH(interval_ms), .fallback = "1s", .min = 50, .max = 3600000,
      .help = "between two probes; a tenth of it while something is suspicious" },
    { "timeout", CONFIG_DURATION, HEALTH(timeout_ms), .fallback = "1s", .min = 10, .max = 600000,
      .help = "a probe that takes longer has failed" },
    { "rise", CONFIG_COUNT, HEALTH(rise), .fallback = "2", .min = 1, .max = 100,
      .help = "so many good probes in a row make one well again that was ill; one that starts "
              "needs one" },
    { "fall", CONFIG_COUNT, HEALTH(fall), .fallback = "2", .min = 1, .max = 100,
      .help = "so many failed probes in a row take an instance out of rotation; after the first, "
              "the others follow quickly" },
    { "failures", CONFIG_COUNT, HEALTH(failures), .min = 1, .max = 100,
      .help = "another word for `fall`" },
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
    { "user", CONFIG_TEXT, FLEET(user),
      .help = "as whom a process runs, with its groups and HOME; we must be root for another one "
              "than ours" },
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
