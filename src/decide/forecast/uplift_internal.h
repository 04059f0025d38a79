/* Inside of uplift: the runs (uplift.c), their factor (uplift_factor.c), what samples say of them
 * (uplift_sample.c) and the curve that was seen (uplift_curve.c). */
#pragma once
#include "decide/forecast/uplift.h"

#define UPLIFT_EXCESS_LEAST 0.02 /* smaller ones count as this: logarithms need one */
#define UPLIFT_EXCESS_MOST 1000.0

/* ---- uplift.c ---- */

/* What has no multiplier above 1 does not raise demand; holidays are learned as effects. */
bool uplift_is_campaign(const struct calendar_event *e);
/* UPLIFT_RUNS_MAX: none. */
size_t uplift_find_run(const struct uplift *u, const struct calendar_event *e);
/* A run that is not begun yet, of an event further ahead. */
struct uplift_run uplift_imagine(const struct uplift *u, const struct calendar_event *e);
/* Nothing of it is seen yet. */
void uplift_wait(struct uplift_run *r, struct uplift_belief belief);

/* When it begins as far as is known, and how much earlier it may. */
struct uplift_onset {
    int64_t at_ms, slack_ms;
};
/* False: nobody expects it any more. */
bool uplift_onset_of(const struct uplift_run *r, int64_t now_ms, struct uplift_onset *out);
/* Until then a send that is not seen is waited for. */
int64_t uplift_patience_until(const struct uplift_run *r);
/* A send that is late ends late. */
int64_t uplift_ends_ms(const struct uplift_run *r, const struct uplift_onset *onset);

/* ---- uplift_factor.c ---- */

/* What the other campaigns of this moment make of the ordinary demand. */
double uplift_of_others(const struct uplift *u, const struct uplift_run *mine,
                        const struct uplift_sample *s);

/* ---- uplift_sample.c ---- */

void uplift_observe_run(struct uplift *u, struct uplift_run *r, const struct uplift_sample *s);

/* ---- uplift_curve.c ---- */

void uplift_curve_add(struct uplift_run *r, double age_s, double excess, double seconds);
/* False: nothing that could be learned was seen. */
bool uplift_curve_outcome(const struct uplift_run *r, struct uplift_outcome *out);
