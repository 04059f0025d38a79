/* The audit chain: each event's canonical text is hashed together with the hash before it, so that
 * changing, removing or inserting an old row breaks every later link.
 *
 *   hash(n) = SHA-256(hash(n-1) || text(n)),   hash(0) = 32 zero bytes
 *
 * The text names each value with its length, so that no two events share one:
 *   "decided\n" then for each column "name LENGTH value\n"; an unknown number is empty, numbers are
 *   written as %lld or %.17g. What it can't show: rows cut off at the end, unless somebody has
 * noted a later hash elsewhere (`tidegate audit verify` prints it). */
#pragma once
#include "record/store/store_backend.h"

#define CHAIN_HASH_BYTES 32
#define CHAIN_HEX_BYTES (2 * CHAIN_HASH_BYTES + 1)

/* Both fail only when memory is out: the hash itself needs some. */
bool chain_hash_decision(const uint8_t before[CHAIN_HASH_BYTES], const struct decision *d,
                         uint8_t out[CHAIN_HASH_BYTES]);
bool chain_hash_healed(const uint8_t before[CHAIN_HASH_BYTES], const struct store_healed *healed,
                       uint8_t out[CHAIN_HASH_BYTES]);
void chain_hex(const uint8_t hash[CHAIN_HASH_BYTES], char out[CHAIN_HEX_BYTES]);
