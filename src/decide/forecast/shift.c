#include "decide/forecast/shift.h"

#define PARTS_A_SEASON 8
#define PARTS_UP 4
#define PARTS_DOWN 12
#define LAGS 3 /* long seasons that are asked … */
#define LAGS_LEAST 2
#define SEASON_LEAST 24 /* steps */
#define SEASONS_MOST 60 /* short ones in a long one */
#define SIZE_LEAST 0.2  /* of a log ratio: a fifth more */
#define SIZE_USUAL 4.0  /* times what is usual */
#define USUAL_PRIOR 0.05
#define PRIOR_SEEN 16.0
#define SEEN_MOST 400.0
#define PART_NEAR 0.15 /* of all parts' log ratio, or … */
#define PART_NEAR_SHARE 0.4
#define PARTS_NEAR_SHARE 0.75

void shift_init(struct shift *s, const uint32_t *season_steps, size_t season_count) {
    *s = (struct shift){ .usual = USUAL_PRIOR, .seen = PRIOR_SEEN };
    if (season_count == 2 && season_steps[0] >= SEASON_LEAST &&
        season_steps[1] / season_steps[0] <= SEASONS_MOST) {
        s->part_steps = season_steps[0] / PARTS_A_SEASON;
        s->lag = season_steps[1];
    }
}

int64_t shift_reach_steps(const struct shift *s) {
    return (LAGS + 1) * s->lag;
}

/* How much more there is than some seasons before: the middle one's word, and the most careful
 * one's (0: they differ on the direction). NaN: not enough is known. */
struct change {
    double middle, least;
};

static struct change change_of(const struct shift *s, const struct history *h, int64_t from,
                               int64_t to) {
    double ratios[LAGS] = { 0 }, now = history_mean(h, from, to);
    int len = 0;
    for (int64_t i = 1; i <= LAGS; i++) {
        double ratio = log(now / history_mean(h, from - i * s->lag, to - i * s->lag));
        int at = len;
        if (!isfinite(ratio)) {
            continue;
        }
        for (; at > 0 && fabs(ratios[at - 1]) > fabs(ratio); at--) {
            ratios[at] = ratios[at - 1];
        }
        ratios[at] = ratio;
        len++;
    }
    if (len < LAGS_LEAST) {
        return (struct change){ NAN, NAN };
    }
    bool agree = true; /* ascending in size */
    for (int i = 1; i < len; i++) {
        agree = agree && ratios[i] * ratios[0] > 0;
    }
    return (struct change){ ratios[(len - 1) / 2], agree ? ratios[0] : 0 };
}

static bool even(const struct shift *s, const struct history *h, int64_t slot, int parts,
                 double middle) {
    double near = fmax(PART_NEAR, PART_NEAR_SHARE * fabs(middle));
    int close = 0;
    for (int64_t i = 1; i <= parts; i++) {
        int64_t from = slot - i * s->part_steps;
        close += fabs(change_of(s, h, from, from + s->part_steps).middle - middle) < near;
    }
    return close >= PARTS_NEAR_SHARE * parts;
}

/* Part by part back to where it was nearer to the level before. */
static int64_t start_of(const struct shift *s, const struct history *h, int64_t from,
                        double middle) {
    for (int64_t i = 0; i < s->lag / s->part_steps; i++, from -= s->part_steps) {
        double part = change_of(s, h, from - s->part_steps, from).middle;
        if (!(part / middle > 0.5)) {
            break;
        }
    }
    return from;
}

static bool lasts(const struct shift *s, const struct history *h, int64_t slot, int parts, int sign,
                  struct shift_found *out) {
    int64_t from = slot - parts * s->part_steps;
    struct change change = change_of(s, h, from, slot);
    double enough = fmax(SIZE_LEAST, SIZE_USUAL * s->usual);
    if (!(sign * change.least > enough) || !even(s, h, slot, parts, change.middle)) {
        return false;
    }
    *out = (struct shift_found){ start_of(s, h, from, change.middle), exp(change.middle) };
    return true;
}

bool shift_find(struct shift *s, const struct history *h, int64_t slot, struct shift_found *out) {
    if (s->part_steps == 0 || slot % s->part_steps != 0) {
        return false;
    }
    if (lasts(s, h, slot, PARTS_UP, 1, out) || lasts(s, h, slot, PARTS_DOWN, -1, out)) {
        return true;
    }
    double size = fabs(change_of(s, h, slot - PARTS_UP * s->part_steps, slot).middle);
    if (!isnan(size)) {
        s->seen += s->seen < SEEN_MOST;
        s->usual += (size - s->usual) / s->seen;
    }
    return false;
}
