#include "wire/http/forwarded.h"

#include <string.h>

/* Joined in the arena; a NULL data says that it was full. */
static struct slice join(struct arena *arena, const struct slice *parts, size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    char *text = arena_alloc(arena, len + 1);
    if (text == NULL) {
        return (struct slice){ 0 };
    }
    char *at = text;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(at, parts[i].data, parts[i].len);
        }
        at += parts[i].len;
    }
    return slice_of(text, len);
}

/* Replaces all fields `id` by one: what was there (if the peer is trusted), then `value`. */
static bool replace(struct http_head *head, enum http_field_id id, struct slice value,
                    const struct forwarded_peer *peer, struct arena *arena) {
    struct slice before = { "", 0 };
    for (size_t i = 0; peer->trusted && i < head->field_count; i++) {
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
    if (peer->trusted && http_head_find(head, id) != NULL) {
        return true;
    }
    http_head_remove(head, id);
    return value.len == 0 || http_head_add_known(head, id, value);
}

/* for=192.0.2.1;host=shop.test;proto=https: IPv6 and hosts with a port are quoted (RFC 7239 §6). */
static struct slice forwarded_element(const struct http_head *head,
                                      const struct forwarded_peer *peer, struct arena *arena) {
    struct slice parts[] = {
        peer->is_v6 ? SLICE("for=\"[") : SLICE("for="),
        peer->address,
        peer->is_v6 ? SLICE("]\"") : SLICE(""),
        head->authority.len > 0 ? SLICE(";host=\"") : SLICE(""),
        head->authority,
        head->authority.len > 0 ? SLICE("\";proto=") : SLICE(";proto="),
        peer->scheme,
    };
    return join(arena, parts, sizeof parts / sizeof parts[0]);
}

/* X-Forwarded-Port, X-Forwarded-Prefix, X-Real-IP…: what services believe and visitors invent. */
static bool is_other_claim(const struct http_field *field) {
    return field->id == HTTP_FIELD_OTHER &&
           (slice_equal_fold(slice_sub(field->name, 0, 12), SLICE("x-forwarded-")) ||
            slice_equal_fold(field->name, SLICE("x-real-ip")));
}

static void remove_other_claims(struct http_head *head) {
    size_t kept = 0;
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
    struct slice element = forwarded_element(head, peer, arena);
    if (!peer->trusted) {
        remove_other_claims(head);
    }
    return element.data != NULL && replace(head, HTTP_FIELD_FORWARDED, element, peer, arena) &&
           replace(head, HTTP_FIELD_X_FORWARDED_FOR, peer->address, peer, arena) &&
           set_unless_trusted(head, HTTP_FIELD_X_FORWARDED_PROTO, peer->scheme, peer) &&
           set_unless_trusted(head, HTTP_FIELD_X_FORWARDED_HOST, head->authority, peer);
}
