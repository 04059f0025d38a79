#include "decide/admission/admission.h"

#include <assert.h>
#include <math.h>

static bool ranks_higher(const struct admission_item *a, const struct admission_item *b) {
    if (a->goes_first != b->goes_first) {
        return a->goes_first;
    }
    return a->value != b->value ? a->value > b->value : a->arrival < b->arrival;
}

static bool came_earlier(const struct admission_item *a, const struct admission_item *b) {
    return a->arrival < b->arrival;
}

static const struct admission_item *item_of_best(const struct heap_node *node) {
    return HEAP_ITEM_CONST(node, struct admission_item, best);
}

static const struct admission_item *item_of_worst(const struct heap_node *node) {
    return HEAP_ITEM_CONST(node, struct admission_item, worst);
}

static bool best_by_value(const struct heap_node *a, const struct heap_node *b) {
    return ranks_higher(item_of_best(a), item_of_best(b));
}

static bool worst_by_value(const struct heap_node *a, const struct heap_node *b) {
    return ranks_higher(item_of_worst(b), item_of_worst(a));
}

static bool best_by_arrival(const struct heap_node *a, const struct heap_node *b) {
    return came_earlier(item_of_best(a), item_of_best(b));
}

static bool worst_by_arrival(const struct heap_node *a, const struct heap_node *b) {
    return came_earlier(item_of_worst(b), item_of_worst(a));
}

void admission_queue_init(struct admission_queue *q, enum overload_order order, uint32_t most,
                          double floor_ratio) {
    assert(floor_ratio >= 0 && floor_ratio <= 1);
    *q = (struct admission_queue){ .order = order, .most = most, .floor_ratio = floor_ratio };
    for (int kind = 0; kind < ADMISSION_KINDS; kind++) {
        heap_init(&q->best[kind], order == OVERLOAD_FIFO ? best_by_arrival : best_by_value);
        heap_init(&q->worst[kind], order == OVERLOAD_FIFO ? worst_by_arrival : worst_by_value);
    }
}

void admission_queue_fini(struct admission_queue *q) {
    for (int kind = 0; q != NULL && kind < ADMISSION_KINDS; kind++) {
        heap_fini(&q->best[kind]);
        heap_fini(&q->worst[kind]);
    }
}

uint32_t admission_queue_len(const struct admission_queue *q) {
    return (uint32_t)(q->best[ADMISSION_KNOWN].len + q->best[ADMISSION_UNKNOWN].len);
}

static enum admission_kind kind_of(const struct admission_item *item) {
    return item->known ? ADMISSION_KNOWN : ADMISSION_UNKNOWN;
}

static struct admission_item *best_of(const struct admission_queue *q, enum admission_kind kind) {
    struct heap_node *node = heap_first(&q->best[kind]);
    return node == NULL ? NULL : HEAP_ITEM(node, struct admission_item, best);
}

static struct admission_item *worst_of(const struct admission_queue *q, enum admission_kind kind) {
    struct heap_node *node = heap_first(&q->worst[kind]);
    return node == NULL ? NULL : HEAP_ITEM(node, struct admission_item, worst);
}

bool admission_item_waits(const struct admission_item *item) {
    return item->best.position != 0;
}

void admission_queue_remove(struct admission_queue *q, struct admission_item *item) {
    if (admission_item_waits(item)) {
        heap_remove(&q->best[kind_of(item)], &item->best);
        heap_remove(&q->worst[kind_of(item)], &item->worst);
    }
}

/* ---- in ---- */

/* Places in the queue that are kept for unknown visitors. */
static uint32_t floor_places(const struct admission_queue *q) {
    return (uint32_t)ceil(q->floor_ratio * q->most);
}

/* While unknown visitors have not their places, a newcomer of theirs gets one from the known,
 * unless only orders in the making are left there. */
static bool floor_is_owed(const struct admission_queue *q, const struct admission_item *newcomer,
                          const struct admission_item *known) {
    return !newcomer->known && known != NULL && !known->goes_first &&
           q->best[ADMISSION_UNKNOWN].len < floor_places(q);
}

/* Who may have to make room: the least valuable; but for a known newcomer, if it is no order in the
 * making, nobody who is within the floor. */
static struct admission_item *least_for(const struct admission_queue *q,
                                        const struct admission_item *newcomer) {
    struct admission_item *unknown = worst_of(q, ADMISSION_UNKNOWN);
    struct admission_item *known = worst_of(q, ADMISSION_KNOWN);
    bool floor_holds = newcomer->known && !newcomer->goes_first &&
                       q->best[ADMISSION_UNKNOWN].len <= floor_places(q);
    if (unknown == NULL || floor_holds) {
        return known;
    }
    return known == NULL || ranks_higher(known, unknown) ? unknown : known;
}

/* Who is put out of a full queue for the newcomer; NULL: nobody. */
static struct admission_item *make_room(struct admission_queue *q,
                                        const struct admission_item *newcomer) {
    if (q->order == OVERLOAD_FIFO) {
        return NULL;
    }
    struct admission_item *known = worst_of(q, ADMISSION_KNOWN);
    if (floor_is_owed(q, newcomer, known)) {
        return known;
    }
    struct admission_item *least = least_for(q, newcomer);
    return least != NULL && ranks_higher(newcomer, least) ? least : NULL;
}

static bool insert(struct admission_queue *q, struct admission_item *item) {
    enum admission_kind kind = kind_of(item);
    if (!heap_insert(&q->best[kind], &item->best)) {
        return false;
    }
    if (!heap_insert(&q->worst[kind], &item->worst)) {
        heap_remove(&q->best[kind], &item->best);
        return false;
    }
    return true;
}

bool admission_queue_push(struct admission_queue *q, struct admission_item *item,
                          struct admission_item **evicted) {
    assert(!admission_item_waits(item));
    *evicted = NULL;
    item->arrival = q->arrivals++;
    if (admission_queue_len(q) >= q->most) {
        *evicted = make_room(q, item);
        if (*evicted == NULL) {
            return false;
        }
        admission_queue_remove(q, *evicted);
    }
    return insert(q, item);
}

/* ---- out ---- */

static bool goes_before(const struct admission_queue *q, const struct admission_item *a,
                        const struct admission_item *b) {
    return q->order == OVERLOAD_FIFO ? came_earlier(a, b) : ranks_higher(a, b);
}

/* By rank; but of those who go on while both kinds wait, a share is owed to the unknown. The debt
 * grows with each release and is paid as soon as it is one whole. */
static struct admission_item *next(struct admission_queue *q) {
    struct admission_item *known = best_of(q, ADMISSION_KNOWN);
    struct admission_item *unknown = best_of(q, ADMISSION_UNKNOWN);
    if (known == NULL || unknown == NULL) {
        q->floor_credit = 0;
        return known == NULL ? unknown : known;
    }
    struct admission_item *first = goes_before(q, unknown, known) ? unknown : known;
    if (q->order == OVERLOAD_FIFO || first->goes_first) {
        return first;
    }
    q->floor_credit += q->floor_ratio;
    if (q->floor_credit >= 1) {
        first = unknown;
    }
    if (first == unknown) {
        q->floor_credit = q->floor_credit > 1 ? q->floor_credit - 1 : 0;
    }
    return first;
}

struct admission_item *admission_queue_pop(struct admission_queue *q) {
    struct admission_item *item = next(q);
    if (item != NULL) {
        admission_queue_remove(q, item);
    }
    return item;
}

uint32_t admission_retry_after_s(uint32_t waiting, double drained_per_second, double jitter) {
    assert(jitter >= 0 && jitter < 1);
    double seconds =
        drained_per_second > 0 ? waiting / drained_per_second : ADMISSION_RETRY_SECONDS_UNKNOWN;
    seconds = seconds < 1 ? 1 : seconds;
    seconds = ceil(seconds * (1 + jitter)); /* up to twice as long: they come back spread out */
    return seconds > ADMISSION_RETRY_SECONDS_MAX ? ADMISSION_RETRY_SECONDS_MAX : (uint32_t)seconds;
}
