#include "act/proxy/rule.h"

#include <string.h>

#include "act/proxy/route_table_internal.h"
#include "act/proxy/template.h"

struct slice rule_text(const struct route_table *table, struct plan_text text) {
    return route_text(table, text);
}

static struct slice join(struct arena *arena, const struct slice *parts, size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    char *text = arena_alloc(arena, len + 1), *at = text;
    if (text == NULL) {
        return (struct slice){ 0 };
    }
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(at, parts[i].data, parts[i].len);
            at += parts[i].len;
        }
    }
    return slice_of(text, len);
}

/* ---- paths ---- */

static struct slice without_slash(struct slice path) {
    while (path.len > 0 && path.data[path.len - 1] == '/') {
        path.len--;
    }
    return path;
}

/* `from` is a prefix of the path, at a segment's end. Slashes at the end of either do not count:
 * /a → / makes /a/b to /b, not //b. */
static bool replace_prefix(struct slice path, struct slice from, struct slice to,
                           struct arena *arena, struct slice *out) {
    struct slice rest = slice_skip(path, without_slash(from).len);
    struct slice parts[] = { without_slash(to), rest };
    *out = parts[0].len + rest.len == 0 ? SLICE("/") : join(arena, parts, 2);
    return out->data != NULL;
}

static const struct pattern *pattern_of(const struct rule *rule) {
    const struct route_table *t = rule->table;
    if (rule->plan->pattern.len > 0) {
        return t->rule_patterns[rule->plan - t->rules];
    }
    return rule->route->match == PLAN_MATCH_PATTERN ? t->path_patterns[rule->route - t->routes]
                                                    : NULL;
}

static bool expand(const struct rule *rule, struct slice path, struct arena *arena,
                   struct slice *out) {
    struct slice captures[PATTERN_CAPTURES_MAX + 1] = { { 0 } };
    const struct pattern *pattern = pattern_of(rule);
    bool wanted = rule->plan->pattern.len > 0 || rule->route->match == PLAN_MATCH_PATTERN;
    if (wanted && (pattern == NULL || pattern_match(pattern, path, captures) != PATTERN_MATCHES)) {
        *out = path;
        return true;
    }
    *out = template_expand(route_text(rule->table, rule->plan->path), captures, arena);
    return out->data != NULL;
}

bool rule_rewrite_path(const struct rule *rule, struct slice path, struct arena *arena,
                       struct slice *rewritten) {
    switch ((enum plan_path_rewrite)rule->plan->path_rewrite) {
    case PLAN_PATH_PREFIX:
        return replace_prefix(path, route_text(rule->table, rule->route->prefix),
                              route_text(rule->table, rule->plan->path), arena, rewritten);
    case PLAN_PATH_TEMPLATE:
        return expand(rule, path, arena, rewritten);
    case PLAN_PATH_STAYS:
        break;
    }
    *rewritten = path;
    return true;
}

/* ---- redirects ---- */

/* "//host" and "/\host" are hosts to a browser. */
static struct slice one_slash(struct slice path) {
    while (path.len > 1 && (path.data[1] == '/' || path.data[1] == '\\')) {
        path = slice_skip(path, 1);
    }
    return path.len > 0 && path.data[0] == '\\' ? SLICE("/") : path;
}

static struct slice host_without_port(struct slice authority) {
    size_t colon = SLICE_NONE;
    for (size_t i = authority.len; i > 0 && authority.data[i - 1] != ']'; i--) {
        if (authority.data[i - 1] == ':') {
            colon = i - 1;
        }
    }
    return colon == SLICE_NONE ? authority : slice_sub(authority, 0, colon);
}

static struct slice port_text(uint16_t port, char digits[8]) {
    size_t at = 8;
    for (uint32_t left = port; left > 0; left /= 10) {
        digits[--at] = (char)('0' + left % 10);
    }
    if (at == 8) {
        return (struct slice){ 0 };
    }
    digits[--at] = ':';
    return slice_of(digits + at, 8 - at);
}

bool rule_location(const struct rule *rule, const struct rule_visit *visit, struct arena *arena,
                   struct slice *location) {
    const struct plan_rule *p = rule->plan;
    char digits[8];
    struct slice path, host = route_text(rule->table, p->host);
    struct slice scheme = route_text(rule->table, p->scheme);
    if (!rule_rewrite_path(rule, visit->path, arena, &path)) {
        return false;
    }
    bool elsewhere = scheme.len + host.len + p->port > 0;
    if (host.len == 0) {
        host =
            p->port > 0 || scheme.len > 0 ? host_without_port(visit->authority) : visit->authority;
    }
    bool whole = elsewhere && host.len > 0;
    scheme = scheme.len > 0 ? scheme : visit->tls ? SLICE("https") : SLICE("http");
    struct slice nothing = { 0 };
    struct slice parts[] = {
        whole ? scheme : nothing,
        whole ? SLICE("://") : nothing,
        whole ? host : nothing,
        whole ? port_text(p->port, digits) : nothing,
        one_slash(path),
        visit->request->has_query ? SLICE("?") : nothing,
        visit->request->has_query ? visit->request->query : nothing,
    };
    *location = join(arena, parts, sizeof parts / sizeof *parts);
    return location->data != NULL;
}

/* Takes "http://authority" off the front; false when there is none. */
static bool cut_origin(struct slice *uri, struct slice *authority) {
    size_t from = slice_starts_with(*uri, SLICE("http://"))    ? 7
                  : slice_starts_with(*uri, SLICE("https://")) ? 8
                                                               : 0;
    if (from == 0) {
        return false;
    }
    struct slice rest = slice_skip(*uri, from);
    size_t end = 0;
    while (end < rest.len && rest.data[end] != '/' && rest.data[end] != '?' &&
           rest.data[end] != '#') {
        end++;
    }
    *authority = slice_sub(rest, 0, end);
    *uri = slice_skip(rest, end);
    return true;
}

static bool begins_with_segment(struct slice path, struct slice prefix) {
    return slice_starts_with(path, prefix) &&
           (path.len == prefix.len || path.data[prefix.len] == '/' ||
            path.data[prefix.len] == '?' || path.data[prefix.len] == '#');
}

/* Not "?x", "x", or "//host". */
static bool is_path(struct slice reference) {
    return reference.len > 0 && reference.data[0] == '/' &&
           !(reference.len > 1 && reference.data[1] == '/');
}

bool rule_location_back(const struct rule *rule, const struct rule_visit *visit,
                        struct arena *arena, struct slice *location) {
    struct slice rest = *location, authority = { 0 };
    struct slice host = route_text(rule->table, rule->plan->host);
    bool absolute = cut_origin(&rest, &authority);
    bool ours = !absolute || slice_equal_fold(authority, host) ||
                slice_equal_fold(authority, visit->authority);
    if (!ours || rule->plan->answer != PLAN_ANSWER_NONE) {
        return true;
    }
    struct slice inside = without_slash(route_text(rule->table, rule->plan->path));
    struct slice outside = without_slash(route_text(rule->table, rule->route->prefix));
    bool moved = rule->plan->path_rewrite == PLAN_PATH_PREFIX &&
                 begins_with_segment(rest, inside) && (absolute || is_path(rest));
    bool other_host =
        absolute && host.len > 0 && visit->authority.len > 0 && slice_equal_fold(authority, host);
    if (!moved && !other_host) {
        return true;
    }
    struct slice nothing = { 0 };
    struct slice scheme = visit->tls ? SLICE("https://") : SLICE("http://");
    bool known = visit->authority.len > 0;
    struct slice parts[] = {
        absolute ? (known ? scheme : SLICE("//")) : nothing,
        absolute ? (known ? visit->authority : authority) : nothing,
        moved ? outside : nothing,
        moved ? slice_skip(rest, inside.len) : rest,
    };
    *location = join(arena, parts, sizeof parts / sizeof *parts);
    return location->data != NULL;
}

/* ---- header fields ---- */

static char folded(char c) {
    if (c == '_') {
        return '-';
    }
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool same_name(struct slice a, struct slice b) {
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (folded(a.data[i]) != folded(b.data[i])) {
            return false;
        }
    }
    return true;
}

void rule_remove_field(struct http_head *head, struct slice name) {
    size_t kept = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!same_name(head->fields[i].name, name)) {
            head->fields[kept++] = head->fields[i];
        }
    }
    head->field_count = kept;
}

static bool change(const struct rule *rule, uint32_t first, uint32_t count,
                   struct http_head *head) {
    for (uint32_t i = first; i < first + count; i++) {
        const struct plan_change *c = &rule->table->changes[i];
        struct slice name = route_text(rule->table, c->name);
        if (c->kind != PLAN_CHANGE_ADD) {
            rule_remove_field(head, name);
        }
        if (c->kind != PLAN_CHANGE_REMOVE &&
            !http_head_add(head, name, route_text(rule->table, c->value))) {
            return false;
        }
    }
    return true;
}

bool rule_change_request(const struct rule *rule, struct http_head *head) {
    return change(rule, rule->plan->change_first, rule->plan->request_changes, head);
}

bool rule_change_response(const struct rule *rule, struct http_head *head) {
    return change(rule, rule->plan->change_first + rule->plan->request_changes,
                  rule->plan->response_changes, head);
}

/* ---- shares and pages ---- */

uint16_t rule_share(const struct rule *rule, uint64_t position) {
    const struct plan_share *shares = &rule->table->shares[rule->plan->share_first];
    uint32_t last = rule->plan->share_count - 1, i = 0;
    uint64_t at = position % (shares[last].up_to > 0 ? shares[last].up_to : 1);
    while (i < last && at >= shares[i].up_to) {
        i++;
    }
    return shares[i].service;
}

static const struct plan_page *page_among(const struct plan_page *pages, uint32_t count,
                                          uint16_t status) {
    for (uint32_t i = 0; i < count; i++) {
        if (pages[i].status == status) {
            return &pages[i];
        }
    }
    return NULL;
}

const struct plan_page *rule_page(const struct route_table *t, const struct plan_rule *rule,
                                  uint16_t status) {
    const struct plan_page *own = rule == NULL ? NULL : &t->pages[rule->page_first];
    uint32_t own_count = rule == NULL ? 0 : rule->page_count;
    const struct plan_page *page = page_among(own, own_count, status);
    page = page != NULL ? page : page_among(own, own_count, status / 100);
    page = page != NULL ? page : page_among(t->pages, t->own_page_count, status);
    return page != NULL ? page : page_among(t->pages, t->own_page_count, status / 100);
}
