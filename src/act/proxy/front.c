#include "act/proxy/front.h"

#include <sys/socket.h>

#include "act/proxy/entrance.h"
#include "act/proxy/worker_internal.h"
#include "base/log.h"

static struct tls_server *make_server(struct worker *w, const struct plan_listener *l,
                                      const struct tls_server *previous, struct error *err) {
    struct tls_pair pairs[TLS_CERTIFICATES_MAX];
    char ciphers[1024];
    struct slice listed = plan_slice(w->plan, l->ciphers);
    if (l->certificate_count == 0 || l->certificate_count > TLS_CERTIFICATES_MAX ||
        !slice_copy_text(listed, ciphers, sizeof ciphers)) {
        error_set(err, ERROR_INVALID, "no certificate that can be used");
        return NULL;
    }
    for (unsigned i = 0; i < l->certificate_count; i++) {
        const struct plan_certificate *c = &w->plan->certificates[l->certificate_first + i];
        pairs[i] = (struct tls_pair){ plan_slice(w->plan, c->chain), plan_slice(w->plan, c->key),
                                      plan_slice(w->plan, c->ocsp) };
    }
    struct tls_server_options options = {
        .pairs = pairs,
        .pair_count = l->certificate_count,
        .only_1_3 = l->only_1_3,
        .ciphers = listed.len > 0 ? ciphers : NULL,
        .client_ca = plan_slice(w->plan, l->client_ca),
        .client_crl = plan_slice(w->plan, l->client_crl),
        .verify = (enum tls_verify)l->verify,
        .alpn = entrance_alpn(),
        .tickets = &w->tickets,
        .context_id = l->context,
    };
    return tls_server_new(&options, previous, err);
}

static void refresh(struct worker *w, struct front *f, const struct plan_listener *l) {
    struct error err;
    f->known = true;
    f->proxy_protocol = l->proxy_protocol;
    if (!l->tls) {
        f->tls = false;
        return;
    }
    f->tls = true;
    if (f->server != NULL && f->digest == l->digest) {
        return;
    }
    struct tls_server *server = make_server(w, l, f->server, &err);
    if (server == NULL) {
        char address[ADDRESS_TEXT_BYTES];
        address_format(&f->address, address);
        log_error("tls_not_ready", "address=%s error=\"%s\" action=%s", address, err.text,
                  f->server != NULL ? "keep_the_old_one" : "close_connections");
        return;
    }
    tls_server_free(f->server); /* connections in their handshake still hold it */
    f->server = server;
    f->digest = l->digest;
}

static void look_up(struct worker *w, struct front *f) {
    const struct plan_listener *l =
        f->address.len == 0 ? NULL : plan_find_listener(w->plan, &f->address);
    if (l != NULL) {
        refresh(w, f, l);
    }
}

void front_open(struct worker *w, unsigned slot, int fd) {
    struct front *f = &w->fronts[slot];
    front_close(w, slot);
    f->address.len = sizeof f->address.storage;
    if (getsockname(fd, (struct sockaddr *)&f->address.storage, &f->address.len) < 0) {
        f->address.len = 0;
    }
    if (w->plan != NULL) {
        look_up(w, f);
    }
}

void front_close(struct worker *w, unsigned slot) {
    tls_server_free(w->fronts[slot].server); /* connections in their handshake still hold it */
    w->fronts[slot] = (struct front){ 0 };
}

void fronts_refresh(struct worker *w) {
    w->tickets = w->plan->tickets;
    for (unsigned i = 0; i < WORKER_LISTENERS_MAX; i++) {
        look_up(w, &w->fronts[i]);
    }
}

void fronts_fini(struct worker *w) {
    for (unsigned i = 0; i < WORKER_LISTENERS_MAX; i++) {
        front_close(w, i);
    }
}
