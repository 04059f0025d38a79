/* Reason phrases of RFC 9110 §15 and the registry; empty for a status that has none. */
#pragma once
#include <stdint.h>

#include "base/slice.h"

struct slice http_status_reason(uint16_t status);
