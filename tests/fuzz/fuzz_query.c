/* Any bytes as a name (up to the first NUL) and a query; and as a network. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/http/query.h"
#include "wire/net/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char room[16];
    struct slice value, query = slice_of(data, size), name = { 0 };
    bool too_long;
    struct network network;
    slice_cut(&query, '\0', &name);
    if (query_find(query, name, room, sizeof room, &value, &too_long)) {
        assert(too_long ? value.len > sizeof room : value.len <= sizeof room);
        assert(too_long || value.len == 0 || memchr(value.data, '&', value.len) == NULL ||
               value.data == room); /* only a decoded one may hold the separator */
    }
    if (network_parse(slice_of(data, size), &network, NULL)) {
        assert(network.bits <= 128 && network_contains(&network, network.ip));
    }
    return 0;
}
