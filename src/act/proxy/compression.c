#include "act/proxy/compression.h"

#include <string.h>

void compression_policy_init(struct compression_policy *policy, const struct plan *plan) {
    const struct plan_compression *from = &plan->compression;
    *policy = (struct compression_policy){ .min_bytes = from->min_bytes,
                                           .encoders_max = from->encoders_max,
                                           .services_may = from->services_may };
    for (unsigned i = 0; i < from->order_count && i < HTTP_CODINGS; i++) {
        if (from->order[i] > HTTP_CODING_IDENTITY && from->order[i] < HTTP_CODINGS) {
            policy->order[policy->order_count++] = (enum http_coding)from->order[i];
        }
    }
    memcpy(policy->levels, from->levels, sizeof policy->levels);
    for (; policy->type_count < from->type_count && policy->type_count < PLAN_COMPRESSION_TYPES_MAX;
         policy->type_count++) {
        policy->types[policy->type_count] = plan_slice(plan, from->types[policy->type_count]);
    }
}

const char *compression_reason_name(enum compression_reason reason) {
    static const char *const names[] = {
#define COMPRESSION_NAME(id, name) [COMPRESSION_##id] = name,
        COMPRESSION_REASONS(COMPRESSION_NAME)
#undef COMPRESSION_NAME
    };
    return reason < COMPRESSION_REASON_COUNT ? names[reason] : "";
}

/* ---- the decision ---- */

/* One "*" in the pattern stands for anything. */
static bool matches(struct slice type, struct slice pattern) {
    size_t star = slice_find(pattern, '*');
    if (star == SLICE_NONE) {
        return slice_equal_fold(type, pattern);
    }
    struct slice front = slice_sub(pattern, 0, star), back = slice_skip(pattern, star + 1);
    return type.len >= front.len + back.len &&
           slice_equal_fold(slice_sub(type, 0, front.len), front) &&
           slice_equal_fold(slice_skip(type, type.len - back.len), back);
}

/* The media type without its parameters. */
static struct slice type_of(const struct http_head *response) {
    const struct http_field *field = http_head_find(response, HTTP_FIELD_CONTENT_TYPE);
    if (field == NULL) {
        return (struct slice){ 0 };
    }
    return slice_trim(slice_sub(field->value, 0, slice_find(field->value, ';')));
}

/* Whatever the list says: they must not be held back by a coder, and gRPC has codings of its own.
 */
static bool is_never(struct slice type) {
    return slice_equal_fold(type, SLICE("text/event-stream")) ||
           slice_equal_fold(slice_sub(type, 0, 16), SLICE("application/grpc"));
}

static bool is_listed(const struct compression_policy *policy, struct slice type) {
    if (type.len == 0 || is_never(type)) {
        return false;
    }
    for (size_t i = 0; i < policy->type_count; i++) {
        if (matches(type, policy->types[i])) {
            return true;
        }
    }
    return false;
}

static bool has_no_body(bool head, const struct http_head *response) {
    return (response->framing == HTTP_BODY_NONE && !head) || response->status < 200 ||
           response->status == 204 || response->status == 205 || response->status == 304 ||
           (response->has_content_length && response->content_length == 0);
}

static bool says_no_transform(const struct http_head *head) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == HTTP_FIELD_CACHE_CONTROL &&
            http_list_has(head->fields[i].value, SLICE("no-transform"))) {
            return true;
        }
    }
    return false;
}

enum compression_reason compression_why_never(const struct compression_policy *policy, bool head,
                                              const struct http_head *response) {
    if (has_no_body(head, response)) {
        return COMPRESSION_NO_BODY;
    }
    if (!is_listed(policy, type_of(response))) {
        return COMPRESSION_TYPE;
    }
    if (http_head_find(response, HTTP_FIELD_CONTENT_ENCODING) != NULL) {
        return COMPRESSION_CODED;
    }
    if (response->status == 206 || http_head_find(response, HTTP_FIELD_CONTENT_RANGE) != NULL) {
        return COMPRESSION_PART;
    }
    return says_no_transform(response) ? COMPRESSION_NO_TRANSFORM : COMPRESSION_DONE;
}

struct compression_decision compression_choose(const struct compression_policy *policy,
                                               const struct compression_wish *wish,
                                               const struct http_head *response) {
    struct compression_decision decision = { .reason = COMPRESSION_DONE };
    bool small = response->has_content_length && response->content_length < policy->min_bytes;
    enum http_coding coding =
        http_coding_choose(&wish->accepted, policy->order, policy->order_count);
    decision.varies = !small;
    if (wish->no_transform) {
        decision.reason = COMPRESSION_NO_TRANSFORM;
    } else if (small && !wish->accepted.identity_refused) {
        decision.reason = COMPRESSION_SMALL;
    } else if (coding == HTTP_CODING_IDENTITY) {
        decision.reason = COMPRESSION_NOT_ACCEPTED;
    } else {
        decision.coding = coding;
        decision.varies = true;
    }
    return decision;
}

struct compression_decision compression_decide(const struct compression_policy *policy,
                                               const struct compression_wish *wish,
                                               const struct http_head *response) {
    enum compression_reason reason = compression_why_never(policy, wish->head, response);
    return reason == COMPRESSION_DONE ? compression_choose(policy, wish, response)
                                      : (struct compression_decision){ .reason = reason };
}

/* ---- the head ---- */

static struct slice join(struct arena *arena, struct slice a, struct slice b) {
    char *text = arena_alloc(arena, a.len + b.len + 1);
    if (text == NULL) {
        return (struct slice){ 0 };
    }
    memcpy(text, a.data, a.len);
    memcpy(text + a.len, b.data, b.len);
    return slice_of(text, a.len + b.len);
}

bool compression_add_vary(struct http_head *response, struct arena *arena) {
    struct http_field *vary = NULL;
    for (size_t i = 0; i < response->field_count; i++) {
        struct http_field *field = &response->fields[i];
        if (field->id != HTTP_FIELD_VARY) {
            continue;
        }
        if (http_list_has(field->value, SLICE("*")) ||
            http_list_has(field->value, SLICE("accept-encoding"))) {
            return true;
        }
        vary = field;
    }
    if (vary == NULL || vary->value.len == 0) {
        return http_head_add(response, SLICE("vary"), SLICE("accept-encoding"));
    }
    struct slice both = join(arena, vary->value, SLICE(", accept-encoding"));
    if (both.data == NULL) {
        return false;
    }
    vary->value = both;
    return true;
}

/* A strong tag says that the bytes are the same ones; they are not any more. */
static bool weaken(struct http_head *response, struct arena *arena) {
    for (size_t i = 0; i < response->field_count; i++) {
        struct http_field *field = &response->fields[i];
        if (field->id != HTTP_FIELD_ETAG || slice_starts_with(field->value, SLICE("W/"))) {
            continue;
        }
        struct slice weak = join(arena, SLICE("W/"), field->value);
        if (weak.data == NULL) {
            return false;
        }
        field->value = weak;
    }
    return true;
}

static bool is_digest(enum http_field_id id) {
    return id == HTTP_FIELD_CONTENT_DIGEST || id == HTTP_FIELD_REPR_DIGEST ||
           id == HTTP_FIELD_DIGEST || id == HTTP_FIELD_CONTENT_MD5;
}

static void remove_if(struct http_head *head, bool (*unwanted)(enum http_field_id id)) {
    size_t kept = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!unwanted(head->fields[i].id)) {
            head->fields[kept++] = head->fields[i];
        }
    }
    head->field_count = kept;
}

static bool is_of_other_bytes(enum http_field_id id) {
    return is_digest(id) || id == HTTP_FIELD_ACCEPT_RANGES || id == HTTP_FIELD_CONTENT_LENGTH;
}

bool compression_rewrite_head(struct http_head *response, enum http_coding coding,
                              struct arena *arena) {
    if (response->field_count + 2 > response->field_capacity || !weaken(response, arena) ||
        !compression_add_vary(response, arena)) {
        return false;
    }
    remove_if(response, is_of_other_bytes);
    http_head_add(response, SLICE("content-encoding"), http_coding_name(coding));
    response->has_content_length = false;
    response->content_length = 0;
    if (response->framing != HTTP_BODY_NONE) { /* the answer to HEAD has none */
        response->framing = HTTP_BODY_CHUNKED;
    }
    return true;
}

void compression_rewrite_trailers(struct http_head *trailers) {
    remove_if(trailers, is_digest);
}

/* ---- 304 ---- */

/* Whether one of the tags in the list is W/ and then `strong`. Tags hold no quotes, but may hold
 * commas: the list is read tag by tag. */
static bool has_weak(struct slice list, struct slice strong) {
    while (list.len > 0) {
        size_t open = slice_find(list, '"');
        if (open == SLICE_NONE) {
            return false;
        }
        size_t len = slice_find(slice_skip(list, open + 1), '"');
        if (len == SLICE_NONE) {
            return false;
        }
        bool weak = open >= 2 && slice_equal(slice_sub(list, open - 2, 2), SLICE("W/"));
        if (weak && slice_equal(slice_sub(list, open, len + 2), strong)) {
            return true;
        }
        list = slice_skip(list, open + len + 2);
    }
    return false;
}

void compression_rewrite_not_modified(struct http_head *response, const struct http_head *request,
                                      struct arena *arena) {
    const struct http_field *tag = http_head_find(response, HTTP_FIELD_ETAG);
    for (size_t i = 0; tag != NULL && i < request->field_count; i++) {
        if (request->fields[i].id == HTTP_FIELD_IF_NONE_MATCH &&
            has_weak(request->fields[i].value, tag->value)) {
            (void)(weaken(response, arena) && compression_add_vary(response, arena));
            return;
        }
    }
}
