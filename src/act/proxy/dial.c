#include "act/proxy/dial.h"

#include <netinet/in.h>
#include <string.h>

#include "act/proxy/exchange.h"
#include "act/proxy/worker_internal.h"
#include "base/log.h"
#include "wire/net/proxy_protocol.h"

#define ALPN SLICE("\x08http/1.1")
#define ALPN_H2 SLICE("\x02h2")

static struct tls_client *make_client(struct worker *w, const struct plan_service *s,
                                      struct error *err) {
    char name[TLS_NAME_BYTES];
    struct tls_pair own;
    struct tls_client_options options = {
        .ca = plan_slice(w->plan, s->tls_ca),
        .verify = s->tls_verify,
        .name = s->tls_name.len > 0 ? name : NULL,
        .alpn = s->protocol == PLAN_PROTOCOL_H2 ? ALPN_H2 : ALPN,
    };
    if (!slice_copy_text(plan_slice(w->plan, s->tls_name), name, sizeof name)) {
        error_set(err, ERROR_INVALID, "the name is too long");
        return NULL;
    }
    if (s->tls_certificate > 0) {
        const struct plan_certificate *c = &w->plan->certificates[s->tls_certificate - 1];
        own = (struct tls_pair){ plan_slice(w->plan, c->chain),
                                 plan_slice(w->plan, c->key),
                                 { "", 0 } };
        options.own = &own;
    }
    return tls_client_new(&options, err);
}

static void refresh(struct worker *w, struct dial *d, const struct plan_service *s) {
    struct error err;
    uint64_t digest = s->tls_digest ^ s->protocol; /* what ALPN offers follows from it */
    if (d->client != NULL && d->digest == digest) {
        return;
    }
    struct tls_client *client = make_client(w, s, &err);
    if (client == NULL) {
        log_error("service_tls_not_ready", "service=%s error=\"%s\" action=%s", s->name, err.text,
                  d->client != NULL ? "keep_the_old_one" : "do_not_connect");
        return;
    }
    tls_client_free(d->client); /* connections that use it hold it */
    d->client = client;
    d->digest = digest;
}

void dials_refresh(struct worker *w) {
    w->tells_addresses = false;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        struct dial *d = &w->dials[i];
        w->tells_addresses |= i < w->plan->service_count && w->plan->services[i].proxy_protocol > 0;
        if (i < w->plan->service_count && w->plan->services[i].tls) {
            refresh(w, d, &w->plan->services[i]);
        } else if (d->client != NULL) {
            tls_client_free(d->client);
            *d = (struct dial){ 0 };
        }
    }
}

void dials_fini(struct worker *w) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        tls_client_free(w->dials[i].client);
        w->dials[i].client = NULL;
    }
}

bool dial_is_ready(const struct worker *w, unsigned service) {
    return !w->services[service].plan.tls || w->dials[service].client != NULL;
}

uint64_t dial_digest(const struct worker *w, unsigned service) {
    return w->dials[service].digest + w->services[service].plan.proxy_protocol;
}

static struct address to_address(const uint8_t ip[16], uint16_t port) {
    struct address a = { .len = sizeof(struct sockaddr_in6) };
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.storage;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    memcpy(&v6->sin6_addr, ip, 16);
    return a;
}

/* Of a visitor behind a Unix socket nothing is known. */
static void send_header(unsigned version, struct socket *socket, const struct client_info *who) {
    static const uint8_t nobody[16] = { 0 };
    char header[PROXY_PROTOCOL_WRITE_BYTES];
    struct address from = to_address(who->ip, who->port);
    struct address to = to_address(who->local_ip, who->local_port);
    bool known = memcmp(who->ip, nobody, 16) != 0;
    from.len = known ? from.len : 0;
    socket_send_slice(socket, slice_of(header, proxy_protocol_write(version, &from, &to, header)));
}

bool dial_begin(struct worker *w, unsigned service, unsigned slot, struct socket *socket,
                const struct client_info *who) {
    const struct plan_service *plan = &w->services[service].plan;
    if (plan->proxy_protocol > 0) {
        send_header(plan->proxy_protocol, socket, who);
    }
    return !plan->tls || socket_start_tls_client(socket, w->dials[service].client, slot);
}

void dial_count(struct worker *w, const struct socket *socket, bool connected) {
    struct vitals_worker *own = w->own;
    if (socket->tls == NULL) {
        return;
    }
    if (connected) {
        vitals_add(socket_tls_resumed(socket) ? &own->service_handshakes_resumed
                                              : &own->service_handshakes_full,
                   1);
        return;
    }
    enum tls_failure failure = socket_tls_failure(socket);
    vitals_add(&own->service_handshake_failures[failure == TLS_FAILURE_NONE ? TLS_FAILURE_CLOSED
                                                                            : failure],
               1);
}
