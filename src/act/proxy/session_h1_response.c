/* What a client's HTTP/1 connection writes: heads, bodies in the framing of this connection,
 * ends. */
#include "act/proxy/session_h1_internal.h"

static struct session *session_of(struct stream *stream) {
    return (struct session *)((char *)stream - offsetof(struct session, stream));
}

void session_h1_linger(struct session *s) {
    s->state = SESSION_LINGER;
    s->linger_since_us = session_now_us(s);
    s->pending_seen = socket_pending(&s->socket);
    if (s->socket.end_told && socket_finished(&s->socket)) { /* both directions are through */
        socket_close(&s->socket);
        return;
    }
    socket_finish(&s->socket);
    socket_resume(&s->socket);
    session_h1_await(s);
}

/* What was begun must not look whole. A body that ends with the connection needs a reset for it. */
static void cut_off(struct session *s) {
    if (s->response_begun && s->out_framing == HTTP_BODY_UNTIL_CLOSE) {
        socket_reset(&s->socket);
    } else {
        session_h1_linger(s);
    }
}

static void next_request(struct session *s) {
    s->state = SESSION_HEAD;
    s->response_begun = false;
    session_h1_await(s);
    socket_resume(&s->socket);
}

static void write_head(struct session *s, const struct http_head *head) {
    struct buffer *scratch = &s->worker->scratch;
    buffer_clear(scratch);
    if (h1_write_response_head(scratch, head)) {
        socket_send_slice(&s->socket, buffer_slice(scratch));
    } else {
        socket_reset(&s->socket); /* larger than any head that we read can become */
    }
}

static enum http_framing framing_for(const struct session *s, const struct http_head *head) {
    if (head->framing == HTTP_BODY_CHUNKED || head->framing == HTTP_BODY_UNTIL_CLOSE) {
        return s->version >= 11 ? HTTP_BODY_CHUNKED : HTTP_BODY_UNTIL_CLOSE;
    }
    return head->framing;
}

static void send_head(struct stream *stream, const struct http_head *head) {
    struct session *s = session_of(stream);
    struct http_head out = *head;
    if (head->status == 101) {
        s->state = SESSION_TUNNEL;
        write_head(s, &out);
        socket_resume(&s->socket); /* what came behind the request belongs to the tunnel */
        return;
    }
    if (head->status < 200) {
        if (s->version >= 11) { /* HTTP/1.0 knows none (RFC 9110 15.2) */
            write_head(s, &out);
        }
        return;
    }
    s->response_begun = true;
    s->out_framing = (uint8_t)framing_for(s, head);
    bool unread = s->state == SESSION_BODY && head->status >= 400;
    s->keep_alive = s->keep_alive && head->keep_alive && !s->worker->draining && !unread &&
                    s->out_framing != HTTP_BODY_UNTIL_CLOSE;
    out.framing = s->out_framing;
    out.keep_alive = s->keep_alive;
    write_head(s, &out);
}

static void send_parts(struct session *s, const struct slice *parts, size_t count) {
    if (s->worker->more_follows) {
        socket_send_with_next(&s->socket, parts, count);
    } else {
        socket_send(&s->socket, parts, count);
    }
}

static void send_data(struct stream *stream, struct slice data) {
    struct session *s = session_of(stream);
    if (s->out_framing != HTTP_BODY_CHUNKED || s->state == SESSION_TUNNEL) {
        send_parts(s, &data, 1);
        return;
    }
    char size_line[H1_CHUNK_HEAD_BYTES];
    struct slice parts[] = { { size_line, h1_chunk_head(size_line, data.len) },
                             data,
                             SLICE("\r\n") };
    send_parts(s, parts, 3);
}

static struct socket *outlet(struct stream *stream) {
    struct session *s = session_of(stream);
    bool plain = s->socket.tls == NULL && s->out_framing == HTTP_BODY_LENGTH;
    return plain && s->state != SESSION_TUNNEL ? &s->socket : NULL;
}

static void send_end(struct stream *stream, const struct http_head *trailers) {
    struct session *s = session_of(stream);
    if (s->state == SESSION_TUNNEL) {
        socket_finish(&s->socket);
    } else if (s->out_framing == HTTP_BODY_CHUNKED) {
        struct buffer *scratch = &s->worker->scratch;
        buffer_clear(scratch);
        if (h1_write_last_chunk(scratch, trailers)) {
            socket_send_slice(&s->socket, buffer_slice(scratch));
        }
    }
}

static size_t pending(const struct stream *stream) {
    return socket_pending(&session_of((struct stream *)(uintptr_t)stream)->socket);
}

static void pause_reading(struct stream *stream) {
    socket_pause(&session_of(stream)->socket);
}

static void resume_reading(struct stream *stream) {
    struct session *s = session_of(stream);
    s->since_us = session_now_us(s); /* while it was paused it could not be late */
    socket_resume(&s->socket);
}

static void release(struct stream *stream, bool complete) {
    struct session *s = session_of(stream);
    if (!complete) {
        cut_off(s);
    } else if (s->keep_alive && s->state == SESSION_BUSY && !s->socket.end_told) {
        next_request(s); /* one that has ended its direction has none */
    } else {
        session_h1_linger(s);
    }
}

const struct stream_ops session_h1_stream_ops = {
    .send_head = send_head,
    .send_data = send_data,
    .outlet = outlet,
    .send_end = send_end,
    .pending = pending,
    .pause = pause_reading,
    .resume = resume_reading,
    .release = release,
};
