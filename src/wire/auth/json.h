/* JSON from strangers. */
#pragma once
#include <jansson.h>

#include "base/slice.h"

#define JSON_DEPTH_MAX 16

/* One object; no name twice in an object, no NUL in a text, at most JSON_DEPTH_MAX deep. NULL when
 * it is not. Free it with json_decref. */
json_t *json_read_bounded(struct slice text);
/* A member's text, borrowed; empty when there is none. */
struct slice json_member_text(const json_t *object, const char *name);
