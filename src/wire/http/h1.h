/* HTTP/1.1 and 1.0 (RFC 9112): bytes in, heads and body pieces out, and back. No I/O, no clock.
 *
 * Strict: what two readers could understand differently is refused, with the status to answer and
 * the section of the RFC. What is forwarded is written anew from the head by h1_write_*, never
 * copied through.
 *
 * Reading a message: h1_parse_request (or _response) until H1_DONE; then h1_body_init and
 * h1_body_next until H1_BODY_END. Slices of a head point into `input`: as long as the head is used
 * those bytes must stay where they are. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "wire/http/message.h"

#define H1_HEAD_BYTES_DEFAULT 32768
#define H1_FIELDS_DEFAULT 100
#define H1_TARGET_BYTES_DEFAULT 8192
#define H1_TRAILER_BYTES_DEFAULT 8192
#define H1_CHUNK_LINE_BYTES_MAX 256  /* size and extensions of one chunk */
#define H1_EXTENSION_BYTES_MAX 16384 /* of all chunks of a body: they are dropped, so bounded */

struct h1_limits {
    uint32_t head_bytes, fields, target_bytes, trailer_bytes;
};

extern const struct h1_limits h1_limits_default;

enum h1_result { H1_DONE, H1_MORE, H1_BAD };

/* Why a message was refused. For a response only `reason` counts: the answer is 502. */
struct h1_problem {
    uint16_t status;    /* 400, 405, 414, 417, 431, 501, 503 (no memory), 505 */
    const char *reason; /* a static text that names the section */
};

/* Between calls for one head: where the search for its end goes on. Zero it for each message. */
struct h1_scan {
    uint32_t scanned;    /* bytes known not to hold the end */
    uint32_t line_start; /* of the line in which they end */
};

/* `head` was initialised with http_head_init. `input` is all that has come of this message so far.
 * H1_DONE: *consumed bytes were the head. H1_MORE: call again with more. H1_BAD: see *problem. */
enum h1_result h1_parse_request(struct slice input, const struct h1_limits *limits,
                                struct h1_scan *scan, struct http_head *head, size_t *consumed,
                                struct h1_problem *problem);

/* `request_method` decides whether a body follows (RFC 9112 §6.3). */
enum h1_result h1_parse_response(struct slice input, const struct h1_limits *limits,
                                 struct h1_scan *scan, enum http_method request_method,
                                 struct http_head *head, size_t *consumed,
                                 struct h1_problem *problem);

enum h1_body_state {
    H1_BODY_STATE_DATA,
    H1_BODY_STATE_CHUNK_SIZE,
    H1_BODY_STATE_CHUNK_DATA,
    H1_BODY_STATE_CHUNK_END,
    H1_BODY_STATE_TRAILERS,
    H1_BODY_STATE_END,
};

struct h1_body {
    enum http_framing framing;
    enum h1_body_state state;
    uint64_t remaining; /* of the body, or of the chunk */
    uint32_t trailer_bytes_max, extension_bytes;
};

void h1_body_init(struct h1_body *body, const struct http_head *head,
                  const struct h1_limits *limits);

enum h1_body_event_kind {
    H1_BODY_MORE,     /* nothing (more) in the input; UNTIL_CLOSE ends with the connection */
    H1_BODY_DATA,     /* event.data is the next piece */
    H1_BODY_TRAILERS, /* event.trailers: those that may be forwarded; H1_BODY_END comes next */
    H1_BODY_END,
    H1_BODY_BAD, /* event.reason */
};

struct h1_body_event {
    enum h1_body_event_kind kind;
    size_t consumed; /* of the input, by this event */
    struct slice data;
    const char *reason;
};

/* The next event in `input`. Trailers go into `trailers` (initialised by the caller, may be NULL to
 * drop them). Call again with the rest until H1_BODY_MORE, _END or _BAD. */
struct h1_body_event h1_body_next(struct h1_body *body, struct slice input,
                                  struct http_head *trailers);

bool h1_body_done(const struct h1_body *body);
/* How many bytes of input are the body's, with nothing in between; 0: that is not known, or none.
 */
uint64_t h1_body_left(const struct h1_body *body);
/* So many of them went by without being looked at. */
void h1_body_skip(struct h1_body *body, uint64_t bytes);

/* Writes a head for the next hop, HTTP/1.1: request line or status line, Host from the authority,
 * framing fields from head->framing, Connection from keep_alive and upgrade, then the fields but
 * those. Hop-by-hop fields must have been stripped. False when the buffer's limit is reached. */
bool h1_write_request_head(struct buffer *out, const struct http_head *head);
bool h1_write_response_head(struct buffer *out, const struct http_head *head);

/* Chunked framing: before each piece its size line, after it CRLF; at the end the last chunk with
 * the trailers (NULL: none). A piece of 0 bytes must not be written: it would be the end. */
#define H1_CHUNK_HEAD_BYTES 20
size_t h1_chunk_head(char out[H1_CHUNK_HEAD_BYTES], uint64_t bytes);
bool h1_write_last_chunk(struct buffer *out, const struct http_head *trailers);
