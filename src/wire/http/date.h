/* HTTP dates (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define HTTP_DATE_BYTES 29

void http_date_format(int64_t unix_seconds, char out[HTTP_DATE_BYTES]); /* no NUL */

/* The text of this second, formatted once a second; valid until the next call of this process. */
struct slice http_date_now(int64_t unix_seconds);

/* IMF-fixdate only; the two obsolete forms are not accepted. */
bool http_date_parse(struct slice text, int64_t *unix_seconds);
