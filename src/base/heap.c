#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#define HEAP_FIRST_NODES 64

void heap_init(struct heap *h, heap_less *less) {
    *h = (struct heap){ .less = less };
}

void heap_fini(struct heap *h) {
    if (h != NULL) {
        free(h->nodes);
        *h = (struct heap){ .less = h->less };
    }
}

static void put(struct heap *h, size_t position, struct heap_node *node) {
    h->nodes[position] = node;
    node->position = position;
}

static void sift_up(struct heap *h, struct heap_node *node) {
    size_t at = node->position;
    while (at > 1 && h->less(node, h->nodes[at / 2])) {
        put(h, at, h->nodes[at / 2]);
        at /= 2;
    }
    put(h, at, node);
}

static void sift_down(struct heap *h, struct heap_node *node) {
    size_t at = node->position;
    for (;;) {
        size_t child = at * 2;
        if (child > h->len) {
            break;
        }
        if (child < h->len && h->less(h->nodes[child + 1], h->nodes[child])) {
            child++;
        }
        if (!h->less(h->nodes[child], node)) {
            break;
        }
        put(h, at, h->nodes[child]);
        at = child;
    }
    put(h, at, node);
}

bool heap_reserve(struct heap *h, size_t nodes) {
    size_t capacity = h->capacity == 0 ? HEAP_FIRST_NODES : h->capacity;
    while (capacity <= nodes) { /* place 0 is not used */
        capacity *= 2;
    }
    if (capacity > h->capacity) {
        struct heap_node **larger = realloc((void *)h->nodes, capacity * sizeof *larger);
        if (larger == NULL) {
            return false;
        }
        h->nodes = larger;
        h->capacity = capacity;
    }
    return true;
}

bool heap_insert(struct heap *h, struct heap_node *node) {
    assert(node->position == 0);
    if (!heap_reserve(h, h->len + 1)) {
        return false;
    }
    put(h, ++h->len, node);
    sift_up(h, node);
    return true;
}

void heap_update(struct heap *h, struct heap_node *node) {
    assert(node->position > 0);
    sift_up(h, node);
    sift_down(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node) {
    if (node->position == 0) {
        return;
    }
    size_t hole = node->position;
    struct heap_node *last = h->nodes[h->len--];
    node->position = 0;
    if (last != node) {
        put(h, hole, last);
        heap_update(h, last);
    }
}

struct heap_node *heap_first(const struct heap *h) {
    return h->len == 0 ? NULL : h->nodes[1];
}
