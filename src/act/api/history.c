#include "act/api/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct history *history_new(const char *service, size_t capacity) {
    struct history *h = calloc(1, sizeof *h + capacity * sizeof h->rows[0]);
    if (h != NULL) {
        strncpy(h->service, service, sizeof h->service - 1);
        h->capacity = capacity;
    }
    return h;
}

void history_free(struct history *h) {
    free(h);
}

void history_row_init(struct history_row *row, int64_t time_ms) {
    *row = (struct history_row){
        .time_ms = time_ms,
        .offered_rps = NAN,
        .served_rps = NAN,
        .refused_rps = NAN,
        .failed_rps = NAN,
        .latency_ms_p50 = NAN,
        .latency_ms_p95 = NAN,
        .latency_ms_p99 = NAN,
        .forecast_rps = NAN,
        .forecast_rps_low = NAN,
        .forecast_rps_high = NAN,
        .capacity_rps = NAN,
        .in_flight = NAN,
        .serving = NAN,
    };
    for (int i = 0; i < STAGE_COUNT; i++) {
        row->stages[i] = (struct history_stage){ NAN, NAN, NAN };
    }
}

const struct history_row *history_at(const struct history *h, size_t index) {
    return &h->rows[(h->next + h->capacity - h->len + index) % h->capacity];
}

void history_push(struct history *h, const struct history_row *row) {
    size_t newest = (h->next + h->capacity - 1) % h->capacity;
    if (h->len > 0 && row->time_ms <= h->rows[newest].time_ms) {
        if (row->time_ms == h->rows[newest].time_ms) {
            h->rows[newest] = *row;
        }
        return;
    }
    h->rows[h->next] = *row;
    h->next = (h->next + 1) % h->capacity;
    if (h->len < h->capacity) {
        h->len++;
    }
}

void history_prepend(struct history *h, const struct history_row *rows, size_t count) {
    int64_t oldest_ms = h->len > 0 ? history_at(h, 0)->time_ms : INT64_MAX;
    while (count > 0 && rows[count - 1].time_ms >= oldest_ms) {
        count--;
    }
    while (count > 0 && h->len < h->capacity) {
        h->len++; /* history_at(h, 0) is now the free place before the oldest */
        h->rows[(h->next + h->capacity - h->len) % h->capacity] = rows[--count];
    }
}

static double sum_since(const struct history *h, int64_t from_ms, size_t field) {
    double sum = 0;
    for (size_t i = h->len; i-- > 0;) {
        const struct history_row *row = history_at(h, i);
        float rate;
        if (row->time_ms < from_ms) {
            break;
        }
        memcpy(&rate, (const char *)row + field, sizeof rate);
        sum += isnan(rate) ? 0 : rate;
    }
    return sum;
}

double history_failed(const struct history *h, int64_t now_ms, unsigned seconds) {
    return sum_since(h, now_ms - (int64_t)seconds * 1000, offsetof(struct history_row, failed_rps));
}

double history_refused(const struct history *h, int64_t now_ms, unsigned seconds) {
    return sum_since(h, now_ms - (int64_t)seconds * 1000,
                     offsetof(struct history_row, refused_rps));
}
