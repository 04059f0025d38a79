/* `tls:` and `proxy_protocol:` of a service: how its instances are spoken to before HTTP. */
#pragma once
#include <stdbool.h>

#include "config/config.h"

struct dial_config {
    struct dial_tls_config {
        bool on;               /* the block is there */
        const char *ca, *name; /* name NULL: none */
        bool verify;
        const char *certificate, *key; /* NULL: none */
    } tls;
    int proxy_protocol; /* 0: none, else the version */
};

extern const struct config_table dial_config_table; /* to be inlined in the service's block */
