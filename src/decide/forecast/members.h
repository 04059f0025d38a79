/* Members: the simple forecasters whose weighted mean is the forecast. Each is a seasonal profile
 * (what was at this place of the season before) at a level (how much more there is lately than the
 * profile said), and two are plain persistence.
 *
 *   profile: last season | middle of 4 | middle of 8 | mean of 4, smoothed: of each season;
 *            day shape x weekday: of both
 *   level:   none | season-long | season-long, but near ahead the last hour's | … the last hours'
 */
#pragma once
#include "decide/forecast/history.h"

#define MEMBERS_SEASONS_MAX 2
#define MEMBERS_PROFILES_MAX 9
#define MEMBERS_WINDOWS 3 /* fast, middle, slow */
#define MEMBERS_LEVELS 4
#define MEMBERS_MAX (MEMBERS_PROFILES_MAX * MEMBERS_LEVELS + 2)

enum profile_kind { PROFILE_LAST, PROFILE_FOUR, PROFILE_EIGHT, PROFILE_SMOOTH, PROFILE_CROSS };

struct member_profile {
    enum profile_kind kind;
    uint8_t season;
};

struct members {
    uint32_t season_steps[MEMBERS_SEASONS_MAX];
    size_t season_count;
    struct member_profile profiles[MEMBERS_PROFILES_MAX];
    size_t profile_count, count;
    double window_keep[MEMBERS_WINDOWS]; /* share that stays from step to step */
    double fade_steps[2];                /* how soon the fast and the middle level are forgotten */
    /* Running sums of what was and of what each profile said, by window. */
    double actual[MEMBERS_PROFILES_MAX][MEMBERS_WINDOWS];
    double expected[MEMBERS_PROFILES_MAX][MEMBERS_WINDOWS];
    double recent_fast, recent_slow, mean; /* persistence; NaN before the first value */
};

/* What the members knew at one origin: enough to say later what they would have forecast then. */
struct origin {
    float level[MEMBERS_PROFILES_MAX][MEMBERS_WINDOWS];
    float recent_fast, recent_slow;
};

/* `season_steps` ascending, each >= 2. */
void members_init(struct members *m, const uint32_t *season_steps, size_t season_count);

/* Takes note of `value` (NaN: none) in `slot`, which `h` does not hold yet, and writes what is
 * known then to `out`. */
void members_observe(struct members *m, const struct history *h, int64_t slot, double value,
                     struct origin *out);

/* … when the profiles one step ahead of it are known; not looked at without a value. */
struct profile_values;
void members_follow(struct members *m, const struct profile_values *profiles, double value,
                    struct origin *out);

/* Which member is seasonal naive of that season. */
size_t members_naive(const struct members *m, size_t season);

struct profile_values {
    double at[MEMBERS_PROFILES_MAX]; /* NaN: nothing known */
};

/* What the profiles say of `slot` when it is `ahead` steps ahead (>= 1) of the last known one. */
void members_profiles(const struct members *m, const struct history *h, int64_t slot,
                      uint32_t ahead, struct profile_values *out);

/* Whether the profiles of two horizons are the same, so that they need not be computed again. */
bool members_profiles_equal(const struct members *m, uint32_t ahead, uint32_t other);

struct member_fade {
    double fast, middle; /* weights of these levels at a horizon */
};
struct member_fade members_fade(const struct members *m, uint32_t ahead);

/* All members' forecasts, NaN where one has nothing to say. */
void members_predict(const struct members *m, const struct profile_values *profiles,
                     const struct origin *origin, struct member_fade fade, double *out);
