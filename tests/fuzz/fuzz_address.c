/* address_parse: what it accepts, written out again, must be read as the same address. */
#include <stdlib.h>

#include "wire/net/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct address address, again;
    char text[ADDRESS_TEXT_BYTES];
    if (address_parse(slice_of(data, size), 80, &address, NULL)) {
        address_format(&address, text);
        if (!address_parse(slice_from(text), 0, &again, NULL) || !address_equal(&address, &again)) {
            abort();
        }
    }
    return 0;
}
