#include "act/proxy/rule_config.h"

#include <string.h>

#include "act/proxy/template.h"
#include "base/parse.h"
#include "base/pattern.h"
#include "wire/http/message.h"
#include "wire/http/uri.h"

/* ---- paths and hosts ---- */

/* May stand in a path as it goes over the wire, the backslash of captures aside. */
static bool is_path_text(struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c >= 0x7f || c == '?' || c == '#' || c == '"' || c == '<' || c == '>') {
            return false;
        }
    }
    return text.len > 0 && text.data[0] == '/';
}

static void check_path_text(const struct config_place *place, const char *key, struct slice text) {
    if (!is_path_text(text)) {
        config_place_error(place, key,
                           "%s: expected a path that begins with '/', percent-encoded and without "
                           "a query",
                           key);
    }
}

static void check_template(const struct config_place *place, struct slice text, int groups) {
    int most = template_highest(text);
    check_path_text(place, "path", text);
    if (most == TEMPLATE_BAD) {
        config_place_error(place, "path", "path: expected \\1 to \\9 or \\\\ after a backslash");
    } else if (most >= 0 && groups < 0) {
        config_place_error(place, "path",
                           "path: \\%d is a part of what a regular expression matched, and there "
                           "is none: add `pattern`, or `match: regex` to the route",
                           most);
    } else if (most > groups && most > 0) {
        config_place_error(place, "path", "path: \\%d, but the expression has %d groups", most,
                           groups);
    }
}

/* Of the rewriting's own pattern, else of the route's. */
static int groups_of(const struct config_place *place, struct slice pattern, int own_groups) {
    struct error err;
    if (pattern.len == 0) {
        return own_groups;
    }
    struct pattern *p = pattern_new(pattern, &err);
    if (p == NULL) {
        config_place_error(place, "pattern", "pattern: expected a regular expression: %s",
                           err.text);
        return PATTERN_CAPTURES_MAX;
    }
    int groups = (int)pattern_groups(p);
    pattern_free(p);
    return groups > PATTERN_CAPTURES_MAX ? PATTERN_CAPTURES_MAX : groups;
}

static void check_rewrite(const struct config_place *place, struct rewrite_config *r,
                          int own_groups) {
    r->has_prefix = config_place_has(place, "prefix");
    r->has_path = config_place_has(place, "path");
    if (r->has_prefix && r->has_path) {
        config_place_error(place, "prefix", "expected either 'prefix' or 'path'");
    }
    if (r->has_prefix && own_groups >= 0) {
        config_place_error(place, "prefix",
                           "prefix: the route's path is a regular expression: use 'path'");
    } else if (r->has_prefix && slice_find(r->prefix, '\\') != SLICE_NONE) {
        config_place_error(place, "prefix", "prefix: expected no backslash");
    } else if (r->has_prefix) {
        check_path_text(place, "prefix", r->prefix);
    }
    int groups = groups_of(place, r->pattern, own_groups);
    if (r->has_path) {
        check_template(place, r->path, groups);
    } else if (r->pattern.len > 0) {
        config_place_error(place, "pattern", "pattern: expected 'path' beside it");
    }
    if (r->host.len > 0 && !uri_is_authority(r->host)) {
        config_place_error(place, "host",
                           "host: expected a name, or a name and a port, found "
                           "'%.*s'",
                           SLICE_ARG(r->host));
    }
}

/* ---- header fields ---- */

/* What belongs to one connection, or says where a message ends, is ours to write. */
static bool is_ours(enum http_field_id id) {
    switch (id) {
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_EXPECT:
    case HTTP_FIELD_HTTP2_SETTINGS:
    case HTTP_FIELD_KEEP_ALIVE:
    case HTTP_FIELD_PROXY_AUTHENTICATE:
    case HTTP_FIELD_PROXY_AUTHORIZATION:
    case HTTP_FIELD_PROXY_CONNECTION:
    case HTTP_FIELD_TE:
    case HTTP_FIELD_TRAILER:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_UPGRADE:
        return true;
    default:
        return false;
    }
}

bool rule_may_change(struct slice name) {
    return http_is_token(name) && !is_ours(http_field_id_of(name));
}

static void check_change(const struct config_place *place, const char *key, struct slice name,
                         struct slice value) {
    if (!http_is_token(name)) {
        config_place_error(place, key, "%s: '%.*s' is not the name of a header field", key,
                           SLICE_ARG(name));
    } else if (is_ours(http_field_id_of(name))) {
        config_place_error(place, key,
                           "%s: '%.*s' frames the message or belongs to one connection: it cannot "
                           "be changed%s",
                           key, SLICE_ARG(name),
                           http_field_id_of(name) == HTTP_FIELD_HOST ? " (see rewrite.host)" : "");
    } else if (!http_is_field_value(value) || slice_trim(value).len != value.len) {
        config_place_error(place, key,
                           "%s: the value of '%.*s' has control characters or spaces around it",
                           key, SLICE_ARG(name));
    }
}

static void check_changes(const struct config_place *place, void *item) {
    const struct changes_config *c = item;
    for (size_t i = 0; i < c->set_count; i++) {
        check_change(place, "set", slice_from(c->set[i].name), slice_from(c->set[i].value));
    }
    for (size_t i = 0; i < c->add_count; i++) {
        check_change(place, "add", slice_from(c->add[i].name), slice_from(c->add[i].value));
    }
    for (size_t i = 0; i < c->remove_count; i++) {
        check_change(place, "remove", c->remove[i], (struct slice){ 0 });
    }
    if (c->set_count + c->add_count + c->remove_count > RULE_CHANGES_MAX) {
        config_place_error(place, NULL, "expected at most %d changes", RULE_CHANGES_MAX);
    }
}

/* ---- answers of our own ---- */

static const char *type_of_file(const char *path) {
    static const struct {
        const char *end, *type;
    } types[] = {
        { ".html", "text/html; charset=utf-8" }, { ".htm", "text/html; charset=utf-8" },
        { ".txt", "text/plain; charset=utf-8" }, { ".json", "application/json" },
        { ".xml", "application/xml" },           { ".svg", "image/svg+xml" },
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (slice_ends_with(slice_from(path), slice_from(types[i].end))) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

static void take_file(const struct config_place *place, const char *path, struct slice *body,
                      struct slice *type) {
    (void)config_place_file(place, "file", path, RULE_BODY_BYTES_MAX, body);
    if (type->len == 0) {
        *type = slice_from(type_of_file(path));
    } else if (!http_is_field_value(*type)) {
        config_place_error(place, "type", "type: expected a media type such as text/html");
    }
}

static void check_respond(const struct config_place *place, void *item) {
    struct respond_config *r = item;
    if (r->status == 204 || r->status == 304 || r->status == 205) {
        if (r->body.len > 0 || r->file != NULL) {
            config_place_error(place, "status", "status: %u has no body", r->status);
        }
    } else if (r->file != NULL && config_place_has(place, "body")) {
        config_place_error(place, "file", "expected either 'body' or 'file'");
    } else if (r->file != NULL) {
        take_file(place, r->file, &r->body, &r->type);
    } else if (r->type.len == 0) {
        r->type = SLICE("text/plain; charset=utf-8");
    }
    if (r->body.len > RULE_BODY_BYTES_MAX) {
        config_place_error(place, "body", "body: expected at most %d bytes", RULE_BODY_BYTES_MAX);
    }
    if (!http_is_field_value(r->type)) {
        config_place_error(place, "type", "type: expected a media type such as text/html");
    }
}

/* "404" is 404, "5xx" is 5; 0: neither. */
static uint16_t page_code(struct slice text) {
    uint64_t code;
    if (text.len == 3 && slice_ends_with(text, SLICE("xx")) &&
        (text.data[0] == '4' || text.data[0] == '5')) {
        return (uint16_t)(text.data[0] - '0');
    }
    return text.len == 3 && parse_uint(text, &code) && code >= 400 && code <= 599 ? (uint16_t)code
                                                                                  : 0;
}

static void check_page(const struct config_place *place, void *item) {
    struct page_config *p = item;
    p->code = page_code(p->status);
    if (p->code == 0) {
        config_place_error(place, "status",
                           "status: expected 4xx, 5xx or one of 400 to 599, found "
                           "'%.*s'",
                           SLICE_ARG(p->status));
    }
    if (p->file != NULL) {
        take_file(place, p->file, &p->body, &p->type);
    }
}

static void check_redirect(const struct config_place *place, void *item) {
    const struct redirect_config *r = item;
    static const uint32_t known[] = { 301, 302, 303, 307, 308 };
    bool good = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        good |= r->status == known[i];
    }
    if (!good) {
        config_place_error(place, "status", "status: expected 301, 302, 303, 307 or 308");
    }
    if (r->scheme.len > 0 && !slice_equal(r->scheme, SLICE("http")) &&
        !slice_equal(r->scheme, SLICE("https"))) {
        config_place_error(place, "scheme", "scheme: expected http or https, found '%.*s'",
                           SLICE_ARG(r->scheme));
    }
    if (r->host.len > 0 && (!uri_is_authority(r->host) || uri_host(r->host).len != r->host.len)) {
        config_place_error(place, "host", "host: expected a name without a port, found '%.*s'",
                           SLICE_ARG(r->host));
    }
}

/* ---- together ---- */

bool rule_weight(const char *text, uint32_t *weight) {
    uint64_t value;
    if (!parse_uint(slice_from(text), &value) || value > RULE_WEIGHT_MAX) {
        return false;
    }
    *weight = (uint32_t)value;
    return true;
}

static void check_split(const struct config_place *place, const struct rule_config *rule) {
    uint64_t sum = 0;
    for (size_t i = 0; i < rule->split_count; i++) {
        uint32_t weight = 0;
        if (!rule_weight(rule->split[i].value, &weight)) {
            config_place_error(place, "split",
                               "split: expected a weight of 0 to %d for %s, found "
                               "'%s'",
                               RULE_WEIGHT_MAX, rule->split[i].name, rule->split[i].value);
            return;
        }
        sum += weight;
    }
    if (config_place_has(place, "split") && sum == 0) {
        config_place_error(place, "split", "split: expected a weight above 0");
    }
}

void rule_config_check(const struct config_place *place, struct rule_config *rule, int own_groups) {
    struct config_place at;
    if (rule->rewrite != NULL) {
        at = config_place_block(place, "rewrite");
        check_rewrite(&at, rule->rewrite, own_groups);
    }
    if (rule->redirect != NULL) {
        at = config_place_block(place, "redirect");
        check_rewrite(&at, &rule->redirect->to, own_groups);
    }
    if (rule->page_count > RULE_PAGES_MAX) {
        config_place_error(place, "error_pages", "error_pages: expected at most %d",
                           RULE_PAGES_MAX);
    }
    check_split(place, rule);
}

#define REWRITE(member) offsetof(struct rewrite_config, member)
static const struct config_field rewrite_fields[] = {
    { "prefix", CONFIG_SLICE, REWRITE(prefix), .help = "in place of the route's path" },
    { "path", CONFIG_SLICE, REWRITE(path),
      .help =
          "the whole path; \\1 to \\9 are what the groups of `pattern` (or of the route's regular "
          "expression) matched" },
    { "pattern", CONFIG_SLICE, REWRITE(pattern),
      .help = "regular expression for `path`, of the whole path; what it does not match stays" },
    { "host", CONFIG_SLICE, REWRITE(host), .help = "what the service is told as Host" },
};
static const struct config_table rewrite_table =
    CONFIG_TABLE(struct rewrite_config, rewrite_fields);

#define CHANGES(member) offsetof(struct changes_config, member)
static const struct config_field changes_fields[] = {
    { "set", CONFIG_PAIRS, CHANGES(set), .count_offset = CHANGES(set_count),
      .help = "in place of all fields of that name" },
    { "add", CONFIG_PAIRS, CHANGES(add), .count_offset = CHANGES(add_count),
      .help = "beside what is there" },
    { "remove", CONFIG_SLICE, CHANGES(remove), .many = true, .count_offset = CHANGES(remove_count),
      .help = "all fields of these names; this is done first" },
};
static const struct config_table changes_table =
    CONFIG_TABLE_CHECKED(struct changes_config, changes_fields, check_changes);

#define REDIRECT(member) offsetof(struct redirect_config, member)
static const struct config_field redirect_fields[] = {
    { "status", CONFIG_COUNT, REDIRECT(status), .fallback = "302",
      .help = "301, 302, 303, 307 or 308" },
    { "scheme", CONFIG_SLICE, REDIRECT(scheme), .help = "http or https; the visitor's without it" },
    { "host", CONFIG_SLICE, REDIRECT(host), .help = "the visitor's without it" },
    { "port", CONFIG_COUNT, REDIRECT(port), .fallback = "0", .max = 65535,
      .help = "0: the usual one of the scheme" },
    { "prefix", CONFIG_SLICE, REDIRECT(to.prefix), .help = "in place of the route's path" },
    { "path", CONFIG_SLICE, REDIRECT(to.path), .help = "the whole path, as in `rewrite`" },
    { "pattern", CONFIG_SLICE, REDIRECT(to.pattern), .help = "for `path`, as in `rewrite`" },
};
static const struct config_table redirect_table =
    CONFIG_TABLE_CHECKED(struct redirect_config, redirect_fields, check_redirect);

#define RESPOND(member) offsetof(struct respond_config, member)
static const struct config_field respond_fields[] = {
    { "status", CONFIG_COUNT, RESPOND(status), .fallback = "200", .min = 200, .max = 599,
      .help = "of the answer" },
    { "body", CONFIG_SLICE, RESPOND(body), .help = "its text" },
    { "file", CONFIG_PATH, RESPOND(file),
      .help = "or a file, read at the start and with each reload; at most 64 KiB" },
    { "type", CONFIG_SLICE, RESPOND(type), .help = "Content-Type; else by the file's name" },
};
static const struct config_table respond_table =
    CONFIG_TABLE_CHECKED(struct respond_config, respond_fields, check_respond);

#define PAGE(member) offsetof(struct page_config, member)
static const struct config_field page_fields[] = {
    { "status", CONFIG_SLICE, PAGE(status), .required = true, .help = "`404`, or `4xx`, `5xx`" },
    { "file", CONFIG_PATH, PAGE(file), .required = true,
      .help = "read at the start and with each reload; at most 64 KiB" },
    { "type", CONFIG_SLICE, PAGE(type), .help = "Content-Type; else by the file's name" },
};
const struct config_table page_config_table =
    CONFIG_TABLE_CHECKED(struct page_config, page_fields, check_page);

#define RULE(member) offsetof(struct rule_config, member)
static const struct config_field rule_fields[] = {
    { "split", CONFIG_PAIRS, RULE(split), .count_offset = RULE(split_count),
      .help = "instead of `service`: weights of several, such as { blue: 95, green: 5 }; a session "
              "stays with the one it came to" },
    { "rewrite", CONFIG_BLOCK, RULE(rewrite), .table = &rewrite_table, .allocated = true,
      .help = "what the service is asked for instead; its redirects are turned back" },
    { "request_headers", CONFIG_BLOCK, RULE(request), .table = &changes_table, .allocated = true,
      .help = "changes of what the service gets" },
    { "response_headers", CONFIG_BLOCK, RULE(response), .table = &changes_table, .allocated = true,
      .help = "changes of what the visitor gets, our own answers included" },
    { "redirect", CONFIG_BLOCK, RULE(redirect), .table = &redirect_table, .allocated = true,
      .help = "instead of a service: the visitor is sent elsewhere" },
    { "respond", CONFIG_BLOCK, RULE(respond), .table = &respond_table, .allocated = true,
      .help = "instead of a service: always this answer" },
    { "error_pages", CONFIG_BLOCKS, RULE(pages), .table = &page_config_table,
      .count_offset = RULE(page_count),
      .help = "of answers that we give ourselves; before those of the shop" },
};
const struct config_table rule_config_table = CONFIG_TABLE(struct rule_config, rule_fields);
