/* Passive ejection: an endpoint that fails request after request is left alone for a while, at
 * once, on the evidence of the requests themselves. Each ejection in a row lasts twice as long; one
 * success ends the row. Short, because the controller's probes decide about life and death; never
 * more than a share of a service, because then it is not the endpoints that are ill.
 * Pure: the caller keeps the struct (or its words in the vitals) and brings the time. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define EJECTION_CONNECT_FAILURES 1 /* nobody listens there: the next request need not find out */
#define EJECTION_FAILURES 5         /* consecutive 5xx, resets and timeouts */
#define EJECTION_FIRST_US 50000
#define EJECTION_MAX_US 1000000
#define EJECTION_RATIO_MAX 0.5 /* of a service's endpoints, but one of two or more always may */

struct ejection {
    uint32_t connect_failures, failures; /* consecutive */
    uint32_t ejections;                  /* in a row */
    uint64_t until_us;                   /* monotonic; in the past: not ejected */
};

enum ejection_event { EJECTION_SUCCESS, EJECTION_CONNECT_FAILED, EJECTION_FAILED };

bool ejection_is_active(const struct ejection *e, uint64_t now_us);

/* What one request saw. `ejected` of `total` endpoints of the service are out now. True when this
 * one has just been ejected. */
bool ejection_observe(struct ejection *e, enum ejection_event event, uint32_t ejected,
                      uint32_t total, uint64_t now_us);
