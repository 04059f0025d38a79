/* Inside of the evidence: what its files share. */
#pragma once
#include "act/proxy/evidence.h"
#include "act/proxy/worker_internal.h"
#include "decide/balance/ejection.h"
#include "decide/balance/hang.h"
#include "decide/balance/outlier.h"

#define SHARED_GET(word) atomic_load_explicit(&(word), memory_order_relaxed)
#define SHARED_SET(word, value) atomic_store_explicit(&(word), (value), memory_order_relaxed)

/* evidence.c */

struct ejection evidence_ejection(const struct vitals_shared_endpoint *shared);
enum ejection_state evidence_state(const struct endpoint *e, uint64_t now_us);
struct outlier_window evidence_window(const struct endpoint *e, uint64_t now_us);
/* The others of the service in rotation; `window`: of those that are in, together. */
struct ejection_peers evidence_peers(const struct service *s, const struct endpoint *e,
                                     struct outlier_window *window);
struct hang evidence_hang(const struct vitals_shared_endpoint *shared);

/* judge.c */

/* What was found besides the words, for the record. */
struct found {
    enum ejection_cause cause;
    uint64_t happened_us;
    uint32_t awaiting, in_a_row;
    const struct outlier_verdict *verdict; /* NULL: none */
};
/* Puts out by evidence that is not one request's. */
void judge_eject(struct service *s, struct endpoint *e, const struct found *found);
/* Writes the words that a rule has changed, unless another worker was quicker, and tells. */
void judge_apply(struct service *s, struct endpoint *e, const struct ejection *before,
                 const struct ejection *after, enum ejection_change change,
                 const struct found *found);
/* It is warm now. */
void judge_tell_warm(struct service *s, const struct endpoint *e);

/* trials.c */

/* Which endpoints of the service are to be tried; after they may have changed. */
void trials_collect(struct service *s);
