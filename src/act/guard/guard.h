/* Guard: takes away from a process what it does not need, so that whoever takes it over gets
 * little.
 *
 *   a worker        after it has its sockets and segments: another user, no capability, no way to
 *                   more privileges, no file, no new process, limits; a list of system calls
 *   the others      supervisor and controller: no core dump, nobody of the same user looks into
 *                   their memory, and of root's capabilities those that they use
 *
 * What this kernel or container does not allow is left out and said; a worker that serves is worth
 * more than one that obeys. docs/threat-model.md says what is promised, decision 35 why so.
 * Not here: which descriptors a child keeps (act/control/child.c). */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define GUARD_NAME_BYTES 33
#define GUARD_TEXT_BYTES 512
#define GUARD_GROUPS_MAX 64 /* of a user; further ones are left out */
#define GUARD_HOME_BYTES 256

enum guard_mode { GUARD_STRICT, GUARD_OFF };

struct guard_user { /* uid 0: nobody else, stay who we are */
    uid_t uid;
    gid_t gid;
    gid_t groups[GUARD_GROUPS_MAX]; /* all that it is in */
    int group_count;
    char name[GUARD_NAME_BYTES], home[GUARD_HOME_BYTES];
};

/* What is in force, a bit each. */
enum guard_part {
    GUARD_USER,         /* not root */
    GUARD_CAPABILITIES, /* none, and none can be had */
    GUARD_PRIVILEGES,   /* no_new_privs */
    GUARD_MEMORY_HIDDEN,
    GUARD_LIMITS,
    GUARD_FILES, /* Landlock: none can be opened */
    GUARD_CALLS, /* seccomp */
    GUARD_PARTS,
};
#define GUARD_ALL ((1u << GUARD_PARTS) - 1)
const char *guard_part_name(enum guard_part part);

struct guard_worker {
    enum guard_mode mode;
    struct guard_user user;
    uint64_t memory_bytes; /* private memory (RLIMIT_DATA); 0: no limit */
    uint32_t descriptors;  /* 0: as many as the system lets us have */
    /* Where a system call that is not on the list leaves its number + 1 before it ends the process;
     * NULL: nowhere. */
    _Atomic uint32_t *refused_call;
};

/* Fails with ERROR_NOT_FOUND when there is no such user. */
bool guard_look_up_user(const char *name, struct guard_user *user, struct error *err);
/* Becomes that user for good: 0, or an errno. Nothing when we are that user. Between fork and exec
 * as well: it allocates nothing. */
int guard_become(const struct guard_user *user);

/* The user that workers become when `name` is configured (NULL: the first of `tidegate`, `nobody`
 * that there is). Not as root: nobody else. Fails when a name is given and unknown. */
bool guard_find_user(const char *name, struct guard_user *user, struct error *err);

/* In the worker, while it is one thread; returns the parts in force as bits. `missing` receives the
 * others with their reasons, for the log; empty: all are in force. */
uint32_t guard_confine(const struct guard_worker *g, char missing[GUARD_TEXT_BYTES]);

/* In the supervisor, for its children too: hides its memory and drops capabilities that neither it
 * nor the controller uses. An executed program (an instance, an upgrade) begins with root's own. */
void guard_keep_little(enum guard_mode mode);

/* Raises the soft limit of descriptors to the hard one, or to `most` (0: no other limit). */
void guard_raise_descriptors(uint32_t most);

/* Name of a system call of this machine; NULL: not one that we know. */
const char *guard_call_name(uint32_t number);
