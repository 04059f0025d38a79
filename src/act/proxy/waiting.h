/* Admission of one worker: who goes on, who waits, who is turned away; decide/admission at work.
 * At most so many requests of a service are in flight: what the plan says of it, over all
 * workers; or, where it says nothing, what this worker has learned from their latency. The rest
 * wait in a bounded queue for a bounded time. */
#pragma once
#include "act/proxy/service.h"

enum admission_verdict { ADMISSION_GO, ADMISSION_WAIT, ADMISSION_REFUSE };

/* After a new plan. */
void waiting_refresh(struct service *service);

/* Asks for a new exchange. GO counts it as in flight; WAIT has put it into the queue, maybe in
 * place of a less valuable one, which is then refused. */
enum admission_verdict waiting_admit(struct service *service, struct exchange *exchange);

/* Back into the queue: admitted before, but there is no endpoint for it now. */
void waiting_return(struct service *service, struct exchange *exchange);
/* Out of the queue: refused, or its visitor left. Safe when it does not wait. */
void waiting_leave(struct service *service, struct exchange *exchange);
/* Over all workers: admitted, and not done. */
uint32_t service_in_flight(const struct service *service);
/* It is no longer in flight: its place is free. False: it had none. */
bool waiting_done(struct service *service, struct exchange *exchange);
/* An answer: how long it took; `failed` when it says that the service is overloaded. */
void waiting_observe(struct service *service, uint64_t latency_us, bool failed);
/* Lets go on whoever may; called when something may have become free. */
void waiting_pump(struct service *service);
/* For Retry-After. */
uint32_t waiting_retry_after_s(struct service *service);
