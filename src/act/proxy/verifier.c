#include "act/proxy/verifier.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "act/proxy/verifier_cache.h"
#include "wire/net/network.h"

#define THREAD_STACK_BYTES 262144
#define THREAD_NICE 10         /* requests that need no password go first */
#define GUESS_ID 0x6775657373u /* in the table of rate limits, beside those of the plan */

static const struct rate_limit guess_limit = {
    .interval_ns = VERIFIER_GUESS_EVERY_US * 1000ull,
    .span_ns = VERIFIER_GUESS_EVERY_US * 1000ull * VERIFIER_GUESSES_MAX,
};

/* Belongs to the worker, but what is checked and `good` to the thread between the two rings. */
struct job {
    struct list waiters; /* the worker's; all may have gone */
    char password[BASIC_CREDENTIALS_BYTES_MAX + 1], hash[BASIC_HASH_BYTES + 1];
    bool user_is_known, good, used, guesses; /* guesses: a token was taken for it */
    struct rate_taken guess;
    struct verifier_digest digest;
};

/* One writes `head`, the other `tail`; there are never more jobs than places. */
struct ring {
    uint8_t jobs[VERIFIER_JOBS_MAX];
    _Atomic uint32_t head, tail;
};

struct verifier {
    struct loop *loop;
    struct rate_table *rates;
    void (*on_verdict)(void *owner, bool good);
    struct watch done_watch;
    int done_fd;
    bool started;
    pthread_t thread;
    sem_t wanted;
    atomic_bool stopping;
    struct ring todo, done;
    struct job jobs[VERIFIER_JOBS_MAX];
    struct verifier_cache cache;
    struct crypt_data work; /* the thread's */
};

static void push(struct ring *ring, uint8_t job) {
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    ring->jobs[head % VERIFIER_JOBS_MAX] = job;
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

static bool pop(struct ring *ring, uint8_t *job) {
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (tail == atomic_load_explicit(&ring->head, memory_order_acquire)) {
        return false;
    }
    *job = ring->jobs[tail % VERIFIER_JOBS_MAX];
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

/* ---- the thread ---- */

static void verify(struct verifier *v, struct job *job) {
    /* crypt_r with a NULL for failure; the sanitizers replace that one by nothing. */
    const char *own = crypt_rn(job->password, job->hash, &v->work, sizeof v->work);
    bool same = own != NULL && strlen(own) == BASIC_HASH_BYTES &&
                CRYPTO_memcmp(own, job->hash, BASIC_HASH_BYTES) == 0;
    job->good = same && job->user_is_known;
}

static void *run(void *argument) {
    struct verifier *v = argument;
    uint64_t one = 1;
    uint8_t job;
    setpriority(PRIO_PROCESS, 0, THREAD_NICE); /* of this thread only, on Linux */
    for (;;) {
        while (sem_wait(&v->wanted) != 0) { /* interrupted */
        }
        if (atomic_load(&v->stopping)) {
            return NULL;
        }
        if (pop(&v->todo, &job)) {
            verify(v, &v->jobs[job]);
            push(&v->done, job);
            ssize_t n = write(v->done_fd, &one, sizeof one);
            (void)n; /* it cannot be full */
        }
    }
}

static bool start(struct verifier *v) {
    sigset_t all, before;
    pthread_attr_t attributes;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV); /* a fault in the thread is to be reported like any other */
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the worker's */
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    v->started = pthread_create(&v->thread, &attributes, run, v) == 0;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return v->started;
}

/* ---- the worker ---- */

static void finish(struct verifier *v, struct job *job) {
    struct list waiters;
    bool good = job->good;
    verifier_cache_add(&v->cache, &job->digest, good, loop_now_us(v->loop));
    if (good && job->guesses) {
        rate_table_give_back(&job->guess, &guess_limit);
    }
    list_init(&waiters);
    list_append(&job->waiters, &waiters); /* takes the others over: the job's head goes */
    list_remove(&job->waiters);
    OPENSSL_cleanse(job, sizeof *job);
    while (!list_empty(&waiters)) { /* one may make others go */
        struct verification *waiter = LIST_ITEM(waiters.next, struct verification, link);
        list_remove(&waiter->link);
        v->on_verdict(waiter->owner, good);
    }
}

static void on_done(struct watch *watch, unsigned events) {
    struct verifier *v = (struct verifier *)((char *)watch - offsetof(struct verifier, done_watch));
    uint64_t count;
    uint8_t job;
    (void)events;
    ssize_t n = read(v->done_fd, &count, sizeof count);
    (void)n; /* how often does not matter */
    while (pop(&v->done, &job)) {
        finish(v, &v->jobs[job]);
    }
}

struct verifier *verifier_new(struct loop *loop, struct rate_table *rates,
                              void (*on_verdict)(void *owner, bool good), struct error *err) {
    struct verifier *v = calloc(1, sizeof *v);
    if (v == NULL || !verifier_cache_init(&v->cache)) {
        free(v);
        error_set(err, ERROR_LIMIT, "no memory or randomness for a verifier");
        return NULL;
    }
    v->loop = loop;
    v->rates = rates;
    v->on_verdict = on_verdict;
    v->done_watch.fd = -1;
    sem_init(&v->wanted, 0, 0);
    v->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (v->done_fd < 0) {
        error_system(err, "eventfd");
        verifier_free(v);
        return NULL;
    }
    if (!loop_watch(loop, &v->done_watch, v->done_fd, WATCH_READ, on_done, err)) {
        verifier_free(v);
        return NULL;
    }
    return v;
}

void verifier_free(struct verifier *v) {
    if (v == NULL) {
        return;
    }
    if (v->started) {
        atomic_store(&v->stopping, true);
        sem_post(&v->wanted);
        pthread_join(v->thread, NULL);
    }
    loop_unwatch(v->loop, &v->done_watch);
    if (v->done_fd >= 0) {
        close(v->done_fd);
    }
    sem_destroy(&v->wanted);
    OPENSSL_cleanse(v, sizeof *v);
    free(v);
}

/* A free one; NULL: all are in use. */
static struct job *free_job(struct verifier *v) {
    for (unsigned i = 0; i < VERIFIER_JOBS_MAX; i++) {
        if (!v->jobs[i].used) {
            return &v->jobs[i];
        }
    }
    return NULL;
}

/* The same question that is already being looked into. */
static struct job *same_job(struct verifier *v, const struct verifier_digest *digest,
                            bool user_is_known) {
    for (unsigned i = 0; i < VERIFIER_JOBS_MAX; i++) {
        struct job *job = &v->jobs[i];
        if (job->used && job->user_is_known == user_is_known &&
            CRYPTO_memcmp(job->digest.bytes, digest->bytes, sizeof digest->bytes) == 0) {
            return job;
        }
    }
    return NULL;
}

/* False: the network has none left. */
static bool take_guess(struct verifier *v, const uint8_t ip[16], struct job *job) {
    uint8_t network[16];
    network_of(ip, 32, 64, network);
    uint64_t hash =
        rate_table_hash(v->rates, GUESS_ID, slice_of((const char *)network, sizeof network));
    enum rate_result result =
        rate_table_take(v->rates, hash, &guess_limit, loop_now_us(v->loop) * 1000, &job->guess);
    job->guesses = result == RATE_PASSED;
    return result != RATE_REFUSED;
}

static bool fill(struct job *job, const struct verifier_question *q) {
    job->user_is_known = q->user_is_known;
    return slice_copy_text(q->credentials.password, job->password, sizeof job->password) &&
           slice_copy_text(q->hash, job->hash, sizeof job->hash);
}

/* Gives it to the thread. */
static enum verdict begin(struct verifier *v, const struct verifier_question *q,
                          const struct verifier_digest *digest, struct job **begun) {
    struct job *job = free_job(v);
    if (job == NULL || (!v->started && !start(v))) {
        return VERDICT_BUSY;
    }
    *job = (struct job){ .digest = *digest };
    if (!take_guess(v, q->ip, job)) {
        return VERDICT_TOO_OFTEN;
    }
    job->used = true;
    if (!fill(job, q)) {
        *job = (struct job){ 0 };
        return VERDICT_BAD;
    }
    list_init(&job->waiters);
    push(&v->todo, (uint8_t)(job - v->jobs));
    sem_post(&v->wanted);
    *begun = job;
    return VERDICT_LATER;
}

enum verdict verifier_ask(struct verifier *v, const struct verifier_question *q,
                          struct verification *waiter) {
    struct verifier_digest digest;
    bool good;
    if (!verifier_digest_of(&v->cache, q, &digest)) {
        return VERDICT_BAD;
    }
    if (verifier_cache_find(&v->cache, &digest, loop_now_us(v->loop), &good)) {
        return good && q->user_is_known ? VERDICT_GOOD : VERDICT_BAD;
    }
    struct job *job = same_job(v, &digest, q->user_is_known);
    enum verdict verdict = job != NULL ? VERDICT_LATER : begin(v, q, &digest, &job);
    if (verdict == VERDICT_LATER) {
        list_append(&job->waiters, &waiter->link);
    }
    return verdict;
}

void verifier_forget(struct verification *waiter) {
    list_remove(&waiter->link);
}
