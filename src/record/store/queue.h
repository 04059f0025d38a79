/* The bounded queue between those who append rows and the writer. Two rings with one lock, held
 * only for copying: samples (the oldest give way to new ones) and events (decisions, instances;
 * when even they are too many, the new ones are refused: how a trouble began is worth more). */
#pragma once
#include <pthread.h>

#include "record/store/store_backend.h"

struct store_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* something came, or `closing` */
    struct store_sample *samples;
    struct store_event *events;
    size_t sample_first, sample_count, event_first, event_count;
    uint64_t dropped_samples, dropped_decisions, dropped_instances;
    bool closing;
};

bool store_queue_init(struct store_queue *q); /* false: memory is out */
void store_queue_fini(struct store_queue *q);

void store_queue_sample(struct store_queue *q, const struct store_sample *sample);
bool store_queue_event(struct store_queue *q, const struct store_event *event);
void store_queue_close(struct store_queue *q);

/* Waits until there is something, `until_us` (monotonic) or closing; then moves a batch out.
 * `batch` must be empty. */
void store_queue_take(struct store_queue *q, uint64_t until_us, struct store_batch *batch);
/* Waits until `until_us` or closing. */
void store_queue_pause(struct store_queue *q, uint64_t until_us);
