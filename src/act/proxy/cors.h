/* Cross-origin resource sharing, as the Fetch standard has it (§3.2): which origins, and what a
 * browser is told. */
#pragma once
#include <stdbool.h>

#include "base/slice.h"

/* Texts as they go into the fields; lists are joined by ", ". */
struct cors {
    struct slice origins; /* patterns, separated by spaces; "*": all */
    struct slice methods, headers, expose;
    bool credentials;
    struct slice max_age; /* seconds */
};

/* Scheme and host, with a port unless it is the usual one; a star may stand for the first labels.
 */
bool cors_is_pattern(struct slice text);
/* The star stands for one or several labels, never for nothing. */
bool cors_origin_matches(struct slice pattern, struct slice origin);
bool cors_allows(const struct cors *cors, struct slice origin);
/* Every origin gets the same answer. */
bool cors_is_for_all(const struct cors *cors);
