#include <math.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "base/clock.h"

json_t *json_known(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_time(int64_t unix_ms) {
    char text[CLOCK_ISO8601_BYTES];
    if (unix_ms == 0) {
        return json_null();
    }
    clock_format_iso8601(unix_ms, text);
    return json_string(text);
}

/* Words from outside (a command's output, a file's names) may not be UTF-8: then a question mark
 * stands for each byte that is not ASCII. */
json_t *json_text(const char *text) {
    json_t *json = text[0] == '\0' ? json_null() : json_string(text);
    if (json == NULL) {
        char ascii[1024];
        size_t len = strlen(text) < sizeof ascii ? strlen(text) : sizeof ascii;
        for (size_t i = 0; i < len; i++) {
            ascii[i] = (char)((signed char)text[i] < 0 ? '?' : text[i]);
        }
        json = json_stringn(ascii, len);
    }
    return json;
}

void json_put(json_t *object, const char *key, json_t *value) {
    json_object_set_new_nocheck(object, key, value);
}
