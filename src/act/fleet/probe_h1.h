/* The answer to a probe in HTTP/1.1, by the codec that visitors' answers are read with: bytes in,
 * verdict out. Head and body are bounded; informational answers are passed over. */
#pragma once
#include "act/fleet/expectation.h"
#include "base/buffer.h"
#include "base/slice.h"

#define PROBE_HEAD_BYTES_MAX 16384
#define PROBE_INTERIM_MAX 8 /* informational answers before the one */

struct probe_h1;

/* An answer that is kept, whatever its status: of 200 with its body, whole or not at all. */
struct probe_page {
    size_t bytes_max;
    uint16_t status;
    struct buffer body;
    char etag[256], modified[64], location[2048]; /* empty: not said, or longer than any sane one */
};
void probe_page_init(struct probe_page *page, size_t bytes_max);
void probe_page_clear(struct probe_page *page); /* for the next answer */
void probe_page_fini(struct probe_page *page);

/* `expectation` is borrowed. NULL when memory is out. */
struct probe_h1 *probe_h1_new(bool head_only, const struct expectation *expectation);
/* The answer is kept in `page`, which is borrowed, and not held against anything. */
void probe_h1_keep(struct probe_h1 *p, struct probe_page *page);
void probe_h1_free(struct probe_h1 *p);
/* `ended`: nothing will come after these bytes. Never PROBE_MORE then. */
enum probe_result probe_h1_take(struct probe_h1 *p, struct slice bytes, bool ended,
                                char why[PROBE_WHY_BYTES]);
