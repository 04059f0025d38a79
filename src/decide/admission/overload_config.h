/* `overload:` of shop.yaml. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define OVERLOAD_QUEUE_DEFAULT 256
#define OVERLOAD_PATIENCE_MS_DEFAULT 1000

enum overload_order { OVERLOAD_BY_VALUE, OVERLOAD_FIFO };

struct overload_config {
    enum overload_order order;
    bool waiting_room;    /* a page that comes back by itself, for those who are turned away */
    uint32_t queue;       /* requests of a service that may wait in a worker */
    uint32_t patience_ms; /* how long one waits before it gets 503 */
};
