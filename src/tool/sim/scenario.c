#include "tool/sim/scenario.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/parse.h"
#include "config/units.h"
#include "tool/sim/scenario_faults.h"

#define CAMPAIGNS_PER_DAY 0.7
#define CROWDS_PER_DAY 1.0
#define SURGES_PER_DAY_MAX 8
#define LAUNCH_S_MIN 900 /* the first campaign comes within the first hour */
#define LAUNCH_S_MAX 3300
#define ABSENT_SHARE 0.1    /* of the campaigns: announced, and nothing comes */
#define GUESS_LOG_ERROR 0.4 /* of the marketer's multiplier, a standard deviation */
#define CALM_FACTOR 1.02
#define DRIFT_DAY_LOG 0.05  /* of the level, from day to day */
#define PEAK_OF_DAY_S 50400 /* two in the afternoon */
#define NIGHT_RATIO 0.15    /* of the peak */
#define WEEKEND_RATIO 0.75

static int64_t between(struct rand *r, int64_t low, int64_t high) {
    return low + (int64_t)(rand_unit(r) * (double)(high - low));
}

static unsigned how_many(struct rand *r, double mean) {
    unsigned count = 0;
    double left = mean - rand_exponential(r);
    while (left > 0 && count < SURGES_PER_DAY_MAX / 2) {
        count++;
        left -= rand_exponential(r);
    }
    return count;
}

static bool announce(struct scenario *s, const struct scenario_surge *surge, double guess,
                     struct error *err) {
    int64_t start_ms = SCENARIO_START_MS + surge->start_s * 1000;
    struct calendar_event event = {
        .start_ms = start_ms,
        .end_ms = start_ms + (surge->rise_s + surge->hold_s) * 1000,
        .name = SLICE("Sale"),
        .kind = SLICE("campaign"),
        .multiplier = guess,
    };
    return calendar_add(&s->calendar, &event, err);
}

static bool add_campaign(struct scenario *s, struct rand *r, int64_t start_s, struct error *err) {
    struct scenario_surge surge = {
        .start_s = start_s,
        .rise_s = between(r, 60, 300),
        .hold_s = between(r, 1800, 14400),
        .decay_s = between(r, 300, 3600),
        .factor = 2 + 6 * rand_unit(r),
    };
    double guess = fmax(surge.factor * exp(GUESS_LOG_ERROR * rand_normal(r)), 1.1);
    if (!announce(s, &surge, guess, err)) {
        return false;
    }
    if (rand_unit(r) >= ABSENT_SHARE) {
        surge.start_s += rand_unit(r) < 0.2 ? between(r, 60, 1800) : 0; /* some are late */
        s->surges[s->surge_count++] = surge;
    }
    return true;
}

static void add_crowd(struct scenario *s, struct rand *r, uint32_t day) {
    s->surges[s->surge_count++] = (struct scenario_surge){
        .start_s = day * (int64_t)SCENARIO_DAY_S + between(r, 0, SCENARIO_DAY_S),
        .rise_s = between(r, 1, 180),
        .hold_s = between(r, 60, 3600),
        .decay_s = between(r, 30, 1800),
        .factor = 1.5 + 4 * rand_exponential(r),
    };
}

static bool add_surges(struct scenario *s, struct rand *r, struct error *err) {
    s->surges = calloc((size_t)s->days * SURGES_PER_DAY_MAX + 1, sizeof *s->surges);
    if (s->surges == NULL) {
        return error_set(err, ERROR_LIMIT, "no memory for %u days", s->days);
    }
    if (!add_campaign(s, r, between(r, LAUNCH_S_MIN, LAUNCH_S_MAX), err)) {
        return false;
    }
    for (uint32_t day = 0; day < s->days; day++) {
        for (unsigned left = how_many(r, CAMPAIGNS_PER_DAY); left > 0; left--) {
            int64_t of_day_s = between(r, 21600, 79200) / 900 * 900;
            if (!add_campaign(s, r, day * (int64_t)SCENARIO_DAY_S + of_day_s, err)) {
                return false;
            }
        }
        for (unsigned left = how_many(r, CROWDS_PER_DAY); left > 0; left--) {
            add_crowd(s, r, day);
        }
    }
    calendar_sort(&s->calendar);
    return true;
}

bool scenario_init(struct scenario *s, uint64_t seed, uint32_t days, double peak_rps,
                   const char *faults_path, struct error *err) {
    struct rand r;
    *s = (struct scenario){ .seed = seed, .days = days, .peak_rps = peak_rps };
    calendar_init(&s->calendar);
    rand_init(&r, seed);
    rand_init(&s->noise, seed ^ UINT64_C(0x9e3779b97f4a7c15));
    bool ok = add_surges(s, &r, err);
    ok = ok && (faults_path != NULL ? scenario_read_faults(s, faults_path, err)
                                    : scenario_seed_faults(s, &r, err));
    if (!ok) {
        scenario_fini(s);
    }
    return ok;
}

void scenario_fini(struct scenario *s) {
    calendar_fini(&s->calendar);
    free(s->surges);
    free(s->faults);
    s->surges = NULL;
    s->faults = NULL;
}

/* How much of the surge is there: a ramp, a plateau, an exponential end. */
static double height(const struct scenario_surge *surge, int64_t at_s) {
    double since = (double)(at_s - surge->start_s), rise = (double)surge->rise_s;
    double over = since - rise - (double)surge->hold_s;
    return since < 0      ? 0
           : since < rise ? since / rise
           : over <= 0    ? 1
                          : exp(-over / (double)surge->decay_s);
}

bool scenario_is_calm(const struct scenario *s, int64_t at_s) {
    double factor = 1;
    for (size_t i = 0; i < s->surge_count; i++) {
        factor *= 1 + (s->surges[i].factor - 1) * height(&s->surges[i], at_s);
    }
    return factor < CALM_FACTOR;
}

static double ordinary_rps(const struct scenario *s, uint32_t day, int64_t of_day_s) {
    double phase = 2 * M_PI * (double)(of_day_s - PEAK_OF_DAY_S) / SCENARIO_DAY_S;
    double shape = NIGHT_RATIO + (1 - NIGHT_RATIO) * pow(0.5 + 0.5 * cos(phase), 1.5);
    return s->peak_rps * shape * (day % 7 >= 5 ? WEEKEND_RATIO : 1);
}

static void raise_by(const struct scenario_surge *surge, uint32_t day, float *rps) {
    int64_t first_s = day * (int64_t)SCENARIO_DAY_S;
    int64_t gone_s = surge->start_s + surge->rise_s + surge->hold_s + 10 * surge->decay_s;
    int64_t from = surge->start_s > first_s ? surge->start_s - first_s : 0;
    int64_t to = gone_s - first_s < SCENARIO_DAY_S ? gone_s - first_s : SCENARIO_DAY_S;
    for (int64_t i = from; i < to; i++) {
        rps[i] *= (float)(1 + (surge->factor - 1) * height(surge, first_s + i));
    }
}

void scenario_day(struct scenario *s, uint32_t day, float rps[SCENARIO_DAY_S]) {
    s->drift += DRIFT_DAY_LOG * rand_normal(&s->noise);
    double level = exp(s->drift);
    for (int64_t minute = 0; minute < SCENARIO_DAY_S / 60; minute++) {
        double from = ordinary_rps(s, day, minute * 60) * level;
        double to = ordinary_rps(s, day, minute * 60 + 60) * level;
        for (int64_t i = 0; i < 60; i++) {
            rps[(size_t)(minute * 60 + i)] = (float)(from + (to - from) * (double)i / 60);
        }
    }
    for (size_t i = 0; i < s->surge_count; i++) {
        raise_by(&s->surges[i], day, rps);
    }
    for (size_t i = 0; i < SCENARIO_DAY_S; i++) {
        rps[i] = fmaxf(rps[i] + sqrtf(rps[i]) * (float)rand_normal(&s->noise), 0);
    }
}
