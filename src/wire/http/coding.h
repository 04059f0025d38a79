/* Content codings (RFC 9110 §8.4.1): which there are, and which one a client takes. How bytes are
 * coded is in wire/http/encoder.h; whether an answer should be is decided by the proxy. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/http/message.h"

enum http_coding {
    HTTP_CODING_IDENTITY,
    HTTP_CODING_GZIP,   /* RFC 1952 */
    HTTP_CODING_BROTLI, /* RFC 7932 */
    HTTP_CODING_ZSTD,   /* RFC 8878; RFC 9659 bounds the window */
    HTTP_CODINGS,
};

/* Items of all Accept-Encoding fields of a request; more are not read. */
#define HTTP_ACCEPT_ITEMS_MAX 64

/* As in Content-Encoding: "identity", "gzip", "br", "zstd". */
struct slice http_coding_name(enum http_coding coding);

/* What a request accepts. Weights in thousandths; 0: refused. A coding that nobody names is
 * refused, identity is then the last choice (weight 1). */
struct http_acceptance {
    uint16_t weight[HTTP_CODINGS];
    bool identity_refused; /* "identity;q=0" or "*;q=0" without an own word for identity */
};

/* Reads all Accept-Encoding fields (RFC 9110 §12.5.3). Without any only identity is accepted: "any
 * coding" is what the RFC says, and what clients that never heard of codings do not mean. An item
 * that is malformed counts as not said; of an item said twice the lesser weight counts. */
struct http_acceptance http_accept_encoding(const struct http_head *request);

/* The coding that the client likes best; among equals the first of `order`, and any coding before
 * identity. */
enum http_coding http_coding_choose(const struct http_acceptance *accepted,
                                    const enum http_coding *order, size_t count);
