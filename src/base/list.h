/* Intrusive doubly linked list with a sentinel: put `struct list` in what you link. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

/* The object that holds `link` as its member `member`. */
#define LIST_ITEM(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

/* `item` may be removed in the body. */
#define LIST_EACH(head, item, saved)                                                               \
    for (struct list *item = (head)->next, *saved = item->next; item != (head);                    \
         item = saved, saved = item->next)

static inline void list_init(struct list *head) {
    head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head) {
    return head->next == head;
}

static inline bool list_linked(const struct list *link) {
    return link->next != NULL && link->next != link;
}

static inline void list_append(struct list *head, struct list *link) {
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void list_prepend(struct list *head, struct list *link) {
    list_append(head->next, link);
}

/* Safe on what is not linked (zeroed or removed before). */
static inline void list_remove(struct list *link) {
    if (link->next != NULL) {
        link->prev->next = link->next;
        link->next->prev = link->prev;
    }
    link->next = link->prev = NULL;
}

static inline struct list *list_first(const struct list *head) {
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it cannot follow a link through two lists */
    return list_empty(head) ? NULL : head->next;
}
