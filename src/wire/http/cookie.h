/* Cookies of a request (RFC 6265 §4.2): found where they stand, nothing is copied. */
#pragma once
#include <stdbool.h>

#include "base/slice.h"
#include "wire/http/message.h"

/* The value of the first cookie of that name over all Cookie fields, without quotes around it. */
bool cookie_find(const struct http_head *head, struct slice name, struct slice *value);
