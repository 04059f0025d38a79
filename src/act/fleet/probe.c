#include "act/fleet/probe.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "act/fleet/probe_h2.h"
#include "wire/net/proxy_protocol.h"

#define REQUEST_BYTES 2048
#define H2_BYTES_MAX 131072

static struct probe *probe_of(struct socket *socket) {
    return (struct probe *)((char *)socket - offsetof(struct probe, socket));
}

static void forget_question(struct probe *p) {
    probe_h2_free(p->question);
    p->question = NULL;
}

static void finish(struct probe *p, bool well) {
    forget_question(p);
    p->running = false;
    p->closing = true;
    socket_close(&p->socket);
    if (well) {
        p->note[0] = '\0';
    }
    p->on_done(p, well);
}

static void fail(struct probe *p, const char *why) {
    snprintf(p->note, sizeof p->note, "%s", why);
    finish(p, false);
}

/* "HTTP/1.1 200" */
static void judge(struct probe *p) {
    const char *a = p->answer;
    bool http = p->answer_len >= 12 && memcmp(a, "HTTP/1.", 7) == 0 && a[8] == ' ' && a[9] >= '1' &&
                a[9] <= '5' && isdigit((unsigned char)a[10]) && isdigit((unsigned char)a[11]);
    if (!http) {
        fail(p, "its answer is not HTTP/1.1");
    } else if (a[9] == '2' || a[9] == '3') {
        finish(p, true);
    } else {
        char why[64];
        snprintf(why, sizeof why, "it answered %.3s", a + 9);
        fail(p, why);
    }
}

static void send_all(struct probe *p, struct buffer *out) {
    if (buffer_len(out) > 0) {
        socket_send_slice(&p->socket, buffer_slice(out));
    }
    buffer_fini(out);
}

static void ask_h2(struct probe *p, const char *host) {
    struct buffer out;
    buffer_init(&out, H2_BYTES_MAX);
    p->question = probe_h2_new(p->path, p->grpc, host, &out);
    send_all(p, &out);
    if (p->question == NULL) {
        fail(p, "no memory to ask it");
    }
}

static void take_h2(struct probe *p, struct slice data) {
    struct buffer out;
    char why[64];
    buffer_init(&out, H2_BYTES_MAX);
    enum probe_h2_verdict verdict =
        probe_h2_take(p->question, data, loop_now_us(p->loop), &out, why);
    send_all(p, &out);
    if (verdict == PROBE_H2_WELL) {
        finish(p, true);
    } else if (verdict == PROBE_H2_ILL) {
        fail(p, why);
    }
}

static size_t on_data(struct socket *socket, struct slice data) {
    struct probe *p = probe_of(socket);
    if (p->question != NULL) {
        take_h2(p, data);
        return data.len;
    }
    size_t room = sizeof p->answer - p->answer_len;
    size_t len = data.len < room ? data.len : room;
    memcpy(p->answer + p->answer_len, data.data, len);
    p->answer_len += len;
    if (p->running && p->answer_len >= 12) {
        judge(p);
    }
    return data.len;
}

static void on_connected(struct socket *socket) {
    struct probe *p = probe_of(socket);
    char request[REQUEST_BYTES], host[ADDRESS_TEXT_BYTES];
    uint64_t now_us = loop_now_us(p->loop);
    if (p->path == NULL && p->grpc == NULL) {
        finish(p, true);
        return;
    }
    /* The socket forgets the timeout of the connecting; what is left of it is for the answer. */
    socket_set_timeout(socket, now_us < p->give_up_us ? p->give_up_us - now_us : 1);
    address_format(&p->address, host);
    bool unix_socket = address_port(&p->address) == 0;
    if (p->h2) {
        ask_h2(p, unix_socket ? "localhost" : host);
        return;
    }
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tidegate-probe\r\n"
                       "Connection: close\r\n\r\n",
                       p->path, unix_socket ? "localhost" : host);
    if (len < 0 || (size_t)len >= sizeof request) {
        fail(p, "the path is too long");
        return;
    }
    socket_send_slice(socket, slice_of(request, (size_t)len));
}

static void on_end(struct socket *socket) {
    struct probe *p = probe_of(socket);
    if (p->running) {
        fail(p, "it closed the connection without an answer");
    }
}

static void on_failed(struct socket *socket, int system_errno) {
    struct probe *p = probe_of(socket);
    if (p->running && system_errno == EPROTO) {
        char why[64];
        snprintf(why, sizeof why, "the TLS handshake failed: %s",
                 tls_failure_name(socket_tls_failure(socket)));
        fail(p, why);
    } else if (p->running) {
        fail(p, system_errno == ETIMEDOUT ? "it does not accept a connection in time"
                                          : strerror(system_errno));
    }
}

static void on_timeout(struct socket *socket) {
    struct probe *p = probe_of(socket);
    if (p->running) {
        fail(p, "it does not answer in time");
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

void probe_start(struct probe *p, const struct address *address, const char *path,
                 const struct probe_dial *dial, uint64_t timeout_us) {
    struct error err;
    if (p->running || p->closing) {
        return;
    }
    p->address = *address;
    p->path = path;
    p->answer_len = 0;
    p->running = true;
    p->give_up_us = loop_now_us(p->loop) + timeout_us;
    if (!socket_connect(&p->socket, p->loop, (const struct sockaddr *)&address->storage,
                        address->len, timeout_us, &handler, &err)) {
        p->running = false;
        snprintf(p->note, sizeof p->note, "%.120s", err.text);
        p->on_done(p, false);
        return;
    }
    if (!begin_dial(p, dial)) {
        fail(p, "TLS cannot be begun");
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
