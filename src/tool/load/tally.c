#include "tool/load/tally.h"

#include <stdlib.h>

#include "base/clock.h"

bool tally_init(struct tally *t, uint64_t duration_us, int64_t start_unix_ms, struct error *err) {
    size_t seconds = duration_us == 0 ? 1 : (size_t)((duration_us + 999999) / 1000000);
    *t = (struct tally){ .start_unix_ms = start_unix_ms };
    t->seconds = calloc(seconds, sizeof *t->seconds);
    if (t->seconds == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory for a report of %zu seconds", seconds);
    }
    t->second_count = seconds;
    return true;
}

void tally_fini(struct tally *t) {
    free(t->seconds);
    t->seconds = NULL;
    t->second_count = 0;
}

static struct tally_second *second_of(struct tally *t, uint64_t wanted_us) {
    size_t index = (size_t)(wanted_us / 1000000);
    return &t->seconds[index < t->second_count ? index : t->second_count - 1];
}

void tally_offer(struct tally *t, uint64_t wanted_us, uint64_t late_us) {
    t->requests++;
    second_of(t, wanted_us)->offered++;
    histogram_record(&t->late_us, late_us);
}

static enum tally_verdict judge(const struct tally_entry *entry) {
    if (entry->end != CALL_ANSWERED) {
        return TALLY_FAILED;
    }
    if (entry->status < 500) {
        return TALLY_SERVED;
    }
    return entry->status == 503 && entry->retry_after ? TALLY_REFUSED : TALLY_FAILED;
}

static void note_failure(struct tally *t, const struct tally_entry *entry) {
    if (entry->end == CALL_ANSWERED) {
        t->failed_statuses[entry->status]++;
    } else {
        t->failed_ends[entry->end]++;
    }
    if (t->failure_count == TALLY_FAILURES_MAX) {
        return;
    }
    struct tally_failure *failure = &t->failures[t->failure_count++];
    *failure = (struct tally_failure){
        .unix_ms = t->start_unix_ms + (int64_t)((entry->wanted_us + entry->latency_us) / 1000),
        .latency_us = entry->latency_us,
        .end = entry->end,
        .status = entry->status,
        .stage = entry->stage,
        .method = entry->method,
    };
    slice_copy_text(slice_sub(entry->target, 0, TALLY_PATH_BYTES - 1), failure->path,
                    TALLY_PATH_BYTES);
}

enum tally_verdict tally_count(struct tally *t, const struct tally_entry *entry) {
    struct tally_second *second = second_of(t, entry->wanted_us);
    enum tally_verdict verdict = judge(entry);
    if (entry->end == CALL_ANSWERED) {
        t->statuses[entry->status]++;
    }
    switch (verdict) {
    case TALLY_SERVED:
        t->served++;
        second->served++;
        histogram_record(&t->latency_us[entry->stage], entry->latency_us);
        break;
    case TALLY_REFUSED:
        t->refused++;
        second->refused++;
        break;
    case TALLY_FAILED:
        t->failed++;
        second->failed++;
        note_failure(t, entry);
        break;
    }
    return verdict;
}
