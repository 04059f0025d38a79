/* One line of an access log in JSON, as Tidegate writes it (record/telemetry/access_log.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* The members that a replay needs: the insides of strings, escapes and all, and numbers as written;
 * empty when they are not there. */
struct access_json {
    struct slice time, method, target, status;
};

/* `line` is a whole JSON object of plain values (objects and lists in it are passed over). False:
 * it is not; *offset is where reading stopped. */
bool access_json_read(struct slice line, struct access_json *out, size_t *offset);
