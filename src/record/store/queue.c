#include "record/store/queue.h"

#include <stdlib.h>
#include <time.h>

bool store_queue_init(struct store_queue *q) {
    pthread_condattr_t monotonic;
    *q = (struct store_queue){ 0 };
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&q->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    q->samples = malloc(STORE_QUEUE_SAMPLES * sizeof *q->samples);
    q->events = malloc(STORE_QUEUE_EVENTS * sizeof *q->events);
    return q->samples != NULL && q->events != NULL;
}

void store_queue_fini(struct store_queue *q) {
    free(q->samples);
    free(q->events);
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
}

void store_queue_sample(struct store_queue *q, const struct store_sample *sample) {
    pthread_mutex_lock(&q->lock);
    if (q->sample_count == STORE_QUEUE_SAMPLES) {
        q->sample_first = (q->sample_first + 1) % STORE_QUEUE_SAMPLES;
        q->sample_count--;
        q->dropped_samples++;
    }
    q->samples[(q->sample_first + q->sample_count++) % STORE_QUEUE_SAMPLES] = *sample;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

bool store_queue_event(struct store_queue *q, const struct store_event *event) {
    pthread_mutex_lock(&q->lock);
    bool room = q->event_count < STORE_QUEUE_EVENTS;
    if (room) {
        q->events[(q->event_first + q->event_count++) % STORE_QUEUE_EVENTS] = *event;
        pthread_cond_signal(&q->changed);
    } else if (event->kind == STORE_EVENT_INSTANCE) {
        q->dropped_instances++;
    } else {
        q->dropped_decisions++;
    }
    pthread_mutex_unlock(&q->lock);
    return room;
}

void store_queue_close(struct store_queue *q) {
    pthread_mutex_lock(&q->lock);
    q->closing = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

static struct timespec timespec_of(uint64_t us) {
    return (struct timespec){ .tv_sec = (time_t)(us / 1000000),
                              .tv_nsec = (long)(us % 1000000) * 1000 };
}

static void move_batch(struct store_queue *q, struct store_batch *batch) {
    while (q->event_count > 0 && batch->event_count < STORE_BATCH_EVENTS) {
        batch->events[batch->event_count++] = q->events[q->event_first];
        q->event_first = (q->event_first + 1) % STORE_QUEUE_EVENTS;
        q->event_count--;
    }
    while (q->sample_count > 0 && batch->sample_count < STORE_BATCH_SAMPLES) {
        batch->samples[batch->sample_count++] = q->samples[q->sample_first];
        q->sample_first = (q->sample_first + 1) % STORE_QUEUE_SAMPLES;
        q->sample_count--;
    }
}

void store_queue_take(struct store_queue *q, uint64_t until_us, struct store_batch *batch) {
    struct timespec until = timespec_of(until_us);
    pthread_mutex_lock(&q->lock);
    while (q->sample_count == 0 && q->event_count == 0 && !q->closing) {
        if (pthread_cond_timedwait(&q->changed, &q->lock, &until) != 0) {
            break; /* the time is over */
        }
    }
    move_batch(q, batch);
    pthread_mutex_unlock(&q->lock);
}

void store_queue_pause(struct store_queue *q, uint64_t until_us) {
    struct timespec until = timespec_of(until_us);
    pthread_mutex_lock(&q->lock);
    while (!q->closing && pthread_cond_timedwait(&q->changed, &q->lock, &until) == 0) {
        /* New rows wait as well. */
    }
    pthread_mutex_unlock(&q->lock);
}
