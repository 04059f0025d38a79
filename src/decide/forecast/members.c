#include "decide/forecast/members.h"

#include <string.h>

#include "base/interpolate.h"

#define LAGS_MAX 8        /* seasons back that a profile looks */
#define CROSS_LAGS_MAX 60 /* of the short season in one long one */
#define LEVEL_MIN 0.05
#define LEVEL_MAX 20.0
#define LEVEL_SHRINK 0.05 /* towards 1, as this share of a window of average demand */

static void add_profile(struct members *m, enum profile_kind kind, size_t season) {
    m->profiles[m->profile_count++] = (struct member_profile){ kind, (uint8_t)season };
}

static double keep_of(double steps) {
    return 1 - 1 / fmax(steps, 1.5);
}

void members_init(struct members *m, const uint32_t *season_steps, size_t season_count) {
    memset(m, 0, sizeof *m);
    m->season_count = season_count;
    for (size_t s = 0; s < season_count; s++) {
        m->season_steps[s] = season_steps[s];
        add_profile(m, PROFILE_LAST, s);
        add_profile(m, PROFILE_FOUR, s);
        add_profile(m, PROFILE_EIGHT, s);
        add_profile(m, PROFILE_SMOOTH, s);
    }
    if (season_count == 2 && season_steps[1] / season_steps[0] <= CROSS_LAGS_MAX) {
        add_profile(m, PROFILE_CROSS, 0);
    }
    m->count = m->profile_count * MEMBERS_LEVELS + 2;
    double season = season_count > 0 ? season_steps[0] : 24;
    m->window_keep[0] = keep_of(season / 24);
    m->window_keep[1] = keep_of(season / 4);
    m->window_keep[2] = keep_of(season * 2);
    m->fade_steps[0] = fmax(season / 12, 1);
    m->fade_steps[1] = fmax(season / 2, 2);
    m->recent_fast = m->recent_slow = m->mean = NAN;
}

size_t members_naive(const struct members *m, size_t season) {
    for (size_t p = 0; p < m->profile_count; p++) {
        if (m->profiles[p].kind == PROFILE_LAST && m->profiles[p].season == season) {
            return p * MEMBERS_LEVELS;
        }
    }
    return m->count - 2; /* without seasons: persistence */
}

/* Mean of the middle half: a single odd season does not count. */
static double middle_mean(double *values, size_t len) {
    for (size_t i = 1; i < len; i++) {
        double value = values[i];
        size_t j = i;
        for (; j > 0 && values[j - 1] > value; j--) {
            values[j] = values[j - 1];
        }
        values[j] = value;
    }
    size_t cut = len / 4;
    double sum = 0;
    for (size_t i = cut; i < len - cut; i++) {
        sum += values[i];
    }
    return len == 0 ? NAN : sum / (double)(len - 2 * cut);
}

/* The up to `want` recorded values at the same place of the last seasons, newest first. */
static size_t same_places(const struct history *h, int64_t slot, int64_t first_lag, int64_t season,
                          size_t want, double *out) {
    size_t len = 0;
    for (int64_t lag = first_lag; lag < first_lag + (int64_t)want + 2 && len < want; lag++) {
        double value = history_at(h, slot - lag * season);
        if (!isnan(value)) {
            out[len++] = value;
        }
    }
    return len;
}

/* How many slots to either side the smoothed profile takes in: about a fiftieth of a season. */
static int64_t smooth_reach(int64_t season) {
    return season < 48 ? 0 : season > 3000 ? 2 : season / 96 + 1;
}

static double smooth_profile(const struct history *h, int64_t slot, int64_t last, int64_t first_lag,
                             int64_t season) {
    int64_t reach = smooth_reach(season);
    double sum = 0;
    int count = 0;
    for (int64_t lag = first_lag; lag < first_lag + 4; lag++) {
        int64_t at = slot - lag * season;
        int64_t end = at + reach + 1 > last + 1 ? last + 1 : at + reach + 1;
        double mean = history_mean(h, at - reach, end);
        if (!isnan(mean)) {
            sum += mean;
            count++;
        }
    }
    return count == 0 ? NAN : sum / count;
}

/* Long seasons back to a place whose surroundings (half a short season) are all known. */
static int64_t cross_weeks(const struct members *m, int64_t ahead) {
    int64_t week = m->season_steps[1];
    return (ahead + m->season_steps[0] / 2 + week) / week;
}

/* Shape of the short season over a whole long one, times how much this part of the long season
 * (the weekday) had, a long season ago, of the mean of the time before it. */
static double cross_profile(const struct members *m, const struct history *h, int64_t slot,
                            int64_t last) {
    int64_t day = m->season_steps[0], week = m->season_steps[1], days = week / day;
    int64_t lag = (slot - last + day - 1) / day;
    double sum = 0;
    int count = 0;
    for (int64_t i = 0; i < days; i++) {
        double value = history_at(h, slot - (lag + i) * day);
        if (!isnan(value)) {
            sum += value;
            count++;
        }
    }
    int64_t then = slot - cross_weeks(m, slot - last) * week;
    double here = history_mean(h, then - day / 2, then - day / 2 + day);
    double around = history_mean(h, then - day / 2 - week, then - day / 2);
    if (count == 0 || isnan(here) || !(around > 0)) {
        return NAN;
    }
    return sum / count * here / around;
}

static int64_t first_lag(const struct members *m, size_t season, uint32_t ahead) {
    return ((int64_t)ahead + m->season_steps[season] - 1) / m->season_steps[season];
}

/* No profile at this horizon is cut short by the end of what is known. */
static bool unclipped(const struct members *m, uint32_t ahead) {
    for (size_t s = 0; s < m->season_count; s++) {
        int64_t season = m->season_steps[s];
        if (first_lag(m, s, ahead) * season - ahead < smooth_reach(season)) {
            return false;
        }
    }
    return true;
}

bool members_profiles_equal(const struct members *m, uint32_t ahead, uint32_t other) {
    for (size_t s = 0; s < m->season_count; s++) {
        if (first_lag(m, s, ahead) != first_lag(m, s, other)) {
            return false;
        }
    }
    bool crossed = m->season_count < 2 || cross_weeks(m, ahead) == cross_weeks(m, other);
    return crossed && unclipped(m, ahead) && unclipped(m, other);
}

/* The profiles of a season stand together, in the order of members_init. */
void members_profiles(const struct members *m, const struct history *h, int64_t slot,
                      uint32_t ahead, struct profile_values *out) {
    int64_t last = slot - (int64_t)ahead;
    for (size_t p = 0; p < m->profile_count; p += 4) {
        if (m->profiles[p].kind == PROFILE_CROSS) {
            out->at[p] = cross_profile(m, h, slot, last);
            break;
        }
        size_t s = m->profiles[p].season;
        int64_t season = m->season_steps[s], lag = first_lag(m, s, ahead);
        double places[LAGS_MAX], four[4];
        size_t len = same_places(h, slot, lag, season, LAGS_MAX, places);
        size_t four_len = len < 4 ? len : 4;
        memcpy(four, places, four_len * sizeof *four);
        out->at[p] = len > 0 ? places[0] : NAN;
        out->at[p + 1] = middle_mean(four, four_len);
        out->at[p + 2] = middle_mean(places, len);
        out->at[p + 3] = smooth_profile(h, slot, last, lag, season);
    }
}

static void note(double *average, double value, double keep) {
    *average = isnan(*average) ? value : *average * keep + value * (1 - keep);
}

/* How much more there was in the window than the profile said. */
static double level_of(const struct members *m, size_t profile, size_t window) {
    double shrink = LEVEL_SHRINK * m->mean / (1 - m->window_keep[window]);
    double expected = m->expected[profile][window] + shrink;
    if (!(expected > 0)) {
        return 1;
    }
    return fmin(fmax((m->actual[profile][window] + shrink) / expected, LEVEL_MIN), LEVEL_MAX);
}

void members_observe(struct members *m, const struct history *h, int64_t slot, double value,
                     struct origin *out) {
    struct profile_values profiles = { 0 };
    if (!isnan(value)) {
        members_profiles(m, h, slot, 1, &profiles);
    }
    members_follow(m, &profiles, value, out);
}

void members_follow(struct members *m, const struct profile_values *profiles, double value,
                    struct origin *out) {
    if (!isnan(value)) {
        note(&m->recent_fast, value, m->window_keep[0]);
        note(&m->recent_slow, value, m->window_keep[1]);
        note(&m->mean, value, m->window_keep[2]);
    }
    for (size_t p = 0; p < m->profile_count; p++) {
        for (size_t w = 0; w < MEMBERS_WINDOWS; w++) {
            if (!isnan(value) && !isnan(profiles->at[p])) {
                m->actual[p][w] = m->actual[p][w] * m->window_keep[w] + value;
                m->expected[p][w] = m->expected[p][w] * m->window_keep[w] + profiles->at[p];
            }
            out->level[p][w] = isnan(m->mean) ? 1 : (float)level_of(m, p, w);
        }
    }
    out->recent_fast = (float)m->recent_fast;
    out->recent_slow = (float)m->recent_slow;
}

struct member_fade members_fade(const struct members *m, uint32_t ahead) {
    return (struct member_fade){ exp(-(double)ahead / m->fade_steps[0]),
                                 exp(-(double)ahead / m->fade_steps[1]) };
}

void members_predict(const struct members *m, const struct profile_values *profiles,
                     const struct origin *origin, struct member_fade fade, double *out) {
    for (size_t p = 0; p < m->profile_count; p++) {
        double profile = profiles->at[p];
        const float *level = origin->level[p];
        double slow = (double)level[2];
        *out++ = profile;
        *out++ = profile * slow;
        *out++ = profile * interpolate(slow, (double)level[0], fade.fast);
        *out++ = profile * interpolate(slow, (double)level[1], fade.middle);
    }
    *out++ = (double)origin->recent_fast;
    *out++ = (double)origin->recent_slow;
}
