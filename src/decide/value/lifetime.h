/* The table of customers and what each is expected to bring: CSV with the columns `customer` and
 * `expected_value`, in any order and among others, as `tidegate value lifetime` prints it. The
 * controller reads it and puts it into the plan. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define LIFETIME_CUSTOMERS_MAX 131072

struct lifetime_customer {
    struct slice id;
    double expected_value; /* currency units over the horizon of the file, not negative */
    uint32_t line;
};

struct lifetime {
    struct lifetime_customer *customers; /* by id */
    uint32_t len;
    double mean; /* of expected_value; 0 when there is nobody */
};

/* Everything is in `arena`, or in `text`, which must live as long. `name` is that of the file, for
 * errors, which say where and what was expected. */
bool lifetime_parse(struct slice text, const char *name, struct arena *arena, struct lifetime *out,
                    struct error *err);
