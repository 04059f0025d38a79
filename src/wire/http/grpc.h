/* gRPC over HTTP/2, as far as a proxy takes part: what a request is, until when its client waits,
 * and how an answer of our own is said (grpc/grpc, doc/PROTOCOL-HTTP2.md and
 * doc/http-grpc-status-mapping.md). Messages go through unread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "wire/http/message.h"

enum grpc_status {
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNAUTHENTICATED = 16,
    GRPC_UNKNOWN = 2,
};

bool grpc_is_request(const struct http_head *head);
/* grpc-timeout: one to eight digits and a unit of H M S m u n. */
bool grpc_timeout_us(struct slice text, uint64_t *us);
/* The same written, in the finest unit that has room; rounded down, at least one. */
#define GRPC_TIMEOUT_BYTES 9
struct slice grpc_timeout_text(uint64_t us, char text[GRPC_TIMEOUT_BYTES]);
enum grpc_status grpc_status_of(uint16_t http_status);
