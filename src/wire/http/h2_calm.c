/* Floods: frames that cost us more than the peer. Each kind has a bucket of tokens; a peer that
 * empties one is told ENHANCE_YOUR_CALM and loses the connection. Against the rest nghttp2 guards
 * (frames in CONTINUATION, entries in SETTINGS, answers that wait to be sent). */
#include "wire/http/h2_internal.h"

static const struct {
    uint32_t burst, per_second;
    const char *trouble;
} kinds[H2_NUISANCES] = {
    /* CVE-2023-44487: opened and reset at once, so that our work is for nobody. A visitor who
     * leaves a page resets what it had under way; streams that we reset as malformed count too. */
    [H2_NUISANCE_RESET] = { 400, 40, "too many streams were reset" },
    /* CVE-2019-9512; a gRPC client measures its bandwidth with one in a round trip. */
    [H2_NUISANCE_PING] = { 1000, 100, "too many PING frames" },
    [H2_NUISANCE_SETTINGS] = { 100, 10, "too many SETTINGS frames" },   /* CVE-2019-9515 */
    [H2_NUISANCE_PRIORITY] = { 2000, 200, "too many PRIORITY frames" }, /* CVE-2019-9513 */
    /* Windows opened by single bytes; each DATA frame that we send refills some. */
    [H2_NUISANCE_WINDOW] = { 4000, 400, "too many WINDOW_UPDATE frames" },
    /* CVE-2019-9518; RST_STREAM of what is over as well: some clients reset what they reset before
     * for each frame that was on its way. */
    [H2_NUISANCE_EMPTY] = { 2000, 200, "too many frames that say nothing" },
};

void h2_calm_init(struct h2 *h2) {
    for (unsigned i = 0; i < H2_NUISANCES; i++) {
        h2->buckets[i] = (struct h2_bucket){ .tokens = kinds[i].burst };
    }
}

bool h2_calm_count(struct h2 *h2, enum h2_nuisance kind) {
    struct h2_bucket *b = &h2->buckets[kind];
    if (h2->role == H2_CLIENT) {
        return true; /* our own services: what they do too often shows in their latency */
    }
    if (b->filled_us != 0 && h2->now_us > b->filled_us) {
        b->tokens += (double)(h2->now_us - b->filled_us) / 1e6 * kinds[kind].per_second;
        b->tokens = b->tokens > kinds[kind].burst ? kinds[kind].burst : b->tokens;
    }
    b->filled_us = h2->now_us;
    b->tokens -= 1;
    if (b->tokens >= 0) {
        return true;
    }
    h2->abused = true;
    h2->trouble = kinds[kind].trouble;
    return false;
}

void h2_calm_data_sent(struct h2 *h2) {
    struct h2_bucket *b = &h2->buckets[H2_NUISANCE_WINDOW];
    b->tokens += b->tokens < kinds[H2_NUISANCE_WINDOW].burst ? 3 : 0;
}
