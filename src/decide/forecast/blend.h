/* Blend: how much of two corrections is mixed into a forecast, at one horizon: a few fixed pairs of
 * shares are scored like experts, and their recent losses weigh them (to a high power: close to the
 * best pair). Without corrections there is only the forecast. */
#pragma once
#include <stddef.h>

#define BLEND_PARTS 4 /* a share is a multiple of 1/4; both together are 1 at most */
#define BLEND_PAIRS ((BLEND_PARTS + 1) * (BLEND_PARTS + 2) / 2)

struct blend {
    float loss[BLEND_PAIRS];
    float scored, keep, enough;
    float share_trees, share_line;
};

/* NaN: not known. */
struct blend_forecasts {
    double first, trees, line;
};

void blend_init(struct blend *b, double memory_steps, double enough_steps);
double blend_mix(const struct blend *b, const struct blend_forecasts *f);
/* All were forecast, `value` came; all in the same unit. */
void blend_observe(struct blend *b, const struct blend_forecasts *f, double value);
