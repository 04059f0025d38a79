/* Walking the audit chain from its first link: each row's text is made anew and hashed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "record/store/chain.h"
#include "record/store/sqlite_internal.h"

enum { /* columns after those of the decision */
       COLUMN_SEQUENCE = SQLITE_DECISION_COLUMN_COUNT,
       COLUMN_EVENT,
       COLUMN_DECISION,
       COLUMN_HASH,
       COLUMN_HEALED_DECISION,
       COLUMN_HEALED_NOTICED,
       COLUMN_HEALED_HEALED,
};

static const char walk[] =
    "SELECT " SQLITE_DECISION_COLUMNS ", a.sequence, a.event, a.decision, a.hash, h.decision,"
    " h.noticed_ms, h.healed_ms FROM audit a"
    " LEFT JOIN decisions d ON a.event = 'decided' AND d.id = a.decision"
    " LEFT JOIN healed h ON a.event = 'healed' AND h.sequence = a.sequence ORDER BY a.sequence";

static const char orphans[] =
    "SELECT min(id) FROM (SELECT id FROM decisions EXCEPT SELECT decision FROM audit"
    " WHERE event = 'decided' UNION ALL SELECT decision FROM healed WHERE sequence NOT IN"
    " (SELECT sequence FROM audit WHERE event = 'healed'))";

static void broken(struct store_chain *chain, int64_t id, const char *problem) {
    chain->whole = false;
    chain->broken_id = id;
    snprintf(chain->problem, sizeof chain->problem, "%s", problem);
}

enum hashing { HASHED, ROW_GONE, MEMORY_OUT };

static enum hashing hashing_of(bool hashed) {
    return hashed ? HASHED : MEMORY_OUT;
}

/* Hashes what the link of this row should stand for. */
static enum hashing hash_row(sqlite3_stmt *row, const uint8_t before[CHAIN_HASH_BYTES],
                             uint8_t out[CHAIN_HASH_BYTES]) {
    const char *event = (const char *)sqlite3_column_text(row, COLUMN_EVENT);
    if (event != NULL && strcmp(event, "decided") == 0 &&
        sqlite3_column_type(row, 0) != SQLITE_NULL) {
        struct decision d;
        if (!sqlite_take_decision(row, &d)) {
            memset(out, 0xff, CHAIN_HASH_BYTES); /* longer than we write: fits no link */
            return HASHED;
        }
        return hashing_of(chain_hash_decision(before, &d, out));
    }
    if (event != NULL && strcmp(event, "healed") == 0 &&
        sqlite3_column_type(row, COLUMN_HEALED_DECISION) != SQLITE_NULL) {
        struct store_healed healed = {
            .decision_id = sqlite3_column_int64(row, COLUMN_HEALED_DECISION),
            .noticed_ms = sqlite_take_number(row, COLUMN_HEALED_NOTICED),
            .healed_ms = sqlite_take_number(row, COLUMN_HEALED_HEALED),
        };
        return hashing_of(chain_hash_healed(before, &healed, out));
    }
    return ROW_GONE;
}

/* One link; `hash` goes on to it. False when the chain breaks here, or (`chain` is whole still) for
 * want of memory. */
static bool check_link(sqlite3_stmt *row, uint8_t hash[CHAIN_HASH_BYTES],
                       struct store_chain *chain) {
    uint8_t expected[CHAIN_HASH_BYTES];
    int64_t id = sqlite3_column_int64(row, COLUMN_DECISION);
    enum hashing hashing = hash_row(row, hash, expected);
    if (hashing == MEMORY_OUT) {
        return false;
    }
    if (sqlite3_column_int64(row, COLUMN_SEQUENCE) != (int64_t)chain->rows + 1) {
        broken(chain, id, "links before this one were removed");
    } else if (hashing == ROW_GONE) {
        broken(chain, id, "the row behind the link was removed");
    } else if (sqlite3_column_bytes(row, COLUMN_HASH) != CHAIN_HASH_BYTES ||
               memcmp(sqlite3_column_blob(row, COLUMN_HASH), expected, CHAIN_HASH_BYTES) != 0) {
        broken(chain, id, "the row was changed after it was written, or the link was");
    } else {
        memcpy(hash, expected, CHAIN_HASH_BYTES);
        chain->rows++;
    }
    return chain->whole;
}

bool sqlite_verify_chain(void *self, struct store_chain *chain, struct error *err) {
    struct sqlite_store *s = self;
    uint8_t hash[CHAIN_HASH_BYTES] = { 0 };
    int code = SQLITE_DONE;
    /* One snapshot for both questions: a live Tidegate may be writing. */
    if (!sqlite_execute(s, "BEGIN", err)) {
        return false;
    }
    *chain = (struct store_chain){ .whole = true };
    sqlite3_stmt *row = sqlite_prepare(s, walk, err);
    while (row != NULL && (code = sqlite3_step(row)) == SQLITE_ROW &&
           check_link(row, hash, chain)) {
    }
    bool unhashed = code == SQLITE_ROW && chain->whole;
    bool read = row != NULL && !unhashed && (code == SQLITE_DONE || code == SQLITE_ROW);
    if (unhashed) {
        (void)error_set(err, ERROR_SYSTEM, "memory is out");
    } else if (row != NULL && !read) {
        sqlite_fail(s, code, err);
    }
    sqlite3_finalize(row);
    int64_t orphan = 0;
    read = read && sqlite_number(s, orphans, 0, &orphan, err);
    if (read && chain->whole && orphan != 0) {
        broken(chain, orphan, "the row is in no link: it was not written by Tidegate");
    }
    chain_hex(hash, chain->head_hash);
    sqlite_execute(s, "COMMIT", NULL);
    return read;
}
