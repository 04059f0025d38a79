/* The protocols towards services, one file each; upstream.c chooses by the service's `protocol`. */
#pragma once
#include "act/proxy/upstream.h"

enum upstream_opening upstream_h1_open(struct worker *worker, uint16_t slot,
                                       struct attempt *attempt, bool fresh);
void upstream_h1_open_ahead(struct worker *worker, uint16_t slot, uint32_t count);
void upstream_h1_close_idle(struct endpoint *endpoint, uint64_t idle_since_us);
void upstream_h1_free_spares(struct worker *worker);

enum upstream_opening upstream_h2_open(struct worker *worker, uint16_t slot,
                                       struct attempt *attempt);
void upstream_h2_open_ahead(struct worker *worker, uint16_t slot); /* one is enough */
/* UINT64_MAX: those that carry something are left out of the endpoint's list, and close when they
 * are through with it. */
void upstream_h2_close_idle(struct endpoint *endpoint, uint64_t idle_since_us);
/* The worker ends: whatever they carry. */
void upstream_h2_close_all(struct worker *worker);

/* One connection more, or one less, in the vitals. */
void upstream_count(struct worker *worker, int change);
/* Whether the endpoint may get one more from this worker. */
bool upstream_may_connect(const struct worker *worker, const struct endpoint *endpoint);
