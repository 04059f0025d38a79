/* Any bytes as an access log: refused with a place, or requests that can be sent as they are. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tool/load/access_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_target(struct slice target) {
    assert(target.len > 0 && target.len <= ACCESS_LOG_TARGET_BYTES_MAX && target.data[0] == '/');
    for (size_t i = 0; i < target.len; i++) {
        assert(target.data[i] > ' ' && target.data[i] <= '~'); /* else a request could be split */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct access_log log;
    struct access_line line;
    struct error err = { 0 };
    enum access_log_result result;
    size_t lines = 0;
    access_log_init(&log, slice_of(data, size), "fuzz");
    do {
        result = access_log_next(&log, &line, &err);
        lines++;
        if (result == ACCESS_LOG_REQUEST) {
            check_target(line.target);
            assert(line.method != HTTP_METHOD_OTHER && line.status <= 999);
        }
    } while (result == ACCESS_LOG_REQUEST || result == ACCESS_LOG_SKIPPED);
    assert(result == ACCESS_LOG_BAD ? strncmp(err.text, "fuzz:", 5) == 0 : log.rest.len == 0);
    assert(access_log_detect(slice_of(data, size)) == (lines > 1));
    return 0;
}
