/* Who goes on, who waits and who is turned away when a service can carry no more.
 *
 * A bounded queue. By value: orders in the making first, then the most valuable; when it is full,
 * the least valuable makes room for a better one. A floor is kept for visitors whom nobody knows:
 * that share of the places in the queue, and of those who go on, is theirs while they ask for it;
 * otherwise a shop that is always full would never meet a new customer. In order of arrival
 * (fifo): neither rank nor floor, and a full queue turns the newcomer away.
 * Pure: no clock, no I/O, memory only for the heaps' arrays. Items are the caller's, with an
 * admission_item inside, as heap nodes are.
 * Not here: the concurrency limit (limit.h), what is in flight, the 503 (act/proxy). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "decide/admission/overload_config.h"

/* What is stored of an item that waits. */
struct admission_item {
    struct heap_node best, worst; /* in the heaps of its kind */
    double value;                 /* decide/value */
    uint64_t arrival;             /* set by the queue: orders equals */
    uint64_t since_us;
    bool goes_first; /* value_goes_first */
    bool known;      /* a customer whom the table knows */
};

enum admission_kind { ADMISSION_UNKNOWN, ADMISSION_KNOWN, ADMISSION_KINDS };

struct admission_queue {
    enum overload_order order;
    uint32_t most;       /* items */
    double floor_ratio;  /* [0, 1] */
    double floor_credit; /* releases that are owed to unknown visitors */
    uint64_t arrivals;
    struct heap best[ADMISSION_KINDS], worst[ADMISSION_KINDS];
};

void admission_queue_init(struct admission_queue *q, enum overload_order order, uint32_t most,
                          double floor_ratio);
void admission_queue_fini(struct admission_queue *q); /* it is empty, or nobody looks any more */

uint32_t admission_queue_len(const struct admission_queue *q);

/* True: the newcomer waits. False: it is turned away. *evicted, if not NULL, waited until now and
 * is to be turned away. The item's value, since_us, goes_first and known are set. */
bool admission_queue_push(struct admission_queue *q, struct admission_item *item,
                          struct admission_item **evicted);

/* Who goes on next, taken out of the queue; NULL when nobody waits. */
struct admission_item *admission_queue_pop(struct admission_queue *q);

/* It gave up, or waited too long. Safe when it is not in the queue. */
void admission_queue_remove(struct admission_queue *q, struct admission_item *item);

bool admission_item_waits(const struct admission_item *item);

/* After how many seconds to ask again: what waits at the rate at which it drains, between 1 and
 * ADMISSION_RETRY_SECONDS_MAX, spread by `jitter` in [0, 1) so that they do not all come back at
 * once. A rate of 0 is not known. */
#define ADMISSION_RETRY_SECONDS_MAX 60
#define ADMISSION_RETRY_SECONDS_UNKNOWN 5
uint32_t admission_retry_after_s(uint32_t waiting, double drained_per_second, double jitter);
