/* Which endpoint gets the next request.
 *
 * `fastest`: of up to BALANCE_LOOKS random ones the least expected finish,
 *
 *     score = (in flight + 1) × (usual latency + excess errors × BALANCE_ERROR_COST_US) ÷ weight
 *
 * where scores within BALANCE_TIE of the least are equal, and chance decides. Who is an outlier
 * among its peers (`suspect`: usually three times as slow as the lower median, or failing a fifth
 * more often) is left out, whatever the others carry, but for probes: it finishes nothing sooner,
 * and one that fails fast is always idle. At most half of the endpoints can be outliers. When the
 * others are so loaded that they become as slow, it is none any more.
 *
 * A probe is a request that may be sent twice, to a suspect that has nothing in flight. It is paid
 * for: each request earns BALANCE_PROBE_RATIO of a usual answer's time, a probe costs what it is
 * expected to take, an error BALANCE_ERROR_COST_US. So the mean answer takes at most a fiftieth
 * longer, and of a hundred requests fewer than one is a probe. One is free when nothing has been
 * heard for BALANCE_SILENCE_US.
 *
 * Pure: chance and time are arguments. Estimates live where the caller keeps them (the vitals, one
 * per endpoint for all workers); ejection is ejection.h, affinity maglev.h, zones locality.h.
 * After: "The Power of Two Choices", Mitzenmacher 2001; peak EWMA of Twitter's Finagle; "Load is
 * not what you should balance: Introducing Prequal", NSDI 2024 (latency decides, probes are paid
 * for); "Frugal Streaming for Estimating Quantiles", Ma et al. 2013. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/rand.h"

#define BALANCE_LOOKS 4       /* endpoints compared: of so many or fewer all */
#define BALANCE_TIE 1.25F     /* scores as near as this are equal */
#define BALANCE_NOISE_US 2000 /* who differs by less is as fast as the others */
#define BALANCE_ALIKE 1.5F    /* or by no more than this factor */
#define BALANCE_SLOW 3        /* times the lower median of its peers (and the noise): an outlier */
#define BALANCE_FAILING_PPM 200000    /* and twice what its peers fail: an outlier, too */
#define BALANCE_ERROR_COST_US 2000000 /* a failure is as bad as waiting this long */
#define BALANCE_PROBE_RATIO 0.02F     /* of the requests' time may go into probes */
#define BALANCE_PROBE_PRICE_LEAST 4   /* so that never more than 0.5 % are probes */
#define BALANCE_TRIALS 3
#define BALANCE_SILENCE_US 10000000
#define BALANCE_FADE_US 1000000 /* half of what is known is forgotten in this time of silence */
#define BALANCE_FADE_HALVINGS_MAX 20
#define BALANCE_PPM 1000000
#define BALANCE_WEIGHT_MAX 256

enum balance_policy {
    BALANCE_FASTEST,
    BALANCE_LEAST_REQUESTS,
    BALANCE_ROUND_ROBIN,
    BALANCE_MAGLEV, /* maglev.h */
    BALANCE_POLICIES,
};

struct balance_candidate {
    uint32_t in_flight;
    uint32_t usual_us;  /* of the time to first byte, what most take; 0: not known yet */
    uint32_t error_ppm; /* average of failures, parts per million */
    uint64_t idle_us;   /* since its last answer */
    uint32_t weight;    /* 1 to BALANCE_WEIGHT_MAX; 0 counts as 1 */
    bool ejected;       /* not to be used unless all are */
    bool tried;         /* by this request, in vain */
};

/* What the candidate at `position` < count looks like now. */
typedef struct balance_candidate balance_look(const void *self, uint32_t position);

/* What choosing remembers from one request to the next: of one service, in one worker. All zero at
 * the start. */
struct balance {
    float probe_credit;       /* in usual answers */
    uint32_t position, round; /* of round robin: who is next; in round n those heavier than n */
};

struct balance_request {
    enum balance_policy policy; /* but BALANCE_MAGLEV: that has a key */
    bool may_probe;             /* it may be sent twice */
};

/* Of the best that there is, best first. */
enum balance_quality {
    BALANCE_GOOD,
    BALANCE_TRIED,  /* all others are ejected or have been tried too */
    BALANCE_PANIC,  /* all are ejected: better one of them than none at all */
    BALANCE_NOBODY, /* there are no candidates, or all are ejected and tried */
};

struct balance_choice {
    enum balance_quality quality;
    uint32_t position; /* of no meaning with BALANCE_NOBODY */
};

enum balance_quality balance_quality_of(const struct balance_candidate *candidate);

/* Looks at all only when none of the few that it drew may be used. Round robin goes on until it
 * finds one that may. */
struct balance_choice balance_pick(struct balance *b, const struct balance_request *request,
                                   const void *self, balance_look *look, uint32_t count,
                                   struct rand *r);

/* The lower medians of those that are compared; 0: not known. */
struct balance_typical {
    uint32_t us, error_ppm;
};

/* Lower is better. What is typical stands for the latency of who has none yet. */
float balance_score(const struct balance_candidate *candidate, const struct balance_typical *peers);

/* ---- estimates (estimate.c): what they are after one more answer, `idle_us` after the one before.
 * What was learned before a silence counts the less. ---- */

/* The part of it that still counts: halved by each BALANCE_FADE_US, linear in between. */
float balance_faded(uint64_t idle_us);
/* The average, sensitive to peaks: for people, and for who looks out for sudden slowness. */
uint32_t balance_add_latency(uint32_t ewma_us, uint64_t sample_us, uint64_t idle_us);
/* The median, a sixteenth up or down with each answer: a tenth of slow pages, or one long pause,
 * leaves it where it is. It begins with the least of BALANCE_TRIALS answers (`trials` of them came
 * before this one), because the first may have had to wait for a connection or a cold cache; until
 * then the usual latency counts as not known. */
uint32_t balance_add_usual(uint32_t usual_us, uint32_t trials, uint64_t sample_us,
                           uint64_t idle_us);
uint32_t balance_add_error(uint32_t error_ppm, bool failed, uint64_t idle_us);
