#include "act/control/access_writer.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "record/telemetry/log_file.h"
#include "wire/http/message.h"

#define STATUS_CLIENT_GONE 499 /* as nginx says it */
#define LINE_BYTES_MAX 32768   /* the longest: every byte of every text escaped */

struct line {
    size_t end; /* in the buffer */
    uint16_t worker;
    bool is_there; /* or the record was left out */
};

struct access_writer {
    pthread_mutex_t lock;
    pthread_cond_t wake, ended_now;
    /* Under the lock. */
    bool stop, abandoned, reopen, ended;
    char services[PLAN_SERVICES_MAX][PLAN_NAME_BYTES];
    struct access_writer_stats stats;
    /* The thread's own. */
    struct vitals *vitals;
    struct access_format format;
    double sample_ratio;
    char *path; /* NULL: stdout, or none */
    bool writes;
    struct log_file file;
    uint64_t next[PLAN_WORKERS_MAX]; /* position in the ring, of what is not in the buffer yet */
    struct buffer buffer;            /* lines that are not written; the first may be cut */
    struct line lines[ACCESS_WRITER_BATCH_LINES];
    unsigned line_count;
    uint64_t moved_seen_us;
    char names[PLAN_SERVICES_MAX][PLAN_NAME_BYTES]; /* of this batch */
    struct access_writer_stats mine;
};

/* ---- from record to line ---- */

static const char *outcome_of(const struct request_record *r) {
    return r->flags & RECORD_BAD_REQUEST                        ? "bad_request"
           : r->flags & RECORD_REFUSED                          ? "refused"
           : r->flags & RECORD_FAILED                           ? "failed"
           : r->flags & RECORD_CLIENT_GONE                      ? "client_gone"
           : r->flags & RECORD_UPGRADED                         ? "upgraded"
           : r->endpoint < PLAN_ENDPOINTS_MAX && r->status != 0 ? "served"
                                                                : "answered";
}

static bool went_well(const struct request_record *r) {
    return r->reason == REASON_NONE && r->status < 500 &&
           !(r->flags & (RECORD_BAD_REQUEST | RECORD_REFUSED | RECORD_FAILED));
}

/* The same for all services that log the same trace with such a rule: by the id, not by chance. */
static bool is_sampled(const struct access_writer *w, const struct request_record *r) {
    uint64_t hash = (r->trace_id ^ r->trace_id >> 31) * 0x9e3779b97f4a7c15ull;
    return w->sample_ratio >= 1 || !went_well(r) ||
           (double)(hash >> 11) * 0x1p-53 < w->sample_ratio;
}

static struct slice method_of(const struct request_record *r, const struct slice *texts) {
    return r->method != HTTP_METHOD_OTHER && r->method < HTTP_METHODS
               ? slice_from(http_method_name((enum http_method)r->method))
               : texts[RECORD_TEXT_METHOD];
}

static void fill_entry(const struct access_writer *w, const struct request_record *r,
                       const struct slice *texts, struct access_entry *e) {
    bool in_service = r->service < PLAN_SERVICES_MAX;
    struct slice path = texts[RECORD_TEXT_PATH];
    *e = (struct access_entry){
        .unix_ms = r->unix_ms,
        .trace_high = r->trace_id_high,
        .trace_low = r->trace_id,
        .bytes_in = r->bytes_in,
        .bytes_out = r->bytes_out,
        .total_us = r->total_us,
        .first_byte_us = r->first_byte_us,
        .waited_us = r->waited_us,
        .value = in_service ? (double)r->value : (double)NAN,
        .status = r->status != 0 ? r->status : STATUS_CLIENT_GONE,
        .client_port = r->client_port,
        .protocol = r->protocol,
        .tls = r->tls,
        .retries = r->attempts > 1 ? (uint8_t)(r->attempts - 1) : 0,
        .has_query = (r->flags & RECORD_HAS_QUERY) != 0 && path.len > 0,
        .method = method_of(r, texts),
        .host = texts[RECORD_TEXT_HOST],
        /* Its texts found no room: the route's path, which is better than none. */
        .path = path.len > 0 ? path : slice_of(r->path, r->path_len),
        .query = texts[RECORD_TEXT_QUERY],
        .request_line = texts[RECORD_TEXT_LINE],
        .referer = texts[RECORD_TEXT_REFERER],
        .agent = texts[RECORD_TEXT_AGENT],
        .service = in_service ? slice_from(w->names[r->service]) : SLICE(""),
        .route = texts[RECORD_TEXT_ROUTE],
        .endpoint = texts[RECORD_TEXT_ENDPOINT],
        .stage = in_service ? slice_from(stage_name((enum stage)r->stage)) : SLICE(""),
        .outcome = slice_from(outcome_of(r)),
        .reason = slice_from(record_reason_name((enum record_reason)r->reason)),
        .rate_limit = r->flags & RECORD_RATE_DRY_RUN ? SLICE("dry_run") : SLICE(""),
    };
    memcpy(e->client, r->client, sizeof e->client);
}

/* ---- from the rings into the buffer ---- */

/* When it was over, on the clock of `unix_ms`. */
static int64_t completed_us(const struct request_record *r) {
    return r->unix_ms * 1000 + r->total_us;
}

/* The ring whose next record was completed first; -1: all are empty. */
static int first_of_all(const struct access_writer *w) {
    int first = -1;
    int64_t first_us = 0;
    for (unsigned i = 0; i < w->vitals->worker_count; i++) {
        const struct request_record *r = vitals_peek(&w->vitals->workers[i], w->next[i]);
        if (r != NULL && (first < 0 || completed_us(r) < first_us)) {
            first = (int)i;
            first_us = completed_us(r);
        }
    }
    return first;
}

static void begin_batch(struct access_writer *w) {
    buffer_clear(&w->buffer);
    w->line_count = 0;
    for (unsigned i = 0; i < w->vitals->worker_count; i++) {
        w->next[i] = atomic_load_explicit(&w->vitals->workers[i].ring_tail, memory_order_relaxed);
    }
    pthread_mutex_lock(&w->lock);
    memcpy(w->names, w->services, sizeof w->names);
    pthread_mutex_unlock(&w->lock);
}

/* A record that is not written has a line without bytes: its place in the ring is given back in
 * its turn. False when the rings are empty. */
static bool fill_batch(struct access_writer *w) {
    int worker;
    while (w->line_count < ACCESS_WRITER_BATCH_LINES &&
           buffer_len(&w->buffer) < ACCESS_WRITER_BATCH_BYTES && (worker = first_of_all(w)) >= 0) {
        const struct vitals_worker *from = &w->vitals->workers[worker];
        const struct request_record *r = vitals_peek(from, w->next[worker]++);
        bool is_there = w->writes && is_sampled(w, r);
        if (is_there) {
            struct slice texts[RECORD_TEXT_COUNT];
            struct access_entry entry;
            vitals_texts(from, r, texts);
            fill_entry(w, r, texts, &entry);
            (void)access_entry_write(&w->format, &entry, &w->buffer); /* LINE_BYTES_MAX is left */
        }
        w->lines[w->line_count++] =
            (struct line){ buffer_len(&w->buffer), (uint16_t)worker, is_there };
    }
    return w->line_count > 0;
}

/* ---- from the buffer into the file ---- */

/* Gives back what stands before `written`. False: another thread has the rings now. */
static bool release_lines(struct access_writer *w, size_t written) {
    unsigned done = 0;
    uint64_t position[PLAN_WORKERS_MAX] = { 0 };
    bool ours;
    pthread_mutex_lock(&w->lock);
    ours = !w->abandoned;
    for (unsigned i = 0; ours && i < w->vitals->worker_count; i++) {
        position[i] = atomic_load_explicit(&w->vitals->workers[i].ring_tail, memory_order_relaxed);
    }
    for (; ours && done < w->line_count && w->lines[done].end <= written; done++) {
        position[w->lines[done].worker]++;
        w->mine.records += w->lines[done].is_there;
        w->mine.sampled_out += w->writes && !w->lines[done].is_there;
    }
    for (unsigned i = 0; ours && i < w->vitals->worker_count; i++) {
        vitals_release(&w->vitals->workers[i], position[i]);
    }
    w->stats = w->mine;
    pthread_mutex_unlock(&w->lock);
    w->line_count -= done;
    memmove(w->lines, w->lines + done, w->line_count * sizeof *w->lines);
    for (unsigned i = 0; i < w->line_count; i++) {
        w->lines[i].end -= written;
    }
    buffer_consume(&w->buffer, written);
    return ours;
}

static void tell_failure(struct access_writer *w, const struct error *err) {
    w->mine.failures++;
    if (!w->mine.failing) {
        log_error("access_log_failing",
                  "error=\"%s\" action=keep_serving_and_try_again_every_second", err->text);
    }
    w->mine.failing = true;
}

static void tell_success(struct access_writer *w) {
    if (w->mine.failing) {
        log_info("access_log_recovered", "file=%s", w->path == NULL ? "stdout" : w->path);
    }
    w->mine.failing = false;
}

/* After a cut line only its own rest may follow; in another file nothing of it stands yet, and the
 * ring still has its record. */
static void look_whether_moved(struct access_writer *w, bool now) {
    struct error err = { 0 };
    uint64_t now_us = clock_monotonic_us();
    if (!w->writes || (!now && now_us - w->moved_seen_us < ACCESS_WRITER_MOVED_US)) {
        return;
    }
    w->moved_seen_us = now_us;
    log_file_check_moved(&w->file);
    if (w->file.fd < 0) {
        begin_batch(w);
        if (!log_file_open(&w->file, &err)) { /* told at the start, not with the first visitor */
            tell_failure(w, &err);
        }
    }
}

/* False: it could not be written now, or the rings are another's. */
static bool write_batch(struct access_writer *w) {
    struct error err = { 0 };
    size_t written = 0;
    if (w->writes && buffer_len(&w->buffer) > 0) {
        if (!log_file_open(&w->file, &err)) {
            tell_failure(w, &err);
            return false;
        }
        written = log_file_write(&w->file, buffer_slice(&w->buffer), &err);
    }
    bool whole = written == buffer_len(&w->buffer);
    if (whole && written > 0) {
        tell_success(w);
    } else if (!whole) {
        tell_failure(w, &err);
    }
    return release_lines(w, written) && whole;
}

/* What a failed write left is tried first: a cut line is only ever followed by its rest. */
static bool work(struct access_writer *w) {
    for (;;) {
        if (w->line_count == 0) {
            struct error err = { 0 };
            if (!log_file_rotate_if_due(&w->file, clock_unix_ms(), &err)) {
                log_warn("access_log_not_put_aside", "error=\"%s\" action=go_on_in_it", err.text);
            }
            w->mine.rotations = w->file.rotations;
            begin_batch(w);
            if (!fill_batch(w)) {
                return true;
            }
        }
        if (!write_batch(w)) {
            return false;
        }
    }
}

/* ---- the thread ---- */

static void destroy(struct access_writer *w) {
    log_file_fini(&w->file);
    buffer_fini(&w->buffer);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->ended_now);
    pthread_mutex_destroy(&w->lock);
    free(w->path);
    free(w);
}

/* False: it is time to end. */
static bool rest(struct access_writer *w, uint64_t us, bool *reopen) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + us * 1000;
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&w->lock);
    while (!w->stop && !w->reopen &&
           pthread_cond_timedwait(&w->wake, &w->lock, &until) != ETIMEDOUT) {
    }
    bool go_on = !w->stop;
    *reopen = w->reopen;
    w->reopen = false;
    w->stats = w->mine;
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void *run(void *argument) {
    struct access_writer *w = argument;
    bool reopen = false, more = true;
    while (more) {
        look_whether_moved(w, reopen);
        bool good = work(w);
        more = rest(w, good ? ACCESS_WRITER_LOOK_US : ACCESS_WRITER_RETRY_US, &reopen);
    }
    pthread_mutex_lock(&w->lock);
    bool abandoned = w->abandoned;
    pthread_mutex_unlock(&w->lock);
    if (!abandoned) {
        (void)work(w); /* what came since */
    }
    pthread_mutex_lock(&w->lock);
    abandoned = w->abandoned;
    w->ended = true;
    w->stats = w->mine;
    pthread_cond_signal(&w->ended_now);
    pthread_mutex_unlock(&w->lock);
    if (abandoned) {
        destroy(w);
    }
    return NULL;
}

static bool init(struct access_writer *w, const struct access_log_config *config,
                 struct vitals *vitals) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, &monotonic);
    pthread_cond_init(&w->ended_now, &monotonic);
    pthread_condattr_destroy(&monotonic);
    buffer_init(&w->buffer, ACCESS_WRITER_BATCH_BYTES + LINE_BYTES_MAX);
    w->vitals = vitals;
    w->format = access_log_format(config);
    w->sample_ratio = config->sample_ratio;
    w->writes = config->file != NULL;
    w->path = !w->writes || access_log_is_stdout(config) ? NULL : strdup(config->file);
    struct log_file_options options = {
        .path = w->path,
        .rotate_bytes = config->rotate.size_bytes,
        .rotate_age_ms = config->rotate.age_ms,
        .keep = config->rotate.keep,
        .compress = config->rotate.compress,
    };
    log_file_init(&w->file, &options);
    return w->path != NULL || !w->writes || access_log_is_stdout(config);
}

struct access_writer *access_writer_new(const struct access_log_config *config,
                                        struct vitals *vitals, struct error *err) {
    struct access_writer *w = calloc(1, sizeof *w);
    pthread_t thread;
    if (w == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for the access log");
        return NULL;
    }
    if (!init(w, config, vitals) || pthread_create(&thread, NULL, run, w) != 0) {
        destroy(w);
        error_set(err, ERROR_LIMIT, "no thread for the access log");
        return NULL;
    }
    pthread_detach(thread);
    return w;
}

void access_writer_set_services(struct access_writer *w, const char (*names)[PLAN_NAME_BYTES]) {
    pthread_mutex_lock(&w->lock);
    memcpy(w->services, names, sizeof w->services);
    pthread_mutex_unlock(&w->lock);
}

void access_writer_reopen(struct access_writer *w) {
    pthread_mutex_lock(&w->lock);
    w->reopen = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

struct access_writer_stats access_writer_stats(struct access_writer *w) {
    pthread_mutex_lock(&w->lock);
    struct access_writer_stats stats = w->stats;
    pthread_mutex_unlock(&w->lock);
    return stats;
}

void access_writer_free(struct access_writer *w, unsigned wait_ms) {
    struct timespec until;
    if (w == NULL) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    while (!w->ended && pthread_cond_timedwait(&w->ended_now, &w->lock, &until) != ETIMEDOUT) {
    }
    bool ended = w->ended;
    w->abandoned = !ended;
    pthread_mutex_unlock(&w->lock);
    if (ended) {
        destroy(w);
    }
}
