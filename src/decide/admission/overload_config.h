/* `overload:` of shop.yaml. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

enum overload_order { OVERLOAD_BY_VALUE, OVERLOAD_FIFO };

struct overload_config {
    enum overload_order order;
    bool waiting_room;   /* those who are turned away get a page that comes back by itself */
    uint32_t queue;      /* requests of a service that may wait in a worker */
    int64_t patience_ms; /* how long one waits before it gets 503 */
};

extern const struct config_table overload_config_table;
