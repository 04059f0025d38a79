/* Writes the access log: takes the workers' records out of their rings and appends a line each, in
 * a thread of its own, because a disk may be full, slow or gone. The rings are its queue: a record
 * leaves its ring once its line is with the kernel, so that a killed controller loses none of them
 * (at most the last write is repeated), and what a hung file holds up is bounded by
 * VITALS_RING_RECORDS a worker; beyond that the workers drop and count. Nobody waits for us.
 *
 * Lines are in order of completion: of one worker exactly, between workers within one look
 * (ACCESS_WRITER_LOOK_US). Not here: what a line looks like (record/telemetry/access_log.h), files
 * (log_file.h). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/shm/vitals.h"
#include "base/error.h"
#include "record/telemetry/access_log_config.h"

#define ACCESS_WRITER_LOOK_US 50000      /* how often it looks into the rings */
#define ACCESS_WRITER_RETRY_US 1000000   /* after a failed write */
#define ACCESS_WRITER_MOVED_US 1000000   /* how often it looks whether the file was moved */
#define ACCESS_WRITER_BATCH_BYTES 262144 /* of one write */
#define ACCESS_WRITER_BATCH_LINES 1024

struct access_writer;

struct access_writer_stats {
    uint64_t records;     /* lines written */
    uint64_t sampled_out; /* left out by `sample` */
    uint64_t failures;    /* writes and openings that failed */
    uint64_t rotations;
    bool failing; /* now */
};

/* Starts the thread. What `config` points to is copied. `config->file` NULL: records are taken out
 * and thrown away. `vitals` must outlive the thread: until the process ends. */
struct access_writer *access_writer_new(const struct access_log_config *config,
                                        struct vitals *vitals, struct error *err);
/* Names of services by index, PLAN_SERVICES_MAX of them; copied. */
void access_writer_set_services(struct access_writer *w, const char (*names)[PLAN_NAME_BYTES]);
/* Looks at once whether its file was moved (HUP after logrotate). */
void access_writer_reopen(struct access_writer *w);
struct access_writer_stats access_writer_stats(struct access_writer *w);

/* Takes what is in the rings, ends, and gives back the memory; waits at most `wait_ms`. One that
 * hangs is left behind: it touches the rings no more, and frees itself when its file lets it go. */
void access_writer_free(struct access_writer *w, unsigned wait_ms);
