/* Host names to addresses, through the system's resolver. It blocks: for the supervisor at start,
 * the command line and the controller, never for a worker. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "wire/net/address.h"

#define RESOLVE_MAX 16 /* addresses taken of one name */

/* As address_parse, and names are looked up: "shop.internal:8000". Fills out[0, *count), *count at
 * most RESOLVE_MAX, without repetitions, in the resolver's order. */
bool resolve(struct slice text, uint16_t default_port, struct address out[RESOLVE_MAX],
             size_t *count, struct error *err);
