/* Inside of the SQLite backend: one connection, and small helpers around statements. */
#pragma once
#include <sqlite3.h>

#include "record/store/store_backend.h"

#define SQLITE_APPLICATION_ID 0x54494445 /* "TIDE", in the header of the file */

/* Prepared once, kept. */
enum sqlite_statement {
    STATEMENT_SAMPLE,
    STATEMENT_DECISION,
    STATEMENT_LAST_DECISION,
    STATEMENT_HEALED,
    STATEMENT_INSTANCE,
    STATEMENT_TOKEN,
    STATEMENT_TOKEN_GONE,
    STATEMENT_CAPACITY,
    STATEMENT_CAPACITIES_OLD,
    STATEMENT_CALLS,
    STATEMENT_LEDGER,
    STATEMENT_LAST_LINK,
    STATEMENT_LINK,
    STATEMENT_COUNT,
};

struct sqlite_store {
    sqlite3 *db;
    char *where;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int64_t rolled_ms; /* minutes before this one are made; -1: look it up */
};

/* Sets *err from the connection's last error ("PATH: database is locked"); returns false. */
bool sqlite_fail(const struct sqlite_store *s, int code, struct error *err);
bool sqlite_execute(struct sqlite_store *s, const char *sql, struct error *err);
/* The kept statement, reset, ready to be bound. NULL: *err. */
sqlite3_stmt *sqlite_statement(struct sqlite_store *s, enum sqlite_statement which, const char *sql,
                               struct error *err);
/* A statement for one use, to be finalised. */
sqlite3_stmt *sqlite_prepare(struct sqlite_store *s, const char *sql, struct error *err);
/* Runs to the end a statement without rows. */
bool sqlite_run(struct sqlite_store *s, sqlite3_stmt *statement, struct error *err);
/* The first column of the only row; `missing` when there is none or it is NULL. */
bool sqlite_number(struct sqlite_store *s, const char *sql, int64_t missing, int64_t *out,
                   struct error *err);

/* NaN is NULL, and back. */
void sqlite_bind_number(sqlite3_stmt *statement, int index, double value);
void sqlite_bind_words(sqlite3_stmt *statement, int index, const char *text);
double sqlite_take_number(sqlite3_stmt *statement, int column);
/* False when the text does not fit or holds a NUL: it is cut then. */
bool sqlite_take_text(sqlite3_stmt *statement, int column, char *out, size_t out_bytes);

/* The columns of a decision as they are selected everywhere, and back into the struct. */
#define SQLITE_DECISION_COLUMNS                                                                    \
    "d.id, d.time_ms, d.kind, d.service, d.subject, d.action, d.reason, d.evidence, d.worth, "     \
    "d.noticed_ms, d.healed_ms"
enum { SQLITE_DECISION_COLUMN_COUNT = 11 };
/* False when a text had to be cut: Tidegate did not write it. */
bool sqlite_take_decision(sqlite3_stmt *statement, struct decision *out);

/* sqlite_schema.c */

/* Of the schema: what has come with it, one each. */
enum sqlite_version {
    SQLITE_FIRST_VERSION = 1,
    SQLITE_VERSION_OF_TOKENS,
    SQLITE_VERSION_OF_CAPACITIES,
    SQLITE_VERSION_OF_LEDGER,
    SQLITE_VERSION_OF_CALLS,
    SQLITE_VERSION_NEWEST = SQLITE_VERSION_OF_CALLS,
};
bool sqlite_check_schema(struct sqlite_store *s, bool *empty, struct error *err);
/* For a reader: the writer, in its own thread, may not have brought an older database up to date
 * yet. ERROR_NOT_FOUND then: nothing is in it of what `wanted` has brought. */
bool sqlite_has_version(struct sqlite_store *s, enum sqlite_version wanted, struct error *err);
bool sqlite_migrate(struct sqlite_store *s, struct error *err);

/* The members of store_backend_sqlite. */
bool sqlite_write(void *self, const struct store_batch *batch, struct error *err);
bool sqlite_maintain(void *self, int64_t now_ms, bool *more, struct error *err);
bool sqlite_read_samples(void *self, const struct store_sample_query *query,
                         store_each_sample *each, void *each_self, struct error *err);
bool sqlite_read_decisions(void *self, const struct store_decision_query *query,
                           store_each_decision *each, void *each_self, struct error *err);
bool sqlite_read_instances(void *self, struct slice service, int64_t from_ms, int64_t to_ms,
                           store_each_instance *each, void *each_self, struct error *err);
bool sqlite_read_capacities(void *self, struct slice service, store_each_capacity *each,
                            void *each_self, struct error *err);
bool sqlite_read_calls(void *self, struct slice service, store_each_calls *each, void *each_self,
                       struct error *err);
bool sqlite_read_ledger(void *self, struct slice service, int64_t from_ms, int64_t to_ms,
                        store_each_ledger_row *each, void *each_self, struct error *err);
bool sqlite_read_tokens(void *self, store_each_token *each, void *each_self, struct error *err);
bool sqlite_verify_chain(void *self, struct store_chain *chain, struct error *err);
