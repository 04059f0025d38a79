/* Any bytes as an HTTP date: what is taken is exactly what we would write for that second (a leap
 * second is the next minute's first). The first eight as a second: what is written reads back. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/http/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int64_t years_9999 = 253402300800; /* seconds: the format has four digits */
    char text[HTTP_DATE_BYTES];
    int64_t seconds, again;
    if (http_date_parse(slice_of(data, size), &seconds)) {
        http_date_format(seconds, text);
        bool leap = slice_find_slice(slice_of(data, size), SLICE(":60 ")) != SLICE_NONE;
        assert(leap || slice_equal(slice_of(text, sizeof text), slice_of(data, size)));
    }
    if (size >= sizeof seconds) {
        memcpy(&seconds, data, sizeof seconds);
        seconds = (int64_t)((uint64_t)seconds % (uint64_t)years_9999);
        http_date_format(seconds, text);
        assert(http_date_parse(slice_of(text, sizeof text), &again) && again == seconds);
    }
    return 0;
}
