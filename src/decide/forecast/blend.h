/* Blend: how much of a second forecast is mixed into a first one, at one horizon: a few fixed
 * shares are scored like experts, and their recent losses weigh them (to a high power: close to the
 * best share). Without a second forecast there is only the first. */
#pragma once
#include <stddef.h>

#define BLEND_SHARES 5 /* 0, 1/4, … 1 of the second */

struct blend {
    float loss[BLEND_SHARES];
    float scored, keep, enough;
    float share;
};

void blend_init(struct blend *b, double memory_steps, double enough_steps);
/* NaN `second`: `first` alone. */
double blend_mix(const struct blend *b, double first, double second);
/* Both were forecast, `value` came; all in the same unit. */
void blend_observe(struct blend *b, double first, double second, double value);
