/* Any bytes as PEM and DER. The first byte says as what: a chain, its key and an OCSP response
 * (separated by NULs), authorities, revocations, or a list of ciphers. Refused with a reason, or
 * one can make a listener of it. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/net/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_pair(struct slice text) {
    static const struct tls_tickets tickets;
    struct tls_pair pair = { 0 };
    struct tls_certificate_info info;
    struct error err = { 0 };
    slice_cut(&text, '\0', &pair.chain);
    slice_cut(&text, '\0', &pair.key);
    pair.ocsp = text;
    if (!tls_pair_check(&pair, &info, &err)) {
        assert(err.text[0] != '\0');
        return;
    }
    assert(memchr(info.name, '\0', sizeof info.name) != NULL);
    struct tls_server_options options = { .pairs = &pair, .pair_count = 1, .tickets = &tickets };
    struct tls_server *server = tls_server_new(&options, NULL, &err);
    assert(server != NULL);
    struct tls_server *next = tls_server_new(&options, server, &err); /* takes its pair over */
    assert(next != NULL);
    tls_server_free(server);
    tls_server_free(next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = { 0 };
    char ciphers[512];
    if (size == 0) {
        return 0;
    }
    struct slice rest = slice_of(data + 1, size - 1);
    bool good = true;
    switch (data[0] % 4) {
    case 0:
        try_pair(rest);
        break;
    case 1:
        good = tls_authorities_check(rest, &err);
        break;
    case 2:
        good = tls_revocations_check(rest, &err);
        break;
    default:
        good = !slice_copy_text(rest, ciphers, sizeof ciphers) || tls_ciphers_check(ciphers, &err);
    }
    assert(good || err.text[0] != '\0');
    return 0;
}
