/* History: the last seconds of one service in memory, for charts that are drawn often. A ring of
 * rows in order of time, one a second at most; float is plenty for a line on a screen. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "act/shm/plan.h"
#include "decide/value/stage.h"

struct api_service;

struct history_stage {
    float latency_ms_p50, latency_ms_p95, latency_ms_p99;
};

struct history_row { /* NaN: not known */
    int64_t time_ms; /* unix, start of the second */
    float offered_rps, served_rps, refused_rps, failed_rps;
    float latency_ms_p50, latency_ms_p95, latency_ms_p99;
    float forecast_rps, forecast_rps_low, forecast_rps_high, capacity_rps;
    float in_flight, serving;
    struct history_stage stages[STAGE_COUNT];
};

struct history {
    char service[PLAN_NAME_BYTES];
    size_t capacity, len, next;
    struct history_row rows[];
};

struct history *history_new(const char *service, size_t capacity); /* NULL: memory is out */
void history_free(struct history *h);

/* A row of the same second as the newest replaces it; an older one is ignored. */
void history_push(struct history *h, const struct history_row *row);
/* 0 is the oldest. */
const struct history_row *history_at(const struct history *h, size_t index);
/* Rows that the store had, older than all in memory; in order of time. */
void history_prepend(struct history *h, const struct history_row *rows, size_t count);

void history_row_init(struct history_row *row, int64_t time_ms); /* nothing known */

/* Sum of the requests that failed (or were refused) in the last `seconds` before now_ms. */
double history_failed(const struct history *h, int64_t now_ms, unsigned seconds);
double history_refused(const struct history *h, int64_t now_ms, unsigned seconds);
