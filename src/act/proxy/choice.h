/* The endpoint of a request, as its service's policy says (decide/balance): where its cookie says,
 * else by its key, else the best; of our own zone as long as that can carry it; spares before one
 * that is ejected. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "decide/balance/balance.h"
#include "decide/balance/maglev.h"
#include "wire/http/message.h"

struct worker;
struct exchange;
struct service;

#define CHOICE_LOCAL_US 1000 /* how often it is asked what our own zone can carry */

/* What a service keeps for it. */
struct choice {
    struct balance serving, local, elsewhere, warm; /* by list */
    struct maglev *maglev;                          /* NULL: it has none */
    uint64_t maglev_of;                             /* a hash of the members it was built of */
    uint32_t weight_sum;                            /* of those serving */
    float local_share;                              /* of the requests: those that stay */
    uint64_t local_share_us;                        /* when it was asked */
};

/* The plan, or who is in rotation, has changed. */
void choice_refresh(struct service *service);
void choice_fini(struct choice *choice);

/* One that the exchange has tried before only when there is no other. NO_ENDPOINT when none may be
 * used now. */
uint16_t service_choose_endpoint(struct service *service, struct exchange *exchange);
/* Whether it would find one. */
bool service_has_endpoint(const struct service *service);

/* choice_sticky.c: NO_ENDPOINT when the visitor has no cookie of ours, or it names none that may be
 * used: then another is chosen, and he is told. */
uint16_t choice_by_cookie(const struct service *service, struct exchange *exchange);
/* Sets the cookie where the visitor has not got that of the endpoint that answers; false when the
 * head is full. */
bool choice_tell_visitor(struct exchange *exchange, struct http_head *head);

/* choice_key.c: of maglev; false: the request has none. */
bool choice_key(const struct service *service, const struct exchange *exchange, uint64_t *key);

/* Whether it may be used by this exchange without a second thought. */
bool choice_is_good(const struct service *service, const struct exchange *exchange, uint16_t slot);
