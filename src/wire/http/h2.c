/* The connection: nghttp2's session, its settings, and its callbacks turned into our events. */
#include "wire/http/h2.h"

#include <stdlib.h>
#include <string.h>

#include "wire/http/h2_internal.h"

#define ACKS_WAITING_MAX 256 /* of SETTINGS and PING, when the peer does not read */
#define CONTINUATIONS_MAX 16 /* CVE-2024-27316; 16 of 16 KiB hold any head that we take */
#define SETTINGS_ENTRIES_MAX 32
/* Beyond what h2_calm.c allows, which tells streams that were open from those that were not. */
#define RESETS_BURST 100000
#define RESETS_PER_SECOND 10000
#define SEND_HEAD_BYTES_MAX 262144

/* ---- events ---- */

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id) {
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct h2 *h2 = user;
    if (!h2_block_begin(h2)) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (h2->role == H2_SERVER && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        h2->last_id = frame->hd.stream_id;
        struct h2_stream *s = h2->handler->on_open(h2);
        if (s == NULL) {
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                      NGHTTP2_REFUSED_STREAM);
            return 0; /* decoded all the same: HPACK's tables are the connection's */
        }
        h2_stream_open(h2, s, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    }
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user) {
    (void)session, (void)frame, (void)flags;
    return h2_block_add(user, slice_of(name, name_len), slice_of(value, value_len))
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* nghttp2 would drop the field and go on; RFC 9113 8.2.1 calls the message malformed. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *user) {
    (void)session, (void)frame, (void)name, (void)name_len, (void)value, (void)value_len;
    (void)flags, (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void give_end(struct h2_stream *s, const struct http_head *trailers) {
    s->in_ended = true;
    s->h2->handler->on_end(s, trailers);
}

static void give_trailers(struct h2 *h2, struct h2_stream *s) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head trailers;
    bool fits = h2_block_is_whole(h2->block);
    http_head_init(&trailers, fields, HTTP_FIELDS_MAX);
    if (fits) {
        h2_block_trailers(h2, &trailers);
    }
    give_end(s, trailers.field_count > 0 ? &trailers : NULL);
}

static int on_headers(struct h2 *h2, struct h2_stream *s, bool ended) {
    if (s == NULL || s->reset) {
        return 0;
    }
    bool trailers = s->head_seen && (h2->role == H2_SERVER || h2_block_status(h2) == 0);
    if (trailers) {
        give_trailers(h2, s);
        return 0;
    }
    bool final = h2->role == H2_SERVER || h2_block_status(h2) >= 200;
    s->head_seen = s->head_seen || final;
    s->in_ended = ended;
    h2->handler->on_head(s, ended);
    return 0;
}

static bool is_empty(const nghttp2_frame *frame) {
    return frame->hd.length - frame->data.padlen == 0 &&
           !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
}

static int calm(struct h2 *h2, enum h2_nuisance kind) {
    return h2_calm_count(h2, kind) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_settings(struct h2 *h2, const nghttp2_frame *frame) {
    if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
        return 0;
    }
    h2->peer_known = true;
    return calm(h2, H2_NUISANCE_SETTINGS);
}

static int on_ping(struct h2 *h2, const nghttp2_frame *frame) {
    if (!(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        return calm(h2, H2_NUISANCE_PING);
    }
    if (h2->handler->on_ping_answered != NULL) {
        h2->handler->on_ping_answered(h2);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct h2 *h2 = user;
    bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct h2_stream *s;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        h2->in_head = false;
        return on_headers(h2, stream_of(session, frame->hd.stream_id), ended);
    case NGHTTP2_DATA:
        s = stream_of(session, frame->hd.stream_id);
        if (ended && s != NULL && !s->reset) {
            give_end(s, NULL);
        }
        return is_empty(frame) ? calm(h2, H2_NUISANCE_EMPTY) : 0;
    case NGHTTP2_RST_STREAM:
        s = stream_of(session, frame->hd.stream_id);
        return s == NULL ? 0 : calm(h2, H2_NUISANCE_RESET);
    case NGHTTP2_PRIORITY_UPDATE:
        return calm(h2, H2_NUISANCE_PRIORITY);
    case NGHTTP2_SETTINGS:
        return on_settings(h2, frame);
    case NGHTTP2_PING:
        return on_ping(h2, frame);
    case NGHTTP2_GOAWAY:
        if (h2->handler->on_goaway != NULL) {
            h2->handler->on_goaway(h2);
        }
        return 0;
    default:
        return 0;
    }
}

/* A frame that resets its stream, or ends the connection: nghttp2 does either. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int wrong,
                            void *user) {
    struct h2 *h2 = user;
    (void)session, (void)wrong;
    h2->in_head = h2->in_head && frame->hd.type != NGHTTP2_HEADERS;
    return calm(h2, H2_NUISANCE_RESET);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *user) {
    struct h2 *h2 = user;
    struct h2_stream *s = stream_of(session, id);
    (void)flags;
    if (s == NULL || s->reset || s->stop_after_end) { /* thrown away; its own window stays shut */
        nghttp2_session_consume_connection(session, len);
        return 0;
    }
    h2->handler->on_data(s, slice_of(data, len));
    h2_stream_took(s, len);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
    struct h2 *h2 = user;
    struct h2_stream *s = stream_of(session, id);
    if (s != NULL) {
        nghttp2_session_set_stream_user_data(session, id, NULL);
        h2_stream_closed(s);
        h2->handler->on_close(s, code);
    }
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct h2 *h2 = user;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        h2->own_reset_us = h2->now_us;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) {
        return 0;
    }
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    if (s == NULL) {
        return 0;
    }
    s->unsent_head = false;
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        s->end_sent = true;
        if (s->stop_after_end) {
            h2_reset(s, H2_NO_ERROR);
        }
    }
    return 0;
}

/* A head that cannot be written: the stream must not hang. */
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int wrong,
                             void *user) {
    (void)user, (void)wrong;
    struct h2_stream *s = stream_of(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS && s != NULL && !s->unsent_head) {
        h2_reset(s, H2_INTERNAL_ERROR);
    }
    return 0;
}

/* ---- making one ---- */

static nghttp2_session_callbacks *make_callbacks(void) {
    nghttp2_session_callbacks *c;
    if (nghttp2_session_callbacks_new(&c) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_frame_not_sent);
    nghttp2_session_callbacks_set_send_data_callback(c, h2_stream_write_frame);
    return c;
}

static nghttp2_option *make_options(enum h2_role role, uint32_t peer_streams) {
    nghttp2_option *o;
    if (nghttp2_option_new(&o) != 0) {
        return NULL;
    }
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_outbound_ack(o, ACKS_WAITING_MAX);
    nghttp2_option_set_max_settings(o, SETTINGS_ENTRIES_MAX);
    nghttp2_option_set_max_continuations(o, CONTINUATIONS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(o, RESETS_BURST, RESETS_PER_SECOND);
    nghttp2_option_set_max_send_header_block_length(o, SEND_HEAD_BYTES_MAX);
    if (peer_streams > 0) {
        nghttp2_option_set_peer_max_concurrent_streams(o, peer_streams);
    }
    if (role == H2_SERVER) {
        nghttp2_option_set_builtin_recv_extension_type(o, NGHTTP2_PRIORITY_UPDATE);
    }
    return o;
}

static bool make_session(struct h2 *h2) {
    nghttp2_session_callbacks *callbacks = make_callbacks();
    nghttp2_option *options = make_options(h2->role, h2->limits.peer_streams);
    bool made =
        callbacks != NULL && options != NULL &&
        (h2->role == H2_SERVER ? nghttp2_session_server_new3(&h2->session, callbacks, h2, options,
                                                             &h2->memory.functions)
                               : nghttp2_session_client_new3(&h2->session, callbacks, h2, options,
                                                             &h2->memory.functions)) == 0;
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    return made;
}

static bool submit_settings(struct h2 *h2) {
    nghttp2_settings_entry server[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, h2->limits.streams },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW_BYTES },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h2->limits.head_bytes },
        { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 }, /* RFC 9218 instead */
    };
    nghttp2_settings_entry client[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW_BYTES },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h2->limits.head_bytes },
    };
    bool serving = h2->role == H2_SERVER;
    return nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, serving ? server : client,
                                   serving ? sizeof server / sizeof *server
                                           : sizeof client / sizeof *client) == 0 &&
           nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                 H2_CONNECTION_WINDOW_BYTES) == 0;
}

struct h2 *h2_new(enum h2_role role, const struct h2_limits *limits,
                  const struct h2_handler *handler, void *owner) {
    struct h2 *h2 = calloc(1, sizeof *h2);
    if (h2 == NULL) {
        return NULL;
    }
    h2->role = role;
    h2->limits = *limits;
    h2->handler = handler;
    h2->owner = owner;
    list_init(&h2->streams);
    h2_memory_init(&h2->memory);
    h2_calm_init(h2);
    h2_frames_init(h2);
    if (!make_session(h2) || !submit_settings(h2)) {
        h2_free(h2);
        return NULL;
    }
    return h2;
}

void h2_free(struct h2 *h2) {
    if (h2 == NULL) {
        return;
    }
    LIST_EACH(&h2->streams, link, saved) {
        h2_stream_closed(LIST_ITEM(link, struct h2_stream, link));
    }
    if (!h2->memory.failed) {
        nghttp2_session_del(h2->session); /* no callbacks */
    }
    h2_memory_fini(&h2->memory);
    h2_block_free(h2);
    free(h2);
}

/* ---- bytes ---- */

static void break_off(struct h2 *h2, ssize_t wrong) {
    uint32_t code = NGHTTP2_PROTOCOL_ERROR;
    if (wrong == NGHTTP2_ERR_FLOODED || wrong == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS ||
        wrong == NGHTTP2_ERR_TOO_MANY_SETTINGS) {
        h2->abused = true;
    } else if (wrong == NGHTTP2_ERR_NOMEM) {
        code = NGHTTP2_INTERNAL_ERROR;
    }
    if (h2->trouble == NULL) {
        h2->trouble = nghttp2_strerror((int)wrong);
    }
    code = h2->abused ? NGHTTP2_ENHANCE_YOUR_CALM : h2->trouble_code != 0 ? h2->trouble_code : code;
    nghttp2_session_terminate_session(h2->session, code);
}

bool h2_receive(struct h2 *h2, struct slice bytes, uint64_t now_us) {
    h2->now_us = now_us;
    while (bytes.len > 0) {
        size_t len = h2_frames_next(h2, bytes);
        ssize_t n = len == 0
                        ? NGHTTP2_ERR_PROTO
                        : nghttp2_session_mem_recv(h2->session, (const uint8_t *)bytes.data, len);
        if (n < 0 || h2->abused || h2->memory.failed) {
            break_off(h2, n < 0 ? n : h2->abused ? NGHTTP2_ERR_FLOODED : NGHTTP2_ERR_NOMEM);
            return false;
        }
        bytes = slice_skip(bytes, len);
    }
    return !h2_is_over(h2);
}

bool h2_output(struct h2 *h2, struct buffer *out, size_t most, uint64_t now_us) {
    return h2_output_pieces(h2, out, NULL, most, now_us);
}

bool h2_output_pieces(struct h2 *h2, struct buffer *out, struct h2_pieces *pieces, size_t most,
                      uint64_t now_us) {
    h2->now_us = now_us;
    h2->out = out;
    h2->out_most = most;
    h2->pieces = pieces;
    if (pieces != NULL) {
        pieces->count = pieces->bytes = 0;
    }
    while (h2_output_len(h2) < most && !h2->memory.failed) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(h2->session, &bytes);
        if (n < 0 || (n > 0 && !buffer_append(out, slice_of(bytes, (size_t)n)))) {
            h2->out_failed = true;
        }
        if (n <= 0 || h2->out_failed) {
            break;
        }
    }
    h2->out = NULL;
    h2->pieces = NULL;
    return !h2->out_failed && !h2->memory.failed;
}

size_t h2_join(const struct buffer *out, const struct h2_pieces *pieces,
               struct slice parts[2 * H2_PIECES_MAX + 1]) {
    struct slice frames = buffer_slice(out);
    size_t count = 0, done = 0;
    for (size_t i = 0; i < pieces->count; i++) {
        size_t at = pieces->piece[i].at;
        if (at > done) {
            parts[count++] = slice_sub(frames, done, at - done);
        }
        parts[count++] = pieces->piece[i].data;
        done = at;
    }
    if (done < frames.len) {
        parts[count++] = slice_skip(frames, done);
    }
    return count;
}

bool h2_wants_output(const struct h2 *h2) {
    return h2->memory.failed || nghttp2_session_want_write(h2->session) != 0;
}

bool h2_is_over(const struct h2 *h2) {
    return nghttp2_session_want_read(h2->session) == 0 &&
           nghttp2_session_want_write(h2->session) == 0;
}

/* ---- the end ---- */

void h2_announce_goaway(struct h2 *h2) {
    if (!h2->closing) {
        nghttp2_submit_shutdown_notice(h2->session);
        nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
    }
}

void h2_goaway(struct h2 *h2, enum h2_code code) {
    if (!h2->closing) {
        h2->closing = true;
        int32_t last = nghttp2_session_get_last_proc_stream_id(h2->session);
        nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, last, code, NULL, 0);
    }
}

/* ---- what is known ---- */

void *h2_owner(const struct h2 *h2) {
    return h2->owner;
}

const char *h2_trouble(const struct h2 *h2) {
    return h2->trouble;
}

bool h2_is_abused(const struct h2 *h2) {
    return h2->abused;
}

struct list *h2_streams(struct h2 *h2) {
    return &h2->streams;
}

uint32_t h2_stream_count(const struct h2 *h2) {
    return h2->stream_count;
}

uint32_t h2_peer_streams_max(const struct h2 *h2) {
    uint32_t theirs =
        nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return theirs < h2->limits.streams ? theirs : h2->limits.streams;
}

bool h2_peer_allows_connect(const struct h2 *h2) {
    return nghttp2_session_get_remote_settings(h2->session,
                                               NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

bool h2_peer_is_known(const struct h2 *h2) {
    return h2->peer_known;
}

size_t h2_unsent(const struct h2 *h2) {
    return h2->unsent_bytes;
}

void h2_rest(struct h2 *h2) {
    if (!h2->in_head) {
        h2_block_free(h2);
    }
}

bool h2_in_head(const struct h2 *h2) {
    return h2->in_head;
}
