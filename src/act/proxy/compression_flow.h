/* Compressing answers on their way: the encoders of a worker and what an exchange calls.
 *
 *   service ──▶ raw (what the turn has no time, the visitor no room for) ──▶ encoder ──▶ visitor
 *
 * All answers together get COMPRESSION_TURN_BYTES of input a turn as it comes, and as much again of
 * what waits; what is left waits in `raw`, its service's stream paused, for the next turn. One
 * answer may use the whole turn: an encoder that is through with a page before it begins the next
 * one works in the cache (16 pages of 64 KiB, 16 KiB of each in turn, cost a tenth more). Whatever
 * came in a turn and is encoded is flushed at its end, so that a service that pauses is not held
 * back; an answer that is complete by then gets no flush but its end. What comes out of the encoder
 * counts as pending of the visitor's stream like any other bytes, and stops the encoding when that
 * is too much. An answer takes an encoder with its first byte, not before. */
#pragma once
#include "act/proxy/compression.h"
#include "base/list.h"
#include "wire/net/loop.h"

struct coder;
struct encoder;
struct exchange;
struct worker;

#define COMPRESSION_TURN_BYTES 65536
#define COMPRESSION_OUT_BYTES 65536
#define COMPRESSION_SPARES_MAX 4 /* encoders kept for reuse, of each coding */
#define COMPRESSION_SPARE_CODERS_MAX 64
#define COMPRESSION_RAW_BYTES_MAX (1u << 20) /* one receive buffer is 128 KiB */

struct compressor {
    struct worker *worker;
    struct compression_policy policy;
    struct list busy; /* coders with something to encode or to flush */
    struct task task;
    uint64_t turn_us; /* of which turn_bytes is what is left */
    size_t turn_bytes;
    struct encoder *spares[HTTP_CODINGS][COMPRESSION_SPARES_MAX];
    uint32_t spare_counts[HTTP_CODINGS];
    struct coder *spare_coders;
    uint32_t spare_coder_count;
    uint32_t open; /* coders at work */
    char out[COMPRESSION_OUT_BYTES];
};

void compressor_init(struct compressor *compressor, struct worker *worker);
void compressor_fini(struct compressor *compressor);

/* What the visitor accepts is kept, and hidden from the service if that is not to know. Only where
 * compression is on. */
void compression_on_request(struct exchange *exchange);
/* The final head, prepared for the visitor: rewritten if it is to be compressed; then the exchange
 * has a coder, to which the next calls belong. */
void compression_on_response(struct exchange *exchange, struct http_head *head);
void compression_on_data(struct exchange *exchange, struct slice data);
void compression_on_end(struct exchange *exchange, const struct http_head *trailers);
void compression_on_drained(struct exchange *exchange);
/* The exchange is over. */
void compression_leave(struct exchange *exchange);
