/* `value:` of shop.yaml. */
#pragma once
#include "base/slice.h"

#define VALUE_FLOOR_RATIO_DEFAULT 0.1

struct value_config {
    struct slice customer_cookie, customer_header; /* either names the customer; empty: not asked */
    struct slice session_cookie;
    struct slice lifetime_path; /* CSV, decide/value/lifetime.h; empty: nobody is known */
    double floor_ratio;         /* share of the capacity kept for unknown visitors, [0, 1] */
};
