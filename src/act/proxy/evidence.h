/* Evidence: what requests show of their endpoints, and what follows at once, for all workers: an
 * endpoint that fails, lags or hangs is left alone, tried again with single requests, and taken in
 * again. The rules are decide/balance's (ejection.h, outlier.h, hang.h, warmth.h); their words are
 * in the vitals, so that what one worker finds out the others know with their next choice.
 *
 *   evidence.c   what one request saw
 *   judge.c      what none shows alone: hangs, outliers, the end of a panic; a tick while requests
 *                are on their way
 *   trials.c     which request goes to one on probation, under suspicion, or cold
 *
 * Not here: replacing instances (the controller's remediation, which hears of all this). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/proxy/service.h"

/* ---- what an attempt saw of its endpoint ---- */

void endpoint_connected(struct worker *worker, const struct attempt *attempt);
void endpoint_connect_failed(struct worker *worker, const struct attempt *attempt);
void endpoint_answered(struct worker *worker, struct attempt *attempt, uint16_t status);
void endpoint_failed(struct worker *worker, const struct attempt *attempt);
/* Another endpoint has answered in its stead: it took at least so long. */
void endpoint_called_off(struct worker *worker, const struct attempt *attempt);
/* It was sent a whole request. */
void evidence_owed(struct worker *worker, struct endpoint *endpoint);

/* ---- for the choice ---- */

/* Not to be chosen unless there is nobody else. */
bool evidence_is_out(const struct service *service, const struct endpoint *endpoint);
/* What is in flight there as balancing is to see it: more, while it is cold. */
uint32_t evidence_load(const struct service *service, const struct endpoint *endpoint,
                       uint32_t in_flight);
/* It has less than its share yet: policies that do not look at the load leave it to evidence_trial.
 */
bool evidence_is_cold(const struct service *service, const struct endpoint *endpoint);
/* An endpoint that this request is to go to, to see how it does; NO_ENDPOINT: none, as usual. */
uint16_t evidence_trial(struct service *service, const struct exchange *exchange);
/* What is sent there now shows whether it is well: an answer that says it is not is nobody's. */
bool evidence_is_on_trial(const struct endpoint *endpoint);
/* The others of its service answer well: a failure of it is probably its own. Looks at all of them:
 * not for every answer. */
bool evidence_is_outlier(const struct service *service, uint16_t endpoint);

/* ---- life ---- */

/* Requests are on their way: hangs are looked for until they are answered. */
void evidence_watch(struct worker *worker);
/* A new plan. */
void evidence_refresh(struct service *service);
void evidence_fini(struct worker *worker);

/* How far from its whole share an endpoint of this service begins: 0 unless others are at work. */
uint32_t evidence_cold_steps(const struct worker *worker, unsigned service);
