/* Inside of the HTTP/2 codec. */
#pragma once
#include <nghttp2/nghttp2.h>

#include "wire/http/h2.h"

#define H2_FRAME_HEAD_BYTES 9
#define H2_FRAME_SEEN_BYTES 13 /* the head, and of PRIORITY on whom a stream depends */
#define H2_LINES_MAX 256       /* field lines of one head, cookie crumbs apart */

/* What nobody does often; limits and what each is a defence against in h2_calm.c. */
enum h2_nuisance {
    H2_NUISANCE_RESET,
    H2_NUISANCE_PING,
    H2_NUISANCE_SETTINGS,
    H2_NUISANCE_PRIORITY,
    H2_NUISANCE_WINDOW,
    H2_NUISANCE_EMPTY,
    H2_NUISANCES,
};

struct h2_line {
    uint32_t name, name_len, value, value_len; /* in block->text */
};

/* The head that is just arriving: only one can be under way on a connection. */
struct h2_block {
    struct buffer text;
    size_t count, list_bytes; /* as RFC 9113 6.5.2 counts: 32 more a field */
    bool too_large, too_many, starved; /* the last: of memory */
    struct h2_line lines[H2_LINES_MAX];
};

struct h2_trailers {
    size_t count;
    nghttp2_nv fields[];
};

/* h2_memory.c */
struct h2_memory {
    nghttp2_mem functions;
    struct list blocks;
    bool failed; /* once: the session is not to be trusted any more, h2_output fails */
};
void h2_memory_init(struct h2_memory *memory);
void h2_memory_fini(struct h2_memory *memory); /* whatever the session has left */

struct h2 {
    nghttp2_session *session;
    struct h2_memory memory; /* the session's */
    enum h2_role role;
    const struct h2_handler *handler;
    void *owner;
    struct h2_limits limits;
    struct list streams;
    uint32_t stream_count;
    struct h2_block *block; /* NULL between heads, mostly */
    bool in_head;
    bool peer_known, closing;
    uint32_t held_bytes; /* of all paused streams */
    uint32_t owed_bytes; /* not even the connection's window was opened for these */
    size_t unsent_bytes; /* in the streams' queues */
    const char *trouble;
    bool abused;
    uint32_t trouble_code;
    uint32_t payload_left; /* of the frame that is arriving */
    uint8_t frame_head[H2_FRAME_SEEN_BYTES], frame_head_len;
    int32_t last_id;       /* the highest that the client has opened */
    uint64_t own_reset_us; /* we last reset a stream */
    uint64_t now_us;
    struct h2_bucket {
        uint64_t filled_us;
        double tokens;
    } buckets[H2_NUISANCES];
    uint32_t lending;         /* streams that have something lent */
    struct buffer *out;       /* within h2_output */
    struct h2_pieces *pieces; /* within h2_output_pieces */
    size_t out_most;
    bool out_failed;
};

/* h2_calm.c: counts one; false when it is too much: trouble is set and the connection is to end. */
void h2_calm_init(struct h2 *h2);
bool h2_calm_count(struct h2 *h2, enum h2_nuisance kind);
/* A DATA frame went out: the peer may open windows for it. */
void h2_calm_data_sent(struct h2 *h2);

/* h2_frames.c */
void h2_frames_init(struct h2 *h2);
/* How many of `bytes` belong to one frame: to be given to nghttp2 next. 0: that frame must not be;
 * trouble says why. */
size_t h2_frames_next(struct h2 *h2, struct slice bytes);

/* h2_block.c */
bool h2_block_begin(struct h2 *h2);
/* False: so much too large that the connection ends. */
bool h2_block_add(struct h2 *h2, struct slice name, struct slice value);
bool h2_block_is_whole(const struct h2_block *block); /* nothing of it was left out */
void h2_block_free(struct h2 *h2);
/* The status of a response head; 0: it has none, these are trailers. */
uint16_t h2_block_status(const struct h2 *h2);
/* Trailers into `head`, those that may be forwarded. */
void h2_block_trailers(struct h2 *h2, struct http_head *head);

/* h2_stream.c */
size_t h2_output_len(const struct h2 *h2); /* within h2_output: what it has produced */
void h2_stream_open(struct h2 *h2, struct h2_stream *stream, int32_t id);
void h2_stream_closed(struct h2_stream *stream);
void h2_stream_took(struct h2_stream *stream, size_t bytes);
/* What a response or request body is read from by nghttp2. */
nghttp2_data_provider h2_stream_provider(struct h2_stream *stream);
int h2_stream_write_frame(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_head,
                          size_t len, nghttp2_data_source *source, void *user_data);
