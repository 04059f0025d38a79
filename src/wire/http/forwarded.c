#include "wire/http/forwarded.h"

/* Joined in the arena; a NULL data says that it was full. */
static struct slice join(struct arena *arena, const struct slice *parts, size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    char *text = arena_room(arena, len + 1);
    if (text == NULL) {
        return (struct slice){ 0 };
    }
    char *at = text;
    for (size_t i = 0; i < count; i++) {
        at = slice_put(at, parts[i]);
    }
    return slice_of(text, len);
}

/* Replaces all fields `id` by one: what was there (if `keep`), then `value`. */
static bool replace(struct http_head *head, enum http_field_id id, struct slice value, bool keep,
                    struct arena *arena) {
    struct slice before = { "", 0 };
    for (size_t i = 0; keep && i < head->field_count; i++) {
        if (head->fields[i].id == id) {
            struct slice parts[] = { before, before.len > 0 ? SLICE(", ") : SLICE(""),
                                     head->fields[i].value };
            before = join(arena, parts, 3);
        }
    }
    if (before.len > 0) {
        struct slice parts[] = { before, SLICE(", "), value };
        value = join(arena, parts, 3);
    }
    http_head_remove(head, id);
    return value.data != NULL && http_head_add_known(head, id, value);
}

/* proto and host name one hop only: a trusted peer's word stays as it is. */
static bool set_unless_trusted(struct http_head *head, enum http_field_id id, struct slice value,
                               const struct forwarded_peer *peer) {
    if (peer->trusted && !peer->speaks_forwarded && http_head_find(head, id) != NULL) {
        return true;
    }
    http_head_remove(head, id);
    return value.len == 0 || http_head_add_known(head, id, value);
}

/* for=192.0.2.1;host=shop.test;proto=https: IPv6 and hosts with a port are quoted (RFC 7239 §6). */
static struct slice forwarded_element(const struct http_head *head, struct slice address,
                                      bool is_v6, struct slice scheme, struct arena *arena) {
    struct slice parts[] = {
        is_v6 ? SLICE("for=\"[") : SLICE("for="),
        address,
        is_v6 ? SLICE("]\"") : SLICE(""),
        head->authority.len > 0 ? SLICE(";host=\"") : SLICE(""),
        head->authority,
        head->authority.len > 0 ? SLICE("\";proto=") : SLICE(";proto="),
        scheme,
    };
    return join(arena, parts, sizeof parts / sizeof parts[0]);
}

/* What a proxy says of the visitor's scheme, if it says one. */
static struct slice visitor_scheme(const struct http_head *head,
                                   const struct forwarded_peer *peer) {
    const struct http_field *field = http_head_find(head, HTTP_FIELD_X_FORWARDED_PROTO);
    bool known = field != NULL && (slice_equal_fold(field->value, SLICE("http")) ||
                                   slice_equal_fold(field->value, SLICE("https")));
    return known ? field->value : peer->scheme;
}

/* X-Forwarded-Port, X-Forwarded-Prefix, X-Real-IP…: what services believe and visitors invent. */
static bool is_other_claim(const struct http_field *field) {
    return field->id == HTTP_FIELD_OTHER &&
           (slice_equal_fold(slice_sub(field->name, 0, 12), SLICE("x-forwarded-")) ||
            slice_equal_fold(field->name, SLICE("x-real-ip")));
}

static void remove_other_claims(struct http_head *head) {
    size_t kept = 0;
    if (!http_head_may_have(head, HTTP_FIELD_OTHER)) {
        return;
    }
    while (kept < head->field_count && !is_other_claim(&head->fields[kept])) {
        kept++;
    }
    for (size_t i = kept; i < head->field_count; i++) {
        if (!is_other_claim(&head->fields[i])) {
            head->fields[kept++] = head->fields[i];
        }
    }
    head->field_count = kept;
}

bool forwarded_set(struct http_head *head, const struct forwarded_peer *peer, struct arena *arena) {
    bool speaks_x = peer->trusted && !peer->speaks_forwarded;
    bool speaks_forwarded = peer->trusted && peer->speaks_forwarded;
    struct slice element =
        speaks_x ? forwarded_element(head, peer->visitor, peer->visitor_is_v6,
                                     visitor_scheme(head, peer), arena)
                 : forwarded_element(head, peer->address, peer->is_v6, peer->scheme, arena);
    if (!speaks_x) {
        remove_other_claims(head);
    }
    return element.data != NULL &&
           replace(head, HTTP_FIELD_FORWARDED, element, speaks_forwarded, arena) &&
           replace(head, HTTP_FIELD_X_FORWARDED_FOR,
                   speaks_forwarded ? peer->visitor : peer->address, speaks_x, arena) &&
           set_unless_trusted(head, HTTP_FIELD_X_FORWARDED_PROTO, peer->scheme, peer) &&
           set_unless_trusted(head, HTTP_FIELD_X_FORWARDED_HOST, head->authority, peer);
}
