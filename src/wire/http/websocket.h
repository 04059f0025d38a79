/* The handshake of WebSocket over HTTP/1.1 (RFC 6455 §4), for the one side of a tunnel that speaks
 * it when the other is HTTP/2, which has none (RFC 8441). What goes through is never looked at. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "wire/http/message.h"

#define WEBSOCKET_KEY_LEN 24    /* 16 bytes in base64 */
#define WEBSOCKET_ACCEPT_LEN 28 /* SHA-1 in base64 */

bool websocket_is_asked(const struct http_head *head); /* Upgrade: websocket */

/* Sec-WebSocket-Key from 16 random bytes. */
void websocket_key(const uint64_t random[2], char out[WEBSOCKET_KEY_LEN]);
/* The Sec-WebSocket-Accept that answers it. */
void websocket_accept(struct slice key, char out[WEBSOCKET_ACCEPT_LEN]);
