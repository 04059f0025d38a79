/* Whether an answer is compressed on its way to the visitor, and how its head then reads: pure, of
 * what the plan says, the request accepts and the answer is. Doing it is in compression_flow.h.
 *
 * Never compressed: what is coded already, too small, of a type that is not listed, an event
 * stream, gRPC, a part (206, Content-Range), what has no body, and what either side wants unchanged
 * (Cache-Control: no-transform). */
#pragma once
#include "act/shm/plan.h"
#include "act/shm/vitals.h"
#include "base/arena.h"
#include "wire/http/coding.h"

/* The plan's, ready for use; slices point into the plan. */
struct compression_policy {
    enum http_coding order[HTTP_CODINGS];
    size_t order_count;
    uint8_t levels[HTTP_CODINGS];
    uint32_t min_bytes;
    uint32_t encoders_max; /* at work at once, in this worker */
    bool services_may;     /* a service is told what the visitor accepts */
    struct slice types[PLAN_COMPRESSION_TYPES_MAX];
    size_t type_count;
};

void compression_policy_init(struct compression_policy *policy, const struct plan *plan);

/* What is to be known of the request; read when it is needed, or when it is taken off the head. */
struct compression_wish {
    struct http_acceptance accepted;
    bool on;           /* for this route and service */
    bool read;         /* what follows is from the request */
    bool no_transform; /* the visitor asks for it */
    bool head;         /* the method: the answer's head is that of GET, without a body */
};

/* COMPRESSION_DONE is that it is compressed; the others are why not. */
#define COMPRESSION_REASONS(X)                                                                     \
    X(DONE, "done")                                                                                \
    X(NO_BODY, "no_body")           /* 1xx, 204, 205, 304, or nothing in it */                     \
    X(CODED, "coded")               /* Content-Encoding is there */                                \
    X(PART, "part")                 /* 206, or Content-Range */                                    \
    X(TYPE, "type")                 /* not listed, or none */                                      \
    X(NO_TRANSFORM, "no_transform") /* the visitor or the service wants it unchanged */            \
    X(SMALL, "small")                                                                              \
    X(NOT_ACCEPTED, "not_accepted")                                                                \
    X(LIMIT, "limit") /* all encoders are at work, or there is no memory */

enum compression_reason {
#define COMPRESSION_ENUM(id, name) COMPRESSION_##id,
    COMPRESSION_REASONS(COMPRESSION_ENUM) COMPRESSION_REASON_COUNT,
#undef COMPRESSION_ENUM
};
_Static_assert(COMPRESSION_REASON_COUNT == VITALS_COMPRESSION_REASONS, "vitals count each");

const char *compression_reason_name(enum compression_reason reason);

struct compression_decision {
    enum http_coding coding; /* IDENTITY: none */
    enum compression_reason reason;
    bool varies; /* another visitor may get it in another coding: Vary must say so */
};

/* Both of what follows: why it must not be compressed, whoever asks, or DONE; and then for whom. */
struct compression_decision compression_decide(const struct compression_policy *policy,
                                               const struct compression_wish *wish,
                                               const struct http_head *response);

enum compression_reason compression_why_never(const struct compression_policy *policy, bool head,
                                              const struct http_head *response);
struct compression_decision compression_choose(const struct compression_policy *policy,
                                               const struct compression_wish *wish,
                                               const struct http_head *response);

/* Adds Accept-Encoding to Vary, unless it is there or "*" is. False: no room; nothing changed. */
bool compression_add_vary(struct http_head *response, struct arena *arena);

/* The head of an answer that will be coded: Content-Encoding and Vary in; Content-Length and
 * Accept-Ranges out, and all digests, which are of other bytes (RFC 9530 §3: Repr-Digest, too, is
 * of the coded representation); a strong ETag becomes a weak one (RFC 9110 §8.8.1). False: no room;
 * then it must go as it is. */
bool compression_rewrite_head(struct http_head *response, enum http_coding coding,
                              struct arena *arena);

/* Of trailers: digests out. */
void compression_rewrite_trailers(struct http_head *trailers);

/* A 304 for one who holds what we coded, which is told by a weak tag in If-None-Match that the
 * service gives back as a strong one: it gets its weak tag again, and Vary, else its cache would
 * not find what to refresh (RFC 9111 §4.3.4). */
void compression_rewrite_not_modified(struct http_head *response, const struct http_head *request,
                                      struct arena *arena);
