/* HTTP/1.1 client of one address for many requests at a time: a bounded pool of keep-alive
 * connections, and a queue for what finds them all busy.
 *
 *   client_send ──▶ queue ──▶ connection (idle, else new) ──▶ on_head, on_body…, on_done
 *                    ▲                 └ closed before a byte of the answer came,
 *                    └──── once, on a new connection ◀─┘ on a connection used before
 *
 * A server may close an idle connection in the moment we use it. A browser then asks again, and so
 * do we: what is idempotent always, the rest only when not all of it was sent, so that the server
 * cannot have read it whole. Not here: what is asked and what the answers are worth (load.h). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"
#include "wire/http/h1.h"
#include "wire/net/address.h"
#include "wire/net/loop.h"

#define CLIENT_QUEUE_MAX 500000 /* requests that wait for a connection; more fail at once */
#define CLIENT_FRESH_US 1000000 /* idle for less: surely still open */

enum call_end {
    CALL_ANSWERED, /* whole, whatever its status */
    CALL_CONNECT_REFUSED,
    CALL_CONNECT_TIMEOUT,
    CALL_CONNECT_FAILED,
    CALL_CLOSED, /* before any byte of the answer */
    CALL_RESET,  /* as before, the hard way */
    CALL_CUT,    /* in the middle of the answer */
    CALL_BAD_ANSWER,
    CALL_TIMEOUT,
    CALL_QUEUE_FULL,
    CALL_INTERRUPTED, /* by client_stop */
    CALL_ENDS,
};

const char *call_end_name(enum call_end end); /* "connect_refused" */

/* One request and its answer, embedded in what the caller knows about it. */
struct call {
    enum http_method method;
    struct buffer request; /* head and body as they go over the wire; call_fini frees it */
    uint64_t deadline_us;  /* of the loop's clock: then CALL_TIMEOUT */
    void (*on_head)(struct call *call, const struct http_head *head);
    void (*on_body)(struct call *call, struct slice piece); /* may be NULL */
    void (*on_done)(struct call *call, enum call_end end);  /* the memory is the caller's again */
    /* The client's. */
    struct list link;
    bool fresh; /* on a new connection only: it was sent once already */
    enum call_end end;
};

void call_fini(struct call *call);

struct client_stats {
    uint64_t opened, reconnects; /* connections; requests that were sent again on a new one */
    uint32_t open, open_max, queued_max;
};

struct client;

/* NULL when memory is out. */
struct client *client_new(struct loop *loop, const struct address *address,
                          uint32_t connections_max);
/* Ends every call with CALL_INTERRUPTED. */
void client_stop(struct client *c);
/* After client_stop, outside of the loop's callbacks. */
void client_free(struct client *c);

/* No callback comes from inside. */
void client_send(struct client *c, struct call *call);
const struct client_stats *client_stats(const struct client *c);
