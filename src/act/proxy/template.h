/* Templates of paths: text in which \1 to \9 stand for what the groups of a pattern matched, and \\
 * for a backslash. */
#pragma once
#include "base/arena.h"
#include "base/slice.h"

#define TEMPLATE_BAD (-2)
#define TEMPLATE_NONE (-1)

/* The highest group it names; TEMPLATE_NONE: no group; TEMPLATE_BAD: not a template. */
int template_highest(struct slice text);
/* `captures` as of pattern_match. NULL data when the arena is full. */
struct slice template_expand(struct slice text, const struct slice *captures, struct arena *arena);
