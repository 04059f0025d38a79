/* Base64 (RFC 4648), strict: nothing but the alphabet, and the unused bits of the last byte are 0,
 * so that one value has one text. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Section 4, with its padding. False when it is not, or does not fit. */
bool base64_decode(struct slice text, uint8_t *out, size_t out_bytes, size_t *len);
/* Section 5, "URL safe", without padding: what JOSE uses. */
bool base64url_decode(struct slice text, uint8_t *out, size_t out_bytes, size_t *len);
