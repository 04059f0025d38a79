/* Binary heap of intrusive nodes, smallest first: timers, queues by priority.
 * Insert, remove and update cost O(log n); the heap owns only its array of pointers. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct heap_node {
    size_t position; /* 1-based; 0 when not in a heap */
};

typedef bool heap_less(const struct heap_node *a, const struct heap_node *b);

struct heap {
    struct heap_node **nodes; /* nodes[1..len] */
    size_t len, capacity;
    heap_less *less;
};

/* The object that holds `node` as its member `member`; `_CONST` for those who compare. */
#define HEAP_ITEM(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))
#define HEAP_ITEM_CONST(node, type, member)                                                        \
    ((const type *)((const char *)(node)-offsetof(type, member)))

void heap_init(struct heap *h, heap_less *less);
void heap_fini(struct heap *h);

/* Room for so many nodes in all: until there are more, heap_insert does not fail. False when memory
 * is out. */
bool heap_reserve(struct heap *h, size_t nodes);
bool heap_insert(struct heap *h, struct heap_node *node); /* false when memory is out */
void heap_remove(struct heap *h, struct heap_node *node); /* safe when it is not in */
void heap_update(struct heap *h, struct heap_node *node); /* its key has changed */
struct heap_node *heap_first(const struct heap *h);       /* NULL when empty */
