/* The choice of an endpoint under load, in virtual time: a service of several servers, each with
 * places that work at once and a queue before them, one of which is slow, failing or cold. Same
 * seed, same run; a failure names its seed. */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/heap.h"
#include "base/histogram.h"
#include "base/rand.h"
#include "decide/balance/balance.h"

#define SIMULATED_SERVERS_MAX 32
#define SIMULATED_PLACES_MAX 64
#define SIMULATED_IN_FLIGHT_MAX 8192
#define SIMULATED_WORKERS_MAX 4

struct simulated_server {
    double service_us;          /* mean of what an answer takes */
    bool exponential;           /* or always the same */
    double slow_ratio, slow_us; /* such a part of the answers takes that, instead */
    uint32_t places;            /* at work at once; 0: as many as come */
    double failing_ratio;       /* such a part is answered 500 after fail_us, without a place */
    double fail_us;
    uint64_t fails_from_us;
    uint32_t cold;        /* so many of its first answers take ten times as long */
    uint64_t joins_us;    /* until then it is out of rotation */
    uint64_t recovers_us; /* from then on it takes healthy_us and does not fail; 0: never */
    uint64_t healthy_us;
    uint32_t weight;
    /* What came of it. */
    uint32_t requests, judged; /* all; since judge_from_us */
    uint32_t in_flight_max;
    /* Its own. */
    uint32_t in_flight, usual_us, trials, error_ppm;
    uint64_t last_us, free_us[SIMULATED_PLACES_MAX];
};

struct simulation {
    struct simulated_server servers[SIMULATED_SERVERS_MAX];
    uint32_t count;
    uint32_t clients; /* a closed loop: each asks again when it is answered; 0: an open one */
    double rps;       /* of the open one, Poisson */
    uint64_t end_us, judge_from_us;
    enum balance_policy policy;
    uint32_t workers; /* that choose in turn, each with a memory of its own; 0: one */
    /* What came of it, of requests sent since judge_from_us. */
    uint32_t requests, failures;
    double latency_us_p99;
};

struct request {
    struct heap_node node; /* by due_us; while free: not in it */
    uint64_t due_us, sent_us;
    uint32_t server;
    bool failed;
    struct request *next_free;
};

struct run {
    struct simulation *s;
    struct heap due;
    struct request requests[SIMULATED_IN_FLIGHT_MAX], *free;
    struct balance memory[SIMULATED_WORKERS_MAX];
    struct histogram latency_us;
    struct rand rand;
    uint64_t now_us;
    uint32_t turn;
};

static bool earlier(const struct heap_node *a, const struct heap_node *b) {
    return HEAP_ITEM_CONST(a, struct request, node)->due_us <
           HEAP_ITEM_CONST(b, struct request, node)->due_us;
}

static struct balance_candidate look(const void *self, uint32_t position) {
    const struct run *run = self;
    const struct simulated_server *server = &run->s->servers[position];
    return (struct balance_candidate){
        .in_flight = server->in_flight,
        .usual_us = server->trials < BALANCE_TRIALS ? 0 : server->usual_us,
        .error_ppm = server->error_ppm,
        .idle_us = server->last_us == 0 ? 0 : run->now_us - server->last_us,
        .weight = server->weight,
        .ejected = run->now_us < server->joins_us,
    };
}

static double duration_us(struct run *run, const struct simulated_server *server) {
    bool recovered = server->recovers_us > 0 && run->now_us >= server->recovers_us;
    double mean = recovered ? (double)server->healthy_us : server->service_us;
    if (rand_unit(&run->rand) < server->slow_ratio) {
        mean = server->slow_us;
    }
    mean *= server->requests < server->cold ? 10 : 1;
    return server->exponential ? mean * rand_exponential(&run->rand) : mean;
}

/* When the work that is given to it now is done. */
static uint64_t work(struct run *run, struct simulated_server *server) {
    uint64_t *free_us = &server->free_us[0], begin_us;
    uint64_t took_us = (uint64_t)duration_us(run, server) + 1;
    if (server->places == 0) {
        return run->now_us + took_us;
    }
    for (uint32_t i = 1; i < server->places; i++) {
        free_us = server->free_us[i] < *free_us ? &server->free_us[i] : free_us;
    }
    begin_us = *free_us > run->now_us ? *free_us : run->now_us;
    *free_us = begin_us + took_us;
    return *free_us;
}

static void send(struct run *run) {
    struct simulation *s = run->s;
    struct request *request = run->free;
    struct balance_request wish = { .policy = s->policy, .may_probe = true };
    uint32_t worker = s->workers == 0 ? 0 : run->turn++ % s->workers;
    struct balance_choice choice =
        balance_pick(&run->memory[worker], &wish, run, look, s->count, &run->rand);
    assert(request != NULL && choice.quality != BALANCE_NOBODY);
    struct simulated_server *server = &s->servers[choice.position];
    bool recovered = server->recovers_us > 0 && run->now_us >= server->recovers_us;
    run->free = request->next_free;
    request->server = choice.position;
    request->sent_us = run->now_us;
    request->failed = !recovered && run->now_us >= server->fails_from_us &&
                      rand_unit(&run->rand) < server->failing_ratio;
    request->due_us = request->failed ? run->now_us + (uint64_t)server->fail_us : work(run, server);
    server->requests++;
    server->judged += run->now_us >= s->judge_from_us;
    server->in_flight++;
    server->in_flight_max =
        server->in_flight > server->in_flight_max ? server->in_flight : server->in_flight_max;
    assert(heap_insert(&run->due, &request->node));
}

static void answer(struct run *run, struct request *request) {
    struct simulated_server *server = &run->s->servers[request->server];
    uint64_t took_us = run->now_us - request->sent_us, idle_us = run->now_us - server->last_us;
    server->in_flight--;
    if (!request->failed) {
        server->usual_us = balance_add_usual(server->usual_us, server->trials, took_us, idle_us);
        server->trials += server->trials < BALANCE_TRIALS;
    }
    server->error_ppm = balance_add_error(server->error_ppm, request->failed, idle_us);
    server->last_us = run->now_us;
    if (request->sent_us >= run->s->judge_from_us) {
        run->s->requests++;
        run->s->failures += request->failed;
        histogram_record(&run->latency_us, took_us);
    }
    request->next_free = run->free;
    run->free = request;
}

static void go_on(struct run *run) {
    struct simulation *s = run->s;
    uint64_t arrival_us = s->clients > 0 ? UINT64_MAX : 0;
    while (run->now_us < s->end_us) {
        struct heap_node *first = heap_first(&run->due);
        struct request *next = first == NULL ? NULL : HEAP_ITEM(first, struct request, node);
        if (next != NULL && next->due_us <= arrival_us) {
            run->now_us = next->due_us;
            heap_remove(&run->due, first);
            answer(run, next);
            if (s->clients > 0) {
                send(run);
            }
        } else {
            run->now_us = arrival_us;
            arrival_us += 1 + (uint64_t)(rand_exponential(&run->rand) * 1e6 / s->rps);
            send(run);
        }
    }
}

/* Runs it to the end, whose requests are not waited for. */
static void simulate(struct simulation *s, uint64_t seed) {
    struct run *run = calloc(1, sizeof *run);
    assert(run != NULL && s->workers <= SIMULATED_WORKERS_MAX);
    run->s = s;
    rand_init(&run->rand, seed);
    heap_init(&run->due, earlier);
    for (uint32_t i = 0; i < SIMULATED_IN_FLIGHT_MAX; i++) {
        run->requests[i].next_free = run->free;
        run->free = &run->requests[i];
    }
    for (uint32_t i = 0; i < s->clients; i++) {
        send(run);
    }
    go_on(run);
    s->latency_us_p99 = (double)histogram_quantile(&run->latency_us, 0.99);
    heap_fini(&run->due);
    free(run);
}

/* The part of the judged requests that the server got. */
static double share_of(const struct simulation *s, uint32_t server) {
    double all = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        all += s->servers[i].judged;
    }
    return s->servers[server].judged / all;
}

/* ---- what must hold ---- */

#define SEEDS 600
#define SETTLE_US 2000000
#define END_US 20000000 /* longer than BALANCE_SILENCE_US after that */

enum illness { ILL_SLOW, ILL_FAILING, ILLNESSES };

/* Some servers, alike and loaded to at most 60 % without the last, which is ill. */
static struct simulation random_service(struct rand *r, enum illness illness) {
    struct simulation s = {
        .count = 2 + rand_below(r, 9),
        .workers = 1 + rand_below(r, 3),
        .end_us = END_US,
        .judge_from_us = SETTLE_US,
    };
    double service_us = 2000 + rand_below(r, 20000);
    uint32_t places = 1 + rand_below(r, 16);
    bool exponential = rand_below(r, 2) == 0;
    for (uint32_t i = 0; i < s.count; i++) {
        s.servers[i] = (struct simulated_server){ .service_us = service_us,
                                                  .exponential = exponential,
                                                  .places = places };
    }
    struct simulated_server *ill = &s.servers[s.count - 1];
    if (illness == ILL_SLOW) {
        ill->service_us *= 20 + rand_below(r, 30); /* though the others queue */
    } else {
        ill->failing_ratio = 0.7 + 0.3 * rand_unit(r);
        ill->fail_us = 50 + rand_below(r, 500);
    }
    double load = 0.3 + 0.3 * rand_unit(r);
    s.rps = load * (s.count - 1) * places * 1e6 / service_us;
    s.rps = s.rps > 3000 ? 3000 : s.rps;
    return s;
}

static void judge_spread(const struct simulation *s, uint32_t healthy, uint64_t seed) {
    for (uint32_t i = 0; i < healthy; i++) {
        double of_fair = share_of(s, i) * healthy;
        if (of_fair < 0.4 || of_fair > 2) {
            fail_msg("seed %d: server %u of %u has %.2f of a fair share", (int)seed, i, healthy,
                     of_fair);
        }
    }
}

/* It gets no more than probes, and is not forgotten. */
static void leaves_the_ill_one_alone(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct rand r;
        rand_init(&r, seed);
        enum illness illness = rand_below(&r, ILLNESSES);
        struct simulation s = random_service(&r, illness);
        simulate(&s, seed);
        double seconds = (double)(END_US - SETTLE_US) / 1e6;
        double most = 0.005 * s.rps * seconds + seconds / 10 + s.workers + 3;
        const struct simulated_server *ill = &s.servers[s.count - 1];
        if (ill->judged > most || ill->judged == 0) {
            fail_msg("seed %d: %s, %u servers, %.0f rps: %u requests, at most %.0f", (int)seed,
                     illness == ILL_SLOW ? "slow" : "failing", s.count, s.rps, ill->judged, most);
        }
        judge_spread(&s, s.count - 1, seed);
    }
}

/* What recovers has its share again soon: BALANCE_SILENCE_US and a few answers later. */
static void finds_the_recovered(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS / 4; seed++) {
        struct rand r;
        rand_init(&r, seed);
        struct simulation s = random_service(&r, rand_below(&r, ILLNESSES));
        struct simulated_server *ill = &s.servers[s.count - 1];
        ill->recovers_us = 4000000;
        ill->healthy_us = (uint64_t)s.servers[0].service_us;
        s.judge_from_us = s.rps > 500 ? 18000000 : 45000000;
        s.end_us = s.judge_from_us + 10000000;
        simulate(&s, seed);
        judge_spread(&s, s.count, seed);
    }
}

/* Four at 5, 5, 5 and 50 ms and 32 clients: the bar of issue 5. */
static void four_of_which_one_is_slow(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct simulation s = {
            .count = 4, .clients = 32, .workers = 2, .end_us = 10000000, .judge_from_us = 1000000
        };
        for (int i = 0; i < 4; i++) {
            s.servers[i].service_us = i == 3 ? 50000 : 5000;
        }
        simulate(&s, seed);
        assert_true(share_of(&s, 3) < 0.003);
        assert_true(s.latency_us_p99 < 10000);
        assert_true(s.requests / 9.0 > 1.15 * 4957); /* what the least in flight gives here */
    }
}

/* In the middle of the load one begins to fail at once: few visitors see it. */
static void four_of_which_one_begins_to_fail(void **state) {
    uint32_t all = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct simulation s = {
            .count = 4, .clients = 32, .workers = 2, .end_us = 2000000, .judge_from_us = 1000000
        };
        for (int i = 0; i < 4; i++) {
            s.servers[i].service_us = 20000;
            s.servers[i].exponential = true; /* or all clients ask in the same moment */
        }
        s.servers[3].failing_ratio = 1;
        s.servers[3].fail_us = 100;
        s.servers[3].fails_from_us = 1000000;
        simulate(&s, seed);
        all += s.failures;
        if (s.failures > 6) {
            fail_msg("seed %d: %u failures of %u", (int)seed, s.failures, s.requests);
        }
    }
    if (all > 20 * 3) { /* 0.2 % of 1,600 each */
        fail_msg("%u failures in 20 runs", all);
    }
}

/* A cold one joins at full load: the others' visitors do not feel it, and it warms up. */
static void warms_up_the_cold_one(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct simulation s = {
            .count = 4, .clients = 32, .end_us = 40000000, .judge_from_us = 1000000
        };
        for (int i = 0; i < 4; i++) {
            s.servers[i].service_us = 5000;
        }
        s.servers[3].cold = 200;
        s.servers[3].joins_us = 1000000;
        simulate(&s, seed);
        assert_true(s.latency_us_p99 < 1.3 * 5200);
        assert_true(s.servers[3].requests > 10000);
    }
}

/* When all fail a fifth of the time nobody is to blame, and nobody is spared. */
static void blames_nobody_for_what_all_do(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct simulation s = {
            .count = 4, .clients = 32, .end_us = 10000000, .judge_from_us = 1000000
        };
        for (int i = 0; i < 4; i++) {
            s.servers[i] = (struct simulated_server){
                .service_us = 20000, .places = 4, .failing_ratio = 0.2, .fail_us = 1000
            };
        }
        simulate(&s, seed);
        judge_spread(&s, 4, seed);
        for (int i = 0; i < 4; i++) {
            assert_in_range(s.servers[i].in_flight_max, 8, 24);
        }
    }
}

/* A tenth of the pages takes twenty times as long, wherever it is asked for. */
static void is_not_confused_by_slow_pages(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct simulation s = {
            .count = 4, .rps = 800, .end_us = 20000000, .judge_from_us = 1000000
        };
        for (int i = 0; i < 4; i++) {
            s.servers[i] = (struct simulated_server){
                .service_us = 5000, .places = 4, .slow_ratio = 0.1, .slow_us = 100000
            };
        }
        simulate(&s, seed);
        judge_spread(&s, 4, seed);
    }
}

static void keeps_to_the_weights(void **state) {
    static const enum balance_policy policies[] = { BALANCE_LEAST_REQUESTS, BALANCE_ROUND_ROBIN };
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct simulation s = {
            .count = 3, .rps = 900, .end_us = 20000000, .policy = policies[p], .workers = 2
        };
        static const uint32_t weights[] = { 3, 1, 2 };
        for (int i = 0; i < 3; i++) {
            s.servers[i] = (struct simulated_server){ .service_us = 20000,
                                                      .places = 12 * weights[i],
                                                      .weight = weights[i] };
        }
        simulate(&s, 7);
        double slack = policies[p] == BALANCE_ROUND_ROBIN ? 0.01 : 0.08;
        for (uint32_t i = 0; i < 3; i++) {
            assert_float_equal(share_of(&s, i), weights[i] / 6.0, slack);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_the_ill_one_alone),
        cmocka_unit_test(finds_the_recovered),
        cmocka_unit_test(four_of_which_one_is_slow),
        cmocka_unit_test(four_of_which_one_begins_to_fail),
        cmocka_unit_test(warms_up_the_cold_one),
        cmocka_unit_test(blames_nobody_for_what_all_do),
        cmocka_unit_test(is_not_confused_by_slow_pages),
        cmocka_unit_test(keeps_to_the_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
