#include "decide/autoscale/lead_time.h"

#include <math.h>
#include <string.h>

#include "base/interpolate.h"

#define UNSEEN_RATIO 0.5 /* how much longer than the longest, when hardly any was seen */

void lead_time_init(struct lead_time *l, double start_ms) {
    *l = (struct lead_time){ 0 };
    l->start_ms = start_ms > 0 && start_ms <= LEAD_TIME_MAX_MS ? start_ms : LEAD_TIME_DEFAULT_MS;
}

static void take_out(struct lead_time *l, double value) {
    size_t i = 0;
    while (l->sorted_ms[i] != value) {
        i++;
    }
    memmove(&l->sorted_ms[i], &l->sorted_ms[i + 1], (l->len - i - 1) * sizeof l->sorted_ms[0]);
    l->len--;
}

static void put_in(struct lead_time *l, double value) {
    size_t i = l->len++;
    for (; i > 0 && l->sorted_ms[i - 1] > value; i--) {
        l->sorted_ms[i] = l->sorted_ms[i - 1];
    }
    l->sorted_ms[i] = value;
}

void lead_time_observe(struct lead_time *l, double took_ms) {
    if (!(took_ms >= 0)) {
        return;
    }
    double value = fmin(took_ms, LEAD_TIME_MAX_MS);
    if (l->len == LEAD_TIME_SAMPLES) {
        take_out(l, l->samples_ms[l->next]);
    }
    l->samples_ms[l->next] = value;
    l->next = (l->next + 1) % LEAD_TIME_SAMPLES;
    put_in(l, value);
}

double lead_time_quantile_ms(const struct lead_time *l, double q) {
    if (l->len == 0) {
        return l->start_ms;
    }
    double rank = fmin(fmax(q, 0), 1) * (double)(l->len - 1);
    size_t low = (size_t)rank;
    size_t high = low + 1 < l->len ? low + 1 : low;
    return interpolate(l->sorted_ms[low], l->sorted_ms[high], rank - (double)low);
}

double lead_time_bound_ms(const struct lead_time *l, double q) {
    double known = fmin((double)(l->len + 1) * (1 - q), 1);
    double quantile = lead_time_quantile_ms(l, l->len > 0 && known < 1 ? 1 : q);
    return l->len > 0 ? quantile * (1 + UNSEEN_RATIO * (1 - known)) : quantile;
}
