/* A probe: asks one address whether it is well, over the loop. A request of a path, whose answer is
 * held against an expectation; grpc.health.v1; or a connection that is accepted. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/fleet/expectation.h"
#include "base/buffer.h"
#include "wire/http/message.h"
#include "wire/net/address.h"
#include "wire/net/loop.h"
#include "wire/net/socket.h"

/* How the instances of a service are spoken to before HTTP. */
struct probe_dial {
    struct tls_client *tls;  /* NULL: plainly */
    unsigned proxy_protocol; /* version of the header that says "of ourselves"; 0: none */
};

/* What is asked. All of it is copied or held by probe_start. */
struct probe_question {
    const char *path; /* NULL: with `grpc` NULL too, a connection is enough */
    const char *grpc; /* asked instead of the path, with `h2` */
    const char *host; /* NULL: its address */
    bool h2;          /* in HTTP/2, with prior knowledge */
    bool head_only;   /* HEAD */
    const struct config_pair *headers;
    size_t header_count;
    struct expectation *expectation; /* NULL: 200 to 399 */
    struct probe_page *page;         /* where the answer to `path` is kept; NULL: it is not */
};

struct probe {
    struct socket socket;
    struct loop *loop;
    struct probe_h1 *h1; /* reads the answer, as h2 does; NULL both: a connection is enough */
    struct probe_h2 *h2;
    struct expectation *expectation;
    struct buffer request;
    bool running, closing; /* closing: the socket is not ours again yet */
    uint64_t began_us, give_up_us;
    enum probe_result result; /* of the last one that ended */
    uint64_t took_us;
    char note[128]; /* why it failed */
    /* Once for each probe_start: in a later turn, or at once when no connection can be tried. */
    void (*on_done)(struct probe *probe, bool well);
    void (*on_released)(struct probe *probe); /* after probe_stop; may be NULL */
};

void probe_init(struct probe *p, struct loop *loop, void (*on_done)(struct probe *, bool));
/* One at a time: ignored while one runs. `dial` NULL: plainly. */
void probe_start(struct probe *p, const struct address *address,
                 const struct probe_question *question, const struct probe_dial *dial,
                 uint64_t timeout_us);
/* No on_done any more. True when the memory is the owner's at once, else on_released tells. */
bool probe_stop(struct probe *p);
