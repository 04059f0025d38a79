#include "decide/forecast/features.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"

#define LEVEL_SEASONS_MOST 60 /* a long season of more short ones is too long for a level */
#define BYTE_MIDDLE 128.0

static uint8_t to_byte(double x) {
    return isnan(x) ? 0 : x < 1 ? 1 : x > 255 ? 255 : (uint8_t)x; /* no calls, unlike fmin */
}

/* Finest near a ratio of 1, and still apart at 1/100 and 100. */
static uint8_t ratio(double value, double level) {
    if (isnan(value)) {
        return 0;
    }
    double octaves = log2((value + 1e-3 * level) / level);
    return to_byte(BYTE_MIDDLE + 127 * octaves / (fabs(octaves) + 1.5));
}

static uint32_t short_season(const struct members *m) {
    return m->season_count > 0 ? m->season_steps[0] : 24;
}

static uint32_t level_steps(const struct members *m) {
    uint32_t season = short_season(m);
    bool week = m->season_count == 2 && m->season_steps[1] / season <= LEVEL_SEASONS_MOST;
    return week ? m->season_steps[1] : 4 * season;
}

double features_level(const struct members *m, const struct history *h, int64_t origin_slot) {
    double mean = history_mean(h, origin_slot + 1 - level_steps(m), origin_slot + 1);
    return mean > 1e-9 ? mean : NAN;
}

static uint8_t *fill_origin(const struct members *m, const struct history *h, int64_t slot,
                            const struct origin *origin, double level, uint8_t *out) {
    int64_t season = short_season(m);
    size_t second = m->season_count == 2 ? 4 : 0; /* profile that repeats the long season */
    *out++ = ratio((double)origin->recent_fast, level);
    *out++ = ratio((double)origin->recent_slow, level);
    for (size_t w = 0; w < MEMBERS_WINDOWS; w++) {
        *out++ = ratio((double)origin->level[0][w], 1);
        *out++ = ratio((double)origin->level[second][w], 1);
    }
    double last_season = history_mean(h, slot + 1 - season, slot + 1);
    double before = history_mean(h, slot + 1 - 2 * season, slot + 1 - season);
    double longer = history_mean(h, slot + 1 - 4 * (int64_t)level_steps(m), slot + 1);
    *out++ = ratio(last_season, level);
    *out++ = before > 0 ? ratio(last_season / before, 1) : 0;
    *out++ = longer > 0 ? ratio(level / longer, 1) : 0;
    *out++ = ratio(history_at(h, slot), level);
    return out;
}

void features_look_back(const struct members *m, const struct history *h, int64_t origin_slot,
                        const struct origin *origin, struct features_origin *out) {
    *out = (struct features_origin){ .level = features_level(m, h, origin_slot) };
    if (!isnan(out->level)) {
        uint8_t *end = fill_origin(m, h, origin_slot, origin, out->level, out->bytes);
        assert(end == out->bytes + FEATURES_OF_ORIGIN);
    }
}

/* Place in time: season, weekday, month, year (of 30.44-day months: trees need no exact names). */
static uint8_t *fill_time(const struct features_input *in, uint8_t *out) {
    int64_t day = in->slot_ms / MS_PER_DAY - (in->slot_ms % MS_PER_DAY < 0);
    uint32_t season = short_season(in->members);
    int64_t z = day + 719468, era = z / 146097; /* civil date: Hinnant, "chrono-compatible dates" */
    int64_t of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100); /* from 1 March */
    int64_t month = (5 * of_year + 2) / 153, of_month = of_year - (153 * month + 2) / 5;
    int64_t month_days = month == 11 ? 28 : month % 5 == 1 || month % 5 == 3 ? 30 : 31;
    *out++ = to_byte(1 + 16 * log2(in->ahead));
    *out++ = (uint8_t)((uint64_t)in->slot % season * 256 / season);
    *out++ = (uint8_t)(((day + 4) % 7 + 7) % 7 * 30);
    *out++ = (uint8_t)(of_month * 8);
    *out++ = (uint8_t)(of_year * 255 / 366);
    *out++ = to_byte((double)(1 + (month_days - of_month) * 8));
    return out;
}

static uint8_t *fill_amounts(const struct features_input *in, const struct features_origin *from,
                             uint8_t *out) {
    const struct members *m = in->members;
    const struct history *h = in->history;
    double level = from->level;
    *out++ = ratio(in->base, level);
    for (size_t p = 0; p < MEMBERS_PROFILES_MAX; p++) {
        *out++ = p < m->profile_count ? ratio(in->profiles->at[p], level) : 0;
    }
    memcpy(out, from->bytes, FEATURES_OF_ORIGIN);
    out += FEATURES_OF_ORIGIN;
    for (size_t s = 0; s < MEMBERS_SEASONS_MAX; s++) {
        int64_t steps = s < m->season_count ? m->season_steps[s] : short_season(m);
        int64_t lag = (in->ahead + steps - 1) / steps + 1;
        *out++ = ratio(history_at(h, in->slot - lag * steps), level);
    }
    *out++ = ratio(in->learned, 1);
    return out;
}

/* Busy days now and where the profiles look: the difference is what they can't know. */
static void fill_busy(const struct features_input *in, uint8_t *out) {
    *out++ = to_byte(1 + 250 * sqrt(known_busy(in->known, in->slot_ms)));
    for (size_t s = 0; s < in->members->season_count; s++) {
        int64_t season = in->members->season_steps[s];
        int64_t lag = (in->ahead + season - 1) / season * season;
        int64_t then = in->slot_ms - lag * in->known->step_ms;
        *out++ = to_byte(1 + 250 * sqrt(known_busy(in->known, then)));
    }
}

static void fill_known(const struct features_input *in, uint8_t *out) {
    const struct known *k = in->known;
    double nearness[FEATURES_KINDS];
    if (k->calendar != NULL) {
        fill_busy(in, out + FEATURES_KINDS + 4 * (size_t)FEATURES_REGRESSORS);
        known_nearness(k, in->slot_ms, nearness, FEATURES_KINDS);
        for (size_t i = 0; i < FEATURES_KINDS; i++) {
            out[i] = to_byte(BYTE_MIDDLE + 16 * nearness[i]);
        }
    }
    out += FEATURES_KINDS;
    for (size_t i = 0; i < k->regressor_count && i < FEATURES_REGRESSORS; i++) {
        out[0] = to_byte(1 + 60 * known_regressor_at(k, i, in->slot_ms));
        out[1] = to_byte(1 + 60 * known_regressor_at(k, i, in->slot_ms - k->near_ms));
        out[2] = to_byte(1 + 60 * known_regressor_at(k, i, in->slot_ms + k->near_ms));
        out[3] = to_byte(BYTE_MIDDLE + 15 * known_regressor_nearness(k, i, in->slot_ms));
        out += 4;
    }
}

void features_fill(const struct features_input *in, const struct features_origin *from,
                   uint8_t *out) {
    memset(out, 0, FEATURES);
    uint8_t *next = fill_time(in, out);
    next = fill_amounts(in, from, next);
    fill_known(in, next);
}
