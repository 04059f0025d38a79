/* The question of a probe in HTTP/2 with prior knowledge: GET of a path, or grpc.health.v1. One
 * stream on a connection of its own; bytes in, verdict out. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

struct probe_h2;

enum probe_h2_verdict { PROBE_H2_MORE, PROBE_H2_WELL, PROBE_H2_ILL };

/* `grpc` NULL: GET of `path`, 200 to 399 is well. Else Check of that service, empty: of the whole
 * server; SERVING is well. The first bytes go into `out`. NULL when memory is out. */
struct probe_h2 *probe_h2_new(const char *path, const char *grpc, const char *authority,
                              struct buffer *out);
void probe_h2_free(struct probe_h2 *p);
/* What is to be sent next goes into `out`. PROBE_H2_ILL: *why has up to 63 bytes. */
enum probe_h2_verdict probe_h2_take(struct probe_h2 *p, struct slice bytes, uint64_t now_us,
                                    struct buffer *out, char why[64]);
