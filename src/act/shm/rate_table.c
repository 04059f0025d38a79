#include "act/shm/rate_table.h"

#include <sys/random.h>

#define CLASS_MASK 63ull
#define SET_SHIFT 40        /* of a hash, the bits that choose the set */
#define SAMPLED_SETS 8192u  /* 1 MiB: whoever looks at a page makes it */
#define MOVING (1ull << 63) /* then 31 bits of the key that comes, 32 of the time in ms */

_Static_assert(RATE_SETS_MAX <= 1u << (64 - SET_SHIFT), "the hash has bits for all sets");

bool rate_table_init(struct rate_table *t) {
    rate_table_resize(t, RATE_KEYS_DEFAULT);
    return getrandom(&t->secret, sizeof t->secret, 0) == (ssize_t)sizeof t->secret;
}

void rate_table_resize(struct rate_table *t, uint32_t keys) {
    uint32_t sets = RATE_KEYS_MIN / RATE_WAYS;
    while (sets * RATE_WAYS < keys && sets < RATE_SETS_MAX) {
        sets *= 2;
    }
    atomic_store_explicit(&t->set_mask, sets - 1, memory_order_relaxed);
}

uint32_t rate_table_keys(const struct rate_table *t) {
    return (atomic_load_explicit(&t->set_mask, memory_order_relaxed) + 1) * RATE_WAYS;
}

/* ---- words ---- */

static uint64_t get(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_acquire);
}

static bool swap(_Atomic uint64_t *word, uint64_t before, uint64_t after) {
    return atomic_compare_exchange_strong(word, &before, after);
}

static uint64_t key_of(uint64_t hash, const struct rate_limit *limit) {
    uint64_t key = hash & ~CLASS_MASK;
    return (key == 0 ? CLASS_MASK + 1 : key) | (63 - (unsigned)__builtin_clzll(limit->span_ns));
}

/* A place on its way to `key`; 0: to nobody. */
static uint64_t moving(uint64_t key, uint64_t now_ns) {
    return MOVING | key >> 33 << 32 | (uint32_t)(now_ns / 1000000);
}

static bool moves_to(uint64_t full_at, uint64_t key) {
    return full_at >> 32 == moving(key, 0) >> 32;
}

static bool is_stale(uint64_t full_at, uint64_t now_ns) {
    uint32_t age_ms = (uint32_t)(now_ns / 1000000) - (uint32_t)full_at;
    return age_ms > RATE_MOVING_STALE_MS && age_ms < UINT32_MAX / 2; /* clocks differ a little */
}

/* A bit for each place that has the key. */
static unsigned places_of(const struct rate_set *set, uint64_t key) {
    unsigned places = 0;
    for (unsigned i = 0; i < RATE_WAYS; i++) {
        places |= (unsigned)(atomic_load_explicit(&set->key[i], memory_order_relaxed) == key) << i;
    }
    return places;
}

/* ---- a place for a new key ---- */

struct candidate {
    unsigned way;
    enum rate_place place;
    uint64_t key, full_at;
    double emptied; /* share of its size, 0: full; negative: free */
};

/* Whether the place may be taken, and how gladly. */
static bool consider(const struct rate_set *set, unsigned way, uint64_t now_ns,
                     struct candidate *c) {
    *c = (struct candidate){ .way = way, .full_at = get(&set->full_at[way]) };
    c->key = get(&set->key[way]);
    if (c->full_at & MOVING) {
        c->place = RATE_PLACE_NEW;
        return is_stale(c->full_at, now_ns);
    }
    if (c->full_at < now_ns) {
        c->place = c->key == 0 ? RATE_PLACE_NEW : RATE_PLACE_OF_FULL;
        c->emptied = c->key == 0 ? -1 : 0;
        return true;
    }
    c->place = RATE_PLACE_EARLY;
    c->emptied = (double)(c->full_at - now_ns) / (double)(1ull << (c->key & CLASS_MASK));
    return c->key != 0 && c->emptied < 0.5;
}

static bool is_better(const struct candidate *a, const struct candidate *b) {
    return a->emptied < b->emptied || (a->emptied <= b->emptied && a->full_at < b->full_at);
}

enum claim { CLAIM_DONE, CLAIM_AGAIN, CLAIM_NONE };

static enum claim claim(struct rate_set *set, uint64_t key, uint64_t now_ns,
                        enum rate_place *place) {
    struct candidate best = { 0 }, other;
    bool found = false;
    for (unsigned i = 0; i < RATE_WAYS; i++) {
        if (consider(set, i, now_ns, &other) && (!found || is_better(&other, &best))) {
            best = other;
            found = true;
        }
    }
    if (!found) {
        return CLAIM_NONE;
    }
    uint64_t mark = moving(key, now_ns);
    if (!swap(&set->full_at[best.way], best.full_at, mark)) {
        return CLAIM_AGAIN;
    }
    /* A predecessor that was taken for dead may still be here: then its key stays, and so does the
     * mark until somebody ends the move. */
    if (!swap(&set->key[best.way], best.key, key)) {
        return CLAIM_AGAIN;
    }
    (void)swap(&set->full_at[best.way], mark, now_ns);
    *place = best.place;
    return CLAIM_DONE;
}

/* ---- one key in two places ---- */

static void add_debt(struct rate_set *set, unsigned way, uint64_t key, uint64_t debt_ns,
                     uint64_t now_ns) {
    for (;;) {
        uint64_t was = get(&set->full_at[way]);
        if (was & MOVING || get(&set->key[way]) != key ||
            swap(&set->full_at[way], was, (was > now_ns ? was : now_ns) + debt_ns)) {
            return;
        }
    }
}

/* The second place becomes free. It keeps its time, so that the word grows, and is taken by nobody
 * until that has passed. */
static void join(struct rate_set *set, unsigned places, uint64_t key, uint64_t now_ns) {
    unsigned first = (unsigned)__builtin_ctz(places);
    unsigned second = (unsigned)__builtin_ctz(places & (places - 1));
    uint64_t was = get(&set->full_at[second]), mark = moving(0, now_ns);
    if (was & MOVING || get(&set->key[second]) != key || !swap(&set->full_at[second], was, mark)) {
        return;
    }
    (void)swap(&set->key[second], key, 0);
    (void)swap(&set->full_at[second], mark, was + 1);
    if (was > now_ns) {
        add_debt(set, first, key, was - now_ns, now_ns);
    }
}

/* ---- taking ---- */

enum step { STEP_PASSED, STEP_REFUSED, STEP_AGAIN, STEP_LEAVING };

static enum step take_from(struct rate_set *set, unsigned way, uint64_t key,
                           const struct rate_limit *limit, uint64_t now_ns,
                           struct rate_taken *taken) {
    uint64_t was = get(&set->full_at[way]), after = was;
    if (was & MOVING) {
        if (!moves_to(was, key)) {
            return STEP_LEAVING;
        }
        (void)swap(&set->full_at[way], was, now_ns); /* who brings the key may have died */
        return STEP_AGAIN;
    }
    if (get(&set->key[way]) != key) { /* read after the word: of the same owner */
        return STEP_AGAIN;
    }
    bool passed = rate_limit_take(limit, was, now_ns, &after);
    if (passed && !swap(&set->full_at[way], was, after)) {
        return STEP_AGAIN;
    }
    taken->full_at_word = &set->full_at[way];
    taken->key_word = &set->key[way];
    taken->key = key;
    taken->full_at_ns = after;
    return passed ? STEP_PASSED : STEP_REFUSED;
}

enum rate_result rate_table_take(struct rate_table *t, uint64_t hash,
                                 const struct rate_limit *limit, uint64_t now_ns,
                                 struct rate_taken *taken) {
    uint32_t mask = atomic_load_explicit(&t->set_mask, memory_order_relaxed);
    struct rate_set *set = &t->sets[(hash >> SET_SHIFT) & mask];
    uint64_t key = key_of(hash, limit);
    enum rate_place place = RATE_PLACE_KNOWN;
    for (unsigned leaving = 0;;) {
        /* Whoever has to look again does so because another one got on. */
        unsigned places = places_of(set, key) & ~leaving;
        if (places == 0) {
            if (claim(set, key, now_ns, &place) == CLAIM_NONE) {
                return RATE_TABLE_FULL;
            }
            leaving = 0;
            continue;
        }
        if (places & (places - 1)) {
            join(set, places, key, now_ns);
        }
        unsigned way = (unsigned)__builtin_ctz(places);
        switch (take_from(set, way, key, limit, now_ns, taken)) {
        case STEP_PASSED:
            taken->place = place;
            return RATE_PASSED;
        case STEP_REFUSED:
            taken->place = place;
            return RATE_REFUSED;
        case STEP_LEAVING:
            leaving |= 1u << way;
            break;
        case STEP_AGAIN:
            break;
        }
    }
}

void rate_table_give_back(const struct rate_taken *taken, const struct rate_limit *limit) {
    for (;;) {
        uint64_t was = get(taken->full_at_word);
        if (was & MOVING || get(taken->key_word) != taken->key ||
            swap(taken->full_at_word, was, was - limit->interval_ns)) {
            return;
        }
    }
}

double rate_table_used_ratio(const struct rate_table *t, uint64_t now_ns) {
    uint32_t sets = atomic_load_explicit(&t->set_mask, memory_order_relaxed) + 1;
    uint32_t used = 0;
    sets = sets < SAMPLED_SETS ? sets : SAMPLED_SETS;
    for (uint32_t i = 0; i < sets; i++) {
        for (unsigned way = 0; way < RATE_WAYS; way++) {
            used += get(&t->sets[i].full_at[way]) > now_ns; /* MOVING as well */
        }
    }
    return (double)used / (double)(sets * RATE_WAYS);
}
