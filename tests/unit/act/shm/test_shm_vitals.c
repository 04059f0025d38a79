#include <pthread.h>
#include <sched.h>
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

static void fill_texts(struct slice *texts, uint64_t seed) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdef";
    for (unsigned i = 0; i < RECORD_TEXT_COUNT; i++) {
        texts[i] = slice_of(letters + seed % 26, (seed * 7 + i * 13) % 31); /* below every limit */
    }
}

static void expect_texts(const struct vitals_worker *w, const struct request_record *r) {
    struct slice texts[RECORD_TEXT_COUNT], wanted[RECORD_TEXT_COUNT];
    fill_texts(wanted, r->trace_id);
    vitals_texts(w, r, texts);
    for (unsigned i = 0; i < RECORD_TEXT_COUNT; i++) {
        assert_true(slice_equal(texts[i], wanted[i]));
    }
}

static void texts_are_cut_and_come_back(void **state) {
    struct vitals_worker *w = &((struct vitals *)*state)->workers[0];
    static char long_text[5000];
    struct slice texts[RECORD_TEXT_COUNT] = { 0 };
    struct request_record r = { .trace_id = 1 };
    memset(long_text, 'x', sizeof long_text);
    texts[RECORD_TEXT_PATH] = slice_of(long_text, sizeof long_text);
    texts[RECORD_TEXT_LINE] = SLICE("end");
    vitals_release(w, atomic_load(&w->ring_head));
    uint64_t at = atomic_load(&w->ring_tail);
    assert_null(vitals_peek(w, at));
    vitals_record_with_texts(w, &r, texts);
    vitals_record(w, &(struct request_record){ .trace_id = 2 });
    const struct request_record *got = vitals_peek(w, at);
    assert_non_null(got);
    vitals_texts(w, got, texts);
    assert_int_equal(texts[RECORD_TEXT_PATH].len, 1024);
    assert_true(slice_equal(texts[RECORD_TEXT_LINE], SLICE("end")));
    assert_int_equal(texts[RECORD_TEXT_AGENT].len, 0);
    got = vitals_peek(w, at + 1);
    assert_int_equal(got->trace_id, 2);
    vitals_texts(w, got, texts);
    assert_int_equal(texts[RECORD_TEXT_PATH].len, 0);
    assert_null(vitals_peek(w, at + 2));
    vitals_release(w, at + 2);
    assert_int_equal(atomic_load(&w->text_tail), atomic_load(&w->text_head));
}

/* Without a reader the ring of bytes fills first: records go on, without texts, and are counted. */
static void texts_without_room_are_counted(void **state) {
    struct vitals_worker *w = &((struct vitals *)*state)->workers[0];
    static char bytes[2000];
    struct slice texts[RECORD_TEXT_COUNT] = {
        [RECORD_TEXT_PATH] = { bytes, 1000 }, [RECORD_TEXT_QUERY] = { bytes, 1000 }
    };
    vitals_release(w, atomic_load(&w->ring_head));
    for (unsigned i = 0; i < VITALS_RING_RECORDS; i++) {
        vitals_record_with_texts(w, &(struct request_record){ .trace_id = i }, texts);
    }
    uint64_t dropped = vitals_get(&w->texts_dropped);
    assert_true(dropped > VITALS_RING_RECORDS - VITALS_TEXT_BYTES / 2000 - 2 &&
                dropped < VITALS_RING_RECORDS);
    uint64_t head = atomic_load(&w->text_head);
    vitals_record_with_texts(w, &(struct request_record){ 0 }, texts);
    assert_int_equal(atomic_load(&w->text_head), head); /* a dropped record takes no room */
    vitals_release(w, atomic_load(&w->ring_head));
    vitals_record_with_texts(w, &(struct request_record){ .trace_id = 7 }, texts);
    assert_int_equal(vitals_get(&w->texts_dropped), dropped);
}

static void *write_texts(void *argument) {
    struct vitals_worker *w = argument;
    struct slice texts[RECORD_TEXT_COUNT];
    for (uint64_t i = 1; i <= RECORDS; i++) {
        struct request_record r = { .trace_id = i, .bytes_out = i * 3 };
        fill_texts(texts, i);
        while (i - atomic_load(&w->ring_tail) >= VITALS_RING_RECORDS) {
            sched_yield(); /* a record that is dropped proves nothing */
        }
        vitals_record_with_texts(w, &r, texts);
    }
    return NULL;
}

/* The reader gives back in uneven steps; the ring of bytes goes round many times. */
static void texts_hold_under_a_race(void **state) {
    struct vitals_worker *w = &((struct vitals *)*state)->workers[1];
    pthread_t writer;
    uint64_t dropped = vitals_get(&w->records_dropped), seen = 0;
    vitals_release(w, atomic_load(&w->ring_head));
    uint64_t at = atomic_load(&w->ring_tail);
    pthread_create(&writer, NULL, write_texts, w);
    while (seen + vitals_get(&w->records_dropped) - dropped < RECORDS) {
        const struct request_record *r;
        for (unsigned step = 0; step < 1 + seen % 300 && (r = vitals_peek(w, at)) != NULL; step++) {
            if (r->text_bytes > 0) {
                expect_texts(w, r);
            }
            at++;
            seen++;
        }
        vitals_release(w, at);
    }
    pthread_join(writer, NULL);
    assert_true(atomic_load(&w->text_head) > 4ull * VITALS_TEXT_BYTES);
}

static void endpoints_are_summed_over_workers_of_their_generation(void **state) {
    struct vitals *v = *state;
    for (unsigned worker = 0; worker < 2; worker++) {
        vitals_adopt_endpoint(v, worker, 7, 1, 0);
        atomic_store(&v->workers[worker].endpoints[7].in_flight, 3 + worker);
        atomic_store(&v->workers[worker].endpoints[7].awaiting, 1 + worker);
        atomic_store(&v->workers[worker].endpoints[7].oldest_awaiting_us, 1000 + worker);
    }
    assert_int_equal(vitals_endpoint_in_flight(v, 7, 1), 7);
    assert_int_equal(vitals_endpoint_awaiting(v, 7, 1), 3);
    assert_int_equal(vitals_endpoint_oldest_us(v, 7, 1), 1000);
    vitals_adopt_endpoint(v, 0, 7, 2, 0); /* one worker has the new plan already */
    assert_int_equal(vitals_endpoint_in_flight(v, 7, 2), 0);
    assert_int_equal(vitals_endpoint_in_flight(v, 7, 1), 4);
    vitals_clear_in_flight(&v->workers[1]);
    assert_int_equal(vitals_endpoint_in_flight(v, 7, 1), 0);
    assert_int_equal(vitals_endpoint_awaiting(v, 7, 1), 0);
    assert_int_equal(vitals_endpoint_oldest_us(v, 7, 1), 0);
}

static void a_new_generation_starts_unknown(void **state) {
    struct vitals *v = *state;
    vitals_adopt_endpoint(v, 0, 9, 4, 0);
    vitals_add(&v->workers[0].endpoints[9].requests, 5);
    histogram_record(&v->workers[0].endpoints[9].first_byte_us, 100);
    atomic_store(&v->shared[9].ewma_us, 777);
    atomic_store(&v->shared[9].ejected_until_us, 777);
    vitals_adopt_endpoint(v, 0, 9, 4, 0); /* the same one: nothing is lost */
    assert_int_equal(vitals_get(&v->workers[0].endpoints[9].requests), 5);
    assert_int_equal(atomic_load(&v->shared[9].ewma_us), 777);
    vitals_adopt_endpoint(v, 0, 9, 5, 7);
    assert_int_equal(vitals_get(&v->workers[0].endpoints[9].requests), 0);
    assert_int_equal(histogram_quantile(&v->workers[0].endpoints[9].first_byte_us, 0.5), 0);
    assert_int_equal(atomic_load(&v->shared[9].ewma_us), 0);
    assert_int_equal(atomic_load(&v->shared[9].ejected_until_us), 0);
    assert_int_equal(atomic_load(&v->shared[9].cold_steps), 7);
}

static void a_full_ring_of_events_drops_and_counts(void **state) {
    struct vitals *v = *state;
    struct vitals_worker *w = &v->workers[0];
    struct vitals_event e;
    for (uint32_t i = 0; i < VITALS_EVENTS + 3; i++) {
        vitals_tell(w, &(struct vitals_event){ .in_a_row = i });
    }
    assert_int_equal(vitals_get(&w->events_dropped), 3);
    for (uint32_t i = 0; i < VITALS_EVENTS; i++) {
        assert_true(vitals_hear(w, &e));
        assert_int_equal(e.in_a_row, i);
    }
    assert_false(vitals_hear(w, &e));
    vitals_tell(w, &(struct vitals_event){ .in_a_row = 9 });
    assert_true(vitals_hear(w, &e) && e.in_a_row == 9);
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
        CASE(a_full_ring_of_events_drops_and_counts),
        CASE(the_ring_holds_under_a_race),
        CASE(texts_are_cut_and_come_back),
        CASE(texts_without_room_are_counted),
        CASE(texts_hold_under_a_race),
        CASE(endpoints_are_summed_over_workers_of_their_generation),
        CASE(a_new_generation_starts_unknown),
        CASE(every_reason_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
