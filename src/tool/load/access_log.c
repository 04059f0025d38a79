#include "tool/load/access_log.h"

#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "tool/load/access_log_json.h"

#define TIME_TEXT_BYTES 26 /* 11/Mar/2015:20:57:53 +0100 */

/* Where reading a line stopped, and what should have stood there. */
struct complaint {
    size_t offset;
    const char *expected;
};

/* ---- time ---- */

static bool digits(struct slice text, size_t start, size_t count, unsigned limit, unsigned *out) {
    uint64_t value;
    if (!parse_uint(slice_sub(text, start, count), &value) || value > limit) {
        return false;
    }
    *out = (unsigned)value;
    return true;
}

static bool month_of(struct slice name, unsigned *month) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (unsigned i = 0; i < 12; i++) {
        if (slice_equal(name, slice_of(names + 3 * (size_t)i, 3))) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

/* The offset of "+0100" from UTC. */
static bool zone_of(struct slice text, int64_t *minutes) {
    unsigned hour, minute;
    if ((text.data[0] != '+' && text.data[0] != '-') || !digits(text, 1, 2, 23, &hour) ||
        !digits(text, 3, 2, 59, &minute)) {
        return false;
    }
    int64_t total = (int64_t)hour * 60 + minute;
    *minutes = text.data[0] == '-' ? -total : total;
    return true;
}

static bool separators_stand(struct slice text) {
    return text.data[2] == '/' && text.data[6] == '/' && text.data[11] == ':' &&
           text.data[14] == ':' && text.data[17] == ':' && text.data[20] == ' ';
}

static bool parse_time(struct slice text, int64_t *unix_ms) {
    unsigned day, month, year, hour, minute, second;
    int64_t zone_minutes;
    if (text.len != TIME_TEXT_BYTES || !separators_stand(text) || !digits(text, 0, 2, 31, &day) ||
        day == 0 || !month_of(slice_sub(text, 3, 3), &month) || !digits(text, 7, 4, 9999, &year) ||
        !digits(text, 12, 2, 23, &hour) || !digits(text, 15, 2, 59, &minute) ||
        !digits(text, 18, 2, 60, &second) || !zone_of(slice_sub(text, 21, 5), &zone_minutes)) {
        return false;
    }
    int64_t days = clock_days_from_civil((int)year, month, day);
    int64_t minutes = (days * 24 + hour) * 60 + minute - zone_minutes;
    *unix_ms = (minutes * 60 + second) * 1000;
    return true;
}

/* ---- the request ---- */

static bool is_sendable(enum http_method method) {
    return method != HTTP_METHOD_OTHER && method != HTTP_CONNECT && method != HTTP_TRACE;
}

/* Servers write what is not printable as \xHH: what was asked is not known for sure then. */
static bool is_plain(struct slice target) {
    for (size_t i = 0; i < target.len; i++) {
        char c = target.data[i];
        if (c <= ' ' || c > '~' || c == '\\' || c == '"' || c == '#') {
            return false;
        }
    }
    return target.len > 0 && target.data[0] == '/' && target.len <= ACCESS_LOG_TARGET_BYTES_MAX;
}

/* "http://shop/a?b" was asked of a proxy: "/a?b". */
static struct slice origin_form(struct slice target) {
    static const struct slice schemes[] = { { "http://", 7 }, { "https://", 8 } };
    for (size_t i = 0; i < 2; i++) {
        if (slice_starts_with(target, schemes[i])) {
            struct slice rest = slice_skip(target, schemes[i].len);
            size_t slash = slice_find(rest, '/');
            return slash == SLICE_NONE ? SLICE("/") : slice_skip(rest, slash);
        }
    }
    return target;
}

/* "GET /path HTTP/1.1"; HTTP/0.9 had no version. */
static bool parse_request(struct slice text, struct access_line *out) {
    struct slice rest = text, method, target;
    if (!slice_cut(&rest, ' ', &method) || !slice_cut(&rest, ' ', &target)) {
        return false;
    }
    if (rest.len > 0 && !slice_starts_with(rest, SLICE("HTTP/"))) {
        return false;
    }
    out->method = http_method_of(method);
    out->target = origin_form(target);
    return is_sendable(out->method) && is_plain(out->target);
}

/* ---- the line ---- */

/* Index of the quote that ends what starts at `start`; \" does not. */
static size_t closing_quote(struct slice line, size_t start) {
    for (size_t i = start; i < line.len; i++) {
        if (line.data[i] == '\\') {
            i++;
        } else if (line.data[i] == '"') {
            return i;
        }
    }
    return SLICE_NONE;
}

static enum access_log_result complain(struct complaint *why, size_t offset, const char *expected) {
    *why = (struct complaint){ offset, expected };
    return ACCESS_LOG_BAD;
}

static enum access_log_result parse_json_line(struct slice line, struct access_line *out,
                                              struct complaint *why) {
    struct access_json json;
    size_t offset;
    uint64_t status;
    if (!access_json_read(line, &json, &offset)) {
        return complain(why, offset, "a JSON object on a line of its own");
    }
    if (!clock_parse_iso8601(json.time, &out->time_ms)) {
        return complain(why, 0, "\"time\": a time such as 2015-03-11T20:57:53Z");
    }
    if (!parse_uint(json.status, &status) || status > 999) {
        return complain(why, 0, "\"status\": a number such as 200");
    }
    out->status = (uint16_t)status;
    out->method = http_method_of(json.method);
    out->target = json.target;
    return is_sendable(out->method) && is_plain(out->target) ? ACCESS_LOG_REQUEST
                                                             : ACCESS_LOG_SKIPPED;
}

static enum access_log_result parse_line(struct slice line, struct access_line *out,
                                         struct complaint *why) {
    if (slice_starts_with(line, SLICE("{"))) {
        return parse_json_line(line, out, why);
    }
    size_t bracket = slice_find_slice(line, SLICE(" ["));
    if (bracket == SLICE_NONE) {
        return complain(why, line.len, "host, identity, user and [time]");
    }
    size_t at = bracket + 2;
    if (!parse_time(slice_sub(line, at, TIME_TEXT_BYTES), &out->time_ms)) {
        return complain(why, at, "a time such as 11/Mar/2015:20:57:53 +0100");
    }
    at += TIME_TEXT_BYTES;
    if (!slice_equal(slice_sub(line, at, 3), SLICE("] \""))) {
        return complain(why, at, "] and the request in quotes");
    }
    at += 3;
    size_t end = closing_quote(line, at);
    if (end == SLICE_NONE) {
        return complain(why, line.len, "the quote that ends the request");
    }
    struct slice after = slice_skip(line, end + 1), status_text;
    uint64_t status;
    if (after.len == 0 || after.data[0] != ' ') {
        return complain(why, end + 1, "a blank and the status");
    }
    after = slice_skip(after, 1);
    if (!slice_cut(&after, ' ', &status_text) || !parse_uint(status_text, &status) ||
        status > 999) {
        return complain(why, end + 2, "a status such as 200");
    }
    out->status = (uint16_t)status;
    return parse_request(slice_sub(line, at, end - at), out) ? ACCESS_LOG_REQUEST
                                                             : ACCESS_LOG_SKIPPED;
}

/* The next line that is not empty, without its end; false at the end of the text. */
static bool take_line(struct access_log *log, struct slice *line) {
    while (slice_cut(&log->rest, '\n', line)) {
        log->line++;
        if (slice_ends_with(*line, SLICE("\r"))) {
            line->len--;
        }
        if (line->len > 0) {
            return true;
        }
    }
    return false;
}

void access_log_init(struct access_log *log, struct slice text, const char *name) {
    *log = (struct access_log){ .rest = text, .name = name };
}

bool access_log_detect(struct slice text) {
    struct access_log log;
    struct access_line out;
    struct complaint why;
    struct slice line;
    access_log_init(&log, text, "");
    return take_line(&log, &line) && parse_line(line, &out, &why) != ACCESS_LOG_BAD;
}

enum access_log_result access_log_next(struct access_log *log, struct access_line *out,
                                       struct error *err) {
    struct slice line;
    struct complaint why;
    if (!take_line(log, &line)) {
        return ACCESS_LOG_END;
    }
    enum access_log_result result = parse_line(line, out, &why);
    if (result == ACCESS_LOG_BAD) {
        error_set(err, ERROR_INVALID, "%s:%u:%zu: expected %s", log->name, log->line,
                  why.offset + 1, why.expected);
    }
    return result;
}
