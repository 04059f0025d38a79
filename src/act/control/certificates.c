#include "act/control/certificates.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "wire/net/network.h"

/* ---- one group of files ---- */

static void texts_free(struct slice texts[HELD_FILES]) {
    for (unsigned i = 0; i < HELD_FILES; i++) {
        secret_file_free(&texts[i]);
    }
}

static void held_fini(struct held *h) {
    texts_free(h->texts);
    for (unsigned i = 0; i < HELD_FILES; i++) {
        free(h->paths[i]);
    }
}

static bool same_paths(const struct held *a, const struct held *b) {
    for (unsigned i = 0; i < HELD_FILES; i++) {
        const char *x = a->paths[i] == NULL ? "" : a->paths[i];
        const char *y = b->paths[i] == NULL ? "" : b->paths[i];
        if (strcmp(x, y) != 0) {
            return false;
        }
    }
    return a->is_clients == b->is_clients;
}

/* Names the files in the plan, so that a later controller finds them there. */
static uint64_t source_of(const struct held *h) {
    uint64_t digest = 0;
    for (unsigned i = 0; i < 2; i++) {
        const char *path = h->paths[i] == NULL ? "" : h->paths[i];
        digest = XXH3_64bits_withSeed(path, strlen(path), digest);
    }
    return digest;
}

static const char *name_of(const struct held *h) {
    return h->usable && h->info.name[0] != '\0' ? h->info.name : h->paths[HELD_FIRST];
}

/* A response that does not fit is left out: it must not keep a renewed certificate waiting. */
static bool check_pair(struct slice texts[HELD_FILES], struct tls_certificate_info *info,
                       const struct certificates_teller *teller, struct error *err) {
    struct tls_pair pair = { texts[HELD_FIRST], texts[HELD_SECOND], texts[HELD_THIRD] };
    struct error why;
    if (pair.ocsp.len > 0 && tls_pair_check(&pair, info, &why)) {
        return true;
    }
    pair.ocsp = (struct slice){ 0 };
    if (!tls_pair_check(&pair, info, err)) {
        return false;
    }
    if (texts[HELD_THIRD].len > 0) {
        teller->tell(teller->self, "keep", info->name, why.text);
        secret_file_free(&texts[HELD_THIRD]);
    }
    return true;
}

static bool check(bool is_clients, struct slice texts[HELD_FILES],
                  struct tls_certificate_info *info, const struct certificates_teller *teller,
                  struct error *err) {
    if (!is_clients) {
        return check_pair(texts, info, teller, err);
    }
    return tls_authorities_check(texts[HELD_FIRST], err) &&
           (texts[HELD_SECOND].len == 0 || tls_revocations_check(texts[HELD_SECOND], err));
}

/* Reads all files of the group; takes them if they are good together. */
static bool held_read(struct held *h, const struct certificates_teller *teller, struct error *err) {
    struct slice fresh[HELD_FILES] = { 0 };
    struct tls_certificate_info info = { 0 };
    for (unsigned i = 0; i < HELD_FILES; i++) {
        struct error why;
        if (h->paths[i] == NULL || secret_file_read(h->paths[i], &fresh[i], &why)) {
            continue;
        }
        if (!h->is_clients && i == HELD_THIRD) {
            teller->tell(teller->self, "keep", h->paths[i], why.text);
            continue;
        }
        texts_free(fresh);
        return error_set(err, why.kind, "%s", why.text);
    }
    if (!check(h->is_clients, fresh, &info, teller, err)) {
        texts_free(fresh);
        return false;
    }
    texts_free(h->texts);
    memcpy(h->texts, fresh, sizeof fresh);
    h->info = info;
    h->usable = true;
    h->told_days = INT_MAX;
    return true;
}

static struct slice copy_text(struct slice text) {
    char *copy = text.len == 0 ? NULL : malloc(text.len);
    if (copy == NULL) {
        return (struct slice){ 0 };
    }
    memcpy(copy, text.data, text.len);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the slice owns it now */
    return slice_of(copy, text.len);
}

static void inherit(struct held *h, struct slice first, struct slice second, struct slice third) {
    struct slice texts[HELD_FILES] = { copy_text(first), copy_text(second), copy_text(third) };
    struct error err;
    texts_free(h->texts);
    memcpy(h->texts, texts, sizeof texts);
    if (h->is_clients) {
        h->usable = texts[HELD_FIRST].len > 0;
    } else {
        struct tls_pair pair = { texts[0], texts[1], texts[2] };
        h->usable = tls_pair_check(&pair, &h->info, &err);
    }
}

static void inherit_from_held(struct held *h, const struct certificates *old) {
    for (size_t i = 0; i < old->count && !h->usable; i++) {
        const struct held *o = &old->held[i];
        if (o->usable && same_paths(h, o)) {
            inherit(h, o->texts[0], o->texts[1], o->texts[2]);
        }
    }
}

static void inherit_from_plan(struct held *h, const struct plan *plan) {
    uint64_t source = source_of(h);
    for (uint32_t i = 0; plan != NULL && i < plan->certificate_count && !h->is_clients; i++) {
        const struct plan_certificate *c = &plan->certificates[i];
        if (c->source == source && !h->usable) {
            inherit(h, plan_slice(plan, c->chain), plan_slice(plan, c->key),
                    plan_slice(plan, c->ocsp));
        }
    }
    for (uint32_t i = 0; plan != NULL && i < plan->service_count && h->is_clients; i++) {
        const struct plan_service *s = &plan->services[i];
        if (s->tls_ca_source == source && s->tls_ca.len > 0 && !h->usable) {
            inherit(h, plan_slice(plan, s->tls_ca), (struct slice){ 0 }, (struct slice){ 0 });
        }
    }
    for (uint32_t i = 0; plan != NULL && i < plan->listener_count && h->is_clients; i++) {
        const struct plan_listener *l = &plan->listeners[i];
        if (l->client_source == source && !h->usable) {
            inherit(h, plan_slice(plan, l->client_ca), plan_slice(plan, l->client_crl),
                    (struct slice){ 0 });
        }
    }
}

/* ---- all of them ---- */

static char *copy_path(const char *path) {
    return path == NULL ? NULL : strdup(path);
}

static void add(struct certificates *c, bool is_clients, const char *first, const char *second,
                const char *third) {
    struct held *h = &c->held[c->count++];
    *h = (struct held){
        .is_clients = is_clients,
        .paths = { copy_path(first), copy_path(second), copy_path(third) },
        .told_days = INT_MAX,
    };
    for (unsigned i = 0; i < HELD_FILES; i++) {
        h->seen[i] = file_stamp_of(h->paths[i]);
    }
}

static void collect(struct certificates *c, const struct shop *shop) {
    size_t most = 1;
    for (size_t i = 0; i < shop->listen_count; i++) {
        most += listen_certificate_count(&shop->listen[i]) + 1;
    }
    most += 2 * shop->service_count;
    c->held = calloc(most, sizeof *c->held);
    for (size_t i = 0; c->held != NULL && i < shop->listen_count; i++) {
        const struct listen_config *l = &shop->listen[i];
        for (size_t k = 0; k < listen_certificate_count(l); k++) {
            const struct certificate_config *pair = listen_certificate(l, k);
            add(c, false, pair->certificate, pair->key, pair->ocsp);
        }
        if (l->tls.client_ca != NULL) {
            add(c, true, l->tls.client_ca, l->tls.client_crl, NULL);
        }
    }
    for (size_t i = 0; c->held != NULL && i < shop->service_count; i++) {
        const struct dial_tls_config *tls = &shop->services[i].dial.tls;
        if (tls->on && tls->ca != NULL) {
            add(c, true, tls->ca, NULL, NULL);
        }
        if (tls->on && tls->certificate != NULL) {
            add(c, false, tls->certificate, tls->key, NULL);
        }
    }
}

void certificates_take(struct certificates *c, const struct shop *shop, const struct plan *plan,
                       const struct certificates_teller *teller) {
    struct certificates old = *c;
    struct error err;
    c->held = NULL;
    c->count = 0;
    if (c->rotated_ms == 0 && plan != NULL && plan->tickets.count > 0) {
        c->tickets = plan->tickets;
        c->rotated_ms = plan->tickets_made_ms;
    }
    collect(c, shop);
    for (size_t i = 0; i < c->count; i++) {
        struct held *h = &c->held[i];
        if (!held_read(h, teller, &err)) {
            inherit_from_held(h, &old);
            inherit_from_plan(h, plan);
            teller->tell(teller->self, "keep", name_of(h), err.text);
        }
    }
    for (size_t i = 0; i < old.count; i++) {
        held_fini(&old.held[i]);
    }
    free(old.held);
}

void certificates_fini(struct certificates *c) {
    for (size_t i = 0; i < c->count; i++) {
        held_fini(&c->held[i]);
    }
    free(c->held);
    explicit_bzero(&c->tickets, sizeof c->tickets);
    *c = (struct certificates){ 0 };
}

/* ---- once a second ---- */

static bool look(struct held *h, const struct certificates_teller *teller) {
    bool moved = false;
    struct error err;
    char text[128];
    for (unsigned i = 0; i < HELD_FILES; i++) {
        struct file_stamp now = file_stamp_of(h->paths[i]);
        moved |= !file_stamp_equal(&now, &h->seen[i]);
        h->seen[i] = now;
    }
    if (moved || !h->changed) {
        h->changed |= moved;
        return false;
    }
    h->changed = false;
    if (!held_read(h, teller, &err)) {
        teller->tell(teller->self, "keep", name_of(h), err.text);
        return false;
    }
    snprintf(text, sizeof text, "the files were replaced%s%s", h->is_clients ? "" : ": ",
             h->is_clients ? "" : h->info.kind);
    teller->tell(teller->self, "replace", name_of(h), text);
    return true;
}

/* At 14, 7, 3 and 1 days, and when it is over; each once. */
static void warn(struct held *h, int64_t now_ms, const struct certificates_teller *teller) {
    static const int days[] = { 0, 1, 3, 7, CERTIFICATES_WARN_DAYS };
    char text[128];
    for (unsigned i = 0; i < sizeof days / sizeof days[0] && !h->is_clients && h->usable; i++) {
        if (h->info.not_after_ms - now_ms > days[i] * MS_PER_DAY) {
            continue;
        }
        if (days[i] < h->told_days) {
            h->told_days = days[i];
            snprintf(text, sizeof text,
                     days[i] == 0 ? "the certificate has expired"
                                  : "the certificate expires within %d days",
                     days[i]);
            teller->tell(teller->self, "warn", name_of(h), text);
        }
        return;
    }
}

static bool staple_is_over(const struct held *h, int64_t now_ms) {
    return !h->is_clients && h->texts[HELD_THIRD].len > 0 && h->info.ocsp_until_ms > 0 &&
           h->info.ocsp_until_ms <= now_ms;
}

static bool rotate(struct certificates *c, int64_t now_ms) {
    struct tls_ticket_key fresh;
    bool due = c->rotated_ms == 0 || now_ms - c->rotated_ms >= CERTIFICATES_ROTATE_MS ||
               now_ms < c->rotated_ms; /* the clock was set back */
    if (!due || c->count == 0 || !tls_ticket_key_make(&fresh)) {
        return false;
    }
    memmove(&c->tickets.keys[1], &c->tickets.keys[0],
            (TLS_TICKET_KEYS - 1) * sizeof c->tickets.keys[0]);
    c->tickets.keys[0] = fresh;
    c->tickets.count += c->tickets.count < TLS_TICKET_KEYS;
    c->rotated_ms = now_ms;
    explicit_bzero(&fresh, sizeof fresh);
    return true;
}

bool certificates_look(struct certificates *c, int64_t now_ms,
                       const struct certificates_teller *teller) {
    bool dirty = rotate(c, now_ms);
    for (size_t i = 0; i < c->count; i++) {
        struct held *h = &c->held[i];
        dirty |= look(h, teller);
        warn(h, now_ms, teller);
        if (staple_is_over(h, now_ms)) {
            secret_file_free(&h->texts[HELD_THIRD]);
            teller->tell(teller->self, "warn", name_of(h),
                         "the OCSP response has expired: it is not stapled any more");
            dirty = true;
        }
    }
    return dirty;
}

/* ---- into the plan ---- */

/* Returns how many of them are in `to`, PLAN_TRUSTED_MAX at most. */
static uint32_t copy_networks(const struct slice *texts, size_t count, struct plan_network *to) {
    struct network network;
    struct error err;
    uint32_t copied = 0;
    for (size_t i = 0; i < count && copied < PLAN_TRUSTED_MAX; i++) {
        if (network_parse(texts[i], &network, &err)) {
            to[copied].bits = network.bits;
            memcpy(to[copied++].ip, network.ip, sizeof to->ip);
        }
    }
    return copied;
}

static void add_networks(const struct shop *shop, struct plan *plan) {
    plan->trusted_count =
        copy_networks(shop->trusted_proxies, shop->trusted_proxy_count, plan->trusted);
    plan->unlimited_count =
        copy_networks(shop->unlimited_clients, shop->unlimited_client_count, plan->unlimited);
    plan->forwarded_field = shop->forwarded_by == 1;
}

static bool add_clients(const struct held *h, const struct listen_config *from,
                        struct plan_listener *l, struct plan *plan) {
    l->verify = from->tls.client_verify == LISTEN_VERIFY_OPTIONAL ? TLS_VERIFY_OPTIONAL
                                                                  : TLS_VERIFY_REQUIRED;
    l->client_source = source_of(h);
    return plan_add_text(plan, h->texts[HELD_FIRST], &l->client_ca) &&
           plan_add_text(plan, h->texts[HELD_SECOND], &l->client_crl);
}

static bool add_listener(const struct certificates *c, const struct listen_config *from, size_t *at,
                         struct plan *plan) {
    struct plan_listener l = {
        .address = from->address,
        .proxy_protocol = from->proxy_protocol,
        .tls = listen_is_tls(from),
        .only_1_3 = from->tls.min_version == LISTEN_TLS_1_3,
    };
    if (!plan_add_text(plan, slice_from(from->tls.ciphers), &l.ciphers)) {
        return false;
    }
    for (size_t i = 0; i < listen_certificate_count(from) && *at < c->count; i++) {
        const struct held *h = &c->held[(*at)++];
        struct tls_pair pair = { h->texts[HELD_FIRST], h->texts[HELD_SECOND],
                                 h->texts[HELD_THIRD] };
        if (h->usable && !plan_add_certificate(plan, &pair, source_of(h))) {
            return false;
        }
    }
    if (from->tls.client_ca != NULL && *at < c->count &&
        !add_clients(&c->held[(*at)++], from, &l, plan)) {
        return false;
    }
    return plan_add_listener(plan, &l);
}

/* The texts of one service; `at` moves past them. */
static void find_service(const struct certificates *c, const struct dial_tls_config *tls,
                         size_t *at, const struct held **ca, const struct held **own) {
    *ca = *own = NULL;
    if (tls->on && tls->ca != NULL && *at < c->count) {
        *ca = &c->held[(*at)++];
    }
    if (tls->on && tls->certificate != NULL && *at < c->count) {
        *own = &c->held[(*at)++];
    }
}

static bool fill_service(const struct dial_config *dial, const struct held *ca,
                         const struct held *own, unsigned index, struct plan *plan) {
    struct plan_service *s = &plan->services[index];
    struct tls_pair pair = { 0 };
    s->proxy_protocol = (uint8_t)dial->proxy_protocol;
    s->tls = dial->tls.on;
    s->tls_verify = dial->tls.verify;
    if (!s->tls) {
        return true;
    }
    if (own != NULL && own->usable) {
        pair = (struct tls_pair){ own->texts[HELD_FIRST], own->texts[HELD_SECOND], { "", 0 } };
    }
    s->tls_ca_source = ca == NULL ? 0 : source_of(ca);
    return plan_add_text(plan, slice_from(dial->tls.name), &s->tls_name) &&
           (ca == NULL || plan_add_text(plan, ca->texts[HELD_FIRST], &s->tls_ca)) &&
           plan_finish_service(plan, index, &pair, own == NULL ? 0 : source_of(own));
}

/* Past what belongs to the listeners. */
static size_t first_of_services(const struct shop *shop) {
    size_t at = 0;
    for (size_t i = 0; i < shop->listen_count; i++) {
        at += listen_certificate_count(&shop->listen[i]) + (shop->listen[i].tls.client_ca != NULL);
    }
    return at;
}

struct tls_client *certificates_service_client(const struct certificates *c,
                                               const struct shop *shop, size_t service) {
    const struct held *ca = NULL, *own = NULL;
    const struct dial_tls_config *tls = &shop->services[service].dial.tls;
    size_t at = first_of_services(shop);
    struct tls_pair pair;
    struct error err;
    for (size_t i = 0; i <= service; i++) {
        find_service(c, &shop->services[i].dial.tls, &at, &ca, &own);
    }
    bool h2 = shop->services[service].fleet.protocol == FLEET_PROTOCOL_H2;
    struct tls_client_options options = {
        .verify = tls->verify,
        .name = tls->name,
        .alpn = h2 ? SLICE("\x02h2") : slice_of(NULL, 0),
        .ca = ca == NULL ? slice_of(NULL, 0) : ca->texts[HELD_FIRST],
    };
    if (own != NULL && own->usable) {
        pair = (struct tls_pair){ own->texts[HELD_FIRST], own->texts[HELD_SECOND], { "", 0 } };
        options.own = &pair;
    }
    return tls->on ? tls_client_new(&options, &err) : NULL;
}

bool certificates_fill(const struct certificates *c, const struct shop *shop,
                       const unsigned *service_indices, struct plan *plan) {
    const struct held *ca, *own;
    size_t at = 0;
    plan->tickets = c->tickets;
    plan->tickets_made_ms = c->rotated_ms;
    for (size_t i = 0; i < shop->listen_count; i++) {
        if (!add_listener(c, &shop->listen[i], &at, plan)) {
            return false;
        }
    }
    for (size_t i = 0; i < shop->service_count; i++) {
        find_service(c, &shop->services[i].dial.tls, &at, &ca, &own);
        if (service_indices[i] < PLAN_SERVICES_MAX &&
            !fill_service(&shop->services[i].dial, ca, own, service_indices[i], plan)) {
            return false;
        }
    }
    add_networks(shop, plan);
    return true;
}
