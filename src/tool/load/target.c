#include "tool/load/target.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "wire/http/uri.h"
#include "wire/net/resolve.h"

#define PROBE_TIMEOUT_S 2

bool target_parse(struct slice url, char authority[TARGET_AUTHORITY_BYTES], struct error *err) {
    static const struct slice scheme = { "http://", 7 };
    struct slice rest = slice_starts_with(url, scheme) ? slice_skip(url, scheme.len) : SLICE("");
    if (slice_ends_with(rest, SLICE("/"))) {
        rest.len--;
    }
    return (uri_is_authority(rest) && slice_copy_text(rest, authority, TARGET_AUTHORITY_BYTES)) ||
           error_set(err, ERROR_INVALID, "expected http://HOST[:PORT] without a path, found '%.*s'",
                     SLICE_ARG(url));
}

static bool accepts(const struct address *address) {
    struct timeval timeout = { .tv_sec = PROBE_TIMEOUT_S };
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    bool ok = connect(fd, (const struct sockaddr *)&address->storage, address->len) == 0;
    close(fd);
    return ok;
}

bool target_find(struct target *target, struct slice url, struct error *err) {
    struct address found[RESOLVE_MAX];
    size_t count = 0, chosen = 0;
    if (!target_parse(url, target->authority, err) ||
        !resolve(slice_from(target->authority), 80, found, &count, err)) {
        return false;
    }
    if (count > 1) { /* "localhost" is two, and few servers listen on both */
        while (chosen < count && !accepts(&found[chosen])) {
            chosen++;
        }
    }
    target->address = found[chosen == count ? 0 : chosen];
    return true;
}
