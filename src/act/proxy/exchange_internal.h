/* Inside of the exchange: what its files share. */
#pragma once
#include "act/proxy/exchange.h"
#include "act/proxy/upstream.h"
#include "act/proxy/worker_internal.h"

/* exchange_head.c */

/* Copies `raw` into the arena and lets the head's slices point there; false when it does not
 * fit. */
bool exchange_keep_head(struct exchange *x, struct slice raw);
/* The request as it goes to the service: hop-by-hop fields out, who asks and the trace in. Once. */
bool exchange_prepare_request(struct exchange *x);
/* A response as it goes to the client; false when the head is full. */
bool exchange_prepare_response(struct exchange *x, struct http_head *head);
/* The trace id of the request: the visitor's, or a new one. */
bool exchange_set_trace(struct exchange *x);

/* exchange_start.c */
void exchange_begin_record(struct exchange *x);
/* As its service's demand: once, whatever becomes of it. */
void exchange_count_offered(struct exchange *x);

/* exchange_log.c: nothing unless the plan has an access log. */
void exchange_log_request(struct exchange *x);
void exchange_log_route(struct exchange *x, const struct plan_route *route);
void exchange_log_endpoint(struct exchange *x, uint16_t slot);
void exchange_log_end(struct exchange *x); /* writes the record */
/* exchange_trace.c: tells the controller of it if its trace is one that is followed. */
void exchange_trace_end(const struct exchange *x);

/* exchange_answer.c */

/* We answer ourselves: a small page or problem document, and the exchange is over. */
void exchange_answer(struct exchange *x, uint16_t status, enum record_reason reason,
                     const char *why);
/* The same, and the connection is closed after it. */
void exchange_answer_and_close(struct exchange *x, uint16_t status, enum record_reason reason,
                               const char *why);
/* What the request needs has no room in its arena: 431, or 503 when memory is out. */
void exchange_refuse_head(struct exchange *x);

/* OPTIONS that goes no further: what is served here at all. */
void exchange_answer_options(struct exchange *x);
/* An answer of our own that is no error. Borrowed texts. */
struct own_answer {
    uint16_t status;
    struct slice type, body, location; /* empty: there is none */
};
void exchange_answer_with(struct exchange *x, const struct own_answer *answer);

/* exchange_hops.c */

/* Counts a hop off Max-Forwards. True: none is left, or the field is broken, and it is answered. */
bool exchange_ends_here(struct exchange *x);

/* exchange_rule.c: of routes that have a rule; most have none, and are not asked. */

/* Keeps the route's rule until the exchange is over. */
void exchange_take_rule(struct exchange *x, const struct plan_route *route, struct slice path);
uint16_t exchange_choose_service(struct exchange *x, const struct plan_route *route);
/* Whether the route itself is the answer: a redirect, a fixed one. */
bool exchange_answer_by_rule(struct exchange *x);
/* The page for an error of ours; false: none that the visitor would like. */
bool exchange_error_page(const struct exchange *x, uint16_t status, struct slice *type,
                         struct slice *body);
/* False when there is no room. */
bool exchange_rewrite_request(struct exchange *x);
bool exchange_rewrite_response(struct exchange *x, struct http_head *head);

/* exchange_policy.c */

/* Of the route, else of the service; 0: none. A request that has no service has no limit but the
 * route's. */
#define EXCHANGE_TIMEOUT(x, name)                                                                  \
    ((x)->rule != NULL && (x)->rule->name > 0 ? (x)->rule->name                                    \
     : (x)->service != NULL                   ? (x)->service->plan.name                            \
                                              : 0)
uint64_t exchange_body_max(const struct exchange *x); /* 0: any */
/* Whether it may go on. False: it has been answered, or waits for a password to be checked. */
bool exchange_is_allowed(struct exchange *x);

/* exchange_rate.c: takes a token of each of the route's limits. False: one had none, and it has
 * been answered. */
bool exchange_is_within_rates(struct exchange *x);
/* False when the head is full. */
bool exchange_rate_response(const struct exchange *x, struct http_head *head);

/* exchange_cors.c: whether it was a preflight; what a browser is told. */
bool exchange_answer_preflight(struct exchange *x);
bool exchange_cors_response(const struct exchange *x, struct http_head *head);

/* exchange_auth.c */
bool exchange_is_authenticated(struct exchange *x); /* false: as exchange_is_allowed */
/* The service is told who asks, in fields that nobody else can write; false when the head is full.
 */
bool exchange_tell_who(const struct exchange *x, struct http_head *head);
void exchange_clean_trailers(const struct exchange *x, struct http_head *trailers);

/* exchange_start.c: it is allowed: answered by the route itself, or admitted when as much of its
 * body is here as is gathered. */
void exchange_proceed(struct exchange *x);
/* Enough of the body is here. */
void exchange_admit(struct exchange *x);

/* exchange_grpc.c */

/* Whether it is a call, and until when its client waits (grpc-timeout). */
void exchange_read_grpc(struct exchange *x);
/* The status that the head of an answer stands for: 503 when it says UNAVAILABLE and no message
 * follows (Trailers-Only). */
uint16_t exchange_grpc_means(const struct http_head *head);
/* As exchange_answer sends it, with a grpc-status. */
void exchange_answer_grpc(struct exchange *x, uint16_t status, const char *why);

/* exchange_attempt.c */

/* The other one of the pair. */
static inline struct attempt *attempt_rival(const struct attempt *a) {
    struct exchange *x = a->exchange;
    return a == &x->first ? &x->second : &x->first;
}
enum attempt_outcome {
    ATTEMPT_SENT,
    ATTEMPT_CONNECTING,
    ATTEMPT_NOWHERE, /* there is no endpoint for it now */
    ATTEMPT_FULL,    /* those that there are have as many connections as they may */
};
/* To an endpoint; a hedge only to one that was not tried, and if the budget allows it. */
enum attempt_outcome attempt_go(struct attempt *a, bool hedge);
/* The record names the endpoint of this one. */
void attempt_is_named(struct attempt *a, uint16_t slot);

/* exchange_retry.c */

/* Whether sending it twice does no more than sending it once. */
bool exchange_is_repeatable(const struct exchange *x);
/* Of those, whether it may still go out once more. */
bool exchange_has_tries(const struct exchange *x);
/* No answer came (or none that makes sense): once more, elsewhere, or the visitor is told. */
void attempt_failed(struct attempt *a, enum record_reason reason);
/* The answer that came, which stands for `status`, is one after which the request goes elsewhere:
 * it has gone. */
bool attempt_is_retried(struct attempt *a, uint16_t status, const struct http_head *head);
/* An endpoint that was under trial has failed it: the visitor, who did not ask for that, gets
 * another one's answer. False: it is the visitor's after all. */
bool attempt_trial_failed(struct attempt *a);
/* `per_try` is over: elsewhere, or on with waiting. */
void exchange_try_over(struct exchange *x);
/* A time limit was reached: as if the service had failed. */
void exchange_fail(struct exchange *x, enum record_reason reason);

/* exchange_hedge.c */

/* The request was sent whole: a second attempt may follow. */
void exchange_watch(struct exchange *x);
/* This attempt answers; the other one, if there is one, is called off. */
void attempt_wins(struct attempt *a);
/* This attempt is over without an answer. True: its rival is under way and goes on. */
bool attempt_yields(struct attempt *a);

/* exchange_flow.c */

/* It is the visitor who takes time, not the service: its place there is another one's. */
void exchange_leave_room(struct exchange *x);
/* The service need not wait for a visitor who reads slowly: others may go on. */
void exchange_pause_upstream(struct exchange *x);
/* If it was told to pause. */
void exchange_resume_client(struct exchange *x);
/* In the exchange's arena; NULL when it is full: trailers may be dropped (RFC 9110 6.5.1). */
struct http_head *exchange_copy_trailers(struct exchange *x, const struct http_head *trailers);

/* exchange.c */

void exchange_move(struct exchange *x, enum exchange_state next); /* asserts an allowed move */
/* Lets go of the service's stream, if there is one, and counts the endpoint as left. */
void attempt_leave(struct attempt *a, bool complete);

/* A tunnel has begun, which may last for hours: the request's head is of no use any more. */
void exchange_slim(struct exchange *x);
/* It counts no more among what its client has under way. */
void exchange_release_client(struct exchange *x);
/* Over: streams released, numbers counted, record written, memory reused. `complete`: the client
 * got a whole response. */
void exchange_finish(struct exchange *x, bool complete);
/* Sets the timer to the next deadline of the present state. */
void exchange_arm(struct exchange *x);
/* The same when it was set in the state before and nothing but the state is new. */
void exchange_arm_state(struct exchange *x);
uint64_t exchange_now_us(const struct exchange *x);
uint32_t exchange_since_us(const struct exchange *x, uint64_t from_us);

/* exchange_deadline.c */

/* Until the request as a whole is over; UINT64_MAX: nobody set a limit. */
uint64_t exchange_left_us(const struct exchange *x);
/* Until when the visitor waits, as it says: gRPC's grpc-timeout, or the service's own field. Once
 * the service is known. */
void exchange_read_deadline(struct exchange *x);
/* The service is told how long is left, in the same field; nothing when there is no room. */
void exchange_tell_deadline(struct exchange *x);
void exchange_on_timer(struct timer *timer);
