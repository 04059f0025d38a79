#include "decide/value/stage.h"

#include <stddef.h>

static const char *const names[STAGE_COUNT] = {
    [STAGE_OTHER] = "other",     [STAGE_BROWSE] = "browse", [STAGE_SEARCH] = "search",
    [STAGE_PRODUCT] = "product", [STAGE_CART] = "cart",     [STAGE_CHECKOUT] = "checkout",
};

const char *stage_name(enum stage stage) {
    return stage < STAGE_COUNT ? names[stage] : "unknown";
}

bool stage_parse(struct slice name, enum stage *stage) {
    for (unsigned i = 0; i < STAGE_COUNT; i++) {
        if (slice_equal(name, slice_from(names[i]))) {
            *stage = (enum stage)i;
            return true;
        }
    }
    return false;
}
