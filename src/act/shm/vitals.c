#include "act/shm/vitals.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct vitals *map(int fd, struct error *err) {
    struct vitals *vitals =
        mmap(NULL, sizeof *vitals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (vitals == MAP_FAILED) {
        error_system(err, "map the vitals segment");
        return NULL;
    }
    return vitals;
}

struct vitals *vitals_new(unsigned worker_count, int *fd, struct error *err) {
    assert(worker_count <= PLAN_WORKERS_MAX);
    int memory = memfd_create("tidegate-vitals", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, sizeof(struct vitals)) < 0) {
        error_system(err, "create the vitals segment");
        if (memory >= 0) {
            close(memory);
        }
        return NULL;
    }
    struct vitals *vitals = map(memory, err);
    if (vitals == NULL) {
        close(memory);
        return NULL;
    }
    /* Paths, queries and addresses of visitors: they are in no core dump. */
    (void)madvise(vitals, sizeof *vitals, MADV_DONTDUMP);
    if (!rate_table_init(&vitals->rate_table)) {
        error_system(err, "get randomness for the table of rate limits");
        vitals_free(vitals);
        close(memory);
        return NULL;
    }
    vitals->layout = VITALS_LAYOUT;
    vitals->worker_count = worker_count;
    *fd = memory;
    return vitals;
}

struct vitals *vitals_attach(int fd, struct error *err) {
    off_t bytes = lseek(fd, 0, SEEK_END);
    if (bytes != (off_t)sizeof(struct vitals)) {
        error_set(err, ERROR_INVALID,
                  "the vitals segment has another size: another version wrote it");
        return NULL;
    }
    struct vitals *vitals = map(fd, err);
    if (vitals != NULL && vitals->layout != VITALS_LAYOUT) {
        vitals_free(vitals);
        error_set(err, ERROR_INVALID, "not a vitals segment of layout %u", VITALS_LAYOUT);
        return NULL;
    }
    return vitals;
}

void vitals_free(struct vitals *vitals) {
    if (vitals != NULL) {
        munmap(vitals, sizeof *vitals);
    }
}

void vitals_adopt_endpoint(struct vitals *vitals, unsigned worker, unsigned endpoint,
                           uint32_t generation, uint32_t cold_steps) {
    struct vitals_endpoint *own = &vitals->workers[worker].endpoints[endpoint];
    struct vitals_shared_endpoint *shared = &vitals->shared[endpoint];
    if (atomic_load(&own->generation) != generation) {
        /* Readers skip a block whose generation is not the one they ask for. */
        atomic_store(&own->generation, 0);
        memset((char *)own + sizeof own->generation, 0, sizeof *own - sizeof own->generation);
        atomic_store(&own->generation, generation);
    }
    uint32_t before = atomic_load(&shared->generation);
    if (before != generation &&
        atomic_compare_exchange_strong(&shared->generation, &before, generation)) {
        /* The worker that swapped the generation clears; what another one adds in these few
         * nanoseconds is lost, which an estimate can bear. */
        memset((char *)shared + sizeof shared->generation, 0,
               sizeof *shared - sizeof shared->generation);
        atomic_store(&shared->cold_steps, cold_steps);
    }
}

void vitals_adopt_rate(struct vitals_worker *worker, unsigned index, uint64_t id) {
    struct vitals_rate *rate = &worker->rates[index];
    if (vitals_get(&rate->id) != id) {
        atomic_store(&rate->id, 0); /* readers pass it over meanwhile */
        atomic_store(&rate->allowed, 0);
        atomic_store(&rate->refused, 0);
        atomic_store(&rate->id, id);
    }
}

/* ---- the ring of events ---- */

void vitals_tell(struct vitals_worker *worker, const struct vitals_event *event) {
    uint64_t head = atomic_load_explicit(&worker->events_head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&worker->events_tail, memory_order_acquire);
    if (head - tail >= VITALS_EVENTS) {
        vitals_add(&worker->events_dropped, 1);
        return;
    }
    worker->events[head % VITALS_EVENTS] = *event;
    atomic_store_explicit(&worker->events_head, head + 1, memory_order_release);
}

bool vitals_hear(struct vitals_worker *worker, struct vitals_event *out) {
    uint64_t head = atomic_load_explicit(&worker->events_head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&worker->events_tail, memory_order_relaxed);
    if (tail == head) {
        return false;
    }
    *out = worker->events[tail % VITALS_EVENTS];
    atomic_store_explicit(&worker->events_tail, tail + 1, memory_order_release);
    return true;
}

/* ---- the ring of traces ---- */

uint64_t vitals_hash_trace(const struct vitals *vitals, uint64_t high, uint64_t low) {
    const uint64_t id[2] = { high, low };
    return siphash(&vitals->rate_table.secret, (struct slice){ (const char *)id, sizeof id });
}

void vitals_trace(struct vitals_worker *worker, const struct vitals_trace *trace) {
    uint64_t head = atomic_load_explicit(&worker->traces_head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&worker->traces_tail, memory_order_acquire);
    if (head - tail >= VITALS_TRACES) {
        vitals_add(&worker->traces_dropped, 1);
        return;
    }
    worker->traces[head % VITALS_TRACES] = *trace;
    atomic_store_explicit(&worker->traces_head, head + 1, memory_order_release);
}

bool vitals_hear_trace(struct vitals_worker *worker, struct vitals_trace *out) {
    uint64_t head = atomic_load_explicit(&worker->traces_head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&worker->traces_tail, memory_order_relaxed);
    if (tail == head) {
        return false;
    }
    *out = worker->traces[tail % VITALS_TRACES];
    atomic_store_explicit(&worker->traces_tail, tail + 1, memory_order_release);
    return true;
}

/* ---- the ring of request records ---- */

void vitals_record(struct vitals_worker *worker, const struct request_record *record) {
    uint64_t head = atomic_load_explicit(&worker->ring_head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&worker->ring_tail, memory_order_acquire);
    if (head - tail >= VITALS_RING_RECORDS) {
        vitals_add(&worker->records_dropped, 1);
        return;
    }
    worker->ring[head % VITALS_RING_RECORDS] = *record;
    atomic_store_explicit(&worker->ring_head, head + 1, memory_order_release);
}

const struct request_record *vitals_peek(const struct vitals_worker *worker, uint64_t position) {
    uint64_t head = atomic_load_explicit(&worker->ring_head, memory_order_acquire);
    return position < head ? &worker->ring[position % VITALS_RING_RECORDS] : NULL;
}

/* Where the record's texts end in the ring of bytes, as a position that only grows. */
static uint64_t text_end(const struct vitals_worker *worker, const struct request_record *record) {
    uint64_t tail = atomic_load_explicit(&worker->text_tail, memory_order_relaxed);
    return tail + (record->text_at - (uint32_t)tail) + record->text_bytes;
}

void vitals_release(struct vitals_worker *worker, uint64_t position) {
    uint64_t tail = atomic_load_explicit(&worker->ring_tail, memory_order_relaxed);
    for (uint64_t at = position; at > tail; at--) {
        const struct request_record *record = &worker->ring[(at - 1) % VITALS_RING_RECORDS];
        if (record->text_bytes > 0) { /* those before it go with it */
            atomic_store_explicit(&worker->text_tail, text_end(worker, record),
                                  memory_order_release);
            break;
        }
    }
    atomic_store_explicit(&worker->ring_tail, position, memory_order_release);
}

/* ---- texts: a head of one length each, then the bytes; a block is never split ---- */

struct text_head {
    uint16_t len[RECORD_TEXT_COUNT];
};

static const uint16_t text_limits[RECORD_TEXT_COUNT] = {
#define TEXT_LIMIT(id, limit) [RECORD_TEXT_##id] = limit,
    RECORD_TEXTS(TEXT_LIMIT)
#undef TEXT_LIMIT
};

/* The position of `bytes` in one piece; false when there is no room. */
static bool text_room(struct vitals_worker *worker, size_t bytes, uint64_t *position) {
    uint64_t at = atomic_load_explicit(&worker->text_head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&worker->text_tail, memory_order_acquire);
    size_t to_end = VITALS_TEXT_BYTES - at % VITALS_TEXT_BYTES;
    at += bytes > to_end ? to_end : 0;
    *position = at;
    return at + bytes - tail <= VITALS_TEXT_BYTES;
}

static void append_texts(struct vitals_worker *worker, struct request_record *record,
                         const struct slice *texts) {
    struct text_head head;
    size_t bytes = sizeof head;
    uint64_t position;
    for (unsigned i = 0; i < RECORD_TEXT_COUNT; i++) {
        head.len[i] = (uint16_t)(texts[i].len < text_limits[i] ? texts[i].len : text_limits[i]);
        bytes += head.len[i];
    }
    if (!text_room(worker, bytes, &position)) {
        vitals_add(&worker->texts_dropped, 1);
        return;
    }
    char *to = worker->text + position % VITALS_TEXT_BYTES;
    memcpy(to, &head, sizeof head);
    to += sizeof head;
    for (unsigned i = 0; i < RECORD_TEXT_COUNT; i++) {
        to = slice_put(to, slice_of(texts[i].data, head.len[i]));
    }
    record->text_at = (uint32_t)position;
    record->text_bytes = (uint16_t)bytes;
    /* Ours alone; in the segment, so that our successor goes on behind it. */
    atomic_store_explicit(&worker->text_head, position + bytes, memory_order_relaxed);
}

void vitals_record_with_texts(struct vitals_worker *worker, struct request_record *record,
                              const struct slice *texts) {
    uint64_t head = atomic_load_explicit(&worker->ring_head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&worker->ring_tail, memory_order_acquire);
    if (head - tail >= VITALS_RING_RECORDS) { /* as a whole, not only its texts */
        vitals_add(&worker->records_dropped, 1);
        return;
    }
    append_texts(worker, record, texts);
    vitals_record(worker, record);
}

void vitals_texts(const struct vitals_worker *worker, const struct request_record *record,
                  struct slice *texts) {
    struct text_head head = { { 0 } };
    size_t at = record->text_at % VITALS_TEXT_BYTES, left = record->text_bytes;
    if (left >= sizeof head && left <= VITALS_TEXT_BYTES - at) {
        memcpy(&head, worker->text + at, sizeof head);
        at += sizeof head;
        left -= sizeof head;
    }
    for (unsigned i = 0; i < RECORD_TEXT_COUNT; i++) {
        size_t len = head.len[i] <= left ? head.len[i] : 0; /* a sick worker is not believed */
        texts[i] = slice_of(worker->text + (len > 0 ? at : 0), len);
        at += len;
        left -= len;
    }
}

unsigned vitals_drain(struct vitals_worker *worker, struct request_record *out, unsigned max) {
    uint64_t tail = atomic_load_explicit(&worker->ring_tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&worker->ring_head, memory_order_acquire);
    unsigned count = 0;
    while (tail != head && count < max) {
        out[count++] = worker->ring[tail++ % VITALS_RING_RECORDS];
    }
    vitals_release(worker, tail);
    return count;
}

/* ---- in flight ---- */

void vitals_clear_in_flight(struct vitals_worker *worker) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        atomic_store(&worker->services[i].in_flight, 0);
        atomic_store(&worker->services[i].waiting, 0);
    }
    for (unsigned i = 0; i < PLAN_ENDPOINTS_MAX; i++) {
        atomic_store(&worker->endpoints[i].in_flight, 0);
        atomic_store(&worker->endpoints[i].tunnels, 0);
        atomic_store(&worker->endpoints[i].awaiting, 0);
        atomic_store(&worker->endpoints[i].oldest_awaiting_us, 0);
    }
    atomic_store(&worker->connections_open, 0);
    atomic_store(&worker->upstream_open, 0);
}

/* Worker i's numbers of the endpoint; NULL when they are of another generation. */
static const struct vitals_endpoint *numbers_of(const struct vitals *vitals, unsigned i,
                                                unsigned endpoint, uint32_t generation) {
    const struct vitals_endpoint *e = &vitals->workers[i].endpoints[endpoint];
    bool same = atomic_load_explicit(&e->generation, memory_order_relaxed) == generation;
    return same ? e : NULL;
}

uint32_t vitals_endpoint_in_flight(const struct vitals *vitals, unsigned endpoint,
                                   uint32_t generation) {
    uint32_t sum = 0;
    for (unsigned i = 0; i < vitals->worker_count; i++) {
        const struct vitals_endpoint *e = numbers_of(vitals, i, endpoint, generation);
        sum += e == NULL ? 0 : atomic_load_explicit(&e->in_flight, memory_order_relaxed);
    }
    return sum;
}

uint32_t vitals_endpoint_load(const struct vitals *vitals, unsigned endpoint, uint32_t generation) {
    uint32_t sum = 0;
    for (unsigned i = 0; i < vitals->worker_count; i++) {
        const struct vitals_endpoint *e = numbers_of(vitals, i, endpoint, generation);
        if (e != NULL) { /* another worker may be between its two stores */
            uint32_t all = atomic_load_explicit(&e->in_flight, memory_order_relaxed);
            uint32_t tunnels = atomic_load_explicit(&e->tunnels, memory_order_relaxed);
            sum += all > tunnels ? all - tunnels : 0;
        }
    }
    return sum;
}

uint32_t vitals_endpoint_awaiting(const struct vitals *vitals, unsigned endpoint,
                                  uint32_t generation) {
    uint32_t sum = 0;
    for (unsigned i = 0; i < vitals->worker_count; i++) {
        const struct vitals_endpoint *e = numbers_of(vitals, i, endpoint, generation);
        sum += e == NULL ? 0 : atomic_load_explicit(&e->awaiting, memory_order_relaxed);
    }
    return sum;
}

uint64_t vitals_endpoint_oldest_us(const struct vitals *vitals, unsigned endpoint,
                                   uint32_t generation) {
    uint64_t oldest_us = 0;
    for (unsigned i = 0; i < vitals->worker_count; i++) {
        const struct vitals_endpoint *e = numbers_of(vitals, i, endpoint, generation);
        uint64_t since_us =
            e == NULL ? 0 : atomic_load_explicit(&e->oldest_awaiting_us, memory_order_relaxed);
        if (since_us != 0 && (oldest_us == 0 || since_us < oldest_us)) {
            oldest_us = since_us;
        }
    }
    return oldest_us;
}

struct rate_counts vitals_rate_counts(const struct vitals *vitals, unsigned index, uint64_t id) {
    struct rate_counts sum = { 0, 0 };
    for (unsigned i = 0; i < vitals->worker_count; i++) {
        const struct vitals_rate *rate = &vitals->workers[i].rates[index];
        if (vitals_get(&rate->id) == id) {
            sum.allowed += vitals_get(&rate->allowed);
            sum.refused += vitals_get(&rate->refused);
        }
    }
    return sum;
}

const char *record_reason_name(enum record_reason reason) {
    static const char *const names[REASON_COUNT] = {
        [REASON_NONE] = "none",
        [REASON_NO_ROUTE] = "no_route",
        [REASON_NO_ENDPOINT] = "no_endpoint",
        [REASON_CONNECT_FAILED] = "connect_failed",
        [REASON_UPSTREAM_CLOSED] = "upstream_closed",
        [REASON_UPSTREAM_CUT] = "upstream_cut",
        [REASON_UPSTREAM_BAD] = "upstream_bad",
        [REASON_UPSTREAM_REFUSED] = "upstream_refused",
        [REASON_TIMEOUT_CONNECT] = "timeout_connect",
        [REASON_TIMEOUT_FIRST_BYTE] = "timeout_first_byte",
        [REASON_TIMEOUT_IDLE] = "timeout_idle",
        [REASON_TIMEOUT_TOTAL] = "timeout_total",
        [REASON_OVERLOAD] = "overload",
        [REASON_CLIENT_TIMEOUT] = "client_timeout",
        [REASON_BAD_REQUEST] = "bad_request",
        [REASON_TOO_LARGE] = "too_large",
        [REASON_DENIED] = "denied",
        [REASON_UNAUTHORISED] = "unauthorised",
        [REASON_GUESSING] = "guessing",
        [REASON_ENDPOINT_CLOSED] = "endpoint_closed",
        [REASON_RATE_LIMITED] = "rate_limited",
        [REASON_CLIENT_LIMIT] = "client_limit",
        [REASON_CONNECTIONS] = "connections",
        [REASON_MEMORY] = "memory",
    };
    return reason < REASON_COUNT ? names[reason] : "unknown";
}
