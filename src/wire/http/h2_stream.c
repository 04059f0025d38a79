/* Bodies: what is queued on a stream and how it becomes DATA frames; what came and is not taken. */
#include <stdlib.h>
#include <string.h>

#include "wire/http/h2_internal.h"

#define OUT_KEPT_BYTES 16384 /* an empty queue gives back more than this */

/* ---- life ---- */

void h2_stream_open(struct h2 *h2, struct h2_stream *s, int32_t id) {
    *s = (struct h2_stream){ .h2 = h2, .id = id, .out = s->out };
    buffer_clear(&s->out);
    s->out.limit_bytes = H2_STREAM_OUT_BYTES_MAX;
    list_append(&h2->streams, &s->link);
    h2->stream_count++;
}

static void forget_lent(struct h2_stream *s) {
    s->h2->lending -= s->lent_count > 0;
    s->lent_count = s->lent_bytes = 0;
}

static void drop_queue(struct h2_stream *s) {
    s->h2->unsent_bytes -= h2_stream_unsent(s);
    forget_lent(s);
    if (s->out.capacity > OUT_KEPT_BYTES) {
        buffer_fini(&s->out);
    } else {
        buffer_clear(&s->out);
    }
    free(s->trailers);
    s->trailers = NULL;
}

static void take_held(struct h2_stream *s) {
    struct h2 *h2 = s->h2;
    uint32_t held = s->held_bytes;
    h2->held_bytes -= held;
    s->held_bytes = 0;
    if (h2->owed_bytes > 0 && h2->held_bytes <= H2_HELD_BYTES_MAX / 2) {
        nghttp2_session_consume_connection(h2->session, h2->owed_bytes);
        h2->owed_bytes = 0;
    }
}

void h2_stream_closed(struct h2_stream *s) {
    struct h2 *h2 = s->h2;
    take_held(s);
    drop_queue(s);
    list_remove(&s->link);
    h2->stream_count--;
    s->h2 = NULL;
}

void h2_stream_fini(struct h2_stream *s) {
    buffer_fini(&s->out);
    free(s->trailers);
    s->trailers = NULL;
}

/* ---- out ---- */

/* NOLINTNEXTLINE(readability-non-const-parameter): nghttp2 says the signature */
static ssize_t read_queue(nghttp2_session *session, int32_t id, uint8_t *unused, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *user_data) {
    struct h2_stream *s = source->ptr;
    size_t queued = h2_stream_unsent(s);
    (void)unused, (void)user_data; /* the bytes go from our queue into the output */
    if (queued == 0 && !s->out_ended) {
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t taken = queued < room ? queued : room;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (taken == queued && s->out_ended) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->trailers != NULL) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            nghttp2_submit_trailer(session, id, s->trailers->fields, s->trailers->count);
        }
    }
    return (ssize_t)taken;
}

nghttp2_data_provider h2_stream_provider(struct h2_stream *s) {
    return (nghttp2_data_provider){ .source.ptr = s, .read_callback = read_queue };
}

size_t h2_output_len(const struct h2 *h2) {
    return buffer_len(h2->out) + (h2->pieces == NULL ? 0 : h2->pieces->bytes);
}

/* The first `most` bytes at most of what was lent first. */
static struct slice take_lent(struct h2_stream *s, size_t most) {
    struct slice taken = slice_sub(s->lent[0], 0, most);
    s->lent[0] = slice_skip(s->lent[0], taken.len);
    s->lent_bytes -= (uint32_t)taken.len;
    if (s->lent[0].len == 0) {
        s->lent_count--;
        memmove(s->lent, s->lent + 1, s->lent_count * sizeof *s->lent);
        s->h2->lending -= s->lent_count == 0;
    }
    return taken;
}

/* `len` bytes of payload behind the frame's head, for which there is room in the buffer. */
static void write_payload(struct h2 *h2, struct h2_stream *s, size_t len) {
    struct slice queued = slice_sub(buffer_slice(&s->out), 0, len);
    if (queued.len > 0) {
        buffer_append(h2->out, queued);
        buffer_consume(&s->out, queued.len);
        len -= queued.len;
    }
    while (len > 0) {
        struct slice lent = take_lent(s, len);
        struct h2_pieces *p = h2->pieces;
        len -= lent.len;
        if (p == NULL || p->count == H2_PIECES_MAX) {
            buffer_append(h2->out, lent);
        } else {
            p->piece[p->count].at = buffer_len(h2->out);
            p->piece[p->count++].data = lent;
            p->bytes += lent.len;
        }
    }
}

int h2_stream_write_frame(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_head,
                          size_t len, nghttp2_data_source *source, void *user_data) {
    struct h2 *h2 = user_data;
    struct h2_stream *s = source->ptr;
    (void)session, (void)frame;
    if (h2_output_len(h2) >= h2->out_most) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    char *at = buffer_reserve(h2->out, H2_FRAME_HEAD_BYTES + len);
    if (at == NULL) {
        h2->out_failed = true;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    memcpy(at, frame_head, H2_FRAME_HEAD_BYTES);
    buffer_commit(h2->out, H2_FRAME_HEAD_BYTES);
    write_payload(h2, s, len);
    h2->unsent_bytes -= len;
    if (buffer_len(&s->out) == 0 && s->out.capacity > OUT_KEPT_BYTES) {
        buffer_fini(&s->out);
    }
    h2_calm_data_sent(h2);
    h2->handler->on_sent(s);
    return 0;
}

/* Copies what was lent; false, and the stream is reset, when the queue is full or memory out. */
static bool settle(struct h2_stream *s) {
    for (uint32_t i = 0; i < s->lent_count; i++) {
        if (!buffer_append(&s->out, s->lent[i])) {
            h2_reset(s, H2_INTERNAL_ERROR);
            return false;
        }
        s->lent_bytes -= (uint32_t)s->lent[i].len;
    }
    forget_lent(s);
    return true;
}

void h2_send_data(struct h2_stream *s, struct slice data) {
    if (s->h2 == NULL || s->reset || s->out_ended || data.len == 0 || !settle(s)) {
        return;
    }
    if (!buffer_append(&s->out, data)) {
        h2_reset(s, H2_INTERNAL_ERROR);
        return;
    }
    s->h2->unsent_bytes += data.len;
    nghttp2_session_resume_data(s->h2->session, s->id);
}

void h2_lend_data(struct h2_stream *s, struct slice data) {
    if (s->h2 == NULL || s->reset || s->out_ended || s->lent_count == H2_LENT_MAX) {
        h2_send_data(s, data);
        return;
    }
    s->h2->lending += s->lent_count == 0;
    s->lent[s->lent_count++] = data;
    s->lent_bytes += (uint32_t)data.len;
    s->h2->unsent_bytes += data.len;
    nghttp2_session_resume_data(s->h2->session, s->id);
}

void h2_settle(struct h2 *h2) {
    if (h2->lending > 0) {
        LIST_EACH(&h2->streams, link, saved) {
            struct h2_stream *s = LIST_ITEM(link, struct h2_stream, link);
            if (s->lent_count > 0) {
                settle(s);
            }
        }
    }
}

/* Copies, because the data before them may take a while. */
static struct h2_trailers *copy_trailers(const struct http_head *head) {
    size_t bytes = sizeof(struct h2_trailers) + head->field_count * sizeof(nghttp2_nv);
    size_t text_bytes = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        text_bytes += head->fields[i].name.len + head->fields[i].value.len;
    }
    struct h2_trailers *t = malloc(bytes + text_bytes + 1);
    if (t == NULL) {
        return NULL; /* trailers may be dropped (RFC 9110 6.5.1) */
    }
    t->count = head->field_count;
    uint8_t *text = (uint8_t *)t + bytes;
    for (size_t i = 0; i < head->field_count; i++) {
        struct slice name = head->fields[i].name, value = head->fields[i].value;
        t->fields[i] = (nghttp2_nv){ text, text + name.len, name.len, value.len, 0 };
        memcpy(text, name.data, name.len);
        if (value.len > 0) {
            memcpy(text + name.len, value.data, value.len);
        }
        text += name.len + value.len;
    }
    return t;
}

void h2_send_end(struct h2_stream *s, const struct http_head *trailers) {
    if (s->h2 == NULL || s->reset || s->out_ended) {
        return;
    }
    s->out_ended = true;
    if (trailers != NULL && trailers->field_count > 0) {
        s->trailers = copy_trailers(trailers);
    }
    nghttp2_session_resume_data(s->h2->session, s->id);
}

void h2_reset(struct h2_stream *s, enum h2_code code) {
    if (s->h2 == NULL || s->reset) {
        return;
    }
    s->reset = true;
    drop_queue(s);
    nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id, code);
}

void h2_stop_request(struct h2_stream *s) {
    if (s->h2 == NULL || s->reset || s->in_ended) {
        return;
    }
    if (s->end_sent) {
        h2_reset(s, H2_NO_ERROR);
    } else {
        s->stop_after_end = true;
    }
}

/* ---- in ---- */

void h2_stream_took(struct h2_stream *s, size_t bytes) {
    struct h2 *h2 = s->h2;
    if (!s->paused) {
        nghttp2_session_consume(h2->session, s->id, bytes);
        return;
    }
    s->held_bytes += (uint32_t)bytes;
    h2->held_bytes += (uint32_t)bytes;
    if (h2->held_bytes <= H2_HELD_BYTES_MAX) {
        nghttp2_session_consume_connection(h2->session, bytes);
    } else {
        h2->owed_bytes += (uint32_t)bytes;
    }
}

void h2_pause(struct h2_stream *s) {
    s->paused = true;
}

void h2_resume(struct h2_stream *s) {
    if (!s->paused) {
        return;
    }
    s->paused = false;
    if (s->h2 != NULL && s->held_bytes > 0) {
        nghttp2_session_consume_stream(s->h2->session, s->id, s->held_bytes);
        take_held(s);
    }
}
