#include "decide/forecast/blend.h"

#include <math.h>

#define POWER 12
#define LOSS_LEAST 1e-12F

void blend_init(struct blend *b, double memory_steps, double enough_steps) {
    *b = (struct blend){ .keep = (float)(1 - 1 / fmax(memory_steps, 2)),
                         .enough = (float)enough_steps };
}

static double change_of(double first, double corrected) {
    return isnan(corrected) ? 0 : corrected - first;
}

double blend_mix(const struct blend *b, const struct blend_forecasts *f) {
    return f->first + (double)b->share_trees * change_of(f->first, f->trees) +
           (double)b->share_line * change_of(f->first, f->line);
}

static void weigh(struct blend *b) {
    float least = INFINITY, trees = 0, line = 0, weights = 0;
    for (size_t i = 0; i < BLEND_PAIRS; i++) {
        least = fminf(least, b->loss[i]);
    }
    size_t pair = 0;
    for (int t = 0; t <= BLEND_PARTS; t++) {
        for (int l = 0; l <= BLEND_PARTS - t; l++, pair++) {
            float weight = powf((least + LOSS_LEAST) / (b->loss[pair] + LOSS_LEAST), POWER);
            trees += weight * (float)t / BLEND_PARTS;
            line += weight * (float)l / BLEND_PARTS;
            weights += weight;
        }
    }
    b->share_trees = trees / weights;
    b->share_line = line / weights;
}

void blend_observe(struct blend *b, const struct blend_forecasts *f, double value) {
    if (isnan(f->first) || (isnan(f->trees) && isnan(f->line))) {
        return;
    }
    double trees = change_of(f->first, f->trees), line = change_of(f->first, f->line);
    size_t pair = 0;
    b->scored = b->scored * b->keep + 1;
    for (int t = 0; t <= BLEND_PARTS; t++) {
        for (int l = 0; l <= BLEND_PARTS - t; l++, pair++) {
            double said = f->first + (t * trees + l * line) / BLEND_PARTS;
            b->loss[pair] = b->loss[pair] * b->keep + (float)fabs(value - said);
        }
    }
    if (b->scored >= b->enough) {
        weigh(b);
    }
}
