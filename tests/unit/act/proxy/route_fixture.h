/* Routes from YAML, for tests: `routes:` as in shop.yaml, into a plan and a table. */
#pragma once
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "act/proxy/route_plan.h"
#include "act/proxy/route_table.h"
#include "base/buffer.h"

struct route_list {
    struct route_config *routes;
    size_t count;
};

static const struct config_field route_list_fields[] = {
    { "routes", CONFIG_BLOCKS, offsetof(struct route_list, routes), .table = &route_config_table,
      .count_offset = offsetof(struct route_list, count), .help = "routes" },
};
static const struct config_table route_list_table =
    CONFIG_TABLE(struct route_list, route_list_fields);

struct route_fixture {
    struct route_list list;
    struct arena arena;
    struct config_report report;
    struct plan_segment *segment;
    struct plan *plan;
    int fd;
};

/* False when the report has errors. */
static inline bool routes_read(struct route_fixture *f, const char *yaml) {
    char currency[UNITS_CURRENCY_BYTES];
    *f = (struct route_fixture){ .fd = -1 };
    arena_init(&f->arena, 16u << 20);
    const struct config_node *root =
        config_read_text(slice_from(yaml), "shop.yaml", &f->arena, &f->report);
    return root != NULL &&
           config_apply(&route_list_table, root, &f->list, &f->arena, currency, &f->report);
}

/* Services are named by a digit: their index. */
static inline uint16_t index_of_digit(const void *services, const char *name) {
    (void)services;
    return (uint16_t)(name[0] - '0');
}

/* NULL when the plan is full. */
static inline struct plan *routes_plan(struct route_fixture *f) {
    f->segment = plan_segment_new(&f->fd, NULL);
    f->plan = plan_begin(f->segment);
    struct route_planner planner = { .plan = f->plan, .service_index = index_of_digit };
    for (size_t i = 0; i < f->list.count; i++) {
        if (!route_plan_add(&planner, &f->list.routes[i])) {
            return NULL;
        }
    }
    plan_publish(f->segment, f->plan);
    return f->plan;
}

static inline void routes_forget(struct route_fixture *f) {
    config_report_fini(&f->report);
    arena_fini(&f->arena);
    plan_segment_free(f->segment);
    if (f->fd >= 0) {
        close(f->fd);
    }
}
