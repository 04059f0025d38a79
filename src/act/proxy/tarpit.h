/* Connections for which their client has no room: held for TARPIT_US, unread and unanswered, before
 * they are looked at once more. Whoever closes them at once invites the next: a client with 2,000
 * sockets had 28,000 accepted and reset a second, and everybody else waited in the kernel's queue
 * behind them. Of one that is held the kernel keeps the first window of what it sends (64 KiB at
 * most), as it does before it is accepted; a smaller SO_RCVBUF would bound that, but the window of
 * who sent meanwhile never recovers (0.4 MiB of an upload in ten seconds).
 *
 * They come out in the order in which they went in, TARPIT_BATCH a millisecond at most: those that
 * came at once do not come again at once, and nobody waits behind them. Where many are held that
 * takes longer than TARPIT_US. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "wire/net/loop.h"

#define TARPIT_MAX 4096
#define TARPIT_US 1000000
#define TARPIT_BATCH 2

struct tarpit_entry {
    uint64_t due_us;
    int fd;
    uint32_t listener;
};

struct tarpit {
    struct loop *loop;
    struct timer timer; /* runs while anything is held */
    void *owner;
    void (*on_over)(void *owner, int fd, uint32_t listener);
    uint32_t most, first, count;
    struct tarpit_entry held[TARPIT_MAX];
};

/* `descriptors`: as many as the process may have, of which it takes an eighth at most. `on_over`
 * gets a descriptor back when its time is over. */
void tarpit_init(struct tarpit *tarpit, struct loop *loop, uint64_t descriptors, void *owner,
                 void (*on_over)(void *owner, int fd, uint32_t listener));
/* Takes the descriptor; false: it is full, the descriptor stays the caller's. */
bool tarpit_hold(struct tarpit *tarpit, int fd, uint32_t listener);
/* Resets all that are held. */
void tarpit_empty(struct tarpit *tarpit);

/* Closes a connection by a reset: nothing of it stays, neither here nor in the kernel. */
void tarpit_reset(int fd);
