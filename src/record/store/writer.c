/* The writer's thread: takes batches out of the queue and carries each to the database, however
 * long that takes. What fails is tried again with back-off; nobody waits for it. */
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "record/store/store_internal.h"

#define RETRY_FIRST_US 50000
#define RETRY_MAX_US 5000000
#define MAINTAIN_EVERY_US 10000000
#define MAINTAIN_AGAIN_US 100000 /* between two steps: readers and writes come first */

static void note_success(struct store *s, size_t rows) {
    pthread_mutex_lock(&s->health_lock);
    bool recovered = s->health.failed_attempts > 0 && !s->health.writing;
    s->health.writing = true;
    s->health.trouble[0] = '\0';
    s->health.written_rows += rows;
    s->health.bytes = s->backend->bytes(s->writer);
    pthread_mutex_unlock(&s->health_lock);
    if (recovered) {
        log_info("store_recovered", "store=%s", s->where);
    }
}

static void note_failure(struct store *s, const struct error *err) {
    pthread_mutex_lock(&s->health_lock);
    bool news = s->health.writing || s->health.failed_attempts == 0;
    s->health.writing = false;
    s->health.failed_attempts++;
    size_t len = strnlen(err->text, sizeof s->health.trouble - 1);
    memcpy(s->health.trouble, err->text, len);
    s->health.trouble[len] = '\0';
    pthread_mutex_unlock(&s->health_lock);
    if (news) {
        log_warn("store_not_written", "store=%s error=\"%s\" action=keep_and_retry", s->where,
                 err->text);
    }
}

static bool ensure_open(struct store *s, struct error *err) {
    if (s->writer == NULL) {
        s->writer = s->backend->open(s->where, STORE_WRITER, err);
    }
    return s->writer != NULL;
}

static bool write_batch(struct store *s, struct error *err) {
    size_t rows = s->batch->sample_count + s->batch->event_count;
    if (!ensure_open(s, err) || (rows > 0 && !s->backend->write(s->writer, s->batch, err))) {
        return false;
    }
    s->batch->sample_count = s->batch->event_count = 0;
    note_success(s, rows);
    return true;
}

/* True when it wants to be called again soon. */
static bool maintain(struct store *s) {
    struct error err = { 0 };
    bool more = false;
    if (s->writer != NULL && !s->backend->maintain(s->writer, clock_unix_ms(), &more, &err)) {
        note_failure(s, &err);
        more = false;
    }
    return more;
}

static bool closing(struct store *s, bool *empty) {
    pthread_mutex_lock(&s->queue.lock);
    bool value = s->queue.closing;
    *empty = s->queue.sample_count + s->queue.event_count == 0;
    pthread_mutex_unlock(&s->queue.lock);
    return value;
}

static bool finished(struct store *s) {
    bool empty;
    if (!closing(s, &empty)) {
        return false;
    }
    bool all_written = empty && s->batch->sample_count + s->batch->event_count == 0;
    return all_written || clock_monotonic_us() >= s->close_until_us;
}

static void back_off(struct store *s, uint64_t *delay_us) {
    bool empty;
    uint64_t now_us = clock_monotonic_us();
    if (closing(s, &empty)) {
        struct timespec wait = { .tv_nsec = RETRY_FIRST_US * 1000L };
        nanosleep(&wait, NULL); /* the queue no longer waits: it is closing */
        return;
    }
    store_queue_pause(&s->queue, now_us + *delay_us);
    *delay_us = *delay_us * 2 > RETRY_MAX_US ? RETRY_MAX_US : *delay_us * 2;
}

/* One turn: take, write, or fail and wait. */
static void turn(struct store *s, uint64_t *delay_us, uint64_t *maintain_us) {
    struct error err = { 0 };
    if (s->batch->sample_count + s->batch->event_count == 0) {
        store_queue_take(&s->queue, *maintain_us, s->batch);
    }
    if (!write_batch(s, &err)) {
        note_failure(s, &err);
        back_off(s, delay_us);
        return;
    }
    *delay_us = RETRY_FIRST_US;
    if (clock_monotonic_us() >= *maintain_us) {
        bool again = maintain(s);
        *maintain_us = clock_monotonic_us() + (again ? MAINTAIN_AGAIN_US : MAINTAIN_EVERY_US);
    }
}

void *store_writer_main(void *store) {
    struct store *s = store;
    uint64_t delay_us = RETRY_FIRST_US, maintain_us = clock_monotonic_us() + MAINTAIN_AGAIN_US;
    do { /* at least once: the database is made even when nothing is said */
        turn(s, &delay_us, &maintain_us);
    } while (!finished(s));
    s->backend->close(s->writer);
    s->writer = NULL;
    return NULL;
}
