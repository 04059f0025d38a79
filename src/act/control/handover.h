/* What two supervisors say to each other when one hands over to the other (docs/upgrade.md), over a
 * socket that keeps messages apart and carries descriptors. Versioned: binaries of different
 * releases meet here.
 *
 *   old                                new
 *    │ ── OFFER, with descriptors ──────▶ │  reads its configuration, takes the sockets
 *    │ ◀───────────────────── PREPARED ── │
 *    │   its controller ends              │
 *    │ ── GO ───────────────────────────▶ │  starts controller and workers: both serve
 *    │ ◀──────────────────────── READY ── │
 *    │ ── COMMIT ───────────────────────▶ │  is the one from here on
 *    │ ◀──────────── SUCCESSOR, later ── │  it handed over in its turn
 *
 * The new one may say FAILED, with why, until READY. When the old one dies, the new one goes on by
 * itself; when the new one dies, the old one stays. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "wire/net/address.h"

#define HANDOVER_VERSION 1u
#define HANDOVER_ENVIRONMENT "TIDEGATE_HANDOVER" /* the descriptor's number */
#define HANDOVER_LISTENERS_MAX 64
#define HANDOVER_TEXT_BYTES 256

enum handover_kind {
    HANDOVER_NONE,
    HANDOVER_OFFER,
    HANDOVER_PREPARED,
    HANDOVER_GO,
    HANDOVER_READY,
    HANDOVER_COMMIT,
    HANDOVER_FAILED,
    HANDOVER_SUCCESSOR,
};

struct handover_message {
    uint32_t magic, version, kind;
    int32_t pid; /* of SUCCESSOR */
    char text[HANDOVER_TEXT_BYTES];
};

/* What the old one gives. Descriptors are -1 where there is none. */
struct handover_offer {
    int lock_fd;  /* of the state folder: the lock is held by both from now on */
    int plan_fd;  /* the segment with the current plan */
    int front_fd; /* towards the process that a service manager knows; -1: that is the old one */
    unsigned listen_count;
    int listen_fds[HANDOVER_LISTENERS_MAX];
    struct address listen[HANDOVER_LISTENERS_MAX];
};

bool handover_pair(int fds[2], struct error *err);
bool handover_send(int fd, enum handover_kind kind, pid_t pid, const char *text);
bool handover_send_offer(int fd, const struct handover_offer *offer, struct error *err);

/* HANDOVER_NONE: nothing has come. A message that is not one of ours, and the end of the socket:
 * false. Never waits. */
bool handover_receive(int fd, struct handover_message *message);
/* Waits for it (it was sent before we were started). */
bool handover_receive_offer(int fd, struct handover_offer *offer, struct error *err);
void handover_offer_close(struct handover_offer *offer);

/* The descriptor that we were started with, taken out of the environment; -1: none. */
int handover_inherited(void);
