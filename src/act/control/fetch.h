/* A page of another server, by GET over http or https, and what it says: asked and read by a thread
 * of its own, because names are looked up, servers are slow and pages long, and the controller's
 * tick must not wait. Redirects are
 * followed, a few; what is too long, too late or not what was asked for is an error. The answer is
 * read by what reads those to probes (act/fleet/probe.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

#define FETCH_REDIRECTS_MAX 5
#define FETCH_WHY_BYTES 256

/* In the thread: what the page says, something new; NULL with *err set: it is refused. `host` of
 * the address. Nothing of the controller may be touched. */
typedef void *fetch_reader(struct slice page, const char *host, struct error *err);

struct fetch_order {
    const char *url;
    struct slice known; /* not empty: nothing is asked, this is the page */
    fetch_reader *read;
    void (*drop)(void *said);    /* what nobody has taken */
    const char *accept;          /* the media type that is wanted */
    const char *authorization;   /* the field's value, for the server of `url` only; NULL: none */
    struct slice ca;             /* PEM; empty: the system's authorities */
    const char *etag, *modified; /* of what is known already; NULL or empty: nothing */
    size_t bytes_max;
    uint64_t timeout_us; /* altogether; looking a name up is not cut short */
};

enum fetch_result {
    FETCH_RUNNING,
    FETCH_NEW,
    FETCH_SAME, /* as what was known */
    FETCH_FAILED,
};

struct fetch;

/* Copies the order. NULL when there is no thread or no memory to be had. */
struct fetch *fetch_start(const struct fetch_order *order, struct error *err);
enum fetch_result fetch_look(const struct fetch *f);
/* Not while it runs. What the reader has made of a new page: the caller's from now on. */
void *fetch_take(struct fetch *f);
struct slice fetch_body(const struct fetch *f);
const char *fetch_etag(const struct fetch *f);
const char *fetch_modified(const struct fetch *f);
/* Without the address, which may be a secret: hosts only. */
const char *fetch_why(const struct fetch *f);
/* One that runs is left to end by itself. NULL is fine. */
void fetch_free(struct fetch *f);
