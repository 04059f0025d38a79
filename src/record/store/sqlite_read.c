/* Reading: each query is one statement, its rows go to the caller one by one. */
#include <assert.h>
#include <string.h>

#include "record/store/sqlite_internal.h"

#define READ_VALUES_MAX 6

struct value {
    int64_t number;
    struct slice text;
    bool is_text;
};

static struct value number(int64_t value) {
    return (struct value){ .number = value };
}

static struct value text(struct slice value) {
    return (struct value){ .text = value, .is_text = true };
}

/* One query: what is asked, with what for ?1, ?2, ..., and where its rows go. */
struct reading {
    const char *sql;
    enum sqlite_version since; /* the schema it asks has been there since then */
    struct value values[READ_VALUES_MAX];
    bool (*row)(sqlite3_stmt *statement, void *rows); /* false: no more */
    void *rows;
};

static void bind_values(sqlite3_stmt *statement, const struct value *values) {
    int count = sqlite3_bind_parameter_count(statement);
    assert(count <= READ_VALUES_MAX);
    for (int i = 0; i < count; i++) {
        if (values[i].is_text) {
            struct slice value = values[i].text;
            sqlite3_bind_text(statement, i + 1, value.len > 0 ? value.data : "", (int)value.len,
                              SQLITE_STATIC);
        } else {
            sqlite3_bind_int64(statement, i + 1, values[i].number);
        }
    }
}

static bool read_rows(struct sqlite_store *s, const struct reading *reading, struct error *err) {
    sqlite3_stmt *statement =
        sqlite_has_version(s, reading->since, err) ? sqlite_prepare(s, reading->sql, err) : NULL;
    if (statement == NULL) {
        return false;
    }
    bind_values(statement, reading->values);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW &&
           reading->row(statement, reading->rows)) {
    }
    bool done = code == SQLITE_ROW || code == SQLITE_DONE;
    if (!done) {
        sqlite_fail(s, code, err);
    }
    sqlite3_finalize(statement);
    return done;
}

/* ---- samples ---- */

#define SAMPLE_MEANS                                                                               \
    "SELECT service, time_ms - time_ms % ?4 AS bucket, avg(offered_rps) AS offered,"               \
    " avg(served_rps) AS served, avg(refused_rps) AS refused, avg(failed_rps) AS failed,"          \
    " avg(latency_ms_p50) AS p50, max(latency_ms_p99) AS p99, avg(forecast_rps) AS forecast,"      \
    " avg(capacity_rps) AS capacity FROM samples"                                                  \
    " WHERE step_s = ?1 AND time_ms >= ?2 AND time_ms < ?3"

static const char one_service[] =
    SAMPLE_MEANS " AND service = ?5 GROUP BY bucket ORDER BY bucket LIMIT ?6";
static const char all_services[] =
    "SELECT '', bucket, sum(offered), sum(served), sum(refused), sum(failed), NULL, max(p99),"
    " sum(forecast), sum(capacity) FROM (" SAMPLE_MEANS
    " AND ?5 = '' GROUP BY service, bucket) GROUP BY bucket ORDER BY bucket LIMIT ?6";

struct sample_rows {
    uint32_t step_s;
    store_each_sample *each;
    void *self;
};

static bool sample_row(sqlite3_stmt *statement, void *self) {
    const struct sample_rows *rows = self;
    struct store_sample sample = {
        .step_s = rows->step_s,
        .time_ms = sqlite3_column_int64(statement, 1),
        .offered_rps = sqlite_take_number(statement, 2),
        .served_rps = sqlite_take_number(statement, 3),
        .refused_rps = sqlite_take_number(statement, 4),
        .failed_rps = sqlite_take_number(statement, 5),
        .latency_ms_p50 = sqlite_take_number(statement, 6),
        .latency_ms_p99 = sqlite_take_number(statement, 7),
        .forecast_rps = sqlite_take_number(statement, 8),
        .capacity_rps = sqlite_take_number(statement, 9),
    };
    sqlite_take_text(statement, 0, sample.service, sizeof sample.service);
    return rows->each(rows->self, &sample);
}

bool sqlite_read_samples(void *self, const struct store_sample_query *query,
                         store_each_sample *each, void *each_self, struct error *err) {
    assert(query->step_s > 0);
    struct sample_rows rows = { .step_s = query->step_s, .each = each, .self = each_self };
    const struct reading reading = {
        .sql = query->service.len == 0 ? all_services : one_service,
        .since = SQLITE_FIRST_VERSION,
        .values = { number(query->step_s % 60 == 0 ? 60 : 1), number(query->from_ms),
                    number(query->to_ms), number((int64_t)query->step_s * 1000),
                    text(query->service), number(STORE_QUERY_ROWS_MAX) },
        .row = sample_row,
        .rows = &rows,
    };
    return read_rows(self, &reading, err);
}

/* ---- decisions ---- */

struct decision_rows {
    store_each_decision *each;
    void *self;
};

/* The newest word about healing counts; what the decision itself said, when there is none. */
static bool decision_row(sqlite3_stmt *statement, void *self) {
    const struct decision_rows *rows = self;
    struct decision d;
    sqlite_take_decision(statement, &d);
    if (sqlite3_column_int64(statement, SQLITE_DECISION_COLUMN_COUNT) != 0) {
        d.noticed_ms = sqlite_take_number(statement, SQLITE_DECISION_COLUMN_COUNT + 1);
        d.healed_ms = sqlite_take_number(statement, SQLITE_DECISION_COLUMN_COUNT + 2);
    }
    return rows->each(rows->self, &d);
}

bool sqlite_read_decisions(void *self, const struct store_decision_query *query,
                           store_each_decision *each, void *each_self, struct error *err) {
    uint32_t limit = query->limit > STORE_QUERY_ROWS_MAX ? STORE_QUERY_ROWS_MAX : query->limit;
    struct decision_rows rows = { .each = each, .self = each_self };
    const struct reading reading = {
        .sql = "SELECT " SQLITE_DECISION_COLUMNS ", h.sequence, h.noticed_ms, h.healed_ms"
               " FROM decisions d LEFT JOIN healed h ON h.sequence ="
               " (SELECT max(sequence) FROM healed WHERE decision = d.id)"
               " WHERE d.id > ?1 AND (?2 = 0 OR d.id < ?2) AND (?3 = '' OR d.service = ?3)"
               " AND (?4 = '' OR d.kind = ?4) ORDER BY d.id DESC LIMIT ?5",
        .since = SQLITE_FIRST_VERSION,
        .values = { number(query->after_id), number(query->before_id), text(query->service),
                    text(query->kind), number(limit) },
        .row = decision_row,
        .rows = &rows,
    };
    return read_rows(self, &reading, err);
}

/* ---- instances ---- */

struct instance_rows {
    store_each_instance *each;
    void *self;
};

static bool instance_row(sqlite3_stmt *statement, void *self) {
    const struct instance_rows *rows = self;
    struct store_instance instance = {
        .started_ms = sqlite3_column_int64(statement, 2),
        .ready_ms = sqlite3_column_int64(statement, 3),
        .stopped_ms = sqlite3_column_int64(statement, 4),
        .startup_ms = sqlite_take_number(statement, 5),
        .exit_status = sqlite3_column_int(statement, 6),
    };
    sqlite_take_text(statement, 0, instance.service, sizeof instance.service);
    sqlite_take_text(statement, 1, instance.id, sizeof instance.id);
    return rows->each(rows->self, &instance);
}

bool sqlite_read_instances(void *self, struct slice service, int64_t from_ms, int64_t to_ms,
                           store_each_instance *each, void *each_self, struct error *err) {
    struct instance_rows rows = { .each = each, .self = each_self };
    const struct reading reading = {
        .sql = "SELECT service, id, started_ms, ready_ms, stopped_ms, startup_ms, exit_status"
               " FROM instances WHERE started_ms >= ?1 AND started_ms < ?2"
               " AND (?3 = '' OR service = ?3) ORDER BY started_ms, id LIMIT ?4",
        .since = SQLITE_FIRST_VERSION,
        .values = { number(from_ms), number(to_ms), text(service), number(STORE_QUERY_ROWS_MAX) },
        .row = instance_row,
        .rows = &rows,
    };
    return read_rows(self, &reading, err);
}

/* ---- capacities ---- */

struct capacity_rows {
    store_each_capacity *each;
    void *self;
};

/* A row that Tidegate did not write is passed over. */
static bool capacity_row(sqlite3_stmt *statement, void *self) {
    const struct capacity_rows *rows = self;
    struct store_capacity capacity = { .time_ms = sqlite3_column_int64(statement, 2) };
    int len = sqlite3_column_bytes(statement, 3);
    bool whole = sqlite_take_text(statement, 0, capacity.service, sizeof capacity.service) &&
                 sqlite_take_text(statement, 1, capacity.version, sizeof capacity.version) &&
                 len > 0 && len <= (int)sizeof capacity.bytes;
    if (whole) {
        capacity.len = (uint32_t)len;
        memcpy(capacity.bytes, sqlite3_column_blob(statement, 3), capacity.len);
    }
    return !whole || rows->each(rows->self, &capacity);
}

bool sqlite_read_capacities(void *self, struct slice service, store_each_capacity *each,
                            void *each_self, struct error *err) {
    struct capacity_rows rows = { .each = each, .self = each_self };
    const struct reading reading = {
        .sql = "SELECT service, version, time_ms, evidence FROM capacities"
               " WHERE service = ?1 ORDER BY time_ms, version",
        .since = SQLITE_VERSION_OF_CAPACITIES,
        .values = { text(service) },
        .row = capacity_row,
        .rows = &rows,
    };
    return read_rows(self, &reading, err);
}

/* ---- what was learned of calls ---- */

struct calls_rows {
    store_each_calls *each;
    void *self;
};

/* Bytes that Tidegate cannot have written are not handed on, but that there are some is. */
static bool calls_row(sqlite3_stmt *statement, void *self) {
    const struct calls_rows *rows = self;
    struct store_calls calls = { .time_ms = sqlite3_column_int64(statement, 1) };
    int len = sqlite3_column_bytes(statement, 2);
    if (!sqlite_take_text(statement, 0, calls.service, sizeof calls.service)) {
        return true;
    }
    if (len > 0 && len <= (int)sizeof calls.bytes) {
        calls.len = (uint32_t)len;
        memcpy(calls.bytes, sqlite3_column_blob(statement, 2), calls.len);
    }
    return rows->each(rows->self, &calls);
}

bool sqlite_read_calls(void *self, struct slice service, store_each_calls *each, void *each_self,
                       struct error *err) {
    struct calls_rows rows = { .each = each, .self = each_self };
    const struct reading reading = {
        .sql = "SELECT service, time_ms, evidence FROM calls WHERE service = ?1",
        .since = SQLITE_VERSION_OF_CALLS,
        .values = { text(service) },
        .row = calls_row,
        .rows = &rows,
    };
    return read_rows(self, &reading, err);
}

/* ---- the ledger ---- */

struct ledger_rows {
    store_each_ledger_row *each;
    void *self;
};

static bool ledger_row(sqlite3_stmt *statement, void *self) {
    const struct ledger_rows *rows = self;
    struct store_ledger_row row = {
        .hour_ms = sqlite3_column_int64(statement, 1),
        .seconds = sqlite_take_number(statement, 3),
        .requests = sqlite_take_number(statement, 4),
        .unserved = sqlite_take_number(statement, 5),
        .refused = sqlite_take_number(statement, 6),
        .instance_hours = sqlite_take_number(statement, 7),
        .cost = sqlite_take_number(statement, 8),
        .instances_max = (uint32_t)sqlite3_column_int64(statement, 9),
    };
    bool whole = sqlite_take_text(statement, 0, row.service, sizeof row.service) &&
                 sqlite_take_text(statement, 2, row.policy, sizeof row.policy);
    return !whole || rows->each(rows->self, &row); /* another's policy has a longer name */
}

/* A sum with one unknown cost is unknown. */
#define LEDGER_OF_ALL                                                                              \
    "SELECT '', hour_ms, policy, max(seconds), sum(requests), sum(unserved), sum(refused),"        \
    " sum(instance_hours), CASE WHEN count(*) = count(cost) THEN sum(cost) END,"                   \
    " max(instances_max) FROM ledger WHERE hour_ms >= ?1 AND hour_ms < ?2 AND ?3 = ''"             \
    " GROUP BY hour_ms, policy ORDER BY hour_ms, policy LIMIT ?4"
#define LEDGER_OF_ONE                                                                              \
    "SELECT service, hour_ms, policy, seconds, requests, unserved, refused, instance_hours, cost," \
    " instances_max FROM ledger WHERE hour_ms >= ?1 AND hour_ms < ?2 AND service = ?3"             \
    " ORDER BY hour_ms, policy LIMIT ?4"

bool sqlite_read_ledger(void *self, struct slice service, int64_t from_ms, int64_t to_ms,
                        store_each_ledger_row *each, void *each_self, struct error *err) {
    struct ledger_rows rows = { .each = each, .self = each_self };
    const struct reading reading = {
        .sql = service.len == 0 ? LEDGER_OF_ALL : LEDGER_OF_ONE,
        .since = SQLITE_VERSION_OF_LEDGER,
        .values = { number(from_ms), number(to_ms), text(service), number(STORE_QUERY_ROWS_MAX) },
        .row = ledger_row,
        .rows = &rows,
    };
    return read_rows(self, &reading, err);
}

/* ---- tokens ---- */

struct token_rows {
    store_each_token *each;
    void *self;
};

/* One that somebody has bent is passed over: it opens nothing. */
static bool token_row(sqlite3_stmt *statement, void *self) {
    const struct token_rows *rows = self;
    struct store_token token = {
        .created_ms = sqlite3_column_int64(statement, 4),
        .expires_ms = sqlite3_column_int64(statement, 5),
        .used_ms = sqlite3_column_int64(statement, 6),
    };
    bool whole = sqlite_take_text(statement, 0, token.id, sizeof token.id) &&
                 sqlite_take_text(statement, 1, token.name, sizeof token.name) &&
                 sqlite_take_text(statement, 2, token.role, sizeof token.role) &&
                 sqlite3_column_bytes(statement, 3) == (int)sizeof token.hash;
    if (whole) {
        memcpy(token.hash, sqlite3_column_blob(statement, 3), sizeof token.hash);
    }
    return !whole || rows->each(rows->self, &token);
}

bool sqlite_read_tokens(void *self, store_each_token *each, void *each_self, struct error *err) {
    struct token_rows rows = { .each = each, .self = each_self };
    const struct reading reading = {
        .sql = "SELECT id, name, role, hash, created_ms, expires_ms, used_ms FROM tokens"
               " ORDER BY created_ms, id",
        .since = SQLITE_VERSION_OF_TOKENS,
        .row = token_row,
        .rows = &rows,
    };
    return read_rows(self, &reading, err);
}
