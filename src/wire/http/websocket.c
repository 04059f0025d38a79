#include "wire/http/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_BYTES_MAX                                                                              \
    128 /* of a client: 24 is right, others get an answer that is wrong as well                    \
         */

bool websocket_is_asked(const struct http_head *head) {
    return head->upgrade && slice_equal_fold(head->upgrade_to, SLICE("websocket"));
}

void websocket_key(const uint64_t random[2], char out[WEBSOCKET_KEY_LEN]) {
    unsigned char bytes[16], text[WEBSOCKET_KEY_LEN + 1];
    memcpy(bytes, random, sizeof bytes);
    EVP_EncodeBlock(text, bytes, sizeof bytes);
    memcpy(out, text, WEBSOCKET_KEY_LEN);
}

void websocket_accept(struct slice key, char out[WEBSOCKET_ACCEPT_LEN]) {
    unsigned char joined[KEY_BYTES_MAX + sizeof GUID], digest[SHA_DIGEST_LENGTH];
    unsigned char text[WEBSOCKET_ACCEPT_LEN + 1];
    size_t len = key.len < KEY_BYTES_MAX ? key.len : KEY_BYTES_MAX;
    if (len > 0) {
        memcpy(joined, key.data, len);
    }
    memcpy(joined + len, GUID, sizeof GUID - 1);
    SHA1(joined, len + sizeof GUID - 1, digest);
    EVP_EncodeBlock(text, digest, sizeof digest);
    memcpy(out, text, WEBSOCKET_ACCEPT_LEN);
}
