#include "act/control/sticky.h"

#include <fcntl.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

#define TEXT_BYTES 256

static bool path_of(char out[PATH_MAX], const struct state_folder *state, const char *suffix) {
    int len = snprintf(out, PATH_MAX, "%s/%s%s", state->path, STICKY_SECRET_FILE, suffix);
    return len > 0 && len < PATH_MAX;
}

static bool load(struct sticky_secret *secret, const struct state_folder *state) {
    char path[PATH_MAX];
    int fd = path_of(path, state, "") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, secret->key, sizeof secret->key);
    close(fd);
    return got == (ssize_t)sizeof secret->key;
}

/* Whole or not at all. */
static bool save(const struct sticky_secret *secret, const struct state_folder *state) {
    char path[PATH_MAX], draft[PATH_MAX];
    if (!path_of(path, state, "") || !path_of(draft, state, ".new")) {
        return false;
    }
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool written = write(fd, secret->key, sizeof secret->key) == (ssize_t)sizeof secret->key;
    close(fd);
    return written && rename(draft, path) == 0;
}

void sticky_secret_init(struct sticky_secret *secret, const struct state_folder *state) {
    struct error err;
    if (load(secret, state)) {
        return;
    }
    if (RAND_bytes(secret->key, sizeof secret->key) != 1) {
        memset(secret, 0, sizeof *secret);
    }
    if (!save(secret, state)) {
        error_system(&err, "keep " STICKY_SECRET_FILE);
        log_warn("sticky_secret_not_kept",
                 "error=\"%s\" action=\"visitors are spread anew when the controller is\"",
                 err.text);
    }
}

uint64_t sticky_tag(const struct sticky_secret *secret, const char *service, const char *endpoint) {
    unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };
    unsigned digest_bytes = 0;
    char text[TEXT_BYTES];
    uint64_t tag = 0;
    int len = snprintf(text, sizeof text, "%s%c%s", service, '\0', endpoint);
    (void)HMAC(EVP_sha256(), secret->key, sizeof secret->key, (const unsigned char *)text,
               (size_t)len, digest, &digest_bytes);
    memcpy(&tag, digest, sizeof tag);
    return tag == 0 ? 1 : tag;
}
