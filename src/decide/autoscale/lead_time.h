/* Lead time: how long an instance takes from the order to its first request, learned from the
 * start-ups seen. Few, long-tailed numbers: the recent ones are kept whole. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define LEAD_TIME_SAMPLES 64
#define LEAD_TIME_DEFAULT_MS 10000.0
#define LEAD_TIME_MAX_MS 3600000.0

struct lead_time {
    double start_ms; /* the guess before anything was seen */
    double samples_ms[LEAD_TIME_SAMPLES];
    double sorted_ms[LEAD_TIME_SAMPLES]; /* the same, ascending: quantiles are asked every second */
    size_t len, next;
};

void lead_time_init(struct lead_time *l, double start_ms);   /* <= 0: LEAD_TIME_DEFAULT_MS */
void lead_time_observe(struct lead_time *l, double took_ms); /* NaN and negative are ignored */
/* Quantile q in [0, 1] of the recent start-ups; the guess while there is none. Never NaN. */
double lead_time_quantile_ms(const struct lead_time *l, double q);
/* Below which the next start-up stays with probability q. Of n start-ups the next one exceeds the
 * longest with probability 1 / (n + 1): while that is more than 1 - q, the longest and something.
 */
double lead_time_bound_ms(const struct lead_time *l, double q);
