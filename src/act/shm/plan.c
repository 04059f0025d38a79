#include "act/shm/plan.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"

#define PLAN_MAGIC 0x6e616c7065746174u /* "tateplan" */
#define NO_SLOT PLAN_SLOTS

/* What is mapped. `current` and `in_use` are the two sides of the hand-shake: a reader announces
 * its slot and then looks whether it is still current; the publisher moves `current` away from a
 * slot and then looks whether anybody has announced it. Both in one total order (seq_cst), so at
 * least one of them sees the other. */
struct plan_shared {
    uint64_t magic;
    uint32_t layout;
    _Atomic uint32_t publisher_pid;
    _Atomic uint64_t heartbeat_us;             /* of the publisher, monotonic */
    _Atomic uint64_t version;                  /* newest published */
    _Atomic uint32_t current;                  /* slot, or NO_SLOT before the first plan */
    _Atomic uint32_t in_use[PLAN_WORKERS_MAX]; /* slot + 1; 0: none */
    struct plan slots[PLAN_SLOTS];
};

struct plan_segment {
    struct plan_shared *shared;
};

static struct plan_segment *map(int fd, struct error *err) {
    struct plan_segment *segment = malloc(sizeof *segment);
    if (segment == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for the plan segment");
        return NULL;
    }
    void *shared = mmap(NULL, sizeof *segment->shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) {
        error_system(err, "map the plan segment");
        free(segment);
        return NULL;
    }
    segment->shared = shared;
    return segment;
}

struct plan_segment *plan_segment_new(int *fd, struct error *err) {
    int memory = memfd_create("tidegate-plan", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, sizeof(struct plan_shared)) < 0) {
        error_system(err, "create the plan segment");
        if (memory >= 0) {
            close(memory);
        }
        return NULL;
    }
    struct plan_segment *segment = map(memory, err);
    if (segment == NULL) {
        close(memory);
        return NULL;
    }
    /* It holds private keys: they are in no core dump. */
    (void)madvise(segment->shared, sizeof *segment->shared, MADV_DONTDUMP);
    segment->shared->layout = PLAN_LAYOUT;
    atomic_store(&segment->shared->current, NO_SLOT);
    segment->shared->magic = PLAN_MAGIC;
    *fd = memory;
    return segment;
}

struct plan_segment *plan_segment_attach(int fd, struct error *err) {
    off_t bytes = lseek(fd, 0, SEEK_END);
    if (bytes != (off_t)sizeof(struct plan_shared)) {
        error_set(err, ERROR_INVALID,
                  "the plan segment has another size: another version wrote it");
        return NULL;
    }
    struct plan_segment *segment = map(fd, err);
    if (segment != NULL &&
        (segment->shared->magic != PLAN_MAGIC || segment->shared->layout != PLAN_LAYOUT)) {
        plan_segment_free(segment);
        error_set(err, ERROR_INVALID, "not a plan segment of layout %u", PLAN_LAYOUT);
        return NULL;
    }
    return segment;
}

void plan_segment_free(struct plan_segment *segment) {
    if (segment != NULL) {
        munmap(segment->shared, sizeof *segment->shared);
        free(segment);
    }
}

/* Only what is there: a hole that is read would become memory. */
static bool copy_range(int to_fd, off_t to, int from_fd, off_t from, off_t bytes) {
    static char block[65536];
    off_t end = from + bytes, at = from;
    while ((at = lseek(from_fd, at, SEEK_DATA)) >= 0 && at < end) {
        off_t hole = lseek(from_fd, at, SEEK_HOLE);
        off_t stop = hole < 0 || hole > end ? end : hole;
        while (at < stop) {
            size_t want = stop - at < (off_t)sizeof block ? (size_t)(stop - at) : sizeof block;
            ssize_t n = pread(from_fd, block, want, at);
            if (n <= 0 || pwrite(to_fd, block, (size_t)n, to + (at - from)) != n) {
                return false;
            }
            at += n;
        }
    }
    return true;
}

bool plan_segment_inherit(struct plan_segment *segment, int fd, int from_fd, struct error *err) {
    struct plan_segment *from = plan_segment_attach(from_fd, err);
    if (from == NULL) {
        return false;
    }
    uint32_t slot = atomic_load(&from->shared->current);
    uint64_t version = atomic_load(&from->shared->version);
    plan_segment_free(from);
    if (slot >= PLAN_SLOTS) {
        return error_set(err, ERROR_NOT_FOUND, "there is no plan yet");
    }
    off_t first = offsetof(struct plan_shared, slots);
    if (!copy_range(fd, first, from_fd, first + (off_t)(slot * sizeof(struct plan)),
                    sizeof(struct plan))) {
        return error_system(err, "copy the plan");
    }
    atomic_store(&segment->shared->current, 0);
    atomic_store(&segment->shared->version, version);
    return true;
}

/* ---- publisher ---- */

static bool slot_in_use(const struct plan_shared *shared, uint32_t slot) {
    for (unsigned worker = 0; worker < PLAN_WORKERS_MAX; worker++) {
        if (atomic_load(&shared->in_use[worker]) == slot + 1) {
            return true;
        }
    }
    return false;
}

static bool is_unused(const struct plan_shared *shared, uint32_t slot) {
    return slot != atomic_load(&shared->current) && !slot_in_use(shared, slot);
}

static void wipe(struct plan *plan) {
    explicit_bzero(plan->text, plan->text_len);
    explicit_bzero(&plan->tickets, sizeof plan->tickets);
    plan->text_len = 0;
}

void plan_wipe_unused(struct plan_segment *segment) {
    for (uint32_t slot = 0; slot < PLAN_SLOTS; slot++) {
        struct plan *plan = &segment->shared->slots[slot];
        if (plan->text_len > 0 && is_unused(segment->shared, slot)) {
            wipe(plan);
        }
    }
}

struct plan *plan_begin(struct plan_segment *segment) {
    struct plan_shared *shared = segment->shared;
    for (uint32_t slot = 0; slot < PLAN_SLOTS; slot++) {
        if (is_unused(shared, slot)) {
            struct plan *plan = &shared->slots[slot];
            wipe(plan);
            memset(plan, 0, offsetof(struct plan, routes)); /* services and endpoints too */
            return plan;
        }
    }
    return NULL;
}

bool plan_add_text(struct plan *plan, struct slice text, struct plan_text *out) {
    if (text.len > PLAN_TEXT_BYTES - plan->text_len) {
        return false;
    }
    if (text.len > 0) {
        memcpy(plan->text + plan->text_len, text.data, text.len);
    }
    *out = (struct plan_text){ plan->text_len, (uint32_t)text.len };
    plan->text_len += (uint32_t)text.len;
    return true;
}

/* ---- customers: open addressing, at most half full ---- */

static uint64_t customer_key(struct slice id) {
    uint64_t key = XXH3_64bits(id.data, id.len);
    return key == 0 ? 1 : key; /* 0 marks a free place */
}

/* The place of the key, or the free one where it would be. */
static uint32_t customer_place(const struct plan *plan, uint64_t key) {
    uint32_t mask = plan->customer_slots - 1, at = (uint32_t)key & mask;
    while (plan->customers[at].key != 0 && plan->customers[at].key != key) {
        at = (at + 1) & mask;
    }
    return at;
}

bool plan_begin_customers(struct plan *plan, uint32_t count) {
    if (count > PLAN_CUSTOMERS_MAX / 2) {
        return false;
    }
    plan->customer_slots = 2;
    while (plan->customer_slots < 2 * count) {
        plan->customer_slots *= 2;
    }
    memset(plan->customers, 0, plan->customer_slots * sizeof *plan->customers);
    return true;
}

void plan_add_customer(struct plan *plan, struct slice id, float expected_value) {
    assert(plan->customer_slots > 0);
    uint64_t key = customer_key(id);
    struct plan_customer *place = &plan->customers[customer_place(plan, key)];
    *place = (struct plan_customer){ .key = key, .expected_value = expected_value };
}

bool plan_find_customer(const struct plan *plan, struct slice id, float *expected_value) {
    if (plan->customer_slots == 0 || id.len == 0) {
        return false;
    }
    uint64_t key = customer_key(id);
    const struct plan_customer *place = &plan->customers[customer_place(plan, key)];
    if (place->key != key) {
        return false;
    }
    *expected_value = place->expected_value;
    return true;
}

/* Worth its microseconds: with the same routes a worker compiles nothing anew. */
static uint64_t hash_routes(const struct plan *plan) {
    const struct {
        const void *from;
        size_t bytes;
    } parts[] = {
        { plan->routes, plan->route_count * sizeof *plan->routes },
        { plan->conditions, plan->condition_count * sizeof *plan->conditions },
        { plan->networks, plan->network_count * sizeof *plan->networks },
        { plan->rules, plan->rule_count * sizeof *plan->rules },
        { plan->shares, plan->share_count * sizeof *plan->shares },
        { plan->changes, plan->change_count * sizeof *plan->changes },
        { plan->pages, plan->page_count * sizeof *plan->pages },
        { plan->jwts, plan->jwt_count * sizeof *plan->jwts },
        { plan->rates, plan->rate_count * sizeof *plan->rates },
        { plan->text, plan->text_len },
    };
    uint64_t hash = plan->own_page_count;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        hash = XXH3_64bits_withSeed(parts[i].from, parts[i].bytes, hash + parts[i].bytes);
    }
    return hash;
}

void plan_publish(struct plan_segment *segment, struct plan *plan) {
    struct plan_shared *shared = segment->shared;
    ptrdiff_t slot = plan - shared->slots;
    assert(slot >= 0 && slot < PLAN_SLOTS && (uint32_t)slot != atomic_load(&shared->current));
    plan->version = atomic_load(&shared->version) + 1;
    plan->published_unix_ms = clock_unix_ms();
    plan->routes_hash = hash_routes(plan);
    atomic_store(&shared->publisher_pid, (uint32_t)getpid());
    atomic_store(&shared->current, (uint32_t)slot);
    atomic_store(&shared->version, plan->version);
}

void plan_heartbeat(struct plan_segment *segment, uint64_t now_us) {
    atomic_store(&segment->shared->heartbeat_us, now_us);
}

uint64_t plan_heartbeat_us(const struct plan_segment *segment) {
    return atomic_load(&segment->shared->heartbeat_us);
}

/* ---- readers ---- */

const struct plan *plan_acquire(struct plan_segment *segment, unsigned worker) {
    assert(worker < PLAN_WORKERS_MAX);
    struct plan_shared *shared = segment->shared;
    for (;;) {
        uint32_t slot = atomic_load(&shared->current);
        if (slot >= PLAN_SLOTS) {
            return NULL;
        }
        atomic_store(&shared->in_use[worker], slot + 1);
        if (atomic_load(&shared->current) == slot) {
            return &shared->slots[slot];
        }
    }
}

void plan_release(struct plan_segment *segment, unsigned worker) {
    assert(worker < PLAN_WORKERS_MAX);
    atomic_store(&segment->shared->in_use[worker], 0);
}

void plan_forget_worker(struct plan_segment *segment, unsigned worker) {
    plan_release(segment, worker);
}

uint64_t plan_version(const struct plan_segment *segment) {
    return atomic_load(&segment->shared->version);
}

const struct plan *plan_current(const struct plan_segment *segment) {
    uint32_t slot = atomic_load(&segment->shared->current);
    return slot >= PLAN_SLOTS ? NULL : &segment->shared->slots[slot];
}

const char *endpoint_state_name(enum endpoint_state state) {
    static const char *const names[ENDPOINT_STATES] = {
        [ENDPOINT_NONE] = "none",       [ENDPOINT_STARTING] = "starting",
        [ENDPOINT_WARM] = "warm",       [ENDPOINT_SERVING] = "serving",
        [ENDPOINT_EJECTED] = "ejected", [ENDPOINT_DRAINING] = "draining",
    };
    return state < ENDPOINT_STATES ? names[state] : "unknown";
}
