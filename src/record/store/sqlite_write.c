/* Writing a batch in one transaction, and the upkeep: minutes out of seconds, old rows out. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "record/store/chain.h"
#include "record/store/sqlite_internal.h"

#define RETENTION_ROWS 500      /* deleted in one step: a few milliseconds */
#define CAPACITY_VERSIONS 4     /* of a service, kept */
#define MINUTE_GRACE_MS 15000   /* seconds may come so much later */
#define MINUTE_SECONDS_MIN "30" /* of a minute with fewer nothing is said */

/* ---- rows ---- */

static bool write_sample(struct sqlite_store *s, const struct store_sample *sample,
                         struct error *err) {
    sqlite3_stmt *row = sqlite_statement(
        s, STATEMENT_SAMPLE,
        "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", err);
    if (row == NULL) {
        return false;
    }
    sqlite_bind_words(row, 1, sample->service);
    sqlite3_bind_int64(row, 2, sample->step_s);
    sqlite3_bind_int64(row, 3, sample->time_ms);
    const double numbers[] = { sample->offered_rps,  sample->served_rps,     sample->refused_rps,
                               sample->failed_rps,   sample->latency_ms_p50, sample->latency_ms_p99,
                               sample->forecast_rps, sample->capacity_rps };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sqlite_bind_number(row, (int)i + 4, numbers[i]);
    }
    return sqlite_run(s, row, err);
}

static bool write_instance(struct sqlite_store *s, const struct store_instance *instance,
                           struct error *err) {
    sqlite3_stmt *row =
        sqlite_statement(s, STATEMENT_INSTANCE,
                         "INSERT OR REPLACE INTO instances VALUES (?, ?, ?, ?, ?, ?, ?)", err);
    if (row == NULL) {
        return false;
    }
    sqlite_bind_words(row, 1, instance->service);
    sqlite_bind_words(row, 2, instance->id);
    sqlite3_bind_int64(row, 3, instance->started_ms);
    sqlite3_bind_int64(row, 4, instance->ready_ms);
    sqlite3_bind_int64(row, 5, instance->stopped_ms);
    sqlite_bind_number(row, 6, instance->startup_ms);
    sqlite3_bind_int(row, 7, instance->exit_status);
    return sqlite_run(s, row, err);
}

static bool write_token(struct sqlite_store *s, const struct store_token_change *change,
                        struct error *err) {
    const struct store_token *token = &change->token;
    sqlite3_stmt *row =
        change->gone
            ? sqlite_statement(s, STATEMENT_TOKEN_GONE, "DELETE FROM tokens WHERE id = ?", err)
            : sqlite_statement(s, STATEMENT_TOKEN,
                               "INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?)", err);
    if (row == NULL) {
        return false;
    }
    sqlite_bind_words(row, 1, token->id);
    if (!change->gone) {
        sqlite_bind_words(row, 2, token->name);
        sqlite_bind_words(row, 3, token->role);
        sqlite3_bind_blob(row, 4, token->hash, sizeof token->hash, SQLITE_STATIC);
        sqlite3_bind_int64(row, 5, token->created_ms);
        sqlite3_bind_int64(row, 6, token->expires_ms);
        sqlite3_bind_int64(row, 7, token->used_ms);
    }
    return sqlite_run(s, row, err);
}

/* Versions that nobody runs any more go after a while. */
static bool write_capacity(struct sqlite_store *s, const struct store_capacity *capacity,
                           struct error *err) {
    sqlite3_stmt *row = sqlite_statement(
        s, STATEMENT_CAPACITY, "INSERT OR REPLACE INTO capacities VALUES (?, ?, ?, ?)", err);
    sqlite3_stmt *old =
        row == NULL ? NULL
                    : sqlite_statement(s, STATEMENT_CAPACITIES_OLD,
                                       "DELETE FROM capacities WHERE service = ?1 AND version NOT "
                                       "IN (SELECT version FROM capacities WHERE service = ?1"
                                       " ORDER BY time_ms DESC LIMIT ?2)",
                                       err);
    if (old == NULL) {
        return false;
    }
    sqlite_bind_words(row, 1, capacity->service);
    sqlite_bind_words(row, 2, capacity->version);
    sqlite3_bind_int64(row, 3, capacity->time_ms);
    sqlite3_bind_blob(row, 4, capacity->bytes, (int)capacity->len, SQLITE_STATIC);
    sqlite_bind_words(old, 1, capacity->service);
    sqlite3_bind_int(old, 2, CAPACITY_VERSIONS);
    return sqlite_run(s, row, err) && sqlite_run(s, old, err);
}

static bool write_calls(struct sqlite_store *s, const struct store_calls *calls,
                        struct error *err) {
    sqlite3_stmt *row =
        sqlite_statement(s, STATEMENT_CALLS, "INSERT OR REPLACE INTO calls VALUES (?, ?, ?)", err);
    if (row == NULL) {
        return false;
    }
    sqlite_bind_words(row, 1, calls->service);
    sqlite3_bind_int64(row, 2, calls->time_ms);
    sqlite3_bind_blob(row, 3, calls->bytes, (int)calls->len, SQLITE_STATIC);
    return sqlite_run(s, row, err);
}

static bool write_ledger_row(struct sqlite_store *s, const struct store_ledger_row *given,
                             struct error *err) {
    sqlite3_stmt *row = sqlite_statement(
        s, STATEMENT_LEDGER, "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        err);
    if (row == NULL) {
        return false;
    }
    sqlite_bind_words(row, 1, given->service);
    sqlite3_bind_int64(row, 2, given->hour_ms);
    sqlite_bind_words(row, 3, given->policy);
    const double numbers[] = { given->seconds, given->requests,       given->unserved,
                               given->refused, given->instance_hours, given->cost };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sqlite_bind_number(row, (int)i + 4, numbers[i]);
    }
    sqlite3_bind_int64(row, 10, given->instances_max);
    return sqlite_run(s, row, err);
}

/* ---- the chain ---- */

struct link {
    int64_t sequence; /* 0: the chain is empty */
    uint8_t hash[CHAIN_HASH_BYTES];
};

static bool last_link(struct sqlite_store *s, struct link *last, struct error *err) {
    *last = (struct link){ 0 };
    sqlite3_stmt *row =
        sqlite_statement(s, STATEMENT_LAST_LINK,
                         "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1", err);
    if (row == NULL) {
        return false;
    }
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        last->sequence = sqlite3_column_int64(row, 0);
        /* A hash of another length was tampered with: verify finds it, we go on. */
        if (sqlite3_column_bytes(row, 1) == CHAIN_HASH_BYTES) {
            memcpy(last->hash, sqlite3_column_blob(row, 1), CHAIN_HASH_BYTES);
        }
    } else if (code != SQLITE_DONE) {
        sqlite_fail(s, code, err);
    }
    sqlite3_reset(row);
    return code == SQLITE_ROW || code == SQLITE_DONE;
}

static bool write_link(struct sqlite_store *s, const struct link *link, const char *event,
                       int64_t decision_id, struct error *err) {
    sqlite3_stmt *row =
        sqlite_statement(s, STATEMENT_LINK, "INSERT INTO audit VALUES (?, ?, ?, ?)", err);
    if (row == NULL) {
        return false;
    }
    sqlite3_bind_int64(row, 1, link->sequence);
    sqlite_bind_words(row, 2, event);
    sqlite3_bind_int64(row, 3, decision_id);
    sqlite3_bind_blob(row, 4, link->hash, CHAIN_HASH_BYTES, SQLITE_STATIC);
    return sqlite_run(s, row, err);
}

/* Two controllers may have overlapped for a moment (the supervisor was killed): then an id is taken
 * already, and the row gets the next free one. */
static bool free_id(struct sqlite_store *s, struct decision *d, struct error *err) {
    sqlite3_stmt *row =
        sqlite_statement(s, STATEMENT_LAST_DECISION, "SELECT max(id) FROM decisions", err);
    if (row == NULL) {
        return false;
    }
    int code = sqlite3_step(row);
    int64_t last = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_reset(row);
    if (code != SQLITE_ROW) {
        return sqlite_fail(s, code, err);
    }
    d->id = d->id > last ? d->id : last + 1;
    return true;
}

static bool insert_decision(struct sqlite_store *s, const struct decision *d, struct error *err) {
    sqlite3_stmt *row =
        sqlite_statement(s, STATEMENT_DECISION,
                         "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", err);
    if (row == NULL) {
        return false;
    }
    sqlite3_bind_int64(row, 1, d->id);
    sqlite3_bind_int64(row, 2, d->time_ms);
    sqlite_bind_words(row, 3, d->kind);
    sqlite_bind_words(row, 4, d->service);
    sqlite_bind_words(row, 5, d->subject);
    sqlite_bind_words(row, 6, d->action);
    sqlite_bind_words(row, 7, d->reason);
    sqlite_bind_words(row, 8, d->evidence);
    sqlite_bind_number(row, 9, d->worth);
    sqlite_bind_number(row, 10, d->noticed_ms);
    sqlite_bind_number(row, 11, d->healed_ms);
    return sqlite_run(s, row, err);
}

static bool write_decision(struct sqlite_store *s, const struct decision *given, struct link *last,
                           struct error *err) {
    struct decision d = *given;
    if (!free_id(s, &d, err) || !insert_decision(s, &d, err)) {
        return false;
    }
    struct link next = { .sequence = last->sequence + 1 };
    if (!chain_hash_decision(last->hash, &d, next.hash)) {
        return error_set(err, ERROR_SYSTEM, "memory is out");
    }
    *last = next;
    return write_link(s, &next, "decided", d.id, err);
}

static bool write_healed(struct sqlite_store *s, const struct store_healed *healed,
                         struct link *last, struct error *err) {
    sqlite3_stmt *row =
        sqlite_statement(s, STATEMENT_HEALED, "INSERT INTO healed VALUES (?, ?, ?, ?)", err);
    if (row == NULL) {
        return false;
    }
    sqlite3_bind_int64(row, 1, last->sequence + 1);
    sqlite3_bind_int64(row, 2, healed->decision_id);
    sqlite_bind_number(row, 3, healed->noticed_ms);
    sqlite_bind_number(row, 4, healed->healed_ms);
    if (!sqlite_run(s, row, err)) {
        return false;
    }
    struct link next = { .sequence = last->sequence + 1 };
    if (!chain_hash_healed(last->hash, healed, next.hash)) {
        return error_set(err, ERROR_SYSTEM, "memory is out");
    }
    *last = next;
    return write_link(s, &next, "healed", healed->decision_id, err);
}

static bool write_event(struct sqlite_store *s, const struct store_event *event, struct link *last,
                        struct error *err) {
    switch (event->kind) {
    case STORE_EVENT_DECISION:
        return write_decision(s, &event->decision, last, err);
    case STORE_EVENT_HEALED:
        return write_healed(s, &event->healed, last, err);
    case STORE_EVENT_INSTANCE:
        return write_instance(s, &event->instance, err);
    case STORE_EVENT_TOKEN:
        return write_token(s, &event->token, err);
    case STORE_EVENT_CAPACITY:
        return write_capacity(s, &event->capacity, err);
    case STORE_EVENT_CALLS:
        return write_calls(s, &event->calls, err);
    case STORE_EVENT_LEDGER:
        return write_ledger_row(s, &event->ledger, err);
    }
    return true;
}

static bool write_rows(struct sqlite_store *s, const struct store_batch *batch, struct error *err) {
    struct link last;
    if (!last_link(s, &last, err)) {
        return false;
    }
    for (size_t i = 0; i < batch->event_count; i++) {
        if (!write_event(s, &batch->events[i], &last, err)) {
            return false;
        }
    }
    for (size_t i = 0; i < batch->sample_count; i++) {
        if (!write_sample(s, &batch->samples[i], err)) {
            return false;
        }
    }
    return true;
}

bool sqlite_write(void *self, const struct store_batch *batch, struct error *err) {
    struct sqlite_store *s = self;
    if (!sqlite_execute(s, "BEGIN IMMEDIATE", err)) {
        return false;
    }
    if (!write_rows(s, batch, err) || !sqlite_execute(s, "COMMIT", err)) {
        sqlite_execute(s, "ROLLBACK", NULL);
        return false;
    }
    return true;
}

/* ---- upkeep ---- */

static bool run_with_times(struct sqlite_store *s, const char *sql, int64_t first, int64_t second,
                           struct error *err) {
    sqlite3_stmt *statement = sqlite_prepare(s, sql, err);
    if (statement == NULL) {
        return false;
    }
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, second);
    bool done = sqlite_run(s, statement, err);
    sqlite3_finalize(statement);
    return done;
}

/* The mean over a minute weighs the median by what was served; p99 is the worst second's. */
static bool make_minute(struct sqlite_store *s, int64_t minute_ms, struct error *err) {
    return run_with_times(
        s,
        "INSERT OR REPLACE INTO samples SELECT service, 60, ?1, avg(offered_rps), avg(served_rps),"
        " avg(refused_rps), avg(failed_rps),"
        " sum(latency_ms_p50 * served_rps) /"
        "  nullif(sum(served_rps) FILTER (WHERE latency_ms_p50 IS NOT NULL), 0),"
        " max(latency_ms_p99), avg(forecast_rps), avg(capacity_rps)"
        " FROM samples WHERE step_s = 1 AND time_ms >= ?1 AND time_ms < ?2"
        " GROUP BY service HAVING count(*) >= " MINUTE_SECONDS_MIN,
        minute_ms, minute_ms + MS_PER_MINUTE, err);
}

/* The first second of which no minute was made yet; now when there is none. */
static bool next_second(struct sqlite_store *s, int64_t now_ms, int64_t *first_ms,
                        struct error *err) {
    if (s->rolled_ms < 0) {
        int64_t last_ms;
        if (!sqlite_number(s, "SELECT max(time_ms) FROM samples WHERE step_s = 60", -MS_PER_MINUTE,
                           &last_ms, err)) {
            return false;
        }
        s->rolled_ms = last_ms + MS_PER_MINUTE;
    }
    char sql[128];
    sqlite3_snprintf(sizeof sql, sql,
                     "SELECT min(time_ms) FROM samples WHERE step_s = 1 AND time_ms >= %lld",
                     (long long)s->rolled_ms);
    return sqlite_number(s, sql, now_ms, first_ms, err);
}

static bool roll_minutes(struct sqlite_store *s, int64_t now_ms, bool *more, struct error *err) {
    int64_t first_ms;
    if (!next_second(s, now_ms, &first_ms, err)) {
        return false;
    }
    int64_t minute_ms = first_ms - first_ms % MS_PER_MINUTE;
    if (minute_ms + MS_PER_MINUTE + MINUTE_GRACE_MS > now_ms) {
        return true;
    }
    if (!make_minute(s, minute_ms, err)) {
        return false;
    }
    s->rolled_ms = minute_ms + MS_PER_MINUTE;
    *more = true;
    return true;
}

static bool forget(struct sqlite_store *s, int64_t step_s, int64_t before_ms, bool *more,
                   struct error *err) {
    char sql[384];
    sqlite3_snprintf(sizeof sql, sql,
                     "DELETE FROM samples WHERE (service, step_s, time_ms) IN (SELECT service, "
                     "step_s, time_ms FROM samples WHERE step_s = ?1 AND time_ms < ?2 LIMIT %d)",
                     RETENTION_ROWS);
    if (!run_with_times(s, sql, step_s, before_ms, err)) {
        return false;
    }
    *more = *more || sqlite3_changes(s->db) == RETENTION_ROWS;
    return true;
}

static bool forget_ledger(struct sqlite_store *s, int64_t before_ms, bool *more,
                          struct error *err) {
    if (!run_with_times(s,
                        "DELETE FROM ledger WHERE (service, hour_ms, policy) IN (SELECT service, "
                        "hour_ms, policy FROM ledger WHERE hour_ms < ?1 LIMIT ?2)",
                        before_ms, RETENTION_ROWS, err)) {
        return false;
    }
    *more = *more || sqlite3_changes(s->db) == RETENTION_ROWS;
    return true;
}

bool sqlite_maintain(void *self, int64_t now_ms, bool *more, struct error *err) {
    struct sqlite_store *s = self;
    *more = false;
    return roll_minutes(s, now_ms, more, err) &&
           forget(s, 1, now_ms - STORE_RETENTION_SECONDS_MS, more, err) &&
           forget(s, 60, now_ms - STORE_RETENTION_MINUTES_MS, more, err) &&
           forget_ledger(s, now_ms - STORE_RETENTION_LEDGER_MS, more, err);
}
