#include "store_fixture.h"

#include <math.h>

#include "base/clock.h"
#include "record/store/store_backend.h"

#define START_MS (500000 * MS_PER_HOUR)

static struct store_ledger_row row_of(const char *service, const char *policy, int64_t hour_ms,
                                      double hours) {
    struct store_ledger_row row = { .hour_ms = hour_ms,
                                    .seconds = 3600,
                                    .requests = 1000,
                                    .unserved = 7,
                                    .refused = NAN,
                                    .instance_hours = hours,
                                    .cost = hours / 10,
                                    .instances_max = 4 };
    snprintf(row.service, sizeof row.service, "%s", service);
    snprintf(row.policy, sizeof row.policy, "%s", policy);
    return row;
}

struct kept {
    struct store_ledger_row rows[16];
    size_t len;
};

static bool keep(void *self, const struct store_ledger_row *row) {
    struct kept *kept = self;
    kept->rows[kept->len++] = *row;
    return kept->len < 16;
}

static struct kept read_back(struct store *s, const char *service, int64_t from_ms, int64_t to_ms) {
    struct kept kept = { .len = 0 };
    struct error err = { 0 };
    if (!store_read_ledger(s, slice_from(service), from_ms, to_ms, keep, &kept, &err)) {
        fail_msg("%s", err.text);
    }
    return kept;
}

static void put(struct store *s, const struct store_ledger_row row) {
    assert_true(store_put_ledger(s, &row));
}

static void rows_come_back_after_a_restart_and_are_replaced(void **state) {
    (void)state;
    struct store *s = must_open();
    put(s, row_of("shop", "tidegate", START_MS, 1));
    put(s, row_of("shop", "hpa", START_MS, 5));
    put(s, row_of("shop", "hpa", START_MS + MS_PER_HOUR, 6));
    put(s, row_of("api", "hpa", START_MS, 9));
    put(s, row_of("shop", "tidegate", START_MS, 2)); /* the same hour, later */
    store_close(s, 5000);
    s = must_open();
    struct kept kept = read_back(s, "shop", START_MS, START_MS + MS_PER_HOUR);
    assert_int_equal(kept.len, 2);
    assert_string_equal(kept.rows[0].policy, "hpa");
    const struct store_ledger_row *row = &kept.rows[1];
    assert_string_equal(row->service, "shop");
    assert_string_equal(row->policy, "tidegate");
    assert_true(row->hour_ms == START_MS);
    assert_float_equal(row->seconds, 3600, 1e-9);
    assert_float_equal(row->requests, 1000, 1e-9);
    assert_float_equal(row->unserved, 7, 1e-9);
    assert_true(isnan(row->refused));
    assert_float_equal(row->instance_hours, 2, 1e-9);
    assert_float_equal(row->cost, 0.2, 1e-9);
    assert_int_equal(row->instances_max, 4);
    store_close(s, 1000);
}

static void all_services_are_summed_up(void **state) {
    (void)state;
    struct store *s = must_open();
    struct store_ledger_row free_of_charge = row_of("api", "tidegate", START_MS, 3);
    free_of_charge.cost = NAN;
    free_of_charge.seconds = 60;
    put(s, row_of("shop", "hpa", START_MS, 5));
    put(s, row_of("api", "hpa", START_MS, 9));
    put(s, row_of("shop", "tidegate", START_MS, 1));
    put(s, free_of_charge);
    store_close(s, 5000);
    s = must_open();
    struct kept kept = read_back(s, "", START_MS, START_MS + MS_PER_HOUR);
    assert_int_equal(kept.len, 2);
    assert_float_equal(kept.rows[0].instance_hours, 14, 1e-9);
    assert_float_equal(kept.rows[0].cost, 1.4, 1e-9);
    assert_float_equal(kept.rows[1].unserved, 14, 1e-9);
    assert_float_equal(kept.rows[1].seconds, 3600, 1e-9);
    assert_true(isnan(kept.rows[1].cost)); /* of one it is not known */
    store_close(s, 1000);
}

static void what_is_older_than_the_retention_goes(void **state) {
    (void)state;
    const struct store_backend *sqlite = &store_backend_sqlite;
    static struct store_batch batch;
    struct kept kept = { .len = 0 };
    int64_t now_ms = START_MS + STORE_RETENTION_LEDGER_MS;
    void *db = sqlite->open(path_of("x.db"), STORE_WRITER, NULL);
    assert_non_null(db);
    memset(&batch, 0, sizeof batch);
    for (int i = -1; i <= 1; i++) {
        struct store_event *event = &batch.events[batch.event_count++];
        event->kind = STORE_EVENT_LEDGER;
        event->ledger = row_of("shop", "hpa", START_MS + i * MS_PER_HOUR, 1);
    }
    assert_true(sqlite->write(db, &batch, NULL));
    for (bool more = true; more;) {
        assert_true(sqlite->maintain(db, now_ms, &more, NULL));
    }
    assert_true(sqlite->read_ledger(db, SLICE("shop"), 0, now_ms, keep, &kept, NULL));
    assert_int_equal(kept.len, 2);
    assert_true(kept.rows[0].hour_ms == START_MS);
    sqlite->close(db);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_come_back_after_a_restart_and_are_replaced, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(all_services_are_summed_up, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_older_than_the_retention_goes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
