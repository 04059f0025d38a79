/* Passwords: bcrypt is slow on purpose (a tenth of a second), and a worker must never wait. So each
 * worker that needs it has one thread that does nothing else, fed and emptied by two rings without
 * locks, and a memory of what it found, so that a visitor's next request costs a hash of a
 * microsecond. Guessing is slowed down by network, whichever worker is asked. Why not the
 * controller: docs/decisions/0019. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/shm/rate_table.h"
#include "base/error.h"
#include "base/list.h"
#include "base/slice.h"
#include "wire/auth/basic.h"
#include "wire/net/loop.h"

#define VERIFIER_JOBS_MAX 64             /* waiting for the thread; beyond: busy */
#define VERIFIER_GOOD_US 300000000u      /* a good answer is remembered so long */
#define VERIFIER_BAD_US 10000000u        /* and a bad one */
#define VERIFIER_GUESSES_MAX 10          /* wrong passwords of one network (IPv6: /64) at once */
#define VERIFIER_GUESS_EVERY_US 5000000u /* and one more after this */

struct verifier;

/* One who waits for an answer; embedded in it. Several with the same question share one check. */
struct verification {
    struct list link; /* not linked: it does not wait */
    void *owner;
};

enum verdict {
    VERDICT_GOOD,
    VERDICT_BAD,
    VERDICT_LATER,     /* on_verdict will be called, unless it is forgotten */
    VERDICT_TOO_OFTEN, /* this network has guessed too much */
    VERDICT_BUSY,      /* more are waiting than there should be */
};

struct verifier_question {
    struct basic_credentials credentials;
    struct slice hash;  /* of the user; of anybody when there is no such user */
    bool user_is_known; /* if not it takes as long, and the answer is no */
    const uint8_t *ip;  /* 16 bytes: who asks */
};

/* The thread starts with the first question. Guesses are counted in the table. */
struct verifier *verifier_new(struct loop *loop, struct rate_table *rates,
                              void (*on_verdict)(void *owner, bool good), struct error *err);
/* Waits for the thread: a few tenths of a second at most. */
void verifier_free(struct verifier *verifier);

enum verdict verifier_ask(struct verifier *verifier, const struct verifier_question *question,
                          struct verification *waiter);
/* It does not want to know any more; safe when it does not wait. */
void verifier_forget(struct verification *waiter);
