/* A probe: asks one address whether it is well, over the loop. GET of a path (200 to 399 is well),
 * grpc.health.v1, or without either a connection that is accepted. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "wire/net/address.h"
#include "wire/net/loop.h"
#include "wire/net/socket.h"

/* How the instances of a service are spoken to before HTTP. */
struct probe_dial {
    struct tls_client *tls;  /* NULL: plainly */
    unsigned proxy_protocol; /* version of the header that says "of ourselves"; 0: none */
};

#define PROBE_ANSWER_BYTES 16 /* "HTTP/1.1 200" is all that is read */

struct probe {
    struct socket socket;
    struct loop *loop;
    const char *path;
    const char *grpc; /* set before probe_start: asked instead of the path, with `h2` */
    bool h2;          /* likewise: in HTTP/2, with prior knowledge */
    struct probe_h2 *question;
    struct address address;
    bool running, closing; /* closing: the socket is not ours again yet */
    char answer[PROBE_ANSWER_BYTES];
    size_t answer_len;
    uint64_t give_up_us;
    char note[128]; /* why it failed */
    /* Once for each probe_start: in a later turn, or at once when no connection can be tried. */
    void (*on_done)(struct probe *probe, bool well);
    void (*on_released)(struct probe *probe); /* after probe_stop; may be NULL */
};

void probe_init(struct probe *p, struct loop *loop, void (*on_done)(struct probe *, bool));
/* One at a time: ignored while one runs. `path` must stay. `dial` NULL: plainly. */
void probe_start(struct probe *p, const struct address *address, const char *path,
                 const struct probe_dial *dial, uint64_t timeout_us);
/* No on_done any more. True when the memory is the owner's at once, else on_released tells. */
bool probe_stop(struct probe *p);
