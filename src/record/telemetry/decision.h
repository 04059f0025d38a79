/* A decision, in the words it was taken with: what the log, the API, the dashboard and the audit
 * chain all show. Plain values; the ring keeps the newest in memory for those who ask often. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECISION_NAME_BYTES 64 /* kind, service, subject, action; longer is cut */
#define DECISION_REASON_BYTES 512
#define DECISION_EVIDENCE_BYTES 2048

struct decision {
    int64_t id;                             /* given by the store, ascending */
    int64_t time_ms;                        /* unix */
    char kind[DECISION_NAME_BYTES];         /* "scale", "heal", "reload" … */
    char service[DECISION_NAME_BYTES];      /* empty: about all of them */
    char subject[DECISION_NAME_BYTES];      /* what was acted on: "storefront-3" */
    char action[DECISION_NAME_BYTES];       /* "start", "stop", "eject", "promote" … */
    char reason[DECISION_REASON_BYTES];     /* one sentence for people */
    char evidence[DECISION_EVIDENCE_BYTES]; /* JSON object of the numbers behind it; empty: {} */
    double worth;                           /* currency units gained or saved; NaN: not known */
    double noticed_ms, healed_ms; /* of a fault, since it happened; NaN: not one, or not yet */
};

/* Nothing known but the time: names empty, numbers NaN. */
void decision_init(struct decision *d, int64_t time_ms);

struct decision_ring {
    struct decision *items;
    size_t capacity, len, next; /* next: where the coming one goes */
};

bool decision_ring_init(struct decision_ring *r, size_t capacity); /* false: memory is out */
void decision_ring_fini(struct decision_ring *r);
void decision_ring_push(struct decision_ring *r, const struct decision *d);
/* 0 is the newest; NULL from r->len on. */
struct decision *decision_ring_at(const struct decision_ring *r, size_t age);
struct decision *decision_ring_find(const struct decision_ring *r, int64_t id); /* or NULL */
