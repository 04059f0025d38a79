#include "act/control/fetch.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act/fleet/probe.h"
#include "act/fleet/probe_h1.h"
#include "wire/http/url.h"
#include "wire/net/resolve.h"
#include "wire/net/tls.h"

#define AUTHORITY_BYTES 300 /* a name has at most 253 */

/* Written by the thread until `result` says that it is through; freed by the last of the two. */
struct fetch {
    atomic_int holders;
    _Atomic enum fetch_result result;
    char *first, *accept, *authorization, *etag, *modified; /* NULL: not said */
    struct slice ca, known;
    fetch_reader *read;
    void (*drop)(void *said);
    void *said;
    uint64_t timeout_us, give_up_us;
    char url[URL_BYTES_MAX]; /* that is asked right now */
    char host[AUTHORITY_BYTES];
    struct loop *loop;
    struct probe probe;
    bool asked; /* the probe is done */
    struct probe_page page;
    char why[FETCH_WHY_BYTES];
};

static void let_go(struct fetch *f) {
    if (atomic_fetch_sub(&f->holders, 1) > 1) {
        return;
    }
    if (f->authorization != NULL) {
        OPENSSL_cleanse(f->authorization, strlen(f->authorization));
    }
    char *texts[] = { f->first, f->accept, f->authorization, f->etag, f->modified };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        free(texts[i]);
    }
    free((void *)(uintptr_t)f->ca.data);
    free((void *)(uintptr_t)f->known.data);
    if (f->said != NULL) {
        f->drop(f->said);
    }
    probe_page_fini(&f->page);
    free(f);
}

static bool fail(struct fetch *f, const char *what, const char *why) {
    snprintf(f->why, sizeof f->why, "%.120s: %.120s", what, why);
    return false;
}

/* ---- one question ---- */

static void on_done(struct probe *probe, bool well) {
    struct fetch *f = (struct fetch *)((char *)probe - offsetof(struct fetch, probe));
    (void)well;
    f->asked = true;
}

/* Asks one address; false: it cannot be asked, another one may. */
static bool ask(struct fetch *f, const struct address *address,
                const struct probe_question *question, const struct probe_dial *dial) {
    struct error err;
    uint64_t now_us = loop_now_us(f->loop);
    if (now_us >= f->give_up_us) {
        return fail(f, f->host, "it does not answer in time");
    }
    f->asked = false;
    probe_page_clear(&f->page);
    probe_init(&f->probe, f->loop, on_done);
    probe_start(&f->probe, address, question, dial, f->give_up_us - now_us);
    while (!f->asked || f->probe.closing) {
        if (!loop_turn(f->loop, 1000, &err)) {
            (void)probe_stop(&f->probe); /* the loop goes before the memory does */
            return fail(f, f->host, err.text);
        }
    }
    return f->probe.result == PROBE_WELL || fail(f, f->host, f->probe.note);
}

static bool ask_any(struct fetch *f, const struct url *u, const struct probe_question *question,
                    const struct probe_dial *dial) {
    struct address addresses[RESOLVE_MAX];
    struct error err;
    size_t count = 0;
    if (!resolve(u->authority, u->port, addresses, &count, &err) ||
        !loop_turn(f->loop, 0, &err)) { /* the clock: that may have taken long */
        return fail(f, f->host, err.text);
    }
    for (size_t i = 0; i < count; i++) {
        if (ask(f, &addresses[i], question, dial)) {
            return true;
        }
    }
    return false;
}

static size_t fill_fields(const struct fetch *f, bool own, struct config_pair fields[4]) {
    size_t count = 0;
    fields[count++] = (struct config_pair){ "accept", f->accept };
    if (f->etag != NULL) {
        fields[count++] = (struct config_pair){ "if-none-match", f->etag };
    } else if (f->modified != NULL) {
        fields[count++] = (struct config_pair){ "if-modified-since", f->modified };
    }
    if (own && f->authorization != NULL) {
        fields[count++] = (struct config_pair){ "authorization", f->authorization };
    }
    return count;
}

/* `own`: of the server that the order names, and so its credentials are for it. */
static bool ask_url(struct fetch *f, const struct url *u, bool own) {
    char target[URL_BYTES_MAX + 1], authority[AUTHORITY_BYTES];
    struct config_pair fields[4];
    struct probe_dial dial = { 0 };
    struct error err;
    snprintf(target, sizeof target, "%s%.*s%s%.*s", u->path.len == 0 ? "/" : "", SLICE_ARG(u->path),
             u->has_query ? "?" : "", SLICE_ARG(u->query));
    if (!slice_copy_text(u->host, f->host, sizeof f->host) ||
        !slice_copy_text(u->authority, authority, sizeof authority)) {
        return fail(f, "the address", "its host name is too long");
    }
    struct probe_question question = { .path = target,
                                       .host = authority,
                                       .headers = fields,
                                       .header_count = fill_fields(f, own, fields),
                                       .page = &f->page };
    if (u->tls) {
        struct tls_client_options options = {
            .verify = true, .name = f->host, .ca = f->ca, .ca_of_system = f->ca.len == 0
        };
        dial.tls = tls_client_new(&options, &err);
        if (dial.tls == NULL) {
            return fail(f, f->host, err.text);
        }
    }
    bool good = ask_any(f, u, &question, &dial);
    tls_client_free(dial.tls);
    return good;
}

/* ---- from one to the next ---- */

static bool is_redirect(uint16_t status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* f->url becomes what the answer names. */
static bool follow(struct fetch *f, const struct url *from) {
    char next[URL_BYTES_MAX];
    struct url to;
    if (f->page.location[0] == '\0' ||
        !url_follow(from, slice_from(f->page.location), next, sizeof next) ||
        !url_parse(slice_from(next), &to)) {
        return fail(f, f->host, "its redirect leads to no address in http or https");
    }
    if (from->tls && !to.tls) {
        return fail(f, f->host, "its redirect leads from https to http");
    }
    memcpy(f->url, next, sizeof next);
    return true;
}

static bool judge(struct fetch *f, enum fetch_result *result) {
    char why[64];
    if (f->page.status == 200) {
        *result = FETCH_NEW;
        return true;
    }
    if (f->page.status == 304 && (f->etag != NULL || f->modified != NULL)) {
        *result = FETCH_SAME;
        return true;
    }
    snprintf(why, sizeof why, "it answers with status %u", f->page.status);
    return fail(f, f->host, why);
}

static bool go(struct fetch *f, enum fetch_result *result) {
    struct url origin, u;
    bool own = true;
    f->give_up_us = loop_now_us(f->loop) + f->timeout_us;
    if (!url_parse(slice_from(f->first), &origin) ||
        !slice_copy_text(slice_from(f->first), f->url, sizeof f->url)) {
        return fail(f, "the address", "expected http:// or https://");
    }
    for (unsigned hop = 0; hop <= FETCH_REDIRECTS_MAX; hop++) {
        if (!url_parse(slice_from(f->url), &u)) {
            return fail(f, "the address", "expected http:// or https://");
        }
        own = own && url_same_origin(&origin, &u); /* not again when it comes back */
        if (!ask_url(f, &u, own)) {
            return false;
        }
        if (!is_redirect(f->page.status)) {
            return judge(f, result);
        }
        if (!follow(f, &u)) {
            return false;
        }
    }
    return fail(f, f->host, "it redirects without end");
}

static enum fetch_result ask_server(struct fetch *f) {
    struct error err;
    enum fetch_result result = FETCH_FAILED;
    f->loop = loop_new(&err);
    if (f->loop == NULL) {
        fail(f, "fetch", err.text);
        return FETCH_FAILED;
    }
    bool good = go(f, &result);
    loop_free(f->loop);
    f->loop = NULL;
    return good ? result : FETCH_FAILED;
}

/* Of the address that was asked for, wherever it led. */
static enum fetch_result read_page(struct fetch *f) {
    struct error err;
    struct url url;
    char host[AUTHORITY_BYTES] = "";
    if (url_parse(slice_from(f->first), &url)) {
        (void)slice_copy_text(url.host, host, sizeof host);
    }
    f->said = f->read(buffer_slice(&f->page.body), host, &err);
    if (f->said == NULL) {
        snprintf(f->why, sizeof f->why, "%.250s", err.text);
    }
    return f->said != NULL ? FETCH_NEW : FETCH_FAILED;
}

static void *run(void *self) {
    struct fetch *f = self;
    enum fetch_result result = FETCH_NEW;
    if (f->known.len == 0) {
        result = ask_server(f);
    } else if (!buffer_append(&f->page.body, f->known)) {
        result = FETCH_FAILED;
        fail(f, "known", "its answer is too long");
    }
    if (result == FETCH_NEW) {
        result = read_page(f);
    }
    atomic_store(&f->result, result);
    let_go(f);
    return NULL;
}

/* ---- from outside ---- */

static bool copy(const char *text, char **out) {
    if (text == NULL || text[0] == '\0') {
        return true;
    }
    *out = strdup(text);
    return *out != NULL;
}

static bool copy_bytes(struct slice bytes, struct slice *out) {
    char *data = bytes.len == 0 ? NULL : malloc(bytes.len);
    if (data == NULL) {
        return bytes.len == 0;
    }
    memcpy(data, bytes.data, bytes.len);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the slice owns it now */
    *out = slice_of(data, bytes.len);
    return true;
}

static bool fill(struct fetch *f, const struct fetch_order *o) {
    f->read = o->read;
    f->drop = o->drop;
    f->timeout_us = o->timeout_us;
    return copy_bytes(o->ca, &f->ca) && copy_bytes(o->known, &f->known) &&
           copy(o->url, &f->first) && copy(o->accept, &f->accept) &&
           copy(o->authorization, &f->authorization) && copy(o->etag, &f->etag) &&
           copy(o->modified, &f->modified);
}

struct fetch *fetch_start(const struct fetch_order *order, struct error *err) {
    struct fetch *f = calloc(1, sizeof *f);
    pthread_t thread;
    if (f == NULL) {
        error_set(err, ERROR_LIMIT, "no memory to fetch with");
        return NULL;
    }
    atomic_store(&f->holders, 1);
    probe_page_init(&f->page, order->bytes_max);
    if (!fill(f, order)) {
        let_go(f);
        error_set(err, ERROR_LIMIT, "no memory to fetch with");
        return NULL;
    }
    atomic_store(&f->holders, 2);
    int failed = pthread_create(&thread, NULL, run, f);
    if (failed != 0) {
        atomic_store(&f->holders, 1);
        let_go(f);
        error_set(err, ERROR_SYSTEM, "no thread to fetch with: %s", strerror(failed));
        return NULL;
    }
    pthread_detach(thread);
    return f;
}

enum fetch_result fetch_look(const struct fetch *f) {
    return atomic_load(&f->result);
}

void *fetch_take(struct fetch *f) {
    assert(fetch_look(f) == FETCH_NEW);
    void *said = f->said;
    f->said = NULL;
    return said;
}

struct slice fetch_body(const struct fetch *f) {
    assert(fetch_look(f) != FETCH_RUNNING);
    return buffer_slice(&f->page.body);
}

const char *fetch_etag(const struct fetch *f) {
    assert(fetch_look(f) != FETCH_RUNNING);
    return f->page.etag;
}

const char *fetch_modified(const struct fetch *f) {
    assert(fetch_look(f) != FETCH_RUNNING);
    return f->page.modified;
}

const char *fetch_why(const struct fetch *f) {
    assert(fetch_look(f) != FETCH_RUNNING);
    return f->why;
}

void fetch_free(struct fetch *f) {
    if (f != NULL) {
        let_go(f);
    }
}
