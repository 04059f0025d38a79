#include "act/fleet/probe_h1.h"

#include <stdio.h>
#include <stdlib.h>

#include "wire/http/h1.h"

static const struct h1_limits limits = {
    .head_bytes = PROBE_HEAD_BYTES_MAX,
    .fields = H1_FIELDS_DEFAULT,
    .target_bytes = H1_TARGET_BYTES_DEFAULT,
    .trailer_bytes = H1_TRAILER_BYTES_DEFAULT,
};

struct probe_h1 {
    const struct expectation *expectation;
    struct probe_page *page; /* NULL: it is held against the expectation */
    enum http_method method;
    uint16_t status; /* 0: the head is to come */
    unsigned interim;
    struct h1_scan scan;
    struct h1_body framing;
    bool body_ended;
    struct buffer in;   /* of the message, not read yet */
    struct buffer body; /* as far as it is looked at */
};

struct probe_h1 *probe_h1_new(bool head_only, const struct expectation *expectation) {
    struct probe_h1 *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->expectation = expectation;
    p->method = head_only ? HTTP_HEAD : HTTP_GET;
    buffer_init(&p->in, PROBE_HEAD_BYTES_MAX + PROBE_BODY_BYTES_MAX);
    buffer_init(&p->body, PROBE_BODY_BYTES_MAX);
    return p;
}

void probe_h1_keep(struct probe_h1 *p, struct probe_page *page) {
    p->page = page;
}

void probe_h1_free(struct probe_h1 *p) {
    if (p != NULL) {
        buffer_fini(&p->in);
        buffer_fini(&p->body);
        free(p);
    }
}

static enum probe_result say(char why[PROBE_WHY_BYTES], enum probe_result result,
                             const char *text) {
    snprintf(why, PROBE_WHY_BYTES, "%s", text);
    return result;
}

/* ---- a page ---- */

void probe_page_init(struct probe_page *page, size_t bytes_max) {
    *page = (struct probe_page){ .bytes_max = bytes_max };
    buffer_init(&page->body, bytes_max);
}

void probe_page_clear(struct probe_page *page) {
    page->status = 0;
    page->etag[0] = page->modified[0] = page->location[0] = '\0';
    buffer_clear(&page->body);
}

void probe_page_fini(struct probe_page *page) {
    buffer_fini(&page->body);
}

static void note_field(const struct http_field *field, char *out, size_t out_bytes) {
    if (field == NULL || !slice_copy_text(field->value, out, out_bytes)) {
        out[0] = '\0';
    }
}

/* False when its body comes in a coding that nobody has asked for. */
static bool note_head(struct probe_page *page, const struct http_head *head) {
    const struct http_field *coding = http_head_find(head, HTTP_FIELD_CONTENT_ENCODING);
    page->status = head->status;
    note_field(http_head_find(head, HTTP_FIELD_ETAG), page->etag, sizeof page->etag);
    note_field(http_head_find_name(head, SLICE("last-modified")), page->modified,
               sizeof page->modified);
    note_field(http_head_find(head, HTTP_FIELD_LOCATION), page->location, sizeof page->location);
    return coding == NULL || slice_equal_fold(coding->value, SLICE("identity"));
}

static enum probe_result read_page(struct probe_h1 *p, bool ended, char why[PROBE_WHY_BYTES]) {
    if (p->status != 200) {
        return PROBE_WELL;
    }
    while (!p->body_ended) {
        struct h1_body_event event = h1_body_next(&p->framing, buffer_slice(&p->in), NULL);
        if (event.kind == H1_BODY_BAD) {
            return say(why, PROBE_PROTOCOL, "the chunks of its answer are broken");
        }
        if (event.kind == H1_BODY_DATA && !buffer_append(&p->page->body, event.data)) {
            return say(why, PROBE_BODY, "its answer is too long");
        }
        buffer_consume(&p->in, event.consumed);
        p->body_ended = event.kind == H1_BODY_END;
        if (event.kind == H1_BODY_MORE) {
            break;
        }
    }
    bool until_close = p->framing.framing == HTTP_BODY_UNTIL_CLOSE;
    return p->body_ended || (ended && until_close) ? PROBE_WELL : PROBE_MORE;
}

/* PROBE_WELL: the head is read. */
static enum probe_result read_head(struct probe_h1 *p, char why[PROBE_WHY_BYTES]) {
    struct http_field fields[H1_FIELDS_DEFAULT];
    struct h1_problem problem;
    struct http_head head;
    size_t consumed = 0;
    while (p->status == 0) {
        http_head_init(&head, fields, H1_FIELDS_DEFAULT);
        switch (h1_parse_response(buffer_slice(&p->in), &limits, &p->scan, p->method, &head,
                                  &consumed, &problem)) {
        case H1_MORE:
            return PROBE_MORE;
        case H1_BAD:
            snprintf(why, PROBE_WHY_BYTES, "its answer is not HTTP/1.1: %.60s", problem.reason);
            return PROBE_PROTOCOL;
        case H1_DONE:
            break;
        }
        if (head.status == 101 || (head.status < 200 && ++p->interim > PROBE_INTERIM_MAX)) {
            return say(why, PROBE_PROTOCOL, "it answers with nothing but informational statuses");
        }
        if (head.status >= 200) {
            p->status = head.status;
            h1_body_init(&p->framing, &head, &limits);
            if (p->page != NULL && !note_head(p->page, &head)) {
                return say(why, PROBE_PROTOCOL, "its answer comes in a coding not asked for");
            }
        }
        buffer_consume(&p->in, consumed);
        p->scan = (struct h1_scan){ 0 };
    }
    return PROBE_WELL;
}

/* False when the framing is broken. */
static bool read_body(struct probe_h1 *p) {
    while (!p->body_ended && buffer_len(&p->body) < PROBE_BODY_BYTES_MAX) {
        struct h1_body_event event = h1_body_next(&p->framing, buffer_slice(&p->in), NULL);
        if (event.kind == H1_BODY_BAD) {
            return false;
        }
        if (event.kind == H1_BODY_DATA) {
            size_t room = PROBE_BODY_BYTES_MAX - buffer_len(&p->body);
            (void)buffer_append(&p->body, slice_sub(event.data, 0, room));
        }
        buffer_consume(&p->in, event.consumed);
        p->body_ended = event.kind == H1_BODY_END;
        if (event.kind == H1_BODY_MORE) {
            return true;
        }
    }
    return true;
}

static enum probe_result read_all(struct probe_h1 *p, bool ended, char why[PROBE_WHY_BYTES]) {
    enum probe_result result = read_head(p, why);
    if (result != PROBE_WELL) {
        return result;
    }
    if (p->page != NULL) {
        return read_page(p, ended, why);
    }
    if (expectation_wants_body(p->expectation) && !read_body(p)) {
        return say(why, PROBE_PROTOCOL, "the chunks of its answer are broken");
    }
    bool until_close = p->framing.framing == HTTP_BODY_UNTIL_CLOSE;
    return expectation_judge(p->expectation, p->status, buffer_slice(&p->body),
                             p->body_ended || (ended && until_close), why);
}

enum probe_result probe_h1_take(struct probe_h1 *p, struct slice bytes, bool ended,
                                char why[PROBE_WHY_BYTES]) {
    enum probe_result result = PROBE_MORE;
    do { /* what does not fit yet has room once what came before is read */
        size_t room = PROBE_HEAD_BYTES_MAX + PROBE_BODY_BYTES_MAX - buffer_len(&p->in);
        struct slice part = slice_sub(bytes, 0, room);
        bytes = slice_skip(bytes, part.len);
        if (!buffer_append(&p->in, part)) {
            return say(why, PROBE_PROTOCOL, "no memory for its answer");
        }
        result = read_all(p, ended && bytes.len == 0, why);
        if (result == PROBE_MORE && part.len == 0 && bytes.len > 0) {
            return say(why, PROBE_PROTOCOL, "its answer is too long");
        }
    } while (result == PROBE_MORE && bytes.len > 0);
    if (result == PROBE_MORE && ended) {
        return say(why, PROBE_CLOSED, "it closed the connection without a whole answer");
    }
    return result;
}
