#include "act/proxy/compression_flow.h"

#include <stdlib.h>
#include <string.h>

#include "act/proxy/exchange_internal.h"
#include "wire/http/encoder.h"

struct coder {
    struct exchange *exchange;
    enum http_coding coding;
    struct encoder *encoder; /* NULL: nothing has come yet */
    uint64_t left;           /* of the body, as its head says; ENCODER_SIZE_UNKNOWN */
    struct list busy;        /* in compressor->busy */
    struct buffer raw;       /* came and is not encoded yet */
    bool dirty;              /* encoded since the last flush */
    bool ended;              /* `raw` is all there will be */
    bool whole;              /* encoded to the end */
    struct http_head *trailers;
    struct coder *next_spare;
};

/* ---- encoders ---- */

void compressor_init(struct compressor *m, struct worker *w) {
    m->worker = w;
    list_init(&m->busy);
}

void compressor_fini(struct compressor *m) {
    loop_cancel(m->worker->loop, &m->task);
    for (unsigned i = 0; i < HTTP_CODINGS; i++) {
        while (m->spare_counts[i] > 0) {
            encoder_free(m->spares[i][--m->spare_counts[i]]);
        }
    }
    while (m->spare_coders != NULL) {
        struct coder *c = m->spare_coders;
        m->spare_coders = c->next_spare;
        free(c);
    }
}

/* A spare one of another level (of an older plan) is of no use any more. The last one returned is
 * the first one taken: it is in the cache. */
static struct encoder *encoder_take(struct compressor *m, enum http_coding coding) {
    int level = m->policy.levels[coding];
    while (m->spare_counts[coding] > 0) {
        struct encoder *e = m->spares[coding][--m->spare_counts[coding]];
        if (encoder_level(e) == level) {
            return e;
        }
        encoder_free(e);
    }
    return encoder_new(coding, level);
}

static void encoder_return(struct compressor *m, struct encoder *e) {
    enum http_coding coding = encoder_coding(e);
    if (m->spare_counts[coding] < COMPRESSION_SPARES_MAX) {
        m->spares[coding][m->spare_counts[coding]++] = e;
    } else {
        encoder_free(e);
    }
}

static bool has_encoder(struct compressor *m, struct coder *c) {
    if (c->encoder == NULL) {
        c->encoder = encoder_take(m, c->coding);
        return c->encoder != NULL && encoder_begin(c->encoder, c->left);
    }
    return true;
}

/* ---- coders ---- */

static void set_open(struct compressor *m, uint32_t open) {
    m->open = open;
    atomic_store_explicit(&m->worker->own->encoders_open, open, memory_order_relaxed);
}

/* NULL at the limit, or when memory is out. */
static struct coder *coder_take(struct compressor *m, enum http_coding coding, uint64_t size) {
    if (m->open >= m->policy.encoders_max) {
        return NULL;
    }
    struct coder *c = m->spare_coders;
    if (c != NULL) {
        m->spare_coders = c->next_spare;
        m->spare_coder_count--;
    } else if ((c = malloc(sizeof *c)) == NULL) {
        return NULL;
    }
    *c = (struct coder){ .coding = coding, .left = size };
    buffer_init(&c->raw, COMPRESSION_RAW_BYTES_MAX);
    set_open(m, m->open + 1);
    return c;
}

static void coder_return(struct compressor *m, struct coder *c) {
    set_open(m, m->open - 1);
    list_remove(&c->busy);
    buffer_fini(&c->raw);
    if (c->encoder != NULL) {
        encoder_return(m, c->encoder);
    }
    if (m->spare_coder_count >= COMPRESSION_SPARE_CODERS_MAX) {
        free(c);
        return;
    }
    c->next_spare = m->spare_coders;
    m->spare_coders = c;
    m->spare_coder_count++;
}

void compression_leave(struct exchange *x) {
    coder_return(&x->worker->compressor, x->coder);
    x->coder = NULL;
}

/* ---- heads ---- */

static bool asks_no_transform(const struct http_head *request) {
    const struct http_field *field = http_head_find(request, HTTP_FIELD_CACHE_CONTROL);
    return field != NULL && http_list_has(field->value, SLICE("no-transform"));
}

static void read_wish(struct exchange *x) {
    x->compression.read = true;
    x->compression.accepted = http_accept_encoding(&x->request);
    x->compression.no_transform = asks_no_transform(&x->request);
    x->compression.head = x->request.method == HTTP_HEAD;
}

void compression_on_request(struct exchange *x) {
    if (x->worker->compressor.policy.services_may) {
        return;
    }
    read_wish(x);
    http_head_remove(&x->request, HTTP_FIELD_ACCEPT_ENCODING);
    /* Without the field anything would be acceptable (RFC 9110 12.5.3). When there is no room for
     * it, the service may still compress, which is then passed on. */
    (void)http_head_add(&x->request, SLICE("accept-encoding"), SLICE("identity"));
}

static uint64_t size_of(const struct http_head *head) {
    return head->framing == HTTP_BODY_LENGTH ? head->content_length : ENCODER_SIZE_UNKNOWN;
}

/* The answer to HEAD reads like that to GET, and needs no encoder for it. */
static enum compression_reason begin(struct exchange *x, enum http_coding coding,
                                     struct http_head *head) {
    struct compressor *m = &x->worker->compressor;
    bool bodyless = head->framing == HTTP_BODY_NONE;
    struct coder *c = bodyless ? NULL : coder_take(m, coding, size_of(head));
    if (c == NULL && !bodyless) {
        return COMPRESSION_LIMIT;
    }
    if (!compression_rewrite_head(head, coding, &x->arena)) {
        if (c != NULL) {
            coder_return(m, c);
        }
        return COMPRESSION_LIMIT;
    }
    if (c != NULL) {
        c->exchange = x;
        x->coder = c;
        vitals_add(&x->worker->own->coded[coding], 1);
    }
    return COMPRESSION_DONE;
}

void compression_on_response(struct exchange *x, struct http_head *head) {
    struct compressor *m = &x->worker->compressor;
    if (head->status == 304) {
        compression_rewrite_not_modified(head, &x->request, &x->arena);
    }
    bool to_head = x->request.method == HTTP_HEAD;
    struct compression_decision decision = { .varies = false };
    enum compression_reason reason = compression_why_never(&m->policy, to_head, head);
    if (reason == COMPRESSION_DONE) {
        if (!x->compression.read) {
            read_wish(x);
        }
        decision = compression_choose(&m->policy, &x->compression, head);
        reason = decision.reason;
    }
    if (reason == COMPRESSION_DONE) {
        reason = begin(x, decision.coding, head);
    }
    if (reason != COMPRESSION_DONE) {
        vitals_add(&x->worker->own->uncoded[reason], 1);
        if (decision.varies) {
            (void)compression_add_vary(head, &x->arena);
        }
    }
}

/* ---- bodies ---- */

/* No memory, or not as much as the head said: what was begun must not look whole. False. */
static bool give_up(struct exchange *x) {
    x->record.reason = REASON_UPSTREAM_CUT;
    x->record.flags |= RECORD_FAILED;
    exchange_finish(x, false);
    return false;
}

static enum encoder_result run_encoder(struct exchange *x, enum encoder_action action,
                                       struct slice data) {
    struct compressor *m = &x->worker->compressor;
    struct coder *c = x->coder;
    enum encoder_result result;
    do {
        size_t written;
        result = encoder_run(c->encoder, action, &data, m->out, sizeof m->out, &written);
        if (written > 0) {
            vitals_add(&x->worker->own->coded_bytes_out[c->coding], written);
            x->record.bytes_out += written;
            x->client->ops->send_data(x->client, slice_of(m->out, written));
        }
    } while (result == ENCODER_MORE);
    return result;
}

/* False: the exchange is over. */
static bool encode(struct exchange *x, enum encoder_action action, struct slice data) {
    struct coder *c = x->coder;
    if (c->left != ENCODER_SIZE_UNKNOWN) {
        if (data.len > c->left || !has_encoder(&x->worker->compressor, c)) {
            return give_up(x);
        }
        c->left -= data.len;
        action = c->left == 0 ? ENCODER_END : action; /* with the last byte, not behind it */
    } else if (!has_encoder(&x->worker->compressor, c)) {
        return give_up(x);
    }
    vitals_add(&x->worker->own->coded_bytes_in[c->coding], data.len);
    if (run_encoder(x, action, data) == ENCODER_FAILED) {
        return give_up(x);
    }
    c->dirty = action == ENCODER_CONTINUE;
    c->whole = action == ENCODER_END;
    return true;
}

static bool visitor_is_full(const struct exchange *x) {
    return x->client->ops->pending(x->client) > STREAM_PENDING_BYTES_MAX;
}

static void hold_service(struct exchange *x, bool hold) {
    if (x->attempt->upstream == NULL || hold == x->upstream_paused) {
        return;
    }
    if (hold && visitor_is_full(x)) {
        exchange_pause_upstream(x);
        return;
    }
    x->upstream_paused = hold;
    if (hold) {
        x->attempt->upstream->ops->pause(x->attempt->upstream);
    } else {
        x->attempt->upstream->ops->resume(x->attempt->upstream);
    }
}

static void finish(struct exchange *x, const struct http_head *trailers) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head kept;
    uint64_t left = x->coder->left;
    if (left > 0 && left != ENCODER_SIZE_UNKNOWN) {
        give_up(x);
        return;
    }
    if (!x->coder->whole && !encode(x, ENCODER_END, (struct slice){ 0 })) {
        return;
    }
    if (trailers != NULL) {
        kept = *trailers;
        kept.fields = fields;
        memcpy(fields, trailers->fields, trailers->field_count * sizeof *fields);
        compression_rewrite_trailers(&kept);
        trailers = &kept;
    }
    x->client->ops->send_end(x->client, trailers);
    exchange_finish(x, true);
}

/* Encodes of `raw` what the turn allows. */
static void advance(struct compressor *m, struct coder *c) {
    struct exchange *x = c->exchange;
    if (visitor_is_full(x)) {
        return; /* compression_on_drained comes */
    }
    if (buffer_len(&c->raw) > 0) {
        struct slice piece = slice_sub(buffer_slice(&c->raw), 0, m->turn_bytes);
        m->turn_bytes -= piece.len;
        if (!encode(x, ENCODER_CONTINUE, piece)) {
            return;
        }
        buffer_consume(&c->raw, piece.len);
        list_append(&m->busy, &c->busy); /* more of it, or the flush, or the end */
    } else if (c->ended) {
        finish(x, c->trailers);
    } else {
        buffer_fini(&c->raw);
        if (!c->dirty || encode(x, ENCODER_FLUSH, (struct slice){ 0 })) {
            hold_service(x, visitor_is_full(x));
        }
    }
}

static void on_turn(struct task *task) {
    struct compressor *m = (struct compressor *)((char *)task - offsetof(struct compressor, task));
    struct list *link;
    /* Its own share: what comes at every turn must not starve what waits. */
    m->turn_us = loop_now_us(m->worker->loop);
    m->turn_bytes = COMPRESSION_TURN_BYTES;
    while (m->turn_bytes > 0 && (link = list_first(&m->busy)) != NULL) {
        list_remove(link);
        advance(m, LIST_ITEM(link, struct coder, busy));
    }
    if (!list_empty(&m->busy)) {
        loop_defer(m->worker->loop, task, on_turn);
    }
}

static void make_busy(struct compressor *m, struct coder *c) {
    if (!list_linked(&c->busy)) {
        list_append(&m->busy, &c->busy);
    }
    loop_defer(m->worker->loop, &m->task, on_turn);
}

/* What is left of this turn, for at most `want` bytes. */
static size_t take_turn(struct compressor *m, size_t want) {
    uint64_t now_us = loop_now_us(m->worker->loop);
    if (m->turn_us != now_us) {
        m->turn_us = now_us;
        m->turn_bytes = COMPRESSION_TURN_BYTES;
    }
    size_t got = want < m->turn_bytes ? want : m->turn_bytes;
    m->turn_bytes -= got;
    return got;
}

void compression_on_data(struct exchange *x, struct slice data) {
    struct compressor *m = &x->worker->compressor;
    struct coder *c = x->coder;
    if (buffer_len(&c->raw) == 0 && !visitor_is_full(x)) {
        struct slice now = slice_sub(data, 0, take_turn(m, data.len));
        if (now.len > 0 && !encode(x, ENCODER_CONTINUE, now)) {
            return;
        }
        data = slice_skip(data, now.len);
    }
    if (data.len > 0 && !buffer_append(&c->raw, data)) {
        give_up(x);
        return;
    }
    hold_service(x, buffer_len(&c->raw) > 0 || visitor_is_full(x));
    if (!c->whole) {
        make_busy(m, c);
    }
}

/* The service has done its part and is let go; the rest is between us and the visitor. But while it
 * is still being sent to, all is encoded at once: that is at most what one read has brought. */
void compression_on_end(struct exchange *x, const struct http_head *trailers) {
    struct coder *c = x->coder;
    bool some = trailers != NULL && trailers->field_count > 0;
    if (buffer_len(&c->raw) > 0 && !x->request_ended) {
        if (!encode(x, ENCODER_CONTINUE, buffer_slice(&c->raw))) {
            return;
        }
        buffer_clear(&c->raw);
    }
    if (buffer_len(&c->raw) == 0) {
        finish(x, some ? trailers : NULL);
        return;
    }
    c->ended = true;
    c->trailers = some ? exchange_copy_trailers(x, trailers) : NULL;
    attempt_leave(x->attempt, true);
    make_busy(&x->worker->compressor, c);
}

void compression_on_drained(struct exchange *x) {
    make_busy(&x->worker->compressor, x->coder);
}
