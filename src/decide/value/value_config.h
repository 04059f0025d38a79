/* `value:` of shop.yaml. */
#pragma once
#include "base/slice.h"
#include "config/config.h"

struct value_config {
    struct {
        struct slice cookie; /* names the customer; empty: not asked */
    } customer;
    struct {
        struct slice cookie; /* names the session */
    } session;
    const char *lifetime; /* CSV, decide/value/lifetime.h; NULL: nobody is known */
    double floor_ratio;   /* share of the capacity kept for unknown visitors, [0, 1] */
};

extern const struct config_table value_config_table;
