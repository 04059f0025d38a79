/* The question of a probe in HTTP/2 with prior knowledge: a path, or grpc.health.v1. One stream on
 * a connection of its own; bytes in, verdict out. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/fleet/expectation.h"
#include "base/buffer.h"
#include "base/slice.h"
#include "wire/http/message.h"

struct probe_h2;

/* Asks `head`; the answer is held against `expectation`, which is borrowed. The first bytes go into
 * `out`. NULL when memory is out. */
struct probe_h2 *probe_h2_new(const struct http_head *head, const struct expectation *expectation,
                              struct buffer *out);
/* Check of that service, empty: of the whole server; SERVING is well. Of `head`, empty but for it,
 * the authority counts. */
struct probe_h2 *probe_h2_new_grpc(const char *service, struct http_head *head, struct buffer *out);
void probe_h2_free(struct probe_h2 *p);
/* What is to be sent next goes into `out`. */
enum probe_result probe_h2_take(struct probe_h2 *p, struct slice bytes, uint64_t now_us,
                                struct buffer *out, char why[PROBE_WHY_BYTES]);
