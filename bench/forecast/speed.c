/* What one service costs the controller: CPU of a sample and of a look ahead, memory, and how soon
 * coverage is back after demand has risen by half. Prints one figure a line. */
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/rand.h"
#include "decide/forecast/forecast_internal.h"

#define PATH_STEPS 120
#define SHIFTS 20
#define SERVICES 4 /* more of them say the same */

static double cpu_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int64_t day_steps(const struct forecast_options *o) {
    return MS_PER_DAY / o->step_ms;
}

static double demand(struct rand *r, int64_t slot, int64_t day) {
    double week_end = slot / day % 7 >= 5 ? 0.6 : 1;
    double of_day = 600 - 400 * cos(2 * M_PI * (double)(slot % day) / (double)day);
    return of_day * week_end * (1 + 0.05 * rand_normal(r));
}

static struct forecast_options options_of(int64_t step_ms, uint32_t horizon) {
    struct forecast_options o = { .step_ms = step_ms, .horizon_steps = horizon };
    forecast_default_seasons(&o);
    return o;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void live(void) {
    static const double levels[] = { 0.1, 0.5, 0.9, 0.95 };
    static double took[60 * 1440], values[PATH_STEPS * 4];
    struct forecast_options o = options_of(60000, 240);
    struct rand r;
    rand_init(&r, 1);
    struct forecast *f = forecast_new(&o, NULL);
    size_t len = 28 * 1440;
    double sum = 0;
    for (size_t i = 0; i < len; i++) {
        double start = cpu_us();
        forecast_observe(f, (int64_t)i * o.step_ms, demand(&r, (int64_t)i, 1440));
        took[i] = cpu_us() - start;
        sum += took[i];
    }
    qsort(took, len, sizeof *took, by_size);
    double start = cpu_us();
    for (int i = 0; i < 200; i++) {
        forecast_predict(f, PATH_STEPS, (struct forecast_quantiles){ levels, 4 }, NULL, values);
    }
    double look = (cpu_us() - start) / 200;
    printf("one-minute steps, 28 days: a sample %.0f us (99.9 %% of them below %.0f), a look %d "
           "steps ahead %.0f us\n",
           sum / (double)len, took[len - len / 1000], PATH_STEPS, look);
    printf("1,000 services, a sample and a look each minute: %.1f %% of a core\n",
           (sum / (double)len + look) * 1000 / 60e6 * 100);
    forecast_free(f);
}

static size_t heap(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static double kb(size_t bytes) {
    return (double)bytes / 1024;
}

static size_t tier_bytes(const struct history_tier *t) {
    return malloc_usable_size(t->blocks);
}

/* Where they are. */
static void parts(struct forecast *f) {
    const struct history *h = &f->history;
    const struct examples *e = &f->boost.examples;
    size_t history = malloc_usable_size(h->values) + malloc_usable_size(h->sums);
    size_t examples = malloc_usable_size(e->rows) + malloc_usable_size(e->aims);
    printf("  KB: history %.1f, examples %.1f (%zu of %zu + %zu bytes), model %.1f, ",
           kb(history + tier_bytes(&h->fine) + tier_bytes(&h->coarse)), kb(examples), e->len,
           e->width, sizeof *e->aims, kb(malloc_usable_size(f->boost.grown)));
    printf("spread %.1f, rungs besides %.1f, lines %.1f, pledges %.1f, origins %.1f, effects %.1f, "
           "the rest %.1f\n",
           kb(f->rung_count * sizeof(struct spread)),
           kb(f->rung_count * (sizeof *f->rungs - sizeof(struct spread))),
           kb(malloc_usable_size(f->lines)), kb(malloc_usable_size(f->pledges)),
           kb(malloc_usable_size(f->origins.fine)), kb(malloc_usable_size(f->effects.of)),
           kb(sizeof *f));
}

/* Growth of the heap by each of some services, when they have seen `days`, and the most that one
 * took on the way (a model that grows, examples before they are thinned out). Beside it a process
 * needs some 150 KB once, while any of them grows a tree. */
static void memory(const char *name, int64_t step_ms, uint32_t horizon, int64_t days) {
    struct forecast_options o = options_of(step_ms, horizon);
    struct forecast *of[SERVICES];
    struct rand r;
    size_t start = 0, most = 0, fresh = heap();
    rand_init(&r, 2);
    for (int i = 0; i < SERVICES; i++) {
        of[i] = forecast_new(&o, NULL);
    }
    fresh = heap() - fresh;
    for (int i = 0; i < SERVICES; i++) {
        for (int64_t slot = 0; slot < days * day_steps(&o); slot++) {
            forecast_observe(of[i], slot * step_ms, demand(&r, slot, day_steps(&o)));
            if (i == 1 && slot % 8 == 0 && heap() - start > most) {
                most = heap() - start;
            }
        }
        start = i == 0 ? heap() : start;
    }
    fresh /= SERVICES;
    size_t grown = fresh + (heap() - start) / (SERVICES - 1);
    printf("memory of a service at steps of %s, horizon of %u steps: new %.0f KB, after %d days "
           "%.0f KB, most on the way %.0f KB\n",
           name, horizon, kb(fresh), (int)days, kb(grown), kb(fresh + most));
    parts(of[1]);
    for (int i = 0; i < SERVICES; i++) {
        forecast_free(of[i]);
    }
}

/* Share of samples at or below the 0.95 quantile that was said an hour before, by hour since. */
static void shift(void) {
    static const double level = 0.95;
    double covered[12] = { 0 }, values[12];
    for (int seed = 0; seed < SHIFTS; seed++) {
        struct forecast_options o = options_of(300000, 288);
        struct forecast *f = forecast_new(&o, NULL);
        struct rand r;
        rand_init(&r, (uint64_t)seed + 1);
        double said[12] = { 0 };
        int64_t day = day_steps(&o), at = 21 * day + seed * 13;
        for (int64_t i = 0; i < at + 144; i++) {
            double value = demand(&r, i, day) * (i >= at ? 1.5 : 1);
            if (i >= at) {
                covered[(i - at) / 12] += value <= said[i % 12];
            }
            forecast_observe(f, i * o.step_ms, value);
            forecast_predict(f, 12, (struct forecast_quantiles){ &level, 1 }, NULL, values);
            said[i % 12] = values[11];
        }
        forecast_free(f);
    }
    printf("0.95 quantile, an hour ahead, by hour after demand rose by half:");
    for (int hour = 0; hour < 12; hour++) {
        printf(" %.2f", covered[hour] / (12 * SHIFTS));
    }
    printf("\n");
}

int main(void) {
    live();
    memory("a minute", 60000, 240, 42);
    memory("5 minutes", 300000, 240, 42);
    memory("an hour", 3600000, 24, 400);
    shift();
    return 0;
}
