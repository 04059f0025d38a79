#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/shm/vitals.h"

static int set_up(void **state) {
    int fd;
    struct error err = { 0 };
    *state = vitals_new(2, &fd, &err);
    if (*state == NULL) {
        fail_msg("%s", err.text);
    }
    close(fd); /* the mapping stays */
    return 0;
}

static int tear_down(void **state) {
    vitals_free(*state);
    return 0;
}

static void a_full_ring_drops_and_counts(void **state) {
    struct vitals_worker *w = &((struct vitals *)*state)->workers[0];
    static struct request_record out[100];
    for (unsigned i = 0; i < VITALS_RING_RECORDS + 7; i++) {
        vitals_record(w, &(struct request_record){ .trace_id = i });
    }
    assert_int_equal(vitals_get(&w->records_dropped), 7);
    assert_int_equal(vitals_drain(w, out, 100), 100);
    assert_int_equal(out[99].trace_id, 99);
    vitals_record(w, &(struct request_record){ .trace_id = 5000000 });
    unsigned count, last = 0;
    while ((count = vitals_drain(w, out, 100)) > 0) {
        last = (unsigned)out[count - 1].trace_id;
    }
    assert_int_equal(last, 5000000);
}

/* One writes, one reads, at full speed: every record is dropped and counted or arrives whole. */
enum { RECORDS = 400000 };

static void *write_records(void *argument) {
    struct vitals_worker *w = argument;
    for (uint64_t i = 1; i <= RECORDS; i++) {
        vitals_record(w, &(struct request_record){ .trace_id = i, .bytes_out = i * 3 });
    }
    return NULL;
}

static void the_ring_holds_under_a_race(void **state) {
    struct vitals_worker *w = &((struct vitals *)*state)->workers[1];
    struct request_record *out = calloc(256, sizeof *out);
    pthread_t writer;
    uint64_t seen = 0, last = 0;
    pthread_create(&writer, NULL, write_records, w);
    while (seen + vitals_get(&w->records_dropped) < RECORDS) {
        unsigned count = vitals_drain(w, out, 256);
        for (unsigned i = 0; i < count; i++) {
            assert_true(out[i].trace_id > last);
            assert_true(out[i].bytes_out == out[i].trace_id * 3);
            last = out[i].trace_id;
        }
        seen += count;
    }
    pthread_join(writer, NULL);
    assert_int_equal(seen + vitals_get(&w->records_dropped), RECORDS);
    free(out);
}

static void endpoints_are_summed_over_workers_of_their_generation(void **state) {
    struct vitals *v = *state;
    for (unsigned worker = 0; worker < 2; worker++) {
        vitals_adopt_endpoint(v, worker, 7, 1);
        atomic_store(&v->workers[worker].endpoints[7].in_flight, 3 + worker);
        atomic_store(&v->workers[worker].endpoints[7].awaiting, 1 + worker);
        atomic_store(&v->workers[worker].endpoints[7].oldest_awaiting_us, 1000 + worker);
    }
    assert_int_equal(vitals_endpoint_in_flight(v, 7, 1), 7);
    assert_int_equal(vitals_endpoint_awaiting(v, 7, 1), 3);
    assert_int_equal(vitals_endpoint_oldest_us(v, 7, 1), 1000);
    vitals_adopt_endpoint(v, 0, 7, 2); /* one worker has the new plan already */
    assert_int_equal(vitals_endpoint_in_flight(v, 7, 2), 0);
    assert_int_equal(vitals_endpoint_in_flight(v, 7, 1), 4);
    vitals_clear_in_flight(&v->workers[1]);
    assert_int_equal(vitals_endpoint_in_flight(v, 7, 1), 0);
    assert_int_equal(vitals_endpoint_awaiting(v, 7, 1), 0);
    assert_int_equal(vitals_endpoint_oldest_us(v, 7, 1), 0);
}

static void a_new_generation_starts_unknown(void **state) {
    struct vitals *v = *state;
    vitals_adopt_endpoint(v, 0, 9, 4);
    vitals_add(&v->workers[0].endpoints[9].requests, 5);
    histogram_record(&v->workers[0].endpoints[9].first_byte_us, 100);
    atomic_store(&v->shared[9].ewma_us, 777);
    atomic_store(&v->shared[9].ejected_until_us, 777);
    vitals_adopt_endpoint(v, 0, 9, 4); /* the same one: nothing is lost */
    assert_int_equal(vitals_get(&v->workers[0].endpoints[9].requests), 5);
    assert_int_equal(atomic_load(&v->shared[9].ewma_us), 777);
    vitals_adopt_endpoint(v, 0, 9, 5);
    assert_int_equal(vitals_get(&v->workers[0].endpoints[9].requests), 0);
    assert_int_equal(histogram_quantile(&v->workers[0].endpoints[9].first_byte_us, 0.5), 0);
    assert_int_equal(atomic_load(&v->shared[9].ewma_us), 0);
    assert_int_equal(atomic_load(&v->shared[9].ejected_until_us), 0);
}

static void every_reason_has_a_name(void **state) {
    (void)state;
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        assert_non_null(record_reason_name(i));
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(record_reason_name(i), record_reason_name(j));
        }
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_full_ring_drops_and_counts),
        CASE(the_ring_holds_under_a_race),
        CASE(endpoints_are_summed_over_workers_of_their_generation),
        CASE(a_new_generation_starts_unknown),
        CASE(every_reason_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
