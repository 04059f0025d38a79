/* Any bytes as what a visitor sent: a line stays one line, a quoted text stays quoted, JSON stays
 * JSON, and what we write a replay can read. */
#include <assert.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "record/telemetry/access_log.h"
#include "tool/load/access_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(struct slice line) {
    assert(line.len > 0 && line.data[line.len - 1] == '\n');
    for (size_t i = 0; i + 1 < line.len; i++) {
        assert((unsigned char)line.data[i] >= ' ' && line.data[i] != 0x7f);
    }
}

static void check_replay(struct slice line) {
    struct access_log log;
    struct access_line out;
    struct error err = { 0 };
    access_log_init(&log, line, "fuzz");
    assert(access_log_next(&log, &out, &err) != ACCESS_LOG_BAD);
    assert(out.status == 200 && out.time_ms / 1000 == 1426107473);
    assert(access_log_next(&log, &out, &err) == ACCESS_LOG_END);
}

static size_t quotes(struct slice line) {
    size_t count = 0;
    for (size_t i = 0; i < line.len; i++) {
        count += line.data[i] == '"';
    }
    return count;
}

static struct slice take(struct slice *rest) {
    struct slice part = *rest;
    if (!slice_cut(rest, '\xfe', &part)) {
        part = SLICE("");
    }
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice rest = slice_of(data, size);
    struct access_entry e = { .unix_ms = 1426107473042, .status = 200, .protocol = 11 };
    struct buffer out;
    e.path = take(&rest);
    e.query = take(&rest);
    e.agent = take(&rest);
    e.referer = take(&rest);
    e.method = take(&rest);
    e.request_line = take(&rest);
    e.host = rest;
    e.has_query = e.path.len > 0 && size % 2 == 0;
    buffer_init(&out, 1u << 24);
    for (int style = ACCESS_JSON; style <= ACCESS_COMBINED; style++) {
        struct access_format format = { (enum access_style)style, ACCESS_FIELDS_ALL,
                                        size % 3 == 0 };
        buffer_clear(&out);
        assert(access_entry_write(&format, &e, &out));
        struct slice line = buffer_slice(&out);
        check_line(line);
        check_replay(line);
        if (style == ACCESS_JSON) {
            json_t *json = json_loadb(line.data, line.len, JSON_ALLOW_NUL, NULL);
            assert(json_is_object(json));
            json_decref(json);
        } else {
            assert(quotes(line) == (style == ACCESS_COMMON ? 2 : 6));
        }
    }
    buffer_fini(&out);
    return 0;
}
