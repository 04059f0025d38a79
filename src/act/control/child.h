/* What a forked child and its parent owe each other. */
#pragma once
#include <sys/types.h>

/* A descriptor that becomes readable when the process ends; -1 with errno set. */
int child_pidfd(pid_t pid);

/* In the child: a pidfd of the parent; -1 when the parent is no longer `parent`. */
int child_watch_parent(pid_t parent);

/* In the child: closes every descriptor above stderr but those in keep[count]. */
void child_close_others(int *keep, unsigned count);

/* Workers to start: `wanted`, or for 0 one for each CPU that the affinity mask and the cgroup's
 * quota leave us; between 1 and `most`. */
unsigned child_worker_count(unsigned wanted, unsigned most);
