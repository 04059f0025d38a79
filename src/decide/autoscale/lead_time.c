#include "decide/autoscale/lead_time.h"

#include <math.h>
#include <string.h>

void lead_time_init(struct lead_time *l, double start_ms) {
    *l = (struct lead_time){ 0 };
    l->start_ms = start_ms > 0 && start_ms <= LEAD_TIME_MAX_MS ? start_ms : LEAD_TIME_DEFAULT_MS;
}

void lead_time_observe(struct lead_time *l, double took_ms) {
    if (!(took_ms >= 0)) {
        return;
    }
    l->samples_ms[l->next] = fmin(took_ms, LEAD_TIME_MAX_MS);
    l->next = (l->next + 1) % LEAD_TIME_SAMPLES;
    l->len += l->len < LEAD_TIME_SAMPLES;
}

double lead_time_quantile_ms(const struct lead_time *l, double q) {
    double sorted[LEAD_TIME_SAMPLES] = { 0 };
    if (l->len == 0) {
        return l->start_ms;
    }
    for (size_t i = 0; i < l->len; i++) {
        size_t j = i;
        for (; j > 0 && sorted[j - 1] > l->samples_ms[i]; j--) {
            sorted[j] = sorted[j - 1];
        }
        sorted[j] = l->samples_ms[i];
    }
    double rank = fmin(fmax(q, 0), 1) * (double)(l->len - 1);
    size_t low = (size_t)rank;
    size_t high = low + 1 < l->len ? low + 1 : low;
    return sorted[low] + (rank - (double)low) * (sorted[high] - sorted[low]);
}
