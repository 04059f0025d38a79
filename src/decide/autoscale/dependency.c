#include "decide/autoscale/dependency.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define QUIET_LEAST_US 3000000 /* a trace is over when nothing came of it for so long, or twice */
#define QUIET_MOST_US 60000000 /* as long as the longest request, at most so long */
#define SURE_SHARE 0.02        /* of a pair's calls: then it is taken for the caller in doubt */
#define SIGMAS 1.64            /* 0.9 of certainty */
#define NOBODY UINT16_MAX

void dependencies_observe(struct dependencies *d, const struct dependency_request *request) {
    assert(request->service < DEPENDENCY_SERVICES_MAX);
    if (request->ended_us < request->begun_us) {
        return;
    }
    if (d->pending_count == DEPENDENCY_PENDING_MAX) {
        dependencies_lost(d);
    }
    d->pending[d->pending_count++] = *request;
    uint64_t took_us = request->ended_us - request->begun_us;
    d->longest_us = took_us > d->longest_us ? took_us : d->longest_us;
}

void dependencies_lost(struct dependencies *d) {
    d->pending_count = 0;
}

/* ---- who called ---- */

/* Those that were under way when this one began, at services that are where it came from; at any
 * where only a service can know the trace. */
struct candidates {
    uint64_t services;  /* a bit each */
    uint16_t innermost; /* of the request that began last */
};

static struct candidates find_candidates(const struct dependency_request *group, size_t at) {
    const struct dependency_request *call = &group[at];
    struct candidates found = { 0, NOBODY };
    bool ours = group[0].begun && call->peer != group[0].peer;
    for (size_t i = 0; i < at; i++) { /* in order of their beginning */
        const struct dependency_request *r = &group[i];
        bool there = ours || (call->owners >> r->service & 1);
        if (r->service != call->service && r->reached && there && r->ended_us >= call->begun_us) {
            found.services |= UINT64_C(1) << r->service;
            found.innermost = r->service;
        }
    }
    return found;
}

static bool is_one(uint64_t services) {
    return services != 0 && (services & (services - 1)) == 0;
}

/* Several were under way at that address: whoever was seen to call it when nobody else was, else
 * the last one, as calls nest. */
static uint16_t settle_doubt(const struct dependencies *d, struct candidates candidates,
                             unsigned called) {
    uint16_t best = candidates.innermost;
    double most = 0, calls = 0;
    for (uint16_t i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        const struct dependency_pair *pair = &d->pairs[i][called];
        calls += pair->calls;
        if ((candidates.services >> i & 1) && pair->sure > most) {
            most = pair->sure;
            best = i;
        }
    }
    return most > SURE_SHARE * calls ? best : candidates.innermost;
}

/* The only other service that has instances where it came from. */
static uint16_t owner_of(const struct dependency_request *call) {
    if (!is_one(call->owners) || call->owners >> call->service & 1) {
        return NOBODY;
    }
    return (uint16_t)__builtin_ctzll(call->owners);
}

/* ---- one trace ---- */

struct sample {
    unsigned requests[DEPENDENCY_SERVICES_MAX];
    struct {
        uint16_t caller, called;
    } calls[DEPENDENCY_TRACE_MOST];
    size_t call_count;
};

static void note_call(struct dependencies *d, struct sample *sample,
                      const struct dependency_request *group, size_t at) {
    struct candidates candidates = find_candidates(group, at);
    unsigned called = group[at].service;
    bool sure = is_one(candidates.services), traced = candidates.services != 0;
    uint16_t caller = sure     ? candidates.innermost
                      : traced ? settle_doubt(d, candidates, called)
                               : owner_of(&group[at]);
    if (caller == NOBODY) {
        return; /* a visitor's */
    }
    struct dependency_pair *pair = &d->pairs[caller][called];
    pair->sure += sure;
    pair->calls_traced += traced;
    sample->calls[sample->call_count].caller = caller;
    sample->calls[sample->call_count++].called = (uint16_t)called;
}

static void count_pairs(struct dependencies *d, const struct sample *sample) {
    bool done[DEPENDENCY_TRACE_MOST] = { false };
    for (size_t i = 0; i < sample->call_count; i++) {
        uint16_t caller = sample->calls[i].caller, called = sample->calls[i].called;
        double calls = 0;
        for (size_t k = i; k < sample->call_count && !done[i]; k++) {
            bool same = sample->calls[k].caller == caller && sample->calls[k].called == called;
            calls += same;
            done[k] |= same && k > i;
        }
        struct dependency_pair *pair = &d->pairs[caller][called];
        pair->calls += calls;
        pair->calls_squared += calls * calls;
        pair->calls_requests += calls * sample->requests[caller];
    }
}

static void fade(struct dependencies *d, unsigned caller) {
    d->callers[caller].requests /= 2;
    d->callers[caller].requests_squared /= 2;
    for (unsigned i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        struct dependency_pair *pair = &d->pairs[caller][i];
        *pair = (struct dependency_pair){ pair->calls / 2, pair->calls_traced / 2,
                                          pair->calls_squared / 2, pair->calls_requests / 2,
                                          pair->sure / 2 };
    }
}

static void count_trace(struct dependencies *d, const struct dependency_request *group,
                        size_t count) {
    struct sample sample = { .call_count = 0 };
    for (size_t i = 0; i < count; i++) {
        sample.requests[group[i].service] += group[i].reached;
        note_call(d, &sample, group, i);
    }
    count_pairs(d, &sample);
    for (unsigned i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        double requests = sample.requests[i];
        d->callers[i].requests += requests;
        d->callers[i].requests_squared += requests * requests;
        if (d->callers[i].requests > DEPENDENCY_REQUESTS_MOST) {
            fade(d, i);
        }
    }
}

/* ---- all that wait ---- */

static int in_order(const void *a, const void *b) {
    const struct dependency_request *x = a, *y = b;
    if (x->trace != y->trace) {
        return x->trace < y->trace ? -1 : 1;
    }
    return (x->begun_us > y->begun_us) - (x->begun_us < y->begun_us);
}

static uint64_t quiet_us(const struct dependencies *d) {
    uint64_t quiet = 2 * d->longest_us;
    return quiet < QUIET_LEAST_US ? QUIET_LEAST_US : quiet > QUIET_MOST_US ? QUIET_MOST_US : quiet;
}

void dependencies_settle(struct dependencies *d, uint64_t now_us) {
    size_t kept = 0, end, quiet_before = 0;
    uint64_t quiet = quiet_us(d);
    qsort(d->pending, d->pending_count, sizeof d->pending[0], in_order);
    for (size_t from = 0; from < d->pending_count; from = end) {
        uint64_t last_us = 0;
        for (end = from; end < d->pending_count && d->pending[end].trace == d->pending[from].trace;
             end++) {
            last_us = d->pending[end].ended_us > last_us ? d->pending[end].ended_us : last_us;
        }
        size_t count = end - from;
        if (last_us + quiet > now_us) {
            memmove(&d->pending[kept], &d->pending[from], count * sizeof d->pending[0]);
            kept += count;
        } else if (count <= DEPENDENCY_TRACE_MOST) {
            count_trace(d, &d->pending[from], count);
            quiet_before++;
        }
    }
    d->pending_count = kept;
    d->longest_us -= quiet_before > 0 ? d->longest_us / 32 : 0;
}

void dependencies_forget(struct dependencies *d, unsigned service) {
    d->callers[service] = (struct dependency_caller){ 0 };
    memset(d->pairs[service], 0, sizeof d->pairs[service]);
    for (unsigned i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        d->pairs[i][service] = (struct dependency_pair){ 0 };
    }
    dependencies_lost(d);
}

/* ---- what is known ---- */

/* A ratio of sums over traces; its error is that of the residuals calls − ratio × requests
 * (Cochran, "Sampling Techniques", 1977, chapter 6). */
struct dependency_ratio dependencies_ratio(const struct dependencies *d, unsigned caller,
                                           unsigned called) {
    const struct dependency_caller *c = &d->callers[caller];
    const struct dependency_pair *p = &d->pairs[caller][called];
    struct dependency_ratio r = { NAN, NAN, NAN, c->requests, false, false };
    if (!(p->calls > 0) || !(c->requests > 0)) {
        return r;
    }
    double ratio = p->calls / c->requests;
    double residuals =
        p->calls_squared - 2 * ratio * p->calls_requests + ratio * ratio * c->requests_squared;
    /* One call more or less is never known better than that. */
    double error = sqrt(fmax(residuals, 0) + 1) / c->requests;
    r.likely = ratio;
    r.low = fmax(ratio - SIGMAS * error, 0);
    r.high = ratio + SIGMAS * error;
    r.by_trace = p->calls_traced * 2 > p->calls;
    r.proven = c->requests >= DEPENDENCY_REQUESTS_LEAST && ratio >= DEPENDENCY_RATIO_LEAST &&
               error <= DEPENDENCY_ERROR_MOST * ratio;
    return r;
}

/* ---- which of them are planned by ---- */

/* Whether `from` leads to `to`. */
static bool leads(const uint64_t calls[DEPENDENCY_SERVICES_MAX], unsigned from, unsigned to) {
    uint64_t seen = UINT64_C(1) << from, next = seen;
    while (next != 0) {
        unsigned at = (unsigned)__builtin_ctzll(next);
        next &= next - 1;
        next |= calls[at] & ~seen;
        seen |= calls[at];
    }
    return seen >> to & 1;
}

struct edge {
    uint8_t caller, called;
    bool used;
    double calls;
};

static int used_first(const void *a, const void *b) {
    const struct edge *x = a, *y = b;
    if (x->used != y->used) {
        return x->used ? -1 : 1;
    }
    return (x->calls < y->calls) - (x->calls > y->calls);
}

static size_t list_edges(const struct dependencies *d, const uint64_t *configured,
                         const uint64_t *used, struct edge *edges) {
    size_t count = 0;
    for (unsigned i = 0; i < DEPENDENCY_SERVICES_MAX; i++) {
        for (unsigned k = 0; k < DEPENDENCY_SERVICES_MAX; k++) {
            if (i != k && d->pairs[i][k].calls > 0 && !(configured[i] >> k & 1) &&
                dependencies_ratio(d, i, k).proven) {
                edges[count++] =
                    (struct edge){ (uint8_t)i, (uint8_t)k, used[i] >> k & 1, d->pairs[i][k].calls };
            }
        }
    }
    qsort(edges, count, sizeof *edges, used_first);
    return count;
}

void dependencies_select(const struct dependencies *d,
                         const uint64_t configured[DEPENDENCY_SERVICES_MAX],
                         uint64_t used[DEPENDENCY_SERVICES_MAX]) {
    static struct edge edges[DEPENDENCY_SERVICES_MAX * DEPENDENCY_SERVICES_MAX];
    uint64_t all[DEPENDENCY_SERVICES_MAX];
    size_t count = list_edges(d, configured, used, edges);
    memcpy(all, configured, sizeof all);
    memset(used, 0, DEPENDENCY_SERVICES_MAX * sizeof used[0]);
    for (size_t i = 0; i < count; i++) {
        if (!leads(all, edges[i].called, edges[i].caller)) {
            used[edges[i].caller] |= UINT64_C(1) << edges[i].called;
            all[edges[i].caller] |= UINT64_C(1) << edges[i].called;
        }
    }
}
