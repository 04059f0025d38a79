/* Store: what Tidegate remembers across restarts. Samples of demand and latency, decisions with
 * their reasons, instances, and the audit chain over the decisions. One interface; sqlite is its
 * member today, another database is another file with a `struct store_backend`.
 *
 * Writing never blocks the caller and never fails for him: a row is copied into a bounded queue
 * which a thread of the store carries to the database. A locked database is tried again with
 * back-off, a full disk as well: health says so, the controller goes on. When the queue is full,
 * the oldest samples are dropped first and counted; decisions last.
 * Reading takes a second connection. Whoever must not wait for a disk hands his questions to a
 * second thread (store_ask); the plain store_read_* are for start-up and the command line.
 * Not here: what a decision is (act/control/), how it is shown (act/api/). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/slice.h"
#include "record/telemetry/decision.h"

#define STORE_QUEUE_SAMPLES 8192 /* 64 services: two minutes of seconds */
#define STORE_QUEUE_EVENTS 1024  /* decisions and instances */
#define STORE_READ_BUSY_MS 200
#define STORE_NAME_BYTES DECISION_NAME_BYTES
#define STORE_JOBS_MAX 32
#define STORE_CHECK_BYTES_MAX (64u << 20)
#define STORE_QUERY_ROWS_MAX 20000                    /* of one query; more: take a coarser step */
#define STORE_RETENTION_SECONDS_MS (2 * MS_PER_DAY)   /* of 1 s samples */
#define STORE_RETENTION_MINUTES_MS (400 * MS_PER_DAY) /* of 1 min samples */
#define STORE_RETENTION_LEDGER_MS (400 * MS_PER_DAY)

/* One service over one step that starts at time_ms (unix). NaN: not known. A minute has the mean
 * of its seconds, and the highest of their p99. */
struct store_sample {
    char service[STORE_NAME_BYTES];
    uint32_t step_s; /* 1 or 60 */
    int64_t time_ms;
    double offered_rps, served_rps, refused_rps, failed_rps;
    double latency_ms_p50, latency_ms_p99;
    double forecast_rps; /* median that was forecast for this step */
    double capacity_rps;
};

struct store_instance {
    char id[STORE_NAME_BYTES], service[STORE_NAME_BYTES];
    int64_t started_ms, ready_ms, stopped_ms; /* unix; 0: not yet */
    double startup_ms;                        /* NaN: never became ready */
    int32_t exit_status;                      /* wait(2) status; -1: not ended, or not ours */
};

#define STORE_EVIDENCE_BYTES 2048

/* What was learned of the capacity of one version of a service; the bytes are its owner's. */
struct store_capacity {
    char service[STORE_NAME_BYTES], version[STORE_NAME_BYTES];
    int64_t time_ms; /* unix, when it was written */
    uint32_t len;    /* of bytes */
    uint8_t bytes[STORE_EVIDENCE_BYTES];
};

/* What was learned of the calls of one service; the bytes are their owner's. */
struct store_calls {
    char service[STORE_NAME_BYTES];
    int64_t time_ms; /* unix, when it was written */
    uint32_t len;    /* of bytes; 0: the row holds what cannot be one's */
    uint8_t bytes[STORE_EVIDENCE_BYTES];
};

#define STORE_POLICY_BYTES 16
/* What one hour of a service cost and dropped under one policy (decide/cost/ledger.h). */
struct store_ledger_row {
    char service[STORE_NAME_BYTES], policy[STORE_POLICY_BYTES];
    int64_t hour_ms; /* unix, of its start */
    double seconds;  /* of it that were judged */
    double requests, unserved;
    double refused; /* really turned away; NaN: the policy is a what-if */
    double instance_hours;
    double cost; /* NaN: no price */
    uint32_t instances_max;
};

#define STORE_TOKEN_ID_BYTES 9
#define STORE_HASH_BYTES 32

/* Who may ask the admin API what (act/api/access.h). The secret itself is nowhere: only its
 * SHA-256. */
struct store_token {
    char id[STORE_TOKEN_ID_BYTES]; /* hexadecimal; not secret */
    char name[STORE_NAME_BYTES], role[16];
    uint8_t hash[STORE_HASH_BYTES];
    int64_t created_ms, expires_ms, used_ms; /* unix; 0: never */
};

struct store_health {
    bool writing;         /* the last attempt to write succeeded */
    char trouble[128];    /* why not: "database is locked"; empty when all is well */
    uint64_t queued_rows; /* waiting now */
    uint64_t dropped_samples, dropped_decisions, dropped_instances;
    uint64_t written_rows, failed_attempts;
    uint64_t bytes; /* of the database file, at the last write */
};

struct store;

/* Opens "sqlite:PATH" (a relative path is meant from `folder`), creating file and folder when
 * they are missing, and brings its schema up to date. ERROR_INVALID: the spec is not
 * understood, or the file is not ours, not a database or of a newer version; nothing is changed
 * then. A locked or full one is no error: the store starts, says so in its health and goes on
 * trying. Its thread is started here: open it in the process that uses it (after fork). */
struct store *store_open(struct slice spec, const char *folder, struct error *err);
/* As store_open, for reading only (command line): no thread, nothing is created.
 * ERROR_NOT_FOUND without a file, ERROR_BUSY when it is locked. */
struct store *store_open_reader(struct slice spec, const char *folder, struct error *err);
/* Whether the spec is understood; touches nothing: for `tidegate check`. */
bool store_check_spec(struct slice spec, struct error *err);
/* Whether `run` may start with it: what store_open would refuse, and the database's own
 * integrity check when it is not larger than STORE_CHECK_BYTES_MAX. A missing file is fine. */
bool store_check(struct slice spec, const char *folder, struct error *err);
/* Writes what is queued, for at most `patience_ms`, then ends the thread. NULL is fine. */
void store_close(struct store *s, uint32_t patience_ms);

/* ---- writing: returns at once, never fails for the caller ---- */

/* One-second samples are enough: minutes are made of them by the store. */
void store_append_sample(struct store *s, const struct store_sample *sample);
/* Gives the decision its id (also returned) and queues it. */
int64_t store_append_decision(struct store *s, const struct decision *decision);
/* The fault behind decision `id` is over: it healed after healed_ms. Part of the chain as a row
 * of its own, so that what was written is never changed. */
void store_append_healed(struct store *s, int64_t id, double noticed_ms, double healed_ms);
/* The instance as it is now; the same (service, id, started_ms) again replaces the row. */
void store_put_instance(struct store *s, const struct store_instance *instance);

/* As it is now; the same (service, version) again replaces the row. Of each service the newest
 * few versions are kept. */
void store_put_capacity(struct store *s, const struct store_capacity *capacity);
/* As it is now; the same service again replaces the row. */
void store_put_calls(struct store *s, const struct store_calls *calls);
/* The hour as it is now; the same (service, hour, policy) again replaces the row. False: as
 * with store_put_token. */
bool store_put_ledger(struct store *s, const struct store_ledger_row *row);

/* The token as it is now; the same id again replaces the row. `gone`: the row goes. False when
 * the queue is full: nothing will be written. */
bool store_put_token(struct store *s, const struct store_token *token, bool gone);

struct store_health store_health(struct store *s);

/* ---- reading: blocks, on a lock STORE_READ_BUSY_MS at most ----
 * ERROR_NOT_FOUND: nothing has been written yet, because there is no database, or an older
 * Tidegate's, which the store is about to bring up to date. For whoever wants to know the past that
 * is an empty past and no trouble; any other error is. */

struct store_sample_query {
    struct slice service;   /* empty: the sum over all services (rates only) */
    int64_t from_ms, to_ms; /* [from, to) */
    uint32_t step_s;        /* wanted: any multiple of a second; rows are averaged into it */
};
/* Rows in order of time through `each`, until it returns false. */
bool store_read_samples(struct store *s, const struct store_sample_query *query,
                        bool (*each)(void *self, const struct store_sample *sample), void *self,
                        struct error *err);

struct store_decision_query {
    struct slice service, kind; /* empty: any */
    int64_t after_id;           /* only newer than this; 0: all */
    int64_t before_id;          /* only older than this; 0: all */
    uint32_t limit;             /* <= STORE_QUERY_ROWS_MAX */
};
/* Newest first. */
bool store_read_decisions(struct store *s, const struct store_decision_query *query,
                          bool (*each)(void *self, const struct decision *decision), void *self,
                          struct error *err);

/* Instances that started in [from_ms, to_ms) or still run, oldest first: learned start-up
 * times. */
bool store_read_instances(struct store *s, struct slice service, int64_t from_ms, int64_t to_ms,
                          bool (*each)(void *self, const struct store_instance *instance),
                          void *self, struct error *err);

/* Of the service, oldest first. */
bool store_read_capacities(struct store *s, struct slice service,
                           bool (*each)(void *self, const struct store_capacity *capacity),
                           void *self, struct error *err);
/* The row of the service, if there is one. */
bool store_read_calls(struct store *s, struct slice service,
                      bool (*each)(void *self, const struct store_calls *calls), void *self,
                      struct error *err);
/* Rows of hours that begin in [from_ms, to_ms), in order of time, then policy. An empty
 * service: the sum over all of them, `seconds` and `instances_max` of the one that has most. */
bool store_read_ledger(struct store *s, struct slice service, int64_t from_ms, int64_t to_ms,
                       bool (*each)(void *self, const struct store_ledger_row *row), void *self,
                       struct error *err);

/* All of them, oldest first. */
bool store_read_tokens(struct store *s, bool (*each)(void *self, const struct store_token *token),
                       void *self, struct error *err);

struct store_chain {
    uint64_t rows;
    bool whole;
    int64_t broken_id;  /* first decision whose text or link does not fit; 0: none */
    char problem[256];  /* what is wrong with it */
    char head_hash[65]; /* SHA-256 of the last good link, hexadecimal */
};
/* Recomputes the audit chain from the first row. False only when it could not be read. */
bool store_verify_chain(struct store *s, struct store_chain *chain, struct error *err);

/* ---- asking without waiting ---- */

/* Embedded in what its owner needs for the question and the answer. */
struct store_job {
    struct store_job *next;
    void (*run)(struct store_job *job, struct store *s); /* in the store's thread: store_read_* */
    void (*done)(struct store_job *job);                 /* in store_finish_jobs */
};

/* False when STORE_JOBS_MAX wait already. After true, `done` comes once, also when the store is
 * closed meanwhile. */
bool store_ask(struct store *s, struct store_job *job);
/* Becomes readable when jobs are done; then call store_finish_jobs in the thread that asks. */
int store_jobs_fd(const struct store *s);
void store_finish_jobs(struct store *s);
