/* Parameters of a request, "service=shop&limit=10": percent-decoded and checked against the list
 * that the handler knows; an unknown or repeated one, or a bad value, is an error that names it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

#define QUERY_VALUE_BYTES 256
#define QUERY_PARAMETERS_MAX 12

enum query_type {
    QUERY_TEXT, /* no control bytes */
    QUERY_UINT, /* 0 to INT64_MAX */
    QUERY_TIME, /* ISO 8601 or epoch seconds, as unix ms */
};

struct query_parameter {
    const char *name;
    enum query_type type;
    bool given;
    char text[QUERY_VALUE_BYTES];
    int64_t number; /* QUERY_UINT, QUERY_TIME; keeps its default when not given */
};

bool query_parse(struct slice query, struct query_parameter *parameters, unsigned count,
                 struct error *err);

/* %41 and + decoded into out, NUL-terminated; false when it does not fit, a % is not followed by
 * two hexadecimal digits, or it holds a control byte. */
bool query_decode(struct slice text, char *out, size_t out_bytes);
