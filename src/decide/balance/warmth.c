#include "decide/balance/warmth.h"

bool warmth_is_near(uint64_t latency_us, double peers_us, uint64_t tail_us) {
    double near_us = peers_us * WARMTH_NEAR + WARMTH_NEAR_US, spread_us = peers_us * WARMTH_SPREAD;
    if ((double)tail_us < spread_us) {
        spread_us = (double)tail_us;
    }
    return peers_us <= 0 || (double)latency_us <= (spread_us > near_us ? spread_us : near_us);
}

bool warmth_observe(struct warmth *w, bool near) {
    if (w->steps == 0) {
        return false;
    }
    w->answers++;
    w->steps = near ? w->steps - 1 : w->steps + (w->steps < WARMTH_STEPS);
    if (w->answers >= WARMTH_PATIENCE) {
        w->steps = 0;
    }
    return w->steps == 0;
}

static uint32_t doublings(uint32_t steps) {
    return steps < WARMTH_STEPS ? WARMTH_STEPS - steps : 0;
}

uint32_t warmth_interval(uint32_t steps, uint32_t cold, uint32_t total) {
    uint32_t all = WARMTH_REQUESTS * (cold > 0 ? cold : 1);
    uint32_t interval = steps == 0 ? 1 : all >> doublings(steps);
    return interval <= total ? 1 : interval;
}

uint32_t warmth_in_flight(uint32_t steps) {
    return 1u << doublings(steps);
}

uint32_t warmth_load(uint32_t in_flight, uint32_t steps, uint32_t total) {
    uint32_t interval = warmth_interval(steps, 1, total);
    uint32_t times = interval / (total > 0 ? total : 1);
    return times <= 1 ? in_flight : (in_flight + 1) * times - 1;
}
