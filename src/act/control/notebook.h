/* The notebook: what the controller has learned, in memory that the supervisor keeps, so that a
 * restarted controller knows it at once. One page a service; by name, as indices may change. */
#pragma once
#include "act/shm/plan.h"
#include "base/error.h"
#include "decide/autoscale/dependency.h"
#include "decide/autoscale/lead_time.h"
#include "decide/autoscale/versions.h"

struct notebook_page {
    char service[PLAN_NAME_BYTES]; /* empty: free */
    struct capacity capacity;
    struct versions versions;
    struct lead_time lead;
    uint32_t calls_bytes; /* 0: none yet */
    uint8_t calls[DEPENDENCY_MEMORY_BYTES];
};

struct notebook {
    struct notebook_page pages[PLAN_SERVICES_MAX];
};

/* Shared with the children that are forked afterwards. */
struct notebook *notebook_new(struct error *err);
void notebook_free(struct notebook *notebook);

/* The page of that name; NULL: none. */
struct notebook_page *notebook_find(struct notebook *notebook, const char *service);
/* Likewise, or a free one that now has the name; NULL: all are taken. */
struct notebook_page *notebook_take(struct notebook *notebook, const char *service);
