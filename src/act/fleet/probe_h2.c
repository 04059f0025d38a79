#include "act/fleet/probe_h2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "wire/http/h2.h"

#define GRPC_ANSWER_BYTES 64 /* HealthCheckResponse is 2 behind a prefix of 5 */
#define NAME_BYTES_MAX 100
#define GRPC_PREFIX_BYTES 5
#define SERVING 1
#define OUT_BYTES_MAX 65536

struct probe_h2 {
    struct h2 *h2;
    struct h2_stream stream;
    const struct expectation *expectation;
    bool grpc, answered, closed;
    uint16_t status;
    struct buffer body;  /* as far as it is looked at */
    char grpc_status[8]; /* as it came; empty: none */
};

static struct probe_h2 *probe_of(struct h2_stream *stream) {
    return (struct probe_h2 *)((char *)stream - offsetof(struct probe_h2, stream));
}

/* ---- events ---- */

static void read_grpc_status(struct probe_h2 *p, const struct http_head *head) {
    const struct http_field *field =
        head == NULL ? NULL : http_head_find_name(head, SLICE("grpc-status"));
    if (field != NULL) {
        (void)slice_copy_text(field->value, p->grpc_status, sizeof p->grpc_status);
    }
}

static void on_head(struct h2_stream *stream, bool ended) {
    struct probe_h2 *p = probe_of(stream);
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    http_head_init(&head, fields, HTTP_FIELDS_MAX);
    if (h2_read_response(stream, ended, &head) == H2_READ && head.status >= 200) {
        p->status = head.status;
        read_grpc_status(p, &head);
        p->answered = p->answered || ended;
    }
}

static void on_data(struct h2_stream *stream, struct slice data) {
    struct probe_h2 *p = probe_of(stream);
    size_t room = p->body.limit_bytes - buffer_len(&p->body);
    (void)buffer_append(&p->body, slice_sub(data, 0, room));
}

static void on_end(struct h2_stream *stream, const struct http_head *trailers) {
    struct probe_h2 *p = probe_of(stream);
    read_grpc_status(p, trailers);
    p->answered = true;
}

static void on_sent(struct h2_stream *stream) {
    (void)stream;
}

static void on_close(struct h2_stream *stream, uint32_t code) {
    (void)code;
    probe_of(stream)->closed = true;
}

static const struct h2_handler events = {
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_end,
    .on_sent = on_sent,
    .on_close = on_close,
};

/* ---- the question ---- */

/* HealthCheckRequest { string service = 1; } behind gRPC's prefix. */
static bool ask_grpc(struct probe_h2 *p, struct http_head *head, const char *service) {
    char body[GRPC_PREFIX_BYTES + 2 + NAME_BYTES_MAX] = { 0 };
    size_t name_len = strlen(service);
    name_len = name_len > NAME_BYTES_MAX ? NAME_BYTES_MAX : name_len;
    size_t message_len = name_len == 0 ? 0 : name_len + 2;
    body[4] = (char)message_len;
    if (name_len > 0) {
        body[5] = 0x0a;
        body[6] = (char)name_len;
        memcpy(body + 7, service, name_len);
    }
    head->method = HTTP_POST;
    head->method_text = SLICE("POST");
    head->path = SLICE("/grpc.health.v1.Health/Check");
    head->framing = HTTP_BODY_CHUNKED;
    http_head_add(head, SLICE("content-type"), SLICE("application/grpc"));
    http_head_add(head, SLICE("te"), SLICE("trailers"));
    if (!h2_send_request(p->h2, &p->stream, head, false)) {
        return false;
    }
    h2_send_data(&p->stream, slice_of(body, GRPC_PREFIX_BYTES + message_len));
    h2_send_end(&p->stream, NULL);
    return true;
}

static struct probe_h2 *begin(size_t body_bytes_max) {
    static const struct h2_limits limits = { .head_bytes = 16384, .fields = 100, .streams = 1 };
    struct probe_h2 *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    buffer_init(&p->stream.out, OUT_BYTES_MAX);
    buffer_init(&p->body, body_bytes_max);
    p->h2 = h2_new(H2_CLIENT, &limits, &events, p);
    return p;
}

static struct probe_h2 *begun(struct probe_h2 *p, bool asked, struct buffer *out) {
    if (asked && h2_output(p->h2, out, OUT_BYTES_MAX, 0)) {
        return p;
    }
    probe_h2_free(p);
    return NULL;
}

struct probe_h2 *probe_h2_new(const struct http_head *head, const struct expectation *expectation,
                              struct buffer *out) {
    struct probe_h2 *p = begin(PROBE_BODY_BYTES_MAX);
    if (p == NULL) {
        return NULL;
    }
    p->expectation = expectation;
    return begun(p, p->h2 != NULL && h2_send_request(p->h2, &p->stream, head, true), out);
}

struct probe_h2 *probe_h2_new_grpc(const char *service, struct http_head *head,
                                   struct buffer *out) {
    struct probe_h2 *p = begin(GRPC_ANSWER_BYTES);
    if (p == NULL) {
        return NULL;
    }
    p->grpc = true;
    http_head_add(head, SLICE("user-agent"), SLICE("tidegate-probe"));
    return begun(p, p->h2 != NULL && ask_grpc(p, head, service), out);
}

void probe_h2_free(struct probe_h2 *p) {
    if (p != NULL) {
        h2_free(p->h2);
        h2_stream_fini(&p->stream);
        buffer_fini(&p->body);
        free(p);
    }
}

/* ---- the answer ---- */

/* HealthCheckResponse { ServingStatus status = 1; } */
static bool is_serving(const struct probe_h2 *p) {
    struct slice answer = buffer_slice(&p->body);
    return answer.len >= GRPC_PREFIX_BYTES + 2 && answer.data[5] == 0x08 &&
           answer.data[6] == SERVING;
}

static enum probe_result judge_grpc(const struct probe_h2 *p, char why[PROBE_WHY_BYTES]) {
    if (p->status != 200) {
        snprintf(why, PROBE_WHY_BYTES, "it answered %u to grpc.health.v1", p->status);
        return PROBE_STATUS;
    }
    if (strcmp(p->grpc_status, "0") != 0) {
        snprintf(why, PROBE_WHY_BYTES, "its grpc.health.v1 answered status %s", p->grpc_status);
        return PROBE_STATUS;
    }
    if (!is_serving(p)) {
        snprintf(why, PROBE_WHY_BYTES, "its grpc.health.v1 says that it is not serving");
        return PROBE_NOT_SERVING;
    }
    return PROBE_WELL;
}

static enum probe_result judge(const struct probe_h2 *p, char why[PROBE_WHY_BYTES]) {
    if (p->grpc) {
        return p->answered ? judge_grpc(p, why) : PROBE_MORE;
    }
    return expectation_judge(p->expectation, p->status, buffer_slice(&p->body), p->answered, why);
}

enum probe_result probe_h2_take(struct probe_h2 *p, struct slice bytes, uint64_t now_us,
                                struct buffer *out, char why[PROBE_WHY_BYTES]) {
    bool alive = h2_receive(p->h2, bytes, now_us) && h2_output(p->h2, out, OUT_BYTES_MAX, now_us) &&
                 !h2_is_over(p->h2);
    enum probe_result result = p->status != 0 ? judge(p, why) : PROBE_MORE;
    if (result == PROBE_MORE && (!alive || p->closed)) {
        snprintf(why, PROBE_WHY_BYTES, "its answer is not HTTP/2");
        return PROBE_PROTOCOL;
    }
    return result;
}
