/* What came of a replay: counts, latency by stage, each second, the first failures.
 *   served   answered with a status below 500
 *   refused  503 with Retry-After: the gate turned the visitor away in good order
 *   failed   everything else: 5xx, no answer, a cut one, none in time
 * Latency is of what was served, from the moment the visitor wanted it: time in our own queue for a
 * connection counts. Each second is that of the wish, not of the answer. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/histogram.h"
#include "base/slice.h"
#include "decide/value/stage.h"
#include "tool/load/client.h"
#include "wire/http/message.h"

#define TALLY_FAILURES_MAX 100
#define TALLY_PATH_BYTES 160 /* of a failure; longer ones are cut */
#define TALLY_STATUSES 1000

struct tally_second {
    uint32_t offered, served, refused, failed;
};

struct tally_failure {
    int64_t unix_ms; /* when it was known */
    uint64_t latency_us;
    enum call_end end;
    uint16_t status; /* 0: none came */
    enum stage stage;
    enum http_method method;
    char path[TALLY_PATH_BYTES];
};

struct tally {
    uint64_t requests, served, refused, failed;
    uint64_t orders, visitors, reconnects;
    uint64_t statuses[TALLY_STATUSES];
    uint64_t failed_statuses[TALLY_STATUSES]; /* those that count as failed */
    uint64_t failed_ends[CALL_ENDS];
    struct histogram latency_us[STAGE_COUNT];
    struct histogram late_us; /* our own: from the wish to the moment it was taken up */
    struct tally_second *seconds;
    size_t second_count;
    int64_t start_unix_ms;
    struct tally_failure failures[TALLY_FAILURES_MAX];
    size_t failure_count;
    bool interrupted;
};

/* One request that has ended. */
struct tally_entry {
    uint64_t wanted_us; /* since the start */
    uint64_t latency_us;
    enum call_end end;
    uint16_t status;
    bool retry_after; /* the answer has that field */
    enum stage stage;
    enum http_method method;
    struct slice target;
};

enum tally_verdict { TALLY_SERVED, TALLY_REFUSED, TALLY_FAILED };

/* For wishes in the first `duration_us`. */
bool tally_init(struct tally *t, uint64_t duration_us, int64_t start_unix_ms, struct error *err);
void tally_fini(struct tally *t);

/* A request that is wanted at `wanted_us` was taken up `late_us` later. */
void tally_offer(struct tally *t, uint64_t wanted_us, uint64_t late_us);
enum tally_verdict tally_count(struct tally *t, const struct tally_entry *entry);

/* JSON (DESIGN.md §8), to a file ("-": stdout). */
bool tally_write_json(const struct tally *t, const char *path, struct error *err);
/* A summary in words: a few lines. */
bool tally_write_words(const struct tally *t, struct buffer *out);
