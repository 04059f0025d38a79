/* The seam between the store and a database: one struct store_backend a database. Store.c, the
 * queue and the threads know no SQL; a backend knows no thread and is called by one at a time. */
#pragma once
#include "record/store/store.h"

#define STORE_BATCH_SAMPLES 512 /* of one transaction */
#define STORE_BATCH_EVENTS 64

enum store_event_kind {
    STORE_EVENT_DECISION,
    STORE_EVENT_HEALED,
    STORE_EVENT_INSTANCE,
    STORE_EVENT_TOKEN,
    STORE_EVENT_CAPACITY,
    STORE_EVENT_CALLS,
    STORE_EVENT_LEDGER
};

struct store_healed {
    int64_t decision_id;
    double noticed_ms, healed_ms;
};

struct store_token_change {
    struct store_token token;
    bool gone;
};

struct store_event {
    enum store_event_kind kind;
    union {
        struct decision decision;
        struct store_healed healed;
        struct store_instance instance;
        struct store_token_change token;
        struct store_capacity capacity;
        struct store_calls calls;
        struct store_ledger_row ledger;
    };
};

struct store_batch {
    size_t sample_count, event_count;
    struct store_sample samples[STORE_BATCH_SAMPLES];
    struct store_event events[STORE_BATCH_EVENTS];
};

enum store_access {
    STORE_WRITER, /* creates and migrates what is missing */
    STORE_READER, /* ERROR_NOT_FOUND without a database */
};

typedef bool store_each_sample(void *self, const struct store_sample *sample);
typedef bool store_each_decision(void *self, const struct decision *decision);
typedef bool store_each_instance(void *self, const struct store_instance *instance);
typedef bool store_each_capacity(void *self, const struct store_capacity *capacity);
typedef bool store_each_calls(void *self, const struct store_calls *calls);
typedef bool store_each_ledger_row(void *self, const struct store_ledger_row *row);
typedef bool store_each_token(void *self, const struct store_token *token);

/* Errors: ERROR_BUSY locked, ERROR_UNAVAILABLE full or not reachable (both: try again),
 * ERROR_INVALID not ours or malformed. `where` is what follows "scheme:" in the spec. */
struct store_backend {
    const char *scheme;
    /* Looks, changes nothing. `deep`: with the database's own integrity check if that is quick. */
    bool (*check)(const char *where, bool deep, struct error *err);
    void *(*open)(const char *where, enum store_access access, struct error *err);
    void (*close)(void *self);
    /* All of it in one transaction, or nothing. */
    bool (*write)(void *self, const struct store_batch *batch, struct error *err);
    /* One small step of upkeep: minutes out of seconds, rows past their retention. *more: call
     * again soon. */
    bool (*maintain)(void *self, int64_t now_ms, bool *more, struct error *err);
    uint64_t (*bytes)(void *self);
    bool (*last_decision_id)(void *self, int64_t *id, struct error *err); /* 0: none */
    bool (*read_samples)(void *self, const struct store_sample_query *query,
                         store_each_sample *each, void *each_self, struct error *err);
    bool (*read_decisions)(void *self, const struct store_decision_query *query,
                           store_each_decision *each, void *each_self, struct error *err);
    bool (*read_instances)(void *self, struct slice service, int64_t from_ms, int64_t to_ms,
                           store_each_instance *each, void *each_self, struct error *err);
    bool (*read_capacities)(void *self, struct slice service, store_each_capacity *each,
                            void *each_self, struct error *err);
    bool (*read_calls)(void *self, struct slice service, store_each_calls *each, void *each_self,
                       struct error *err);
    bool (*read_ledger)(void *self, struct slice service, int64_t from_ms, int64_t to_ms,
                        store_each_ledger_row *each, void *each_self, struct error *err);
    bool (*read_tokens)(void *self, store_each_token *each, void *each_self, struct error *err);
    bool (*verify_chain)(void *self, struct store_chain *chain, struct error *err);
};

extern const struct store_backend store_backend_sqlite;
