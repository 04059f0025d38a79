/* Effects: what an event of a kind (a holiday, a match, a payday) does to demand, as a factor,
 * learned from the past events of that kind: by time of day (of short events: by phase, from the
 * time before it to the time after), shrunk to the whole kind's, and that to 1. An effect that did
 * not make past forecasts better is not used. Where several are active, the strongest speaks alone:
 * calendars overlap, and the same holiday twice is one holiday. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EFFECTS_MAX 64
#define EFFECTS_TIMES 8 /* of the day, or phases of the event */
#define EFFECTS_ACTIVE_MAX 16

struct effect {
    double actual[EFFECTS_TIMES], expected[EFFECTS_TIMES];
    double loss_with, loss_without;
    uint32_t slots, events; /* seen */
    uint32_t judged;        /* slots for which there was a forecast to compare with */
    uint64_t last_slot;     /* of effects.slots, to tell one event from the next */
};

struct effects {
    struct effect *of; /* of the kinds that were ever active: most services have few */
    size_t len;
    uint32_t day_steps; /* 1 for steps of a day on */
    uint64_t slots;     /* all seen, active or not */
};

struct effects_active {
    uint8_t index[EFFECTS_ACTIVE_MAX];
    uint8_t share[EFFECTS_ACTIVE_MAX]; /* of the slot that is covered, in 255ths */
    uint8_t time[EFFECTS_ACTIVE_MAX];  /* of EFFECTS_TIMES */
    size_t len;
};

void effects_init(struct effects *e, uint32_t day_steps);
void effects_fini(struct effects *e);

/* Factor on demand in a slot; 1 if nothing is active. */
double effects_factor(const struct effects *e, const struct effects_active *active);

/* Notes that `value` came where `expected` (NaN: nothing) had been forecast without effects. */
void effects_observe(struct effects *e, const struct effects_active *active, double expected,
                     double value);

/* True while something active is rare and not understood yet: its slots should not be learned as
 * ordinary demand. */
bool effects_unknown(const struct effects *e, const struct effects_active *active);
