/* What an instance writes to stdout and stderr: memfds it appends to, read line by line, and holes
 * punched where it was read (docs/decisions/0002). The newest lines are kept. */
#pragma once
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

#define OUTPUT_LINE_BYTES 4096 /* longer lines are cut */

struct output {
    int fds[2]; /* stdout, stderr; -1: none */
    off_t read[2];
    struct buffer partial[2]; /* of a line whose end has not come */
    struct buffer lines;      /* newest ones, whole */
};

/* New memfds for a process to be. */
bool output_open(struct output *o, struct error *err);
/* Those of a running process, from where it is now on. */
void output_adopt(struct output *o, pid_t pid);
void output_init(struct output *o); /* none */
void output_fini(struct output *o);
/* Takes in what has come. `ended`: also a last line without its end. */
void output_read(struct output *o, bool ended);
/* The last line that says something; empty: none. */
struct slice output_last_line(const struct output *o);
