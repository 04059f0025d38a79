/* The shared table of rate limits: counted to the token by processes and threads that race, fair
 * when it is full, and none the worse for a process that dies anywhere. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/shm/rate_table.h"
#include "base/clock.h"
#include "base/rand.h"

#define SECOND 1000000000ull
#define START (1000 * SECOND)
#define MOVING (1ull << 63)

static void *shared(size_t bytes) {
    const int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    /* cppcheck-suppress invalidFunctionArg; an anonymous one has no file */
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

static int set_up(void **state) {
    struct rate_table *t = shared(sizeof *t);
    assert_true(rate_table_init(t));
    *state = t;
    return 0;
}

static int tear_down(void **state) {
    munmap(*state, sizeof(struct rate_table));
    return 0;
}

static enum rate_result take(struct rate_table *t, uint64_t who, const struct rate_limit *limit,
                             uint64_t now_ns) {
    struct rate_taken taken;
    uint64_t hash = rate_table_hash(t, 7, slice_of((const char *)&who, sizeof who));
    return rate_table_take(t, hash, limit, now_ns, &taken);
}

static unsigned take_all(struct rate_table *t, uint64_t who, const struct rate_limit *limit,
                         uint64_t now_ns) {
    unsigned passed = 0;
    while (take(t, who, limit, now_ns) == RATE_PASSED) {
        passed++;
    }
    return passed;
}

static void each_key_has_its_bucket(void **state) {
    struct rate_limit limit = rate_limit_of(10, 5);
    for (uint64_t who = 0; who < 1000; who++) {
        assert_int_equal(take_all(*state, who, &limit, START), 5);
    }
    for (uint64_t who = 0; who < 1000; who++) {
        assert_int_equal(take_all(*state, who, &limit, START + SECOND / 5), 2);
    }
}

static void a_token_comes_back(void **state) {
    struct rate_table *t = *state;
    struct rate_limit limit = rate_limit_of(1, 1);
    struct rate_taken taken;
    uint64_t hash = rate_table_hash(t, 1, SLICE("ann"));
    assert_int_equal(rate_table_take(t, hash, &limit, START, &taken), RATE_PASSED);
    assert_int_equal(taken.place, RATE_PLACE_NEW);
    rate_table_give_back(&taken, &limit);
    assert_int_equal(rate_table_take(t, hash, &limit, START, &taken), RATE_PASSED);
    assert_int_equal(taken.place, RATE_PLACE_KNOWN);
    assert_int_equal(rate_table_take(t, hash, &limit, START, &taken), RATE_REFUSED);
    /* The place is another's by now: it gets nothing. */
    uint64_t before = atomic_load(taken.full_at_word);
    atomic_store(taken.key_word, 12345);
    rate_table_give_back(&taken, &limit);
    assert_int_equal(atomic_load(taken.full_at_word), before);
}

static void limits_do_not_share_buckets(void **state) {
    struct rate_table *t = *state;
    assert_int_not_equal(rate_table_hash(t, 1, SLICE("ann")), rate_table_hash(t, 2, SLICE("ann")));
}

/* ---- full ---- */

/* Somebody whom a limit holds back, and strangers without number: he stays held back. */
static void strangers_do_not_push_out_an_offender(void **state) {
    struct rate_table *t = *state;
    struct rate_limit slow = rate_limit_of(0.1, 10), fast = rate_limit_of(100, 50);
    struct rand rand;
    rand_init(&rand, 5);
    rate_table_resize(t, RATE_KEYS_MIN);
    uint64_t now = START;
    unsigned passed = take_all(t, 1, &slow, now);
    for (unsigned i = 0; i < 300000; i++) { /* 300 keys for each place */
        now += 1000;
        (void)take(t, 1000 + (rand_next(&rand) >> 8), &fast, now);
        passed += i % 100 == 0 ? take(t, 1, &slow, now) == RATE_PASSED : 0;
    }
    assert_int_equal(passed, 10); /* 0.3 s: not even one more */
}

/* He cannot get a new bucket from his own crowd either: all of it is as empty as he is. */
static void nobody_evicts_himself(void **state) {
    struct rate_table *t = *state;
    struct rate_limit limit = rate_limit_of(0.01, 3);
    rate_table_resize(t, RATE_KEYS_MIN);
    for (uint64_t who = 0; who < 8 * RATE_KEYS_MIN; who++) { /* until every set is full of them */
        (void)take_all(t, who, &limit, START + who);
    }
    assert_int_equal(take(t, 0, &limit, START + 8 * RATE_KEYS_MIN), RATE_REFUSED);
    unsigned full = 0;
    for (uint64_t who = 1u << 30; who < (1u << 30) + 1000; who++) {
        full += take(t, who, &limit, START + 8 * RATE_KEYS_MIN) == RATE_TABLE_FULL;
    }
    assert_int_equal(full, 1000);
    assert_int_equal(take(t, 0, &limit, START + 8 * RATE_KEYS_MIN), RATE_REFUSED);
    assert_true(rate_table_used_ratio(t, START + 8 * RATE_KEYS_MIN) >= 1);
    /* In time they are full again, and there is room. */
    assert_int_equal(take(t, 1u << 30, &limit, START + 1000 * SECOND), RATE_PASSED);
    assert_true(rate_table_used_ratio(t, START + 1000 * SECOND) < 0.01);
}

/* Who leaves: first whose bucket is full, the longest full; then the least emptied one. */
static void who_has_to_leave(void **state) {
    struct rate_table *t = *state;
    struct rate_limit limit = rate_limit_of(1, 16);
    struct rate_taken taken;
    static const unsigned tokens[RATE_WAYS] = { 3, 1, 2, 9, 9, 9, 9, 9 };
    atomic_store(&t->set_mask, 0); /* one set */
    for (uint64_t who = 0; who < RATE_WAYS; who++) {
        for (unsigned i = 0; i < tokens[who]; i++) {
            assert_int_equal(take(t, who, &limit, START), RATE_PASSED);
        }
    }
    uint64_t hash = rate_table_hash(t, 7, SLICE("new"));
    assert_int_equal(rate_table_take(t, hash, &limit, START, &taken), RATE_PASSED);
    assert_int_equal(taken.place, RATE_PLACE_EARLY);
    assert_int_equal(taken.full_at_ns,
                     START + SECOND); /* a bucket of its own, not the rest of one */
    assert_int_equal(taken.full_at_word - t->sets[0].full_at, 1);
    /* Two seconds later the new one and key 2 are full: the new one longer. */
    hash = rate_table_hash(t, 7, SLICE("newer"));
    assert_int_equal(rate_table_take(t, hash, &limit, START + 2 * SECOND + 1, &taken), RATE_PASSED);
    assert_int_equal(taken.place, RATE_PLACE_OF_FULL);
    assert_int_equal(taken.full_at_word - t->sets[0].full_at, 1);
    assert_int_equal(take_all(t, 3, &limit, START + 2 * SECOND + 1), 16 - 9 + 2);
}

static void a_new_size_keeps_working(void **state) {
    struct rate_table *t = *state;
    assert_int_equal(rate_table_keys(t), RATE_KEYS_DEFAULT);
    rate_table_resize(t, 1);
    assert_int_equal(rate_table_keys(t), RATE_KEYS_MIN);
    rate_table_resize(t, 100000);
    assert_int_equal(rate_table_keys(t), 131072);
    rate_table_resize(t, UINT32_MAX);
    assert_int_equal(rate_table_keys(t), RATE_KEYS_MAX);
    struct rate_limit limit = rate_limit_of(1, 2);
    assert_int_equal(take_all(t, 9, &limit, START), 2);
}

/* ---- who died in the middle of something ---- */

static void a_dead_worker_holds_nobody_up(void **state) {
    struct rate_table *t = *state;
    struct rate_limit limit = rate_limit_of(1, 2);
    struct rate_set *set = &t->sets[0];
    struct rate_taken taken;
    atomic_store(&t->set_mask, 0);
    uint64_t hash = rate_table_hash(t, 7, SLICE("ann"));
    assert_int_equal(rate_table_take(t, hash, &limit, START, &taken), RATE_PASSED);
    uint64_t key = taken.key;
    /* It died between writing the key and ending the move: who comes next ends it. */
    atomic_store(&set->full_at[0], MOVING | key >> 33 << 32 | 5);
    assert_int_equal(rate_table_take(t, hash, &limit, START, &taken), RATE_PASSED);
    assert_int_equal(taken.full_at_ns, START + SECOND);
    /* It died before writing the key: the place rests, and is taken later when there is need. */
    for (unsigned i = 0; i < RATE_WAYS; i++) {
        atomic_store(&set->key[i], 64 * (100 + i));
        atomic_store(&set->full_at[i], MOVING | 1ull << 32 | (uint32_t)(START / 1000000));
    }
    assert_int_equal(rate_table_take(t, hash, &limit, START + SECOND, &taken), RATE_TABLE_FULL);
    assert_int_equal(rate_table_take(t, hash, &limit, START + 2 * SECOND, &taken), RATE_PASSED);
    assert_int_equal(taken.full_at_ns, START + 3 * SECOND);
}

/* Two workers gave one key a place each: the next one counts both. */
static void two_places_of_one_key_become_one(void **state) {
    struct rate_table *t = *state;
    struct rate_limit limit = rate_limit_of(1, 10);
    struct rate_set *set = &t->sets[0];
    struct rate_taken taken;
    atomic_store(&t->set_mask, 0);
    uint64_t hash = rate_table_hash(t, 7, SLICE("ann"));
    assert_int_equal(rate_table_take(t, hash, &limit, START, &taken), RATE_PASSED);
    atomic_store(&set->key[5], taken.key);
    atomic_store(&set->full_at[5], START + 4 * SECOND);
    assert_int_equal(rate_table_take(t, hash, &limit, START, &taken), RATE_PASSED);
    assert_int_equal(taken.full_at_ns, START + 6 * SECOND);
    assert_int_equal(atomic_load(&set->key[5]), 0);
}

/* ---- races ---- */

enum { PROCESSES = 4, PASSES = 400000 };

struct race {
    struct rate_table *table;
    struct rate_limit limit;
    uint64_t keys, seed;
    unsigned passes;
    _Atomic uint64_t *passed; /* by key; the last one: who waits at the start */
};

/* All at once, as far as there are CPUs. */
static void wait_for_the_others(const struct race *race) {
    _Atomic uint64_t *waiting = &race->passed[race->keys];
    atomic_fetch_add(waiting, 1);
    while (atomic_load(waiting) < PROCESSES) {
        sched_yield();
    }
}

static void run_race(const struct race *race) {
    struct rand rand;
    rand_init(&rand, race->seed);
    wait_for_the_others(race);
    for (unsigned i = 0; i < race->passes; i++) {
        uint64_t who = rand_below(&rand, (uint32_t)race->keys);
        if (take(race->table, who, &race->limit, START + i) == RATE_PASSED) {
            atomic_fetch_add(&race->passed[who], 1);
        }
    }
}

static void *run_thread(void *argument) {
    run_race(argument);
    return NULL;
}

static void race_in_threads(const struct race *race) {
    pthread_t threads[PROCESSES];
    struct race races[PROCESSES];
    for (unsigned i = 0; i < PROCESSES; i++) {
        races[i] = *race;
        races[i].seed = i;
        assert_int_equal(pthread_create(&threads[i], NULL, run_thread, &races[i]), 0);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void race_in_processes(const struct race *race) {
    for (unsigned i = 0; i < PROCESSES; i++) {
        struct race own = *race;
        own.seed = i;
        if (fork() == 0) {
            run_race(&own);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        wait(&status);
        assert_int_equal(status, 0);
    }
}

static _Atomic uint64_t *shared_counters(size_t keys) {
    return shared((keys + 1) * sizeof(uint64_t));
}

/* Time stands still to the fraction of a token: each key passes exactly `burst` times, whoever
 * asks. */
static void exact_whoever_asks(void **state) {
    enum { KEYS = 3 };
    struct race race = { .table = *state,
                         .limit = rate_limit_of(0.4, 300000),
                         .keys = KEYS,
                         .passes = PASSES,
                         .passed = shared_counters(KEYS) };
    race_in_processes(&race);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(atomic_load(&race.passed[i]), 300000);
    }
}

static void exact_in_threads(void **state) {
    enum { KEYS = 2 };
    struct race race = { .table = *state,
                         .limit = rate_limit_of(0.4, 500000),
                         .keys = KEYS,
                         .passes = PASSES,
                         .passed = shared_counters(KEYS) };
    race_in_threads(&race);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(atomic_load(&race.passed[i]), 500000);
    }
}

/* All meet the same new keys at once, time and again: no more than the burst passes, also while
 * several find a place for one key. */
static void exact_for_new_keys(void **state) {
    enum { KEYS = 3000 };
    struct race race = { .table = *state,
                         .limit = rate_limit_of(0.001, 8),
                         .keys = KEYS,
                         .passes = PASSES,
                         .passed = shared_counters(KEYS) };
    race_in_threads(&race);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(atomic_load(&race.passed[i]), 8);
    }
}

/* Places change hands all the time, and processes are killed in the midst of it: afterwards the
 * table still counts. */
static void kills_leave_nothing_behind(void **state) {
    struct rate_table *t = *state;
    struct race race = { .table = t,
                         .limit = rate_limit_of(1e6, 2),
                         .keys = 100000,
                         .passes = UINT32_MAX,
                         .passed = shared_counters(100000) };
    pid_t pids[PROCESSES];
    rate_table_resize(t, RATE_KEYS_MIN);
    for (unsigned round = 0; round < 20; round++) {
        atomic_store(&race.passed[race.keys], 0);
        for (unsigned i = 0; i < PROCESSES; i++) {
            race.seed = round * PROCESSES + i;
            pids[i] = fork();
            if (pids[i] == 0) {
                run_race(&race);
                _exit(0);
            }
        }
        usleep(3000); /* somewhere */
        for (unsigned i = 0; i < PROCESSES; i++) {
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
        }
    }
    struct rate_limit limit = rate_limit_of(1, 5);
    uint64_t later = START + 1000 * SECOND;
    for (uint64_t who = 1; who < 100; who++) {
        assert_int_equal(take_all(t, who << 40, &limit, later), 5);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(each_key_has_its_bucket),
        CASE(a_token_comes_back),
        CASE(limits_do_not_share_buckets),
        CASE(strangers_do_not_push_out_an_offender),
        CASE(nobody_evicts_himself),
        CASE(who_has_to_leave),
        CASE(a_new_size_keeps_working),
        CASE(a_dead_worker_holds_nobody_up),
        CASE(two_places_of_one_key_become_one),
        CASE(exact_whoever_asks),
        CASE(exact_in_threads),
        CASE(exact_for_new_keys),
        CASE(kills_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
