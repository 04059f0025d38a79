/* What a request is worth to the shop, from what the worker can see: the stage of its route, how
 * far its session has come, and the customer behind it when the plan knows him. The judgement
 * itself is decide/value. */
#pragma once
#include <stdint.h>

#include "decide/value/value.h"

struct exchange;

#define WORTH_SESSIONS 16384 /* power of two; a later session takes an earlier one's place */

/* The furthest stage of each session that this worker has served lately: hash in the upper bits,
 * stage in the lowest eight. Asked by hash, so a stranger shares a place once in 2^56. */
struct worth {
    struct value_policy policy;
    uint64_t sessions[WORTH_SESSIONS];
};

/* Sets the exchange's waiting.value, goes_first and known, and value and RECORD_KNOWN_CUSTOMER
 * of its record, where the stage is set. */
void worth_estimate(struct exchange *exchange);
/* Of the session that the request says it belongs to; 0: none. */
uint64_t worth_session_key(struct exchange *exchange);
/* It was served: its session has come as far as its stage. */
void worth_remember(struct exchange *exchange);
