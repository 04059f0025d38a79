/* Access logs (Common and Combined Log Format, also with a virtual host in front, and Tidegate's
 * JSON lines), line by line:
 *   203.0.113.7 - anna [11/Mar/2015:20:57:53 +0100] "GET /search?q=tent HTTP/1.1" 200 5120 …
 * Only what a replay needs is read: when, what, and how it was answered. Knows nothing of files. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "wire/http/message.h"

#define ACCESS_LOG_TARGET_BYTES_MAX 8000 /* longer ones are skipped: no server reads them */

struct access_line {
    int64_t time_ms; /* unix */
    enum http_method method;
    struct slice target; /* origin form: "/path?query", printable ASCII only */
    uint16_t status;
};

struct access_log {
    struct slice rest;
    const char *name; /* of the source, for errors */
    uint32_t line;    /* last read, 1-based */
};

enum access_log_result {
    ACCESS_LOG_REQUEST,
    ACCESS_LOG_SKIPPED, /* a request that cannot be sent again: "-", CONNECT, binary noise */
    ACCESS_LOG_END,
    ACCESS_LOG_BAD, /* not a line of an access log; err says where */
};

/* Whether the first line that is not empty is one of an access log. */
bool access_log_detect(struct slice text);

/* `text` and `name` must outlive the log and what is read from it. */
void access_log_init(struct access_log *log, struct slice text, const char *name);

/* Empty lines are passed over. */
enum access_log_result access_log_next(struct access_log *log, struct access_line *out,
                                       struct error *err);
