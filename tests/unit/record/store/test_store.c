#include "store_fixture.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/store/queue.h"

#define START_MS 1800000000000LL /* a whole minute */

static bool written(struct store *s, uint64_t rows, unsigned patience_ms) {
    for (unsigned waited_ms = 0; waited_ms < patience_ms; waited_ms += 5) {
        if (store_health(s).written_rows >= rows) {
            return true;
        }
        usleep(5000);
    }
    return false;
}

static struct store_sample sample_at(const char *service, int64_t time_ms, double offered_rps) {
    struct store_sample sample = { .step_s = 1,
                                   .time_ms = time_ms,
                                   .offered_rps = offered_rps,
                                   .served_rps = offered_rps,
                                   .latency_ms_p50 = NAN,
                                   .latency_ms_p99 = offered_rps,
                                   .forecast_rps = NAN };
    snprintf(sample.service, sizeof sample.service, "%s", service);
    return sample;
}

static struct decision decision_of(const char *service, const char *action) {
    struct decision d;
    decision_init(&d, START_MS);
    strcpy(d.kind, "heal");
    strcpy(d.reason, "storefront-1 died; \"storefront-4\" takes over");
    strcpy(d.evidence, "{\"exit\":9}");
    snprintf(d.service, sizeof d.service, "%s", service);
    snprintf(d.action, sizeof d.action, "%s", action);
    return d;
}

struct samples {
    struct store_sample rows[256];
    size_t len;
};

static bool keep_sample(void *self, const struct store_sample *sample) {
    struct samples *kept = self;
    kept->rows[kept->len++] = *sample;
    return kept->len < 256;
}

struct decisions {
    struct decision rows[64];
    size_t len;
};

static bool keep_decision(void *self, const struct decision *decision) {
    struct decisions *kept = self;
    kept->rows[kept->len++] = *decision;
    return kept->len < 64;
}

static void samples_come_back(void **state) {
    (void)state;
    struct samples kept = { .len = 0 };
    struct store *s = must_open();
    for (int i = 0; i < 10; i++) {
        struct store_sample one = sample_at("shop", START_MS + i * 1000, i);
        struct store_sample other = sample_at("api", START_MS + i * 1000, 100);
        store_append_sample(s, &one);
        store_append_sample(s, &other);
    }
    assert_true(written(s, 20, 20000));
    struct store_sample_query query = { SLICE("shop"), START_MS, START_MS + 10000, 5 };
    assert_true(store_read_samples(s, &query, keep_sample, &kept, NULL));
    assert_int_equal(kept.len, 2);
    assert_int_equal(kept.rows[1].time_ms, START_MS + 5000);
    assert_float_equal(kept.rows[0].offered_rps, 2, 1e-9);
    assert_float_equal(kept.rows[1].offered_rps, 7, 1e-9);
    assert_float_equal(kept.rows[1].latency_ms_p99, 9, 1e-9);
    assert_true(isnan(kept.rows[0].latency_ms_p50)); /* not known is not zero */
    kept.len = 0;
    query = (struct store_sample_query){ SLICE(""), START_MS + 2000, START_MS + 4000, 1 };
    assert_true(store_read_samples(s, &query, keep_sample, &kept, NULL));
    assert_int_equal(kept.len, 2);
    assert_float_equal(kept.rows[0].offered_rps, 102, 1e-9);
    store_close(s, 1000);
}

static void the_end_leaves_one_file_even_when_it_was_read(void **state) {
    (void)state;
    struct samples kept = { .len = 0 };
    struct store_sample_query query = { SLICE("shop"), START_MS, START_MS + 10000, 5 };
    struct store_sample sample = sample_at("shop", START_MS, 1);
    struct store *s = must_open();
    store_append_sample(s, &sample);
    assert_true(written(s, 1, 20000));
    assert_true(store_read_samples(s, &query, keep_sample, &kept, NULL));
    assert_int_equal(access(path_of("x.db-wal"), F_OK), 0);
    store_close(s, 20000);
    assert_int_equal(access(path_of("x.db-wal"), F_OK), -1);
}

static void ids_go_on_after_a_restart(void **state) {
    (void)state;
    struct decisions kept = { .len = 0 };
    struct decision d = decision_of("shop", "promote");
    struct store *s = must_open();
    assert_int_equal(store_append_decision(s, &d), 1);
    assert_int_equal(store_append_decision(s, &d), 2);
    store_close(s, 20000); /* writes what is queued */
    s = must_open();
    strcpy(d.action, "start");
    assert_int_equal(store_append_decision(s, &d), 3);
    store_append_healed(s, 2, 0.5, 31);
    assert_true(written(s, 2, 20000));
    struct store_decision_query query = { .limit = 10 };
    assert_true(store_read_decisions(s, &query, keep_decision, &kept, NULL));
    assert_int_equal(kept.len, 3);
    assert_int_equal(kept.rows[0].id, 3); /* newest first */
    assert_string_equal(kept.rows[0].action, "start");
    assert_string_equal(kept.rows[2].reason, d.reason);
    assert_float_equal(kept.rows[1].healed_ms, 31, 1e-9);
    assert_true(isnan(kept.rows[2].healed_ms) && isnan(kept.rows[2].worth));
    kept.len = 0;
    query = (struct store_decision_query){
        .after_id = 1, .before_id = 3, .limit = 10, .service = SLICE("shop"), .kind = SLICE("heal")
    };
    assert_true(store_read_decisions(s, &query, keep_decision, &kept, NULL));
    assert_int_equal(kept.len, 1);
    query.service = SLICE("other");
    kept.len = 0;
    assert_true(store_read_decisions(s, &query, keep_decision, &kept, NULL));
    assert_int_equal(kept.len, 0);
    store_close(s, 1000);
}

static bool keep_instance(void *self, const struct store_instance *instance) {
    *(struct store_instance *)self = *instance;
    return true;
}

static void an_instance_is_one_row(void **state) {
    (void)state;
    struct store_instance seen = { 0 };
    struct store_instance instance = { .id = "shop-1",
                                       .service = "shop",
                                       .started_ms = START_MS,
                                       .startup_ms = NAN,
                                       .exit_status = -1 };
    struct store *s = must_open();
    store_put_instance(s, &instance);
    instance.ready_ms = START_MS + 2900;
    instance.startup_ms = 2900;
    store_put_instance(s, &instance);
    assert_true(written(s, 2, 20000));
    assert_true(
        store_read_instances(s, SLICE("shop"), START_MS, START_MS + 1, keep_instance, &seen, NULL));
    assert_float_equal(seen.startup_ms, 2900, 1e-9);
    assert_int_equal(seen.exit_status, -1);
    store_close(s, 1000);
}

static void minutes_and_retention(void **state) {
    (void)state;
    const struct store_backend *sqlite = &store_backend_sqlite;
    static struct store_batch batch;
    struct samples kept = { .len = 0 };
    bool more = true;
    assert_int_equal(mkdir(path_of(""), 0700), 0);
    void *db = sqlite->open(path_of("x.db"), STORE_WRITER, NULL);
    assert_non_null(db);
    memset(&batch, 0, sizeof batch);
    for (int i = 0; i < 150; i++) { /* two whole minutes and a half */
        batch.samples[batch.sample_count++] = sample_at("shop", START_MS + i * 1000, i);
    }
    /* Ten seconds of a minute long ago: too few to speak for it. */
    for (int i = 0; i < 10; i++) {
        batch.samples[batch.sample_count++] =
            sample_at("shop", START_MS - 3600000 + i * 1000, 1000);
    }
    assert_true(sqlite->write(db, &batch, NULL));
    for (int steps = 0; more; steps++) {
        assert_true(steps < 20);
        assert_true(sqlite->maintain(db, START_MS + 150000, &more, NULL));
    }
    struct store_sample_query query = { SLICE("shop"), START_MS - 7200000, START_MS + 999999, 60 };
    assert_true(sqlite->read_samples(db, &query, keep_sample, &kept, NULL));
    assert_int_equal(kept.len, 2);
    assert_float_equal(kept.rows[0].offered_rps, 29.5, 1e-9);
    assert_float_equal(kept.rows[1].latency_ms_p99, 119, 1e-9);
    /* Two days later the seconds go, the minutes stay. */
    for (more = true; more;) {
        assert_true(
            sqlite->maintain(db, START_MS + STORE_RETENTION_SECONDS_MS + 151000, &more, NULL));
    }
    kept.len = 0;
    query.step_s = 1;
    assert_true(sqlite->read_samples(db, &query, keep_sample, &kept, NULL));
    assert_int_equal(kept.len, 0);
    query.step_s = 60;
    assert_true(sqlite->read_samples(db, &query, keep_sample, &kept, NULL));
    assert_int_equal(kept.len, 3); /* the third minute had its 30 seconds */
    sqlite->close(db);
}

static void a_locked_database_blocks_nobody(void **state) {
    (void)state;
    struct decision d = decision_of("shop", "start");
    sqlite3 *other;
    store_close(must_open(), 1000);
    assert_int_equal(sqlite3_open(path_of("x.db"), &other), SQLITE_OK);
    struct store *s = must_open();
    assert_true(written(s, 0, 100));
    assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    uint64_t start_us = clock_monotonic_us();
    for (int i = 0; i < 100; i++) {
        struct store_sample sample = sample_at("shop", START_MS + i * 1000, i);
        store_append_sample(s, &sample);
        store_append_decision(s, &d);
    }
    assert_true(clock_monotonic_us() - start_us < 5000000); /* who waits, waits for us */
    for (int i = 0; i < 4000 && store_health(s).failed_attempts == 0; i++) {
        usleep(5000);
    }
    assert_false(store_health(s).writing);
    assert_non_null(strstr(store_health(s).trouble, "locked"));
    /* Opening another one meanwhile works, too: the ids are readable. */
    struct store *second = must_open();
    store_close(second, 0);
    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(other);
    assert_true(written(s, 200, 20000));
    assert_true(store_health(s).writing);
    assert_string_equal(store_health(s).trouble, "");
    store_close(s, 1000);
}

static void a_full_disk_is_survived(void **state) {
    (void)state;
    struct rlimit before, full = { 8192, 8192 };
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full.rlim_max = before.rlim_max;
    struct store *s = must_open();
    struct decision d = decision_of("shop", "start");
    memset(d.evidence, 'x', sizeof d.evidence - 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    for (int i = 0; i < 64; i++) {
        store_append_decision(s, &d);
    }
    for (int i = 0; i < 4000 && store_health(s).failed_attempts == 0; i++) {
        usleep(5000);
    }
    struct store_health ill = store_health(s);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_true(ill.failed_attempts > 0);
    assert_false(ill.writing);
    assert_true(written(s, 64, 20000));
    struct store_chain chain;
    assert_true(store_verify_chain(s, &chain, NULL));
    assert_true(chain.whole);
    assert_int_equal(chain.rows, 64);
    store_close(s, 1000);
}

struct capacities {
    unsigned count;
    struct store_capacity last;
};

static bool take_capacity(void *self, const struct store_capacity *capacity) {
    struct capacities *seen = self;
    seen->count++;
    seen->last = *capacity;
    return true;
}

static void capacities_are_kept_the_newest_versions_of_each_service(void **state) {
    (void)state;
    struct store *s = must_open();
    struct store_capacity row = { .service = "shop", .len = 3, .bytes = { 1, 0, 255 } };
    for (int i = 0; i < 9; i++) {
        snprintf(row.version, sizeof row.version, "v%d", i);
        row.time_ms = 1000 + i;
        store_put_capacity(s, &row);
    }
    strcpy(row.service, "other");
    store_put_capacity(s, &row);
    strcpy(row.service, "shop");
    row.time_ms = 2000;
    row.bytes[1] = 7;
    store_put_capacity(s, &row);
    assert_true(written(s, 11, 20000));
    struct error err = { 0 };
    struct capacities seen = { 0 };
    assert_true(store_read_capacities(s, SLICE("shop"), take_capacity, &seen, &err));
    store_close(s, 1000);
    assert_int_equal(seen.count, 4);
    assert_string_equal(seen.last.version, "v8");
    assert_int_equal(seen.last.len, 3);
    assert_int_equal(seen.last.bytes[1], 7);
    assert_int_equal(seen.last.bytes[2], 255);
}

struct calls {
    unsigned count;
    struct store_calls last;
};

static bool take_calls(void *self, const struct store_calls *calls) {
    struct calls *seen = self;
    seen->count++;
    seen->last = *calls;
    return true;
}

static struct calls calls_of(struct store *s, const char *service) {
    struct calls seen = { 0 };
    struct error err = { 0 };
    assert_true(store_read_calls(s, slice_from(service), take_calls, &seen, &err));
    return seen;
}

static void calls_are_kept_one_row_a_service(void **state) {
    (void)state;
    struct store *s = must_open();
    struct store_calls row = { .service = "front", .len = 3, .bytes = { 1, 0, 255 } };
    store_put_calls(s, &row);
    row.time_ms = 2000;
    row.bytes[1] = 7;
    store_put_calls(s, &row);
    strcpy(row.service, "back");
    row.len = STORE_EVIDENCE_BYTES;
    store_put_calls(s, &row);
    assert_true(written(s, 3, 20000));
    struct calls front = calls_of(s, "front"), back = calls_of(s, "back");
    store_close(s, 1000);
    assert_int_equal(front.count, 1);
    assert_int_equal(front.last.time_ms, 2000);
    assert_int_equal(front.last.len, 3);
    assert_int_equal(front.last.bytes[1], 7);
    assert_int_equal(back.last.len, STORE_EVIDENCE_BYTES);
    /* What no Tidegate has written is told of, without its bytes. */
    tamper("UPDATE calls SET evidence = zeroblob(5000) WHERE service = 'front'");
    s = must_open();
    front = calls_of(s, "front");
    store_close(s, 1000);
    assert_int_equal(front.count, 1);
    assert_int_equal(front.last.len, 0);
}

static void queue_drops_old_samples_and_new_events(void **state) {
    (void)state;
    struct store_queue q;
    static struct store_batch batch;
    assert_true(store_queue_init(&q));
    for (int i = 0; i < STORE_QUEUE_SAMPLES + 10; i++) {
        struct store_sample sample = sample_at("shop", i, 1);
        store_queue_sample(&q, &sample);
    }
    struct store_event event = { .kind = STORE_EVENT_DECISION,
                                 .decision = decision_of("shop", "start") };
    for (int i = 0; i < STORE_QUEUE_EVENTS + 3; i++) {
        event.decision.id = i;
        assert_int_equal(store_queue_event(&q, &event), i < STORE_QUEUE_EVENTS);
    }
    assert_int_equal(q.dropped_samples, 10);
    assert_int_equal(q.dropped_decisions, 3);
    memset(&batch, 0, sizeof batch);
    store_queue_take(&q, 0, &batch);
    assert_int_equal(batch.sample_count, STORE_BATCH_SAMPLES);
    assert_int_equal(batch.samples[0].time_ms, 10);
    assert_int_equal(batch.event_count, STORE_BATCH_EVENTS);
    assert_int_equal(batch.events[1].decision.id, 1);
    store_queue_fini(&q);
}

/* ---- what must be refused ---- */

static void put_file(const char *name, const void *data, size_t len) {
    char path[128];
    mkdir(path_of(""), 0700);
    strcpy(path, path_of(name));
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_int_equal(write(fd, data, len), len);
    close(fd);
}

static void refused(const char *words) {
    struct error err = { 0 };
    assert_null(store_open(spec, folder, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, words));
    err = (struct error){ 0 };
    assert_false(store_check(spec, folder, &err));
    assert_non_null(strstr(err.text, words));
}

static void foreign_files_are_refused_and_unchanged(void **state) {
    (void)state;
    sqlite3 *other;
    struct stat before, after;
    put_file("x.db", "time,value\n1,2\n3,4\n5,6\nand more of what is no database at all", 60);
    refused("not a database");
    unlink(path_of("x.db"));
    assert_int_equal(sqlite3_open(path_of("x.db"), &other), SQLITE_OK);
    sqlite3_exec(other, "CREATE TABLE songs (title TEXT)", NULL, NULL, NULL);
    sqlite3_close(other);
    stat(path_of("x.db"), &before);
    refused("another program");
    stat(path_of("x.db"), &after);
    assert_int_equal(before.st_size, after.st_size);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
}

static void a_malformed_database_is_found(void **state) {
    (void)state;
    struct store *s = must_open();
    struct decision d = decision_of("shop", "start");
    char noise[4096];
    for (int i = 0; i < 200; i++) {
        store_append_decision(s, &d);
    }
    store_close(s, 3000);
    memset(noise, 0xa5, sizeof noise);
    int fd = open(path_of("x.db"), O_WRONLY);
    for (int page = 6; page < 16; page++) {
        assert_int_equal(pwrite(fd, noise, sizeof noise, page * 4096), sizeof noise);
    }
    close(fd);
    struct error err = { 0 };
    assert_false(store_check(spec, folder, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "malformed"));
}

static void specs(void **state) {
    (void)state;
    static const struct {
        const char *text, *words; /* NULL: fine */
    } cases[] = {
        { "sqlite:var/tidegate.db", NULL },    { "sqlite:/abs/x.db", NULL },
        { "sqlite:", "names no file" },        { "postgresql://db/shop", "not in this version" },
        { "mysql:x", "expected sqlite:PATH" }, { "sqlite", "expected sqlite:PATH" },
        { "", "expected sqlite:PATH" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = { 0 };
        assert_int_equal(store_check_spec(slice_from(cases[i].text), &err), cases[i].words == NULL);
        if (cases[i].words != NULL) {
            assert_non_null(strstr(err.text, cases[i].words));
        }
    }
}

/* ---- jobs ---- */

struct question {
    struct store_job job;
    struct samples answer;
    bool asked, done;
};

static void question_run(struct store_job *job, struct store *s) {
    struct question *q = (struct question *)job;
    struct store_sample_query query = { SLICE("shop"), START_MS, START_MS + 10000, 1 };
    q->asked = store_read_samples(s, &query, keep_sample, &q->answer, NULL);
}

static void question_done(struct store_job *job) {
    ((struct question *)job)->done = true;
}

static void jobs_run_elsewhere(void **state) {
    (void)state;
    static struct question questions[STORE_JOBS_MAX + 1];
    struct store *s = must_open();
    struct store_sample sample = sample_at("shop", START_MS, 7);
    store_append_sample(s, &sample);
    assert_true(written(s, 1, 20000));
    memset(questions, 0, sizeof questions);
    questions[0].job = (struct store_job){ .run = question_run, .done = question_done };
    assert_true(store_ask(s, &questions[0].job));
    struct pollfd ready = { .fd = store_jobs_fd(s), .events = POLLIN };
    assert_int_equal(poll(&ready, 1, 20000), 1);
    assert_false(questions[0].done); /* only in store_finish_jobs */
    store_finish_jobs(s);
    assert_true(questions[0].done && questions[0].asked);
    assert_int_equal(questions[0].answer.len, 1);
    /* As many as the limit says, and all hear of the end. */
    for (int i = 0; i <= STORE_JOBS_MAX; i++) {
        questions[i] = (struct question){ .job = { NULL, question_run, question_done } };
        assert_int_equal(store_ask(s, &questions[i].job), i < STORE_JOBS_MAX);
    }
    store_close(s, 1000);
    for (int i = 0; i < STORE_JOBS_MAX; i++) {
        assert_true(questions[i].done);
    }
}

/* ---- the audit chain ---- */

static void tampering_is_found(void **state) {
    (void)state;
    static const struct {
        const char *name, *sql;
        int64_t broken_id; /* 0: whole */
    } cases[] = {
        { "nothing", "SELECT 1", 0 },
        { "a sentence", "UPDATE decisions SET reason = 'all was well' WHERE id = 3", 3 },
        { "a number", "UPDATE decisions SET worth = 1 WHERE id = 2", 2 },
        { "a time", "UPDATE decisions SET time_ms = time_ms + 1 WHERE id = 5", 5 },
        { "words beyond the limit",
          "UPDATE decisions SET reason = printf('%.511c', 'r') || 'tail' WHERE id = 4", 4 },
        { "a row removed", "DELETE FROM decisions WHERE id = 2", 2 },
        { "a row and its link removed",
          "DELETE FROM decisions WHERE id = 2; DELETE FROM audit WHERE decision = 2", 3 },
        { "a row inserted",
          "INSERT INTO decisions SELECT 99, time_ms, kind, service, subject, "
          "action, reason, evidence, worth, noticed_ms, healed_ms FROM decisions "
          "WHERE id = 1",
          99 },
        { "a healing", "UPDATE healed SET healed_ms = 1", 1 },
        { "two swapped",
          "UPDATE decisions SET id = -id WHERE id IN (3, 4); UPDATE decisions SET "
          "id = 7 + id WHERE id < 0",
          3 },
        { "a link", "UPDATE audit SET hash = zeroblob(32) WHERE decision = 4", 4 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_chain chain;
        struct store *s = must_open();
        for (int k = 0; k < 5; k++) {
            struct decision d = decision_of("shop", k % 2 == 0 ? "start" : "stop");
            if (k == 3) {
                memset(d.reason, 'r', sizeof d.reason - 1);
                d.reason[sizeof d.reason - 1] = '\0';
            }
            store_append_decision(s, &d);
        }
        store_append_healed(s, 1, 2, 40);
        store_close(s, 3000);
        tamper(cases[i].sql);
        s = store_open_reader(spec, folder, NULL);
        assert_non_null(s);
        assert_true(store_verify_chain(s, &chain, NULL));
        store_close(s, 0);
        if (chain.broken_id != cases[i].broken_id) {
            fail_msg("%s: broken at %lld (%s)", cases[i].name, (long long)chain.broken_id,
                     chain.problem);
        }
        assert_int_equal(chain.whole, cases[i].broken_id == 0);
        unlink(path_of("x.db"));
    }
}

static void a_reader_creates_nothing(void **state) {
    (void)state;
    struct error err = { 0 };
    assert_null(store_open_reader(spec, folder, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_int_not_equal(access(path_of(""), F_OK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(samples_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_leaves_one_file_even_when_it_was_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(ids_go_on_after_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(an_instance_is_one_row, setup, teardown),
        cmocka_unit_test_setup_teardown(minutes_and_retention, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_are_kept_one_row_a_service, setup, teardown),
        cmocka_unit_test_setup_teardown(capacities_are_kept_the_newest_versions_of_each_service,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_locked_database_blocks_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_survived, setup, teardown),
        cmocka_unit_test(queue_drops_old_samples_and_new_events),
        cmocka_unit_test_setup_teardown(foreign_files_are_refused_and_unchanged, setup, teardown),
        cmocka_unit_test_setup_teardown(a_malformed_database_is_found, setup, teardown),
        cmocka_unit_test(specs),
        cmocka_unit_test_setup_teardown(jobs_run_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(tampering_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_creates_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
