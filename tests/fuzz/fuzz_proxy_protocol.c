/* PROXY headers: the same bytes give the same answer however they are cut, nothing beyond the
 * limits is waited for, and what was read is written and read again. */
#include <assert.h>
#include <string.h>

#include "wire/net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const struct proxy_header *header, unsigned version) {
    char out[PROXY_PROTOCOL_WRITE_BYTES];
    struct proxy_header again;
    size_t consumed = 0;
    size_t len = proxy_protocol_write(version, &header->source, &header->destination, out);
    assert(len <= sizeof out);
    assert(proxy_protocol_parse(slice_of(out, len), &again, &consumed) == PROXY_DONE);
    assert(consumed == len && again.known);
    assert(address_port(&again.source) == address_port(&header->source));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice bytes = slice_of(data, size);
    struct proxy_header header = { 0 }, part = { 0 };
    size_t consumed = 0, ignored = 0;
    enum proxy_result whole = proxy_protocol_parse(bytes, &header, &consumed);
    assert(whole != PROXY_MORE || size < PROXY_PROTOCOL_V2_BYTES_MAX);
    assert(whole != PROXY_DONE || (consumed > 0 && consumed <= size));
    for (size_t len = 0; len < size && len < 600; len++) {
        enum proxy_result cut = proxy_protocol_parse(slice_sub(bytes, 0, len), &part, &ignored);
        assert(cut == PROXY_MORE || cut == whole);
        assert(cut != PROXY_DONE || ignored == consumed);
    }
    if (whole == PROXY_DONE && header.known) {
        read_back(&header, 1);
        read_back(&header, 2);
    }
    return 0;
}
