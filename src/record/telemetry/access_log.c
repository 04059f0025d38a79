#include "record/telemetry/access_log.h"

#include <arpa/inet.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"

#define FIXED_BYTES 1536     /* of a line: all keys, numbers and punctuation */
#define ESCAPED_BYTES_MAX 6u /* one byte of text becomes at most \u00XX */

const char *const access_field_names[ACCESS_FIELD_COUNT + 1] = {
#define ACCESS_FIELD_NAME(id, name, help) name,
    ACCESS_FIELDS(ACCESS_FIELD_NAME)
#undef ACCESS_FIELD_NAME
};

uint32_t access_field_bit(struct slice name) {
    for (unsigned i = 0; i < ACCESS_FIELD_COUNT; i++) {
        if (slice_equal(name, slice_from(access_field_names[i]))) {
            return 1u << i;
        }
    }
    return 0;
}

/* ---- plain pieces; each returns where the next one goes ---- */

static char *put(char *at, struct slice text) {
    memcpy(at, text.data, text.len);
    return at + text.len;
}
#define PUT(at, literal) put(at, SLICE(literal))

static char *put_digits(char *at, unsigned value, unsigned count) {
    for (unsigned i = count; i-- > 0; value /= 10) {
        at[i] = (char)('0' + value % 10);
    }
    return at + count;
}

/* Milliseconds with three decimals. */
static char *put_ms(char *at, uint64_t us) {
    at = slice_put_uint(at, us / 1000);
    *at++ = '.';
    return put_digits(at, (unsigned)(us % 1000), 3);
}

static char *put_hex(char *at, uint64_t value, unsigned digits) {
    for (unsigned i = digits; i-- > 0; value >>= 4) {
        at[i] = "0123456789abcdef"[value & 15];
    }
    return at + digits;
}

/* Four decimals; beyond what a purse holds it is cut. */
static char *put_value(char *at, double value) {
    double cut = fmin(fabs(value), 1e12);
    uint64_t ten_thousandths = (uint64_t)llround(cut * 10000);
    if (value < 0 && ten_thousandths > 0) {
        *at++ = '-';
    }
    at = slice_put_uint(at, ten_thousandths / 10000);
    *at++ = '.';
    return put_digits(at, (unsigned)(ten_thousandths % 10000), 4);
}

/* ---- what visitors sent ---- */

/* Bytes of the well-formed UTF-8 sequence at `text`, 0 when there is none (RFC 3629 §4). */
static size_t utf8_len(const unsigned char *text, size_t left) {
    unsigned char c = text[0];
    size_t len = c < 0x80                ? 1
                 : c >= 0xc2 && c < 0xe0 ? 2
                 : c >= 0xe0 && c < 0xf0 ? 3
                 : c >= 0xf0 && c < 0xf5 ? 4
                                         : 0;
    if (len == 0 || len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool too_long = (c == 0xe0 && text[1] < 0xa0) || (c == 0xf0 && text[1] < 0x90);
    bool surrogate = c == 0xed && text[1] >= 0xa0;
    bool too_high = c == 0xf4 && text[1] >= 0x90;
    return too_long || surrogate || too_high ? 0 : len;
}

static char *put_json_escape(char *at, unsigned c) {
    switch (c) {
    case '"':
        return PUT(at, "\\\"");
    case '\\':
        return PUT(at, "\\\\");
    case '\n':
        return PUT(at, "\\n");
    case '\r':
        return PUT(at, "\\r");
    case '\t':
        return PUT(at, "\\t");
    default:
        return put_hex(PUT(at, "\\u"), c, 4);
    }
}

static char *put_json_text(char *at, struct slice text) {
    const unsigned char *bytes = (const unsigned char *)text.data;
    *at++ = '"';
    for (size_t i = 0; i < text.len;) {
        unsigned char c = bytes[i];
        if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
            *at++ = (char)c;
            i++;
            continue;
        }
        size_t len = utf8_len(bytes + i, text.len - i);
        if (len == 1) {
            at = put_json_escape(at, c);
        } else if (len == 0) {
            at = PUT(at, "\xef\xbf\xbd");
            len = 1;
        } else if (c == 0xc2 && bytes[i + 1] < 0xa0) { /* C1: a terminal may obey it */
            at = put_json_escape(at, bytes[i + 1]);
        } else {
            at = put(at, slice_of(text.data + i, len));
        }
        i += len;
    }
    *at++ = '"';
    return at;
}

static char *put_quoted_bytes(char *at, struct slice text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\') {
            at = put_hex(PUT(at, "\\x"), c, 2);
        } else {
            *at++ = (char)c;
        }
    }
    return at;
}

static char *put_quoted(char *at, struct slice text) {
    *at++ = '"';
    at = text.len == 0 ? PUT(at, "-") : put_quoted_bytes(at, text);
    *at++ = '"';
    return at;
}

/* ---- pieces that both kinds of lines have ---- */

static bool is_v4(const uint8_t ip[16]) {
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };
    return memcmp(ip, prefix, sizeof prefix) == 0;
}

static char *put_client(char *at, const struct access_entry *e, bool masked) {
    static const uint8_t none[16];
    uint8_t ip[16];
    memcpy(ip, e->client, sizeof ip);
    if (memcmp(ip, none, sizeof ip) == 0) {
        return PUT(at, "unix:");
    }
    if (is_v4(ip)) {
        ip[15] = masked ? 0 : ip[15];
        for (int i = 12; i < 16; i++) {
            at = slice_put_uint(at, ip[i]);
            *at++ = '.';
        }
        return at - 1;
    }
    memset(ip + 6, 0, masked ? 10 : 0);
    char text[INET6_ADDRSTRLEN];
    return put(at, slice_from(inet_ntop(AF_INET6, ip, text, sizeof text)));
}

static struct slice protocol_name(uint8_t protocol) {
    return protocol == 20   ? SLICE("HTTP/2.0")
           : protocol == 11 ? SLICE("HTTP/1.1")
           : protocol == 10 ? SLICE("HTTP/1.0")
                            : SLICE("");
}

/* ---- JSON ---- */

/* The target is one text of two parts. */
static char *put_json_target(char *at, const struct access_entry *e) {
    at = put_json_text(at, e->path);
    if (e->has_query) {
        at[-1] = '?';
        char *query = at;
        at = put_json_text(at, e->query);
        memmove(query, query + 1, (size_t)(at - query - 1)); /* its opening quote */
        at--;
    }
    return at;
}

static char *put_time(char *at, int64_t unix_ms) {
    char text[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(unix_ms, text);
    size_t len = strlen(text);
    *at++ = '"';
    at = put(at, slice_of(text, len - 1));
    at = unix_ms % 1000 == 0 ? PUT(at, ".000") : at;
    return PUT(at, "Z\"");
}

static char *put_json_client(char *at, const struct access_entry *e, bool masked) {
    *at++ = '"';
    at = put_client(at, e, masked);
    *at++ = '"';
    return at;
}

static char *put_json_trace(char *at, const struct access_entry *e) {
    *at++ = '"';
    at = put_hex(at, e->trace_high, 16);
    at = put_hex(at, e->trace_low, 16);
    *at++ = '"';
    return at;
}

static struct slice text_of(const struct access_entry *e, enum access_field field) {
    switch (field) {
    case ACCESS_FIELD_METHOD:
        return e->method;
    case ACCESS_FIELD_HOST:
        return e->host;
    case ACCESS_FIELD_REQUEST:
        return e->request_line;
    case ACCESS_FIELD_PROTOCOL:
        return protocol_name(e->protocol);
    case ACCESS_FIELD_TLS:
        return e->tls == 13 ? SLICE("TLSv1.3") : e->tls == 12 ? SLICE("TLSv1.2") : SLICE("");
    case ACCESS_FIELD_OUTCOME:
        return e->outcome;
    case ACCESS_FIELD_REASON:
        return e->reason;
    case ACCESS_FIELD_RATE_LIMIT:
        return e->rate_limit;
    case ACCESS_FIELD_SERVICE:
        return e->service;
    case ACCESS_FIELD_ROUTE:
        return e->route;
    case ACCESS_FIELD_ENDPOINT:
        return e->endpoint;
    case ACCESS_FIELD_STAGE:
        return e->stage;
    case ACCESS_FIELD_REFERER:
        return e->referer;
    case ACCESS_FIELD_AGENT:
        return e->agent;
    default:
        return SLICE("");
    }
}

static char *put_number(char *at, const struct access_entry *e, enum access_field field) {
    switch (field) {
    case ACCESS_FIELD_CLIENT_PORT:
        return slice_put_uint(at, e->client_port);
    case ACCESS_FIELD_STATUS:
        return slice_put_uint(at, e->status);
    case ACCESS_FIELD_VALUE:
        return put_value(at, e->value);
    case ACCESS_FIELD_RETRIES:
        return slice_put_uint(at, e->retries);
    case ACCESS_FIELD_BYTES_IN:
        return slice_put_uint(at, e->bytes_in);
    case ACCESS_FIELD_BYTES_OUT:
        return slice_put_uint(at, e->bytes_out);
    case ACCESS_FIELD_DURATION:
        return put_ms(at, e->total_us);
    case ACCESS_FIELD_FIRST_BYTE:
        return put_ms(at, e->first_byte_us);
    default:
        return put_ms(at, e->waited_us);
    }
}

static bool is_known(const struct access_entry *e, enum access_field field, bool masked) {
    switch (field) {
    case ACCESS_FIELD_TIME:
    case ACCESS_FIELD_CLIENT:
    case ACCESS_FIELD_STATUS:
    case ACCESS_FIELD_RETRIES:
    case ACCESS_FIELD_BYTES_IN:
    case ACCESS_FIELD_BYTES_OUT:
    case ACCESS_FIELD_DURATION:
    case ACCESS_FIELD_WAITED:
        return true;
    case ACCESS_FIELD_CLIENT_PORT:
        return e->client_port != 0 && !masked;
    case ACCESS_FIELD_TARGET:
        return e->path.len > 0;
    case ACCESS_FIELD_VALUE:
        return isfinite(e->value);
    case ACCESS_FIELD_FIRST_BYTE:
        return e->first_byte_us > 0;
    case ACCESS_FIELD_TRACE:
        return (e->trace_high | e->trace_low) != 0;
    default:
        return text_of(e, field).len > 0;
    }
}

static char *put_json_value(char *at, const struct access_entry *e, enum access_field field,
                            bool masked) {
    switch (field) {
    case ACCESS_FIELD_TIME:
        return put_time(at, e->unix_ms);
    case ACCESS_FIELD_CLIENT:
        return put_json_client(at, e, masked);
    case ACCESS_FIELD_TARGET:
        return put_json_target(at, e);
    case ACCESS_FIELD_TRACE:
        return put_json_trace(at, e);
    default:
        return text_of(e, field).len > 0 ? put_json_text(at, text_of(e, field))
                                         : put_number(at, e, field);
    }
}

static char *put_json_line(char *at, const struct access_format *format,
                           const struct access_entry *e) {
    *at++ = '{';
    for (unsigned field = 0; field < ACCESS_FIELD_COUNT; field++) {
        if (!(format->fields & 1u << field) || !is_known(e, field, format->mask_addresses)) {
            continue;
        }
        *at++ = '"';
        at = put(at, slice_from(access_field_names[field]));
        at = PUT(at, "\":");
        at = put_json_value(at, e, field, format->mask_addresses);
        *at++ = ',';
    }
    at -= at[-1] == ','; /* a line without any field is {} */
    return PUT(at, "}\n");
}

/* ---- Common and Combined ---- */

/* [11/Mar/2015:20:57:53 +0000] */
static char *put_bracketed_time(char *at, int64_t unix_ms) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t seconds = unix_ms / 1000 - (unix_ms % 1000 < 0);
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    unsigned of_day = (unsigned)(seconds - days * 86400), month, day;
    int year;
    clock_civil_from_days(days, &year, &month, &day);
    *at++ = '[';
    at = put_digits(at, day, 2);
    *at++ = '/';
    at = put(at, slice_of(months + 3 * (size_t)(month - 1), 3));
    *at++ = '/';
    at = put_digits(at, (unsigned)year, 4);
    *at++ = ':';
    at = put_digits(at, of_day / 3600, 2);
    *at++ = ':';
    at = put_digits(at, of_day / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, of_day % 60, 2);
    return PUT(at, " +0000]");
}

static char *put_request_line(char *at, const struct access_entry *e) {
    if (e->path.len == 0) { /* it never came to be a request */
        return put_quoted(at, e->request_line);
    }
    *at++ = '"';
    at = put_quoted_bytes(at, e->method);
    *at++ = ' ';
    at = put_quoted_bytes(at, e->path);
    if (e->has_query) {
        *at++ = '?';
        at = put_quoted_bytes(at, e->query);
    }
    *at++ = ' ';
    at = put(at, e->protocol != 0 ? protocol_name(e->protocol) : SLICE("HTTP/1.1"));
    *at++ = '"';
    return at;
}

static char *put_common_line(char *at, const struct access_format *format,
                             const struct access_entry *e) {
    at = put_client(at, e, format->mask_addresses);
    at = PUT(at, " - - ");
    at = put_bracketed_time(at, e->unix_ms);
    *at++ = ' ';
    at = put_request_line(at, e);
    *at++ = ' ';
    at = put_digits(at, e->status % 1000, 3);
    *at++ = ' ';
    at = slice_put_uint(at, e->bytes_out);
    if (format->style == ACCESS_COMBINED) {
        *at++ = ' ';
        at = put_quoted(at, e->referer);
        *at++ = ' ';
        at = put_quoted(at, e->agent);
    }
    *at++ = '\n';
    return at;
}

bool access_entry_write(const struct access_format *format, const struct access_entry *e,
                        struct buffer *out) {
    const struct slice *texts[] = { &e->method,       &e->host,      &e->path,  &e->query,
                                    &e->request_line, &e->referer,   &e->agent, &e->service,
                                    &e->route,        &e->endpoint,  &e->stage, &e->outcome,
                                    &e->reason,       &e->rate_limit };
    size_t text_bytes = 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        text_bytes += texts[i]->len;
    }
    char *start = buffer_reserve(out, FIXED_BYTES + ESCAPED_BYTES_MAX * text_bytes);
    if (start == NULL) {
        return false;
    }
    char *end = format->style == ACCESS_JSON ? put_json_line(start, format, e)
                                             : put_common_line(start, format, e);
    buffer_commit(out, (size_t)(end - start));
    return true;
}
