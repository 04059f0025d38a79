/* Sticky cookies: the secret that makes an endpoint's name into a value that says nothing to others
 * and that nobody else can make up. It is kept in the state folder, so that visitors stay where
 * they are when Tidegate is started anew. */
#pragma once
#include <stdint.h>

#include "act/control/state.h"

#define STICKY_SECRET_BYTES 32
#define STICKY_SECRET_FILE "sticky.key"

struct sticky_secret {
    unsigned char key[STICKY_SECRET_BYTES];
};

/* Reads it, or makes and keeps a new one. Where it cannot be kept it is told, and lasts until the
 * controller ends. */
void sticky_secret_init(struct sticky_secret *secret, const struct state_folder *state);
/* HMAC-SHA-256 of service and endpoint, cut to 64 bits; never 0. */
uint64_t sticky_tag(const struct sticky_secret *secret, const char *service, const char *endpoint);
