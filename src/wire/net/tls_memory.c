/* OpenSSL wipes keys when it frees them, but not the buffers through which it has read them: PEM
 * text and DER lie about in freed memory for as long as nobody needs the place. While a key is
 * read, everything that is freed is wiped. */
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "wire/net/tls_internal.h"

static _Thread_local bool wiping;

void tls_wipe_freed(bool on) {
    wiping = on;
}

static void *allocate(size_t bytes, const char *file, int line) {
    (void)file, (void)line;
    return malloc(bytes);
}

static void release(void *at, const char *file, int line) {
    (void)file, (void)line;
    if (wiping && at != NULL) {
        explicit_bzero(at, malloc_usable_size(at));
    }
    free(at);
}

static void *reallocate(void *at, size_t bytes, const char *file, int line) {
    if (bytes == 0) {
        release(at, file, line);
        return NULL;
    }
    if (!wiping || at == NULL) {
        return realloc(at, bytes);
    }
    size_t had = malloc_usable_size(at);
    void *moved = malloc(bytes);
    if (moved != NULL) {
        memcpy(moved, at, had < bytes ? had : bytes);
        release(at, file, line);
    }
    return moved;
}

void tls_init(void) {
    (void)CRYPTO_set_mem_functions(allocate, reallocate, release);
}
