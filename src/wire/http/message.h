/* HTTP messages, whatever the protocol: the head of a request or response with its fields, and how
 * its body is delimited. HTTP/1 and HTTP/2 codecs fill and read the same structs (RFC 9110).
 * Slices point into the receive buffer or the request's arena; nothing here is owned. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"

enum http_method {
    HTTP_METHOD_OTHER, /* a token that we forward without knowing it */
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_CONNECT,
    HTTP_OPTIONS,
    HTTP_TRACE,
    HTTP_PATCH,
    HTTP_METHODS,
};

enum http_method http_method_of(struct slice text); /* case-sensitive, RFC 9110 §9.1 */
const char *http_method_name(enum http_method method);
bool http_method_is_idempotent(enum http_method method); /* RFC 9110 §9.2.2 */

/* Fields that somebody on the way asks for; found once, when parsed. */
#define HTTP_KNOWN_FIELDS(X)                                                                       \
    X(ACCEPT, "accept")                                                                            \
    X(ACCEPT_ENCODING, "accept-encoding")                                                          \
    X(ACCEPT_RANGES, "accept-ranges")                                                              \
    X(AGE, "age")                                                                                  \
    X(AUTHORIZATION, "authorization")                                                              \
    X(CACHE_CONTROL, "cache-control")                                                              \
    X(CONNECTION, "connection")                                                                    \
    X(CONTENT_DIGEST, "content-digest")                                                            \
    X(CONTENT_ENCODING, "content-encoding")                                                        \
    X(CONTENT_LENGTH, "content-length")                                                            \
    X(CONTENT_MD5, "content-md5")                                                                  \
    X(CONTENT_RANGE, "content-range")                                                              \
    X(CONTENT_TYPE, "content-type")                                                                \
    X(COOKIE, "cookie")                                                                            \
    X(DATE, "date")                                                                                \
    X(DIGEST, "digest")                                                                            \
    X(ETAG, "etag")                                                                                \
    X(EXPECT, "expect")                                                                            \
    X(EXPIRES, "expires")                                                                          \
    X(FORWARDED, "forwarded")                                                                      \
    X(HOST, "host")                                                                                \
    X(HTTP2_SETTINGS, "http2-settings")                                                            \
    X(IDEMPOTENCY_KEY, "idempotency-key")                                                          \
    X(IF_MATCH, "if-match")                                                                        \
    X(IF_MODIFIED_SINCE, "if-modified-since")                                                      \
    X(IF_NONE_MATCH, "if-none-match")                                                              \
    X(IF_RANGE, "if-range")                                                                        \
    X(IF_UNMODIFIED_SINCE, "if-unmodified-since")                                                  \
    X(KEEP_ALIVE, "keep-alive")                                                                    \
    X(LOCATION, "location")                                                                        \
    X(MAX_FORWARDS, "max-forwards")                                                                \
    X(PRAGMA, "pragma")                                                                            \
    X(PROXY_AUTHENTICATE, "proxy-authenticate")                                                    \
    X(PROXY_AUTHORIZATION, "proxy-authorization")                                                  \
    X(PROXY_CONNECTION, "proxy-connection")                                                        \
    X(RANGE, "range")                                                                              \
    X(REFERER, "referer")                                                                          \
    X(REPR_DIGEST, "repr-digest")                                                                  \
    X(RETRY_AFTER, "retry-after")                                                                  \
    X(SERVER, "server")                                                                            \
    X(SET_COOKIE, "set-cookie")                                                                    \
    X(TE, "te")                                                                                    \
    X(TRACEPARENT, "traceparent")                                                                  \
    X(TRAILER, "trailer")                                                                          \
    X(TRANSFER_ENCODING, "transfer-encoding")                                                      \
    X(UPGRADE, "upgrade")                                                                          \
    X(USER_AGENT, "user-agent")                                                                    \
    X(VARY, "vary")                                                                                \
    X(VIA, "via")                                                                                  \
    X(WARNING, "warning")                                                                          \
    X(WWW_AUTHENTICATE, "www-authenticate")                                                        \
    X(X_FORWARDED_FOR, "x-forwarded-for")                                                          \
    X(X_FORWARDED_HOST, "x-forwarded-host")                                                        \
    X(X_FORWARDED_PROTO, "x-forwarded-proto")

enum http_field_id {
    HTTP_FIELD_OTHER,
#define HTTP_FIELD_ENUM(id, name) HTTP_FIELD_##id,
    HTTP_KNOWN_FIELDS(HTTP_FIELD_ENUM) HTTP_FIELD_IDS,
#undef HTTP_FIELD_ENUM
};

/* `name` is a token, in any case. */
enum http_field_id http_field_id_of(struct slice name);
/* The same. CGI, WSGI and their like read "Content_Length" as "Content-Length": *mistakable says of
 * a name that means nothing to us that it is a known one to them (RFC 9112 §11.2). */
enum http_field_id http_field_id_look_up(struct slice name, bool *mistakable);

/* In http_head.ids. */
#define HTTP_FIELD_BIT(id) (UINT64_C(1) << HTTP_FIELD_##id)
_Static_assert(HTTP_FIELD_IDS <= 64, "one word has a bit for each");

struct http_field {
    struct slice name, value; /* the value is trimmed */
    enum http_field_id id;
};

enum http_framing {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,      /* content_length bytes */
    HTTP_BODY_CHUNKED,     /* delimited by the protocol: chunks, or h2 DATA frames */
    HTTP_BODY_UNTIL_CLOSE, /* responses only: the end of the connection is the end */
};

#define HTTP_FIELDS_MAX 128 /* in one head, our own additions included */

struct http_head {
    uint8_t version; /* 10, 11, 20: as received */
    /* Requests. */
    enum http_method method;
    struct slice method_text;
    struct slice scheme;    /* "http"; empty in origin form: the session knows */
    struct slice authority; /* host[:port], valid; empty only in HTTP/1.0 */
    struct slice path;      /* "/a/b" as received, without the query; "*" of OPTIONS */
    struct slice query;     /* without "?" */
    bool has_query;         /* "/a?" and "/a" differ */
    bool expect_continue;
    /* Responses. */
    uint16_t status; /* 0: this is a request */
    /* Both. */
    enum http_framing framing;
    bool has_content_length; /* also where framing is NONE, e.g. in the answer to HEAD */
    uint64_t content_length;
    bool keep_alive; /* the sender's wish, by version and Connection */
    bool upgrade;    /* Connection nominates Upgrade, and Upgrade is there */
    struct slice upgrade_to;
    struct http_field *fields; /* the caller's array */
    size_t field_count, field_capacity;
    uint64_t ids; /* a bit for each id that was added: most questions are about what is not there */
};

/* Empty head over the caller's array. */
void http_head_init(struct http_head *head, struct http_field *fields, size_t capacity);

/* False: there is no such field. True: there is one, or it has been removed. */
static inline bool http_head_may_have(const struct http_head *head, enum http_field_id id) {
    return (head->ids >> id & 1) != 0;
}
/* The field behind the last one is filled in. All fields come in by it, so that `ids` is true. */
static inline void http_head_count(struct http_head *head, enum http_field_id id) {
    head->field_count++;
    head->ids |= UINT64_C(1) << id;
}
/* Where there is room. */
static inline void http_head_append(struct http_head *head, struct http_field field) {
    head->fields[head->field_count] = field;
    http_head_count(head, field.id);
}
/* First field of that kind or NULL. */
const struct http_field *http_head_find(const struct http_head *head, enum http_field_id id);
const struct http_field *http_head_find_name(const struct http_head *head, struct slice name);
/* False when the array is full. Name and value are borrowed. */
bool http_head_add(struct http_head *head, struct slice name, struct slice value);
/* The same of a name that we know: in lower case, without a look-up. */
bool http_head_add_known(struct http_head *head, enum http_field_id id, struct slice value);
void http_head_remove(struct http_head *head, enum http_field_id id);

/* Whether the comma-separated list `value` holds the token, in any case. */
bool http_list_has(struct slice value, struct slice token);

/* Removes what is meant for this connection only (RFC 9110 §7.6.1): Connection, what it nominates,
 * Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade, HTTP2-Settings, TE but "trailers",
 * Expect once `head->expect_continue` holds it. head->framing, keep_alive and upgrade stay: the
 * serialiser of the next connection writes what follows from them. Connection cannot nominate what
 * the message needs (Host, Content-Length, Cookie, Authorization, Forwarded…): such a wish is
 * ignored, it is an attack (RFC 9110 §7.6.1, "hop-by-hop abuse"). */
void http_strip_hop_by_hop(struct http_head *head);

/* A field that must not stand in a trailer section (RFC 9110 §6.5.1). */
bool http_field_forbidden_in_trailer(enum http_field_id id);

bool http_is_token(struct slice text);       /* RFC 9110 §5.6.2, not empty */
bool http_is_field_value(struct slice text); /* no control bytes but HTAB */
/* The first byte that cannot stand in a token or in a value, or the end of the text. */
const char *http_token_end(struct slice text);
const char *http_value_end(struct slice text);
