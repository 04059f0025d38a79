/* How far a visitor has come. The order is the order of worth: later is closer to money. */
#pragma once
#include <stdbool.h>

#include "base/slice.h"

enum stage {
    STAGE_OTHER, /* assets, robots, whatever no route names */
    STAGE_BROWSE,
    STAGE_SEARCH,
    STAGE_PRODUCT,
    STAGE_CART,
    STAGE_CHECKOUT,
    STAGE_COUNT,
};

const char *stage_name(enum stage stage); /* "checkout" */
bool stage_parse(struct slice name, enum stage *stage);
