#include "store_fixture.h"

#define LATER_MS 1800000000000LL

struct count {
    unsigned rows;
};

#define COUNT_EACH(name, type)                                                                     \
    static bool name(void *self, const struct type *row) {                                         \
        (void)row;                                                                                 \
        ((struct count *)self)->rows++;                                                            \
        return true;                                                                               \
    }
COUNT_EACH(sample, store_sample)
COUNT_EACH(decision, decision)
COUNT_EACH(instance, store_instance)
COUNT_EACH(token, store_token)
COUNT_EACH(capacity, store_capacity)
COUNT_EACH(calls, store_calls)
COUNT_EACH(ledger, store_ledger_row)

static bool read_samples(struct store *s, struct count *count, struct error *err) {
    struct store_sample_query query = { SLICE("shop"), 0, LATER_MS, 1 };
    return store_read_samples(s, &query, sample, count, err);
}

static bool read_decisions(struct store *s, struct count *count, struct error *err) {
    struct store_decision_query query = { .limit = 10 };
    return store_read_decisions(s, &query, decision, count, err);
}

static bool read_instances(struct store *s, struct count *count, struct error *err) {
    return store_read_instances(s, SLICE("shop"), 0, LATER_MS, instance, count, err);
}

static bool read_tokens(struct store *s, struct count *count, struct error *err) {
    return store_read_tokens(s, token, count, err);
}

static bool read_capacities(struct store *s, struct count *count, struct error *err) {
    return store_read_capacities(s, SLICE("shop"), capacity, count, err);
}

static bool read_calls(struct store *s, struct count *count, struct error *err) {
    return store_read_calls(s, SLICE("shop"), calls, count, err);
}

static bool read_ledger(struct store *s, struct count *count, struct error *err) {
    return store_read_ledger(s, SLICE("shop"), 0, LATER_MS, ledger, count, err);
}

static const struct {
    const char *name;
    int since;
    bool (*read)(struct store *s, struct count *count, struct error *err);
} readers[] = {
    { "samples", 1, read_samples },       { "decisions", 1, read_decisions },
    { "instances", 1, read_instances },   { "tokens", 2, read_tokens },
    { "capacities", 3, read_capacities }, { "ledger", 4, read_ledger },
    { "calls", 5, read_calls },
};
#define READERS (sizeof readers / sizeof readers[0])
#define NEWEST 5

/* As a Tidegate of that version left it. */
static void age(int version) {
    char sql[128];
    for (size_t i = 0; i < READERS; i++) {
        if (readers[i].since > version) {
            snprintf(sql, sizeof sql, "DROP TABLE %s", readers[i].name);
            tamper(sql);
        }
    }
    snprintf(sql, sizeof sql, "PRAGMA user_version=%d", version);
    tamper(sql);
}

static void each_reader(struct store *s, int version) {
    for (size_t i = 0; i < READERS; i++) {
        struct error err = { 0 };
        struct count count = { 0 };
        bool there = readers[i].since <= version;
        bool read = readers[i].read(s, &count, &err);
        if (read != there || err.kind != (there ? ERROR_NONE : ERROR_NOT_FOUND)) {
            fail_msg("%s of version %d: %s", readers[i].name, version, err.text);
        }
        assert_int_equal(count.rows, 0);
        if (!there) {
            char words[64];
            snprintf(words, sizeof words, "x.db still has schema version %d;", version);
            assert_non_null(strstr(err.text, words));
        }
    }
}

/* Until the writer has come to it, what is not there yet is a past without rows, not trouble. */
static void an_older_database_is_read_as_far_as_it_goes(void **state) {
    (void)state;
    for (int version = 1; version <= NEWEST; version++) {
        struct error err = { 0 };
        store_close(must_open(), 1000);
        age(version);
        struct store *reader = store_open_reader(spec, folder, &err);
        assert_non_null(reader);
        each_reader(reader, version);
        store_close(must_open(), 5000); /* brings it up to date; the reader sees that at once */
        each_reader(reader, NEWEST);
        store_close(reader, 0);
    }
}

/* Where the version says that the table is there, its absence is trouble. */
static void a_table_that_is_gone_is_trouble(void **state) {
    (void)state;
    store_close(must_open(), 1000);
    for (size_t i = 0; i < READERS; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "DROP TABLE %s", readers[i].name);
        tamper(sql);
    }
    struct store *reader = store_open_reader(spec, folder, NULL);
    assert_non_null(reader);
    for (size_t i = 0; i < READERS; i++) {
        struct error err = { 0 };
        struct count count = { 0 };
        assert_false(readers[i].read(reader, &count, &err));
        assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    }
    store_close(reader, 0);
}

static void a_newer_version_is_refused(void **state) {
    (void)state;
    struct error err = { 0 };
    store_close(must_open(), 1000);
    tamper("PRAGMA user_version=999");
    assert_null(store_open(spec, folder, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "schema version 999"));
    err = (struct error){ 0 };
    assert_false(store_check(spec, folder, &err));
    assert_non_null(strstr(err.text, "schema version 999"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_older_database_is_read_as_far_as_it_goes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_table_that_is_gone_is_trouble, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_version_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
