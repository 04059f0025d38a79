/* A worker with as many connections as it may have (limits.connections), and one more that comes.
 *
 *     somebody who carries nothing, or keeps us waiting, gives way      →  it is let in
 *     nobody                                                            →  held (tarpit.h), once
 *     then still nobody, and CROWD_TOLD places beyond are not taken     →  let in to hear 503
 *     they are                                                          →  reset
 *
 * Who gives way is looked for among the clients with the most connections first, and only among
 * those with about as many as the newcomer's or more: whoever has many never costs somebody his
 * place who has few, so that a crowd of connections is only in its own way. Of somebody who has
 * several times as many as the newcomer it is also one that was opened or used just now: those who
 * open anew at once what was closed are faster than all others. Among equals it is not, or we would
 * open and close without end. A client of whom all were looked at in vain has a rest (client_rest).
 * Places beyond the limit are for a clear answer, which in TLS costs a handshake: they are few, and
 * who is there gives way like all others. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct client;
struct worker;

#define CROWD_TOLD_MAX 256       /* places beyond the limit; a sixteenth of it at most */
#define CROWD_HEAVIER_RANKS 2    /* four times as many connections, about */
#define CROWD_IDLE_US 500000     /* so long it has carried no request, or a head is in parts */
#define CROWD_STALLED_US 1000000 /* so long a body, an answer or a handshake does not get on */
#define CROWD_LOOKS_LEAST 256 /* at connections, for one newcomer; and a sixteenth of the limit */
#define CROWD_LOOK_AGAIN_US 20000 /* after all looks were in vain */
#define CROWD_BUSY_US 500000      /* at a client of whose connections none could */

struct crowd {
    uint64_t busy_until_us, said_us;
    uint64_t gave_way, held, told, reset; /* since it was last said */
    uint64_t looks;                       /* at connections; then, too */
};

/* The newcomer is counted already. */
bool crowd_is_full(const struct worker *worker);
/* Closes a connection in favour of the client's new one. False: nobody can give way. */
bool crowd_make_room(struct worker *worker, const struct client *client);
/* Whether the newcomer may come in to be told; else it is to be reset. */
bool crowd_may_tell(const struct worker *worker);

/* What became of it; said once a second at most. */
void crowd_held(struct worker *worker);
void crowd_told(struct worker *worker);
void crowd_reset(struct worker *worker);
