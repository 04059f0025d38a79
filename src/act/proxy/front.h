/* What a listening socket expects of its connections, by the plan: TLS contexts, PROXY headers.
 * Found by the socket's address. A listener that a newer plan does not name stays as it was: one
 * that spoke TLS must never speak plainly because of a mistake. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "wire/net/address.h"
#include "wire/net/tls.h"

struct worker;

struct front {
    struct address address; /* of the listening socket */
    bool known;             /* a plan has named it */
    bool tls, proxy_protocol;
    uint64_t digest;           /* of what `server` was made from */
    struct tls_server *server; /* NULL: none could be made yet */
};

/* What is listened on in that slot, from now on: looked up in the plan, if there is one. */
void front_open(struct worker *worker, unsigned slot, int fd);
void front_close(struct worker *worker, unsigned slot);
/* Takes over worker->plan. What cannot be made is as it was before, and said in the log. */
void fronts_refresh(struct worker *worker);
void fronts_fini(struct worker *worker);
