/* Queries (the part of a target after "?"): parameters as forms write them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* The first parameter of that name: name=value, separated by "&". Both sides are percent-decoded,
 * "+" is a space; a "%" that no two hexadecimal digits follow is itself. The value is decoded into
 * `room` if there is something to decode and points into `query` otherwise. False when there is
 * none. One that does not fit into the room is *too_long, and *value its undecoded text. */
bool query_find(struct slice query, struct slice name, char *room, size_t room_bytes,
                struct slice *value, bool *too_long);
