/* Questions that somebody who must not wait has asked: a thread carries them to the reader and
 * back, one after the other. */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "record/store/store_internal.h"

static void append(struct store_job **list, struct store_job *job) {
    job->next = NULL;
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = job;
}

bool store_ask(struct store *s, struct store_job *job) {
    pthread_mutex_lock(&s->jobs_lock);
    bool room = s->jobs_count < STORE_JOBS_MAX && !s->jobs_closing && s->threads_running;
    if (room) {
        s->jobs_count++;
        append(&s->jobs_waiting, job);
        pthread_cond_signal(&s->jobs_changed);
    }
    pthread_mutex_unlock(&s->jobs_lock);
    return room;
}

int store_jobs_fd(const struct store *s) {
    return s->jobs_fd;
}

static struct store_job *wait_for_job(struct store *s) {
    pthread_mutex_lock(&s->jobs_lock);
    while (s->jobs_waiting == NULL && !s->jobs_closing) {
        pthread_cond_wait(&s->jobs_changed, &s->jobs_lock);
    }
    struct store_job *job = s->jobs_closing ? NULL : s->jobs_waiting;
    if (job != NULL) {
        s->jobs_waiting = job->next;
    }
    pthread_mutex_unlock(&s->jobs_lock);
    return job;
}

void *store_jobs_main(void *store) {
    struct store *s = store;
    struct store_job *job;
    while ((job = wait_for_job(s)) != NULL) {
        job->run(job, s);
        pthread_mutex_lock(&s->jobs_lock);
        append(&s->jobs_done, job);
        pthread_mutex_unlock(&s->jobs_lock);
        eventfd_write(s->jobs_fd, 1);
    }
    return NULL;
}

void store_finish_jobs(struct store *s) {
    eventfd_t count;
    eventfd_read(s->jobs_fd, &count);
    pthread_mutex_lock(&s->jobs_lock);
    struct store_job *done = s->jobs_done;
    s->jobs_done = NULL;
    for (struct store_job *job = done; job != NULL; job = job->next) {
        s->jobs_count--;
    }
    pthread_mutex_unlock(&s->jobs_lock);
    while (done != NULL) {
        struct store_job *job = done;
        done = job->next;
        job->done(job);
    }
}
