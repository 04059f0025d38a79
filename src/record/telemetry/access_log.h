/* The access log's lines: one request, one line, as JSON, Common or Combined Log Format. Pure:
 * plain values in, bytes out; whatever a visitor sent cannot end a line or a quoted text early.
 *
 *   JSON      control bytes (C0, C1, DEL), quotes and backslashes as \uXXXX or \n \" \\; what is
 * not UTF-8 becomes U+FFFD Common, Combined quotes, backslashes and everything outside printable
 * ASCII as \xHH, like nginx
 *
 * Not here: files (log_file.h), where requests come from (act/control/access_writer.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

enum access_style { ACCESS_JSON, ACCESS_COMMON, ACCESS_COMBINED };

/* The keys of a JSON line, in their order; what is not known of a request is left out. */
#define ACCESS_FIELDS(X)                                                                           \
    X(TIME, "time", "when the request's head was complete, UTC, ISO 8601 with milliseconds")       \
    X(CLIENT, "client", "the visitor's address")                                                   \
    X(CLIENT_PORT, "client_port", "and port")                                                      \
    X(METHOD, "method", "as sent")                                                                 \
    X(HOST, "host", "Host or :authority, as sent")                                                 \
    X(TARGET, "target", "the path as sent; with its query only if `query: true`")                  \
    X(REQUEST, "request", "of what could not be parsed: its first line")                           \
    X(PROTOCOL, "protocol", "HTTP/1.0, HTTP/1.1 or HTTP/2.0")                                      \
    X(TLS, "tls", "TLSv1.2 or TLSv1.3; not there without TLS")                                     \
    X(STATUS, "status", "what was answered; 499: the visitor left before an answer")               \
    X(OUTCOME, "outcome", "served, upgraded, refused, failed, client_gone, bad_request, answered") \
    X(REASON, "reason", "why it did not end well; `none` otherwise")                               \
    X(RATE_LIMIT, "rate_limit", "`dry_run`: one in a dry run would have refused it")               \
    X(SERVICE, "service", "of the route")                                                          \
    X(ROUTE, "route", "the route's path")                                                          \
    X(ENDPOINT, "endpoint", "the instance that was asked last")                                    \
    X(STAGE, "stage", "of the visit")                                                              \
    X(VALUE, "value", "expected profit of the request, currency units")                            \
    X(RETRIES, "retries", "sendings after the first")                                              \
    X(BYTES_IN, "bytes_in", "of the request's body")                                               \
    X(BYTES_OUT, "bytes_out", "of the response's body")                                            \
    X(DURATION, "duration_ms", "from the head to the end of the answer")                           \
    X(FIRST_BYTE, "first_byte_ms", "from the head to the service's answer")                        \
    X(WAITED, "waited_ms", "in the admission queue")                                               \
    X(TRACE, "trace_id", "W3C trace id")                                                           \
    X(REFERER, "referer", "as sent; without its query unless `query: true`")                       \
    X(AGENT, "user_agent", "as sent")

enum access_field {
#define ACCESS_FIELD_ENUM(id, name, help) ACCESS_FIELD_##id,
    ACCESS_FIELDS(ACCESS_FIELD_ENUM) ACCESS_FIELD_COUNT,
#undef ACCESS_FIELD_ENUM
};
#define ACCESS_FIELDS_ALL ((1u << ACCESS_FIELD_COUNT) - 1)

struct access_format {
    enum access_style style;
    uint32_t fields;     /* of JSON: bits 1 << enum access_field */
    bool mask_addresses; /* IPv4 to /24, IPv6 to /48; no port */
};

/* Slices are borrowed, any bytes; empty: not known. */
struct access_entry {
    int64_t unix_ms;
    uint64_t trace_high, trace_low; /* both 0: none */
    uint64_t bytes_in, bytes_out;
    uint32_t total_us, first_byte_us, waited_us;
    double value; /* NaN: not known */
    uint16_t status, client_port;
    uint8_t client[16]; /* v4 as ::ffff:a.b.c.d; all zero: a Unix socket */
    uint8_t protocol;   /* 10, 11, 20; 0: not known */
    uint8_t tls;        /* 12, 13; 0: none */
    uint8_t retries;
    bool has_query;
    struct slice method, host, path, query, request_line, referer, agent;
    struct slice service, route, endpoint, stage, outcome, reason, rate_limit;
};

/* Appends exactly one line, newline included. False when the buffer cannot take it: it is then
 * unchanged. */
bool access_entry_write(const struct access_format *format, const struct access_entry *entry,
                        struct buffer *out);

/* The bit of a key's name; 0: there is no such one. */
uint32_t access_field_bit(struct slice name);
extern const char *const access_field_names[ACCESS_FIELD_COUNT + 1]; /* ended by NULL */
