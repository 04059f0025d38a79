#include "act/fleet/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "act/fleet/probe_h1.h"
#include "act/fleet/probe_h2.h"
#include "wire/http/h1.h"
#include "wire/net/proxy_protocol.h"

#define REQUEST_BYTES_MAX 16384
#define H2_BYTES_MAX 131072

static struct probe *probe_of(struct socket *socket) {
    return (struct probe *)((char *)socket - offsetof(struct probe, socket));
}

static void forget_question(struct probe *p) {
    probe_h1_free(p->h1);
    probe_h2_free(p->h2);
    p->h1 = NULL;
    p->h2 = NULL;
    expectation_free(p->expectation);
    p->expectation = NULL;
    buffer_fini(&p->request);
}

static void end(struct probe *p, enum probe_result result) {
    forget_question(p);
    p->running = false;
    p->result = result;
    p->took_us = loop_now_us(p->loop) - p->began_us;
    if (result == PROBE_WELL) {
        p->note[0] = '\0';
    }
    p->on_done(p, result == PROBE_WELL);
}

static void finish(struct probe *p, enum probe_result result, const char *why) {
    if (result != PROBE_WELL) {
        snprintf(p->note, sizeof p->note, "%s", why);
    }
    p->closing = true;
    socket_close(&p->socket);
    end(p, result);
}

/* ---- the answer ---- */

static void take(struct probe *p, struct slice data, bool ended) {
    struct buffer out;
    char why[PROBE_WHY_BYTES] = "";
    enum probe_result result;
    buffer_init(&out, H2_BYTES_MAX);
    if (p->h2 != NULL) {
        result = probe_h2_take(p->h2, data, loop_now_us(p->loop), &out, why);
        if (buffer_len(&out) > 0) {
            socket_send_slice(&p->socket, buffer_slice(&out));
        }
    } else {
        result = probe_h1_take(p->h1, data, ended, why);
    }
    buffer_fini(&out);
    if (result == PROBE_MORE && ended) {
        result = PROBE_CLOSED;
        snprintf(why, sizeof why, "it closed the connection without a whole answer");
    }
    if (result != PROBE_MORE) {
        finish(p, result, why);
    }
}

static size_t on_data(struct socket *socket, struct slice data) {
    struct probe *p = probe_of(socket);
    if (p->running) {
        take(p, data, false);
    }
    return data.len;
}

static void on_end(struct socket *socket) {
    struct probe *p = probe_of(socket);
    if (p->running && p->h1 == NULL && p->h2 == NULL) { /* before the TLS handshake was done */
        finish(p, PROBE_CLOSED, "it closed the connection without an answer");
    } else if (p->running) {
        take(p, slice_of("", 0), true);
    }
}

static void on_connected(struct socket *socket) {
    struct probe *p = probe_of(socket);
    uint64_t now_us = loop_now_us(p->loop);
    if (p->h1 == NULL && p->h2 == NULL) {
        finish(p, PROBE_WELL, "");
        return;
    }
    /* The socket forgets the timeout of the connecting; what is left of it is for the answer. */
    socket_set_timeout(socket, now_us < p->give_up_us ? p->give_up_us - now_us : 1);
    socket_send_slice(socket, buffer_slice(&p->request));
}

static void on_failed(struct socket *socket, int system_errno) {
    struct probe *p = probe_of(socket);
    if (p->running && system_errno == EPROTO) {
        char why[64];
        snprintf(why, sizeof why, "the TLS handshake failed: %s",
                 tls_failure_name(socket_tls_failure(socket)));
        finish(p, PROBE_TLS, why);
    } else if (p->running && system_errno == ETIMEDOUT) {
        finish(p, PROBE_TIMEOUT, "it does not accept a connection in time");
    } else if (p->running) {
        finish(p, system_errno == ECONNRESET ? PROBE_CLOSED : PROBE_CONNECT,
               strerror(system_errno));
    }
}

static void on_timeout(struct socket *socket) {
    struct probe *p = probe_of(socket);
    if (p->running) {
        finish(p, PROBE_TIMEOUT, "it does not answer in time");
    }
}

static void on_closed(struct socket *socket) {
    struct probe *p = probe_of(socket);
    p->closing = false;
    if (p->on_released != NULL) {
        p->on_released(p);
    }
}

static const struct socket_handler handler = {
    .on_data = on_data,
    .on_end = on_end,
    .on_connected = on_connected,
    .on_failed = on_failed,
    .on_timeout = on_timeout,
    .on_closed = on_closed,
};

void probe_init(struct probe *p, struct loop *loop, void (*on_done)(struct probe *, bool)) {
    memset(p, 0, sizeof *p);
    p->loop = loop;
    p->on_done = on_done;
    p->socket.fd = -1;
}

/* ---- the question ---- */

/* False when the array is full. */
static bool fill_head(const struct probe_question *q, struct http_head *head) {
    struct slice rest = slice_from(q->path);
    head->method = q->head_only ? HTTP_HEAD : HTTP_GET;
    head->method_text = q->head_only ? SLICE("HEAD") : SLICE("GET");
    head->has_query = slice_find(rest, '?') != SLICE_NONE;
    (void)slice_cut(&rest, '?', &head->path);
    head->query = rest;
    bool fits = http_head_add_known(head, HTTP_FIELD_USER_AGENT, SLICE("tidegate-probe"));
    for (size_t i = 0; i < q->header_count; i++) {
        fits = fits &&
               http_head_add(head, slice_from(q->headers[i].name), slice_from(q->headers[i].value));
    }
    return fits;
}

static bool write_question(struct probe *p, const struct probe_question *q, const char *host) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    http_head_init(&head, fields, HTTP_FIELDS_MAX);
    head.authority = slice_from(host);
    if (q->grpc != NULL) {
        p->h2 = probe_h2_new_grpc(q->grpc, &head, &p->request);
        return p->h2 != NULL;
    }
    if (!fill_head(q, &head)) {
        return false;
    }
    if (q->h2) {
        p->h2 = probe_h2_new(&head, p->expectation, &p->request);
        return p->h2 != NULL;
    }
    p->h1 = probe_h1_new(q->head_only, p->expectation);
    if (p->h1 != NULL && q->page != NULL) {
        probe_h1_keep(p->h1, q->page);
    }
    return p->h1 != NULL && h1_write_request_head(&p->request, &head);
}

static bool prepare(struct probe *p, const struct address *address,
                    const struct probe_question *q) {
    char text[ADDRESS_TEXT_BYTES];
    buffer_init(&p->request, q->h2 ? H2_BYTES_MAX : REQUEST_BYTES_MAX);
    p->expectation = expectation_hold(q->expectation);
    if (q->path == NULL && q->grpc == NULL) {
        return true;
    }
    address_format(address, text);
    const char *host = q->host != NULL              ? q->host
                       : address_port(address) == 0 ? "localhost" /* a Unix socket */
                                                    : text;
    return write_question(p, q, host);
}

/* False when memory is out. */
static bool begin_dial(struct probe *p, const struct probe_dial *dial) {
    static const struct address nobody = { .len = 0 };
    char header[PROXY_PROTOCOL_WRITE_BYTES];
    if (dial != NULL && dial->proxy_protocol > 0) {
        size_t len = proxy_protocol_write(dial->proxy_protocol, &nobody, &nobody, header);
        socket_send_slice(&p->socket, slice_of(header, len));
    }
    return dial == NULL || dial->tls == NULL || socket_start_tls_client(&p->socket, dial->tls, 0);
}

void probe_start(struct probe *p, const struct address *address,
                 const struct probe_question *question, const struct probe_dial *dial,
                 uint64_t timeout_us) {
    struct error err;
    if (p->running || p->closing) {
        return;
    }
    p->running = true;
    p->began_us = loop_now_us(p->loop);
    p->give_up_us = p->began_us + timeout_us;
    if (!prepare(p, address, question)) {
        snprintf(p->note, sizeof p->note, "the question is too long, or memory is out");
        end(p, PROBE_CONNECT);
    } else if (!socket_connect(&p->socket, p->loop, (const struct sockaddr *)&address->storage,
                               address->len, timeout_us, &handler, &err)) {
        snprintf(p->note, sizeof p->note, "%.120s", err.text);
        end(p, PROBE_CONNECT);
    } else if (!begin_dial(p, dial)) {
        finish(p, PROBE_TLS, "TLS cannot be begun");
    }
}

bool probe_stop(struct probe *p) {
    if (p->running) {
        p->running = false;
        p->closing = true;
        forget_question(p);
        socket_close(&p->socket);
    }
    return !p->closing;
}
