#include "record/store/store.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/store/store_internal.h"

static const struct store_backend *const backends[] = { &store_backend_sqlite };

/* ---- the spec ---- */

static const struct store_backend *find_backend(struct slice spec, struct slice *where,
                                                struct error *err) {
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        struct slice scheme = slice_from(backends[i]->scheme);
        if (slice_starts_with(spec, scheme) && spec.len > scheme.len &&
            spec.data[scheme.len] == ':') {
            *where = slice_skip(spec, scheme.len + 1);
            return backends[i];
        }
    }
    if (slice_starts_with(spec, SLICE("postgresql:")) ||
        slice_starts_with(spec, SLICE("postgres:"))) {
        error_set(err, ERROR_INVALID, "'%.*s': PostgreSQL is not in this version; use sqlite:PATH",
                  SLICE_ARG(spec));
    } else {
        error_set(err, ERROR_INVALID, "'%.*s' is not a store; expected sqlite:PATH",
                  SLICE_ARG(spec));
    }
    return NULL;
}

/* `where` of the spec as a path, from `folder` when it is relative; the caller frees it. */
static char *resolve_where(struct slice where, const char *folder, struct error *err) {
    char *path = NULL;
    assert(where.len > 0);
    bool relative = where.data[0] != '/' && folder != NULL;
    int len = relative ? asprintf(&path, "%s/%.*s", folder, SLICE_ARG(where))
                       : asprintf(&path, "%.*s", SLICE_ARG(where));
    if (len < 0) {
        error_set(err, ERROR_LIMIT, "memory is out");
        return NULL;
    }
    return path;
}

bool store_check_spec(struct slice spec, struct error *err) {
    struct slice where;
    if (find_backend(spec, &where, err) == NULL) {
        return false;
    }
    if (where.len == 0 || memchr(where.data, '\0', where.len) != NULL) {
        return error_set(err, ERROR_INVALID, "'%.*s' names no file; expected sqlite:PATH",
                         SLICE_ARG(spec));
    }
    return true;
}

bool store_check(struct slice spec, const char *folder, struct error *err) {
    struct slice where = { 0 };
    if (!store_check_spec(spec, err)) {
        return false;
    }
    const struct store_backend *backend = find_backend(spec, &where, err);
    char *path = resolve_where(where, folder, err);
    if (path == NULL) {
        return false;
    }
    struct error why = { 0 };
    bool fine = backend->check(path, true, &why);
    free(path);
    /* Locked or out of reach for now is no reason not to start. */
    if (!fine && why.kind == ERROR_INVALID) {
        return error_set(err, ERROR_INVALID, "%s", why.text);
    }
    return true;
}

/* ---- open and close ---- */

static void store_free(struct store *s) {
    if (s->jobs_fd >= 0) {
        close(s->jobs_fd);
    }
    store_queue_fini(&s->queue);
    pthread_mutex_destroy(&s->health_lock);
    pthread_mutex_destroy(&s->read_lock);
    pthread_mutex_destroy(&s->jobs_lock);
    pthread_cond_destroy(&s->jobs_changed);
    free(s->batch);
    free(s->where);
    free(s);
}

static struct store *store_new(struct slice spec, const char *folder, struct error *err) {
    struct slice where = { 0 };
    if (!store_check_spec(spec, err)) {
        return NULL;
    }
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        error_set(err, ERROR_LIMIT, "memory is out");
        return NULL;
    }
    s->jobs_fd = -1;
    pthread_mutex_init(&s->health_lock, NULL);
    pthread_mutex_init(&s->read_lock, NULL);
    pthread_mutex_init(&s->jobs_lock, NULL);
    pthread_cond_init(&s->jobs_changed, NULL);
    s->backend = find_backend(spec, &where, err);
    s->where = resolve_where(where, folder, err);
    s->batch = calloc(1, sizeof *s->batch);
    if (!store_queue_init(&s->queue) || s->where == NULL || s->batch == NULL) {
        error_set(err, ERROR_LIMIT, "memory is out");
        store_free(s);
        return NULL;
    }
    return s;
}

/* The signals of the process are the controller's; a thread must not take them away from it. */
static bool start_threads(struct store *s, struct error *err) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    s->jobs_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    s->threads_running = s->jobs_fd >= 0;
    if (s->threads_running && pthread_create(&s->writer_thread, NULL, store_writer_main, s) != 0) {
        s->threads_running = false;
    }
    if (s->threads_running && pthread_create(&s->jobs_thread, NULL, store_jobs_main, s) != 0) {
        s->threads_running = false;
        store_queue_close(&s->queue);
        pthread_join(s->writer_thread, NULL);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->threads_running || error_system(err, "start the threads of the store");
}

/* Ids go on where the database ends. When it cannot be read now, they go on at the time in
 * milliseconds: higher than any that was counted, and still ascending. */
static void find_last_id(struct store *s) {
    struct error err = { 0 };
    int64_t id = 0;
    void *reader = s->backend->open(s->where, STORE_READER, &err);
    bool known = reader != NULL ? s->backend->last_decision_id(reader, &id, &err)
                                : err.kind == ERROR_NOT_FOUND;
    s->backend->close(reader);
    atomic_store(&s->last_id, known ? id : clock_unix_ms());
}

struct store *store_open(struct slice spec, const char *folder, struct error *err) {
    struct error why = { 0 };
    struct store *s = store_new(spec, folder, err);
    if (s == NULL) {
        return NULL;
    }
    if (!s->backend->check(s->where, false, &why) && why.kind == ERROR_INVALID) {
        error_set(err, ERROR_INVALID, "%s", why.text);
        store_free(s);
        return NULL;
    }
    /* A write past a limit of size (ulimit -f) is to fail, like one on a full disk, not to kill. */
    signal(SIGXFSZ, SIG_IGN);
    find_last_id(s);
    if (!start_threads(s, err)) {
        store_free(s);
        return NULL;
    }
    return s;
}

struct store *store_open_reader(struct slice spec, const char *folder, struct error *err) {
    struct store *s = store_new(spec, folder, err);
    if (s == NULL) {
        return NULL;
    }
    s->reader = s->backend->open(s->where, STORE_READER, err);
    if (s->reader == NULL) {
        store_free(s);
        return NULL;
    }
    return s;
}

static void stop_jobs(struct store *s) {
    pthread_mutex_lock(&s->jobs_lock);
    s->jobs_closing = true;
    pthread_cond_broadcast(&s->jobs_changed);
    pthread_mutex_unlock(&s->jobs_lock);
    pthread_join(s->jobs_thread, NULL);
    /* Those that were never run hear of the end as well. */
    struct store_job **last = &s->jobs_done;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = s->jobs_waiting;
    s->jobs_waiting = NULL;
    store_finish_jobs(s);
}

void store_close(struct store *s, uint32_t patience_ms) {
    if (s == NULL) {
        return;
    }
    if (s->threads_running) {
        stop_jobs(s);
    }
    s->backend->close(s->reader); /* before the writer: only who may write takes the WAL in */
    if (s->threads_running) {
        s->close_until_us = clock_monotonic_us() + (uint64_t)patience_ms * 1000;
        store_queue_close(&s->queue);
        pthread_join(s->writer_thread, NULL);
    }
    store_free(s);
}

/* ---- writing ---- */

void store_append_sample(struct store *s, const struct store_sample *sample) {
    store_queue_sample(&s->queue, sample);
}

int64_t store_append_decision(struct store *s, const struct decision *decision) {
    struct store_event event = { .kind = STORE_EVENT_DECISION, .decision = *decision };
    event.decision.id = atomic_fetch_add(&s->last_id, 1) + 1;
    store_queue_event(&s->queue, &event);
    return event.decision.id;
}

void store_append_healed(struct store *s, int64_t id, double noticed_ms, double healed_ms) {
    struct store_event event = {
        .kind = STORE_EVENT_HEALED,
        .healed = { .decision_id = id, .noticed_ms = noticed_ms, .healed_ms = healed_ms },
    };
    store_queue_event(&s->queue, &event);
}

void store_put_instance(struct store *s, const struct store_instance *instance) {
    struct store_event event = { .kind = STORE_EVENT_INSTANCE, .instance = *instance };
    store_queue_event(&s->queue, &event);
}

void store_put_capacity(struct store *s, const struct store_capacity *capacity) {
    struct store_event event = { .kind = STORE_EVENT_CAPACITY, .capacity = *capacity };
    store_queue_event(&s->queue, &event);
}

void store_put_calls(struct store *s, const struct store_calls *calls) {
    struct store_event event = { .kind = STORE_EVENT_CALLS, .calls = *calls };
    store_queue_event(&s->queue, &event);
}

bool store_put_token(struct store *s, const struct store_token *token, bool gone) {
    struct store_event event = { .kind = STORE_EVENT_TOKEN,
                                 .token = { .token = *token, .gone = gone } };
    return store_queue_event(&s->queue, &event);
}

bool store_put_ledger(struct store *s, const struct store_ledger_row *row) {
    struct store_event event = { .kind = STORE_EVENT_LEDGER, .ledger = *row };
    return store_queue_event(&s->queue, &event);
}

struct store_health store_health(struct store *s) {
    pthread_mutex_lock(&s->health_lock);
    struct store_health health = s->health;
    pthread_mutex_unlock(&s->health_lock);
    pthread_mutex_lock(&s->queue.lock);
    health.queued_rows = s->queue.sample_count + s->queue.event_count;
    health.dropped_samples = s->queue.dropped_samples;
    health.dropped_decisions = s->queue.dropped_decisions;
    health.dropped_instances = s->queue.dropped_instances;
    pthread_mutex_unlock(&s->queue.lock);
    return health;
}

/* ---- reading ---- */

/* Holds the read lock on success. */
static bool begin_read(struct store *s, struct error *err) {
    pthread_mutex_lock(&s->read_lock);
    if (s->reader == NULL) {
        s->reader = s->backend->open(s->where, STORE_READER, err);
    }
    if (s->reader == NULL) {
        pthread_mutex_unlock(&s->read_lock);
        return false;
    }
    return true;
}

static bool end_read(struct store *s, bool result) {
    pthread_mutex_unlock(&s->read_lock);
    return result;
}

bool store_read_samples(struct store *s, const struct store_sample_query *query,
                        store_each_sample *each, void *self, struct error *err) {
    return begin_read(s, err) &&
           end_read(s, s->backend->read_samples(s->reader, query, each, self, err));
}

bool store_read_decisions(struct store *s, const struct store_decision_query *query,
                          store_each_decision *each, void *self, struct error *err) {
    return begin_read(s, err) &&
           end_read(s, s->backend->read_decisions(s->reader, query, each, self, err));
}

bool store_read_instances(struct store *s, struct slice service, int64_t from_ms, int64_t to_ms,
                          store_each_instance *each, void *self, struct error *err) {
    return begin_read(s, err) && end_read(s, s->backend->read_instances(s->reader, service, from_ms,
                                                                        to_ms, each, self, err));
}

bool store_read_capacities(struct store *s, struct slice service, store_each_capacity *each,
                           void *self, struct error *err) {
    return begin_read(s, err) &&
           end_read(s, s->backend->read_capacities(s->reader, service, each, self, err));
}

bool store_read_calls(struct store *s, struct slice service, store_each_calls *each, void *self,
                      struct error *err) {
    return begin_read(s, err) &&
           end_read(s, s->backend->read_calls(s->reader, service, each, self, err));
}

bool store_read_ledger(struct store *s, struct slice service, int64_t from_ms, int64_t to_ms,
                       store_each_ledger_row *each, void *self, struct error *err) {
    return begin_read(s, err) && end_read(s, s->backend->read_ledger(s->reader, service, from_ms,
                                                                     to_ms, each, self, err));
}

bool store_read_tokens(struct store *s, store_each_token *each, void *self, struct error *err) {
    return begin_read(s, err) && end_read(s, s->backend->read_tokens(s->reader, each, self, err));
}

bool store_verify_chain(struct store *s, struct store_chain *chain, struct error *err) {
    return begin_read(s, err) && end_read(s, s->backend->verify_chain(s->reader, chain, err));
}
