/* Inside of the store: what store.c, writer.c and jobs.c share. Locks, in this order and never the
 * other way: read_lock, then queue.lock, jobs_lock or health_lock; the last three never together.
 */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "record/store/queue.h"
#include "record/store/store_backend.h"

struct store {
    const struct store_backend *backend;
    char *where; /* absolute, or relative to the process */

    /* The writer: its thread alone uses `writer`. */
    struct store_queue queue;
    pthread_t writer_thread;
    bool threads_running;
    void *writer; /* NULL: not open (yet) */
    struct store_batch *batch;
    uint64_t close_until_us; /* set before queue.closing */
    _Atomic int64_t last_id;

    pthread_mutex_t health_lock;
    struct store_health health; /* queued and dropped rows are read from the queue */

    pthread_mutex_t read_lock; /* one reader at a time */
    void *reader;              /* NULL: opened when first asked */

    pthread_mutex_t jobs_lock;
    pthread_cond_t jobs_changed;
    pthread_t jobs_thread;
    struct store_job *jobs_waiting, *jobs_done; /* lists, oldest first */
    size_t jobs_count;
    bool jobs_closing;
    int jobs_fd; /* eventfd; -1: a reader without threads */
};

void *store_writer_main(void *store);
void *store_jobs_main(void *store);
