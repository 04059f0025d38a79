/* The SQLite backend: opening, checking, and statements. Write-ahead log, so that readers and the
 * writer do not wait for each other; synchronous=NORMAL, so that a commit costs no fsync: after a
 * power failure the last moments may be missing, the database is whole. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "record/store/sqlite_internal.h"

#define WRITE_BUSY_MS 100 /* the writer's thread backs off by itself after that */

bool sqlite_fail(const struct sqlite_store *s, int code, struct error *err) {
    enum error_kind kind = ERROR_UNAVAILABLE;
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        kind = ERROR_BUSY;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        kind = ERROR_INVALID;
        break;
    default:
        break;
    }
    return error_set(err, kind, "%s: %s", s->where,
                     s->db != NULL ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
}

bool sqlite_execute(struct sqlite_store *s, const char *sql, struct error *err) {
    int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK || sqlite_fail(s, code, err);
}

sqlite3_stmt *sqlite_prepare(struct sqlite_store *s, const char *sql, struct error *err) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK) {
        sqlite_fail(s, code, err);
        return NULL;
    }
    return statement;
}

sqlite3_stmt *sqlite_statement(struct sqlite_store *s, enum sqlite_statement which, const char *sql,
                               struct error *err) {
    if (s->statements[which] == NULL) {
        s->statements[which] = sqlite_prepare(s, sql, err);
    }
    if (s->statements[which] != NULL) {
        sqlite3_reset(s->statements[which]);
        sqlite3_clear_bindings(s->statements[which]);
    }
    return s->statements[which];
}

bool sqlite_run(struct sqlite_store *s, sqlite3_stmt *statement, struct error *err) {
    int code = sqlite3_step(statement);
    bool done = code == SQLITE_DONE || code == SQLITE_ROW;
    if (!done) {
        sqlite_fail(s, code, err);
    }
    sqlite3_reset(statement);
    return done;
}

bool sqlite_number(struct sqlite_store *s, const char *sql, int64_t missing, int64_t *out,
                   struct error *err) {
    sqlite3_stmt *statement = sqlite_prepare(s, sql, err);
    if (statement == NULL) {
        return false;
    }
    int code = sqlite3_step(statement);
    bool read = code == SQLITE_ROW || code == SQLITE_DONE;
    if (!read) {
        sqlite_fail(s, code, err);
    } else if (code == SQLITE_DONE || sqlite3_column_type(statement, 0) == SQLITE_NULL) {
        *out = missing;
    } else {
        *out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return read;
}

void sqlite_bind_number(sqlite3_stmt *statement, int index, double value) {
    if (isnan(value)) {
        sqlite3_bind_null(statement, index);
    } else {
        sqlite3_bind_double(statement, index, value);
    }
}

void sqlite_bind_words(sqlite3_stmt *statement, int index, const char *text) {
    sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

double sqlite_take_number(sqlite3_stmt *statement, int column) {
    bool known = sqlite3_column_type(statement, column) != SQLITE_NULL;
    return known ? sqlite3_column_double(statement, column) : NAN;
}

bool sqlite_take_text(sqlite3_stmt *statement, int column, char *out, size_t out_bytes) {
    const unsigned char *text = sqlite3_column_text(statement, column);
    size_t len = text == NULL ? 0 : strnlen((const char *)text, out_bytes - 1);
    if (len > 0) {
        memcpy(out, text, len);
    }
    out[len] = '\0';
    return (size_t)sqlite3_column_bytes(statement, column) == len;
}

bool sqlite_take_decision(sqlite3_stmt *statement, struct decision *out) {
    *out = (struct decision){
        .id = sqlite3_column_int64(statement, 0),
        .time_ms = sqlite3_column_int64(statement, 1),
        .worth = sqlite_take_number(statement, 8),
        .noticed_ms = sqlite_take_number(statement, 9),
        .healed_ms = sqlite_take_number(statement, 10),
    };
    const struct {
        char *out;
        size_t bytes;
    } texts[] = { /* columns 2 to 7 */
                  { out->kind, sizeof out->kind },       { out->service, sizeof out->service },
                  { out->subject, sizeof out->subject }, { out->action, sizeof out->action },
                  { out->reason, sizeof out->reason },   { out->evidence, sizeof out->evidence }
    };
    bool whole = true;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        whole = sqlite_take_text(statement, (int)i + 2, texts[i].out, texts[i].bytes) && whole;
    }
    return whole;
}

/* ---- open, close, check ---- */

static void sqlite_backend_close(void *self) {
    struct sqlite_store *s = self;
    if (s == NULL) {
        return;
    }
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(s->statements[i]);
    }
    sqlite3_close(s->db);
    free(s->where);
    free(s);
}

static struct sqlite_store *connect(const char *where, int flags, int busy_ms, struct error *err) {
    struct sqlite_store *s = calloc(1, sizeof *s);
    if (s == NULL || (s->where = strdup(where)) == NULL) {
        free(s);
        error_set(err, ERROR_LIMIT, "memory is out");
        return NULL;
    }
    s->rolled_ms = -1;
    int code = sqlite3_open_v2(where, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        sqlite_fail(s, code, err);
        sqlite_backend_close(s);
        return NULL;
    }
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, busy_ms);
    return s;
}

static bool make_folder(const char *where, struct error *err) {
    char copy[PATH_MAX];
    if (snprintf(copy, sizeof copy, "%s", where) >= (int)sizeof copy) {
        return error_set(err, ERROR_INVALID, "the path %s is too long", where);
    }
    const char *folder = dirname(copy);
    return mkdir(folder, 0750) == 0 || errno == EEXIST ||
           error_set(err, ERROR_UNAVAILABLE, "create %s: %s", folder, strerror(errno));
}

static bool set_up_writer(struct sqlite_store *s, struct error *err) {
    bool empty;
    /* Nothing of a database is changed before we know that it is ours. */
    return sqlite_check_schema(s, &empty, err) &&
           sqlite_execute(s, "PRAGMA journal_mode=WAL", err) &&
           sqlite_execute(s, "PRAGMA synchronous=NORMAL", err) &&
           sqlite_execute(s, "PRAGMA foreign_keys=ON", err) && sqlite_migrate(s, err);
}

static void *open_writer(const char *where, struct error *err) {
    if (!make_folder(where, err)) {
        return NULL;
    }
    struct sqlite_store *s =
        connect(where, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, WRITE_BUSY_MS, err);
    if (s != NULL && !set_up_writer(s, err)) {
        sqlite_backend_close(s);
        return NULL;
    }
    return s;
}

static void *open_reader(const char *where, struct error *err) {
    struct stat status;
    bool empty = true;
    if (stat(where, &status) != 0) {
        error_set(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_UNAVAILABLE, "%s: %s", where,
                  strerror(errno));
        return NULL;
    }
    struct sqlite_store *s = connect(where, SQLITE_OPEN_READONLY, STORE_READ_BUSY_MS, err);
    if (s == NULL) {
        return NULL;
    }
    if (!sqlite_check_schema(s, &empty, err) || empty) {
        if (empty && err != NULL && err->kind == ERROR_NONE) {
            error_set(err, ERROR_NOT_FOUND, "%s: the database is still empty", where);
        }
        sqlite_backend_close(s);
        return NULL;
    }
    return s;
}

static void *sqlite_backend_open(const char *where, enum store_access access, struct error *err) {
    return access == STORE_WRITER ? open_writer(where, err) : open_reader(where, err);
}

static bool check_integrity(struct sqlite_store *s, struct error *err) {
    sqlite3_stmt *statement = sqlite_prepare(s, "PRAGMA quick_check(1)", err);
    if (statement == NULL) {
        return false;
    }
    int code = sqlite3_step(statement);
    bool fine = code == SQLITE_ROW;
    char verdict[256] = "";
    if (fine) {
        sqlite_take_text(statement, 0, verdict, sizeof verdict);
    } else {
        sqlite_fail(s, code, err);
    }
    sqlite3_finalize(statement);
    if (fine && strcmp(verdict, "ok") != 0) {
        return error_set(err, ERROR_INVALID, "%s: the database is malformed: %s", s->where,
                         verdict);
    }
    return fine;
}

static bool sqlite_backend_check(const char *where, bool deep, struct error *err) {
    struct stat status;
    bool empty;
    if (stat(where, &status) != 0) {
        return errno == ENOENT ||
               error_set(err, ERROR_UNAVAILABLE, "%s: %s", where, strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return error_set(err, ERROR_INVALID, "%s is not a file", where);
    }
    struct sqlite_store *s = connect(where, SQLITE_OPEN_READONLY, STORE_READ_BUSY_MS, err);
    bool fine = s != NULL && sqlite_check_schema(s, &empty, err) &&
                (!deep || status.st_size > STORE_CHECK_BYTES_MAX || check_integrity(s, err));
    sqlite_backend_close(s);
    return fine;
}

static uint64_t file_bytes(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* With the write-ahead log: until a checkpoint most of a young database is there. */
static uint64_t sqlite_bytes(void *self) {
    const struct sqlite_store *s = self;
    char log_path[PATH_MAX];
    int len = snprintf(log_path, sizeof log_path, "%s-wal", s->where);
    uint64_t log_bytes = len < (int)sizeof log_path ? file_bytes(log_path) : 0;
    return file_bytes(s->where) + log_bytes;
}

static bool sqlite_last_decision_id(void *self, int64_t *id, struct error *err) {
    return sqlite_number(self, "SELECT max(id) FROM decisions", 0, id, err);
}

const struct store_backend store_backend_sqlite = {
    .scheme = "sqlite",
    .check = sqlite_backend_check,
    .open = sqlite_backend_open,
    .close = sqlite_backend_close,
    .write = sqlite_write,
    .maintain = sqlite_maintain,
    .bytes = sqlite_bytes,
    .last_decision_id = sqlite_last_decision_id,
    .read_samples = sqlite_read_samples,
    .read_decisions = sqlite_read_decisions,
    .read_instances = sqlite_read_instances,
    .read_capacities = sqlite_read_capacities,
    .read_calls = sqlite_read_calls,
    .read_ledger = sqlite_read_ledger,
    .read_tokens = sqlite_read_tokens,
    .verify_chain = sqlite_verify_chain,
};
