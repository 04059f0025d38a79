/* The schema and its versions. A migration is a transaction; its number is PRAGMA user_version. A
 * new version is one more entry of `migrations` and of enum sqlite_version; old entries never
 * change. */
#include <stdio.h>

#include "record/store/sqlite_internal.h"

static const char *const migrations[] = {
    "CREATE TABLE samples ("
    "  service TEXT NOT NULL, step_s INTEGER NOT NULL, time_ms INTEGER NOT NULL,"
    "  offered_rps REAL, served_rps REAL, refused_rps REAL, failed_rps REAL,"
    "  latency_ms_p50 REAL, latency_ms_p99 REAL, forecast_rps REAL, capacity_rps REAL,"
    "  PRIMARY KEY (service, step_s, time_ms)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX samples_by_age ON samples (step_s, time_ms);"
    "CREATE TABLE decisions ("
    "  id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT NULL,"
    "  service TEXT NOT NULL, subject TEXT NOT NULL, action TEXT NOT NULL, reason TEXT NOT NULL,"
    "  evidence TEXT NOT NULL, worth REAL, noticed_ms REAL, healed_ms REAL) STRICT;"
    "CREATE TABLE healed ("
    "  sequence INTEGER PRIMARY KEY, decision INTEGER NOT NULL,"
    "  noticed_ms REAL, healed_ms REAL) STRICT;"
    "CREATE INDEX healed_by_decision ON healed (decision);"
    "CREATE TABLE instances ("
    "  service TEXT NOT NULL, id TEXT NOT NULL, started_ms INTEGER NOT NULL,"
    "  ready_ms INTEGER NOT NULL, stopped_ms INTEGER NOT NULL, startup_ms REAL,"
    "  exit_status INTEGER NOT NULL,"
    "  PRIMARY KEY (service, id, started_ms)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX instances_by_start ON instances (started_ms);"
    "CREATE TABLE audit ("
    "  sequence INTEGER PRIMARY KEY, event TEXT NOT NULL, decision INTEGER NOT NULL,"
    "  hash BLOB NOT NULL) STRICT;",
    "CREATE TABLE tokens ("
    "  id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, hash BLOB NOT NULL,"
    "  created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;",
    "CREATE TABLE capacities ("
    "  service TEXT NOT NULL, version TEXT NOT NULL, time_ms INTEGER NOT NULL,"
    "  evidence BLOB NOT NULL, PRIMARY KEY (service, version)) STRICT, WITHOUT ROWID;",
    "CREATE TABLE ledger ("
    "  service TEXT NOT NULL, hour_ms INTEGER NOT NULL, policy TEXT NOT NULL,"
    "  seconds REAL, requests REAL, unserved REAL, refused REAL, instance_hours REAL, cost REAL,"
    "  instances_max INTEGER NOT NULL,"
    "  PRIMARY KEY (service, hour_ms, policy)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX ledger_by_age ON ledger (hour_ms);",
    "CREATE TABLE calls ("
    "  service TEXT PRIMARY KEY, time_ms INTEGER NOT NULL, evidence BLOB NOT NULL)"
    " STRICT, WITHOUT ROWID;",
};
#define SCHEMA_VERSION ((int64_t)SQLITE_VERSION_NEWEST)
_Static_assert(sizeof migrations / sizeof migrations[0] == SQLITE_VERSION_NEWEST,
               "each version has its migration");

bool sqlite_check_schema(struct sqlite_store *s, bool *empty, struct error *err) {
    int64_t application, version, tables;
    if (!sqlite_number(s, "PRAGMA application_id", 0, &application, err) ||
        !sqlite_number(s, "PRAGMA user_version", 0, &version, err) ||
        !sqlite_number(s, "SELECT count(*) FROM sqlite_schema", 0, &tables, err)) {
        return false;
    }
    if (application == 0 && version == 0 && tables == 0) {
        *empty = true;
        return true;
    }
    if (application != SQLITE_APPLICATION_ID) {
        return error_set(err, ERROR_INVALID,
                         "%s is a database of another program (application id %lld); expected a "
                         "store of Tidegate or a new file",
                         s->where, (long long)application);
    }
    if (version < 1 || version > SCHEMA_VERSION) {
        return error_set(err, ERROR_INVALID,
                         "%s has schema version %lld; this Tidegate knows 1 to %lld: use a newer "
                         "one, or another file",
                         s->where, (long long)version, (long long)SCHEMA_VERSION);
    }
    *empty = false;
    return true;
}

bool sqlite_has_version(struct sqlite_store *s, enum sqlite_version wanted, struct error *err) {
    int64_t version;
    if (wanted == SQLITE_FIRST_VERSION) {
        return true; /* as sqlite_check_schema has seen */
    }
    return sqlite_number(s, "PRAGMA user_version", 0, &version, err) &&
           (version >= (int64_t)wanted ||
            error_set(err, ERROR_NOT_FOUND,
                      "%s still has schema version %lld; what is asked for came with version %d",
                      s->where, (long long)version, (int)wanted));
}

static bool migrate_to(struct sqlite_store *s, int64_t version, struct error *err) {
    char pragmas[96];
    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id=%d; PRAGMA user_version=%lld",
             SQLITE_APPLICATION_ID, (long long)version);
    if (!sqlite_execute(s, "BEGIN IMMEDIATE", err)) {
        return false;
    }
    /* Somebody else may have been quicker. */
    int64_t now;
    if (!sqlite_number(s, "PRAGMA user_version", 0, &now, err) ||
        (now < version &&
         (!sqlite_execute(s, migrations[version - 1], err) || !sqlite_execute(s, pragmas, err))) ||
        !sqlite_execute(s, "COMMIT", err)) {
        sqlite_execute(s, "ROLLBACK", NULL);
        return false;
    }
    return true;
}

bool sqlite_migrate(struct sqlite_store *s, struct error *err) {
    int64_t version;
    if (!sqlite_number(s, "PRAGMA user_version", 0, &version, err)) {
        return false;
    }
    while (version < SCHEMA_VERSION) {
        version++;
        if (!migrate_to(s, version, err)) {
            return error_wrap(err, "schema version %lld", (long long)version);
        }
    }
    return true;
}
