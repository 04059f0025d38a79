/* The answer to a probe in HTTP/1.1, by the codec that visitors' answers are read with: bytes in,
 * verdict out. Head and body are bounded; informational answers are passed over. */
#pragma once
#include "act/fleet/expectation.h"
#include "base/slice.h"

#define PROBE_HEAD_BYTES_MAX 16384
#define PROBE_INTERIM_MAX 8 /* informational answers before the one */

struct probe_h1;

/* `expectation` is borrowed. NULL when memory is out. */
struct probe_h1 *probe_h1_new(bool head_only, const struct expectation *expectation);
void probe_h1_free(struct probe_h1 *p);
/* `ended`: nothing will come after these bytes. Never PROBE_MORE then. */
enum probe_result probe_h1_take(struct probe_h1 *p, struct slice bytes, bool ended,
                                char why[PROBE_WHY_BYTES]);
