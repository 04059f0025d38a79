#include "decide/autoscale/storage.h"

#include <math.h>
#include <string.h>

#include "base/median.h"

#define SIGMAS 1.645     /* 0.9 of certainty */
#define WIDER_MOST 5.0   /* for what is alike from one point to the next */
#define RELIEF_RATIO 1.5 /* it is fine again when it is so much further from full */
#define PAIRS_MAX (STORAGE_POINTS_MAX * (STORAGE_POINTS_MAX - 1) / 2)
#define SIZE_STEP (1024.0 * 1024 * 1024) /* sizes are wanted in whole GiB */

static const struct {
    int64_t step_ms;
    size_t len;
} scales[STORAGE_SCALES] = {
    { 15000, 240 },   /* an hour */
    { 300000, 144 },  /* half a day */
    { 3600000, 336 }, /* a fortnight */
};

void storage_init(struct storage *s) {
    memset(s, 0, sizeof *s);
    s->used_bytes = s->size_bytes = s->inodes_ratio = NAN;
}

/* ---- points ---- */

static const struct storage_point *point(const struct storage_scale *scale, size_t len_max,
                                         size_t index) {
    return &scale->points[(scale->next + len_max - scale->len + index) % len_max];
}

/* ---- slope ---- */

/* By how much the interval is wider than that of independent points: from the correlation of each
 * residual with the next one. */
static double widen(const struct storage_scale *scale, size_t len_max, double slope) {
    static double residuals[STORAGE_POINTS_MAX], sorted[STORAGE_POINTS_MAX];
    double square = 0, product = 0;
    for (size_t i = 0; i < scale->len; i++) {
        const struct storage_point *p = point(scale, len_max, i);
        double t = (double)(p->time_ms - point(scale, len_max, 0)->time_ms) / 1000;
        sorted[i] = residuals[i] = p->used_bytes - slope * t;
    }
    double level = median(sorted, scale->len);
    for (size_t i = 0; i < scale->len; i++) {
        square += (residuals[i] - level) * (residuals[i] - level);
        product += i == 0 ? 0 : (residuals[i] - level) * (residuals[i - 1] - level);
    }
    double alike = square > 0 ? fmin(fmax(product / square, 0), 0.99) : 0;
    return fmin(sqrt((1 + alike) / (1 - alike)), WIDER_MOST);
}

static void fit(struct storage_scale *scale, size_t len_max) {
    static double slopes[PAIRS_MAX];
    size_t pairs = 0, n = scale->len;
    scale->stale = false;
    scale->trend = (struct storage_trend){ 0, 0, 0, 0, false };
    if (n < STORAGE_POINTS_LEAST) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct storage_point *a = point(scale, len_max, i);
        for (size_t k = i + 1; k < n; k++) {
            const struct storage_point *b = point(scale, len_max, k);
            slopes[pairs++] =
                (b->used_bytes - a->used_bytes) * 1000 / (double)(b->time_ms - a->time_ms);
        }
    }
    double likely = median(slopes, pairs), count = (double)n;
    double half = SIGMAS * sqrt(count * (count - 1) * (2 * count + 5) / 18) / 2 *
                  widen(scale, len_max, likely);
    double middle = (double)(pairs - 1) / 2;
    scale->trend = (struct storage_trend){
        .likely = likely,
        .low = slopes[(size_t)fmax(middle - half, 0)],
        .high = slopes[(size_t)fmin(ceil(middle + half), (double)(pairs - 1))],
        .span_ms = point(scale, len_max, n - 1)->time_ms - point(scale, len_max, 0)->time_ms,
        .known = true,
    };
}

/* ---- what is seen ---- */

static void append(struct storage_scale *scale, size_t len_max, int64_t time_ms, double used) {
    scale->points[scale->next] = (struct storage_point){ time_ms, used };
    scale->next = (scale->next + 1) % len_max;
    scale->len += scale->len < len_max;
    scale->stale = true;
}

static bool is_due(const struct storage_scale *scale, size_t len_max, int64_t step_ms,
                   int64_t time_ms) {
    if (scale->len == 0) {
        return true;
    }
    int64_t last_ms = point(scale, len_max, scale->len - 1)->time_ms;
    return time_ms / step_ms > last_ms / step_ms;
}

void storage_observe(struct storage *s, const struct storage_sample *sample) {
    s->used_bytes = sample->used_bytes;
    s->size_bytes = sample->size_bytes;
    s->inodes_ratio = sample->inodes_ratio;
    for (size_t i = 0; i < STORAGE_SCALES; i++) {
        struct storage_scale *scale = &s->scales[i];
        if (is_due(scale, scales[i].len, scales[i].step_ms, sample->time_ms)) {
            append(scale, scales[i].len, sample->time_ms, sample->used_bytes);
        }
    }
}

void storage_remember(struct storage *s, int64_t time_ms, double used_bytes) {
    size_t last = STORAGE_SCALES - 1;
    struct storage_scale *scale = &s->scales[last];
    if (is_due(scale, scales[last].len, scales[last].step_ms, time_ms)) {
        append(scale, scales[last].len, time_ms, used_bytes);
    }
}

bool storage_recall(const struct storage *s, size_t index, struct storage_point *out) {
    const struct storage_scale *scale = &s->scales[STORAGE_SCALES - 1];
    if (index >= scale->len) {
        return false;
    }
    *out = *point(scale, scales[STORAGE_SCALES - 1].len, index);
    return true;
}

/* ---- what comes of it ---- */

static double time_to(double left_bytes, double slope) {
    return slope > 0 ? fmax(left_bytes, 0) * 1000 / slope : INFINITY;
}

/* The earliest that a scale can speak for: it must be sure that there is growth at all, and not
 * look further than what it has seen bears. */
static const struct storage_trend *find_trend(const struct storage *s, double left_bytes) {
    const struct storage_trend *found = NULL;
    double earliest = INFINITY;
    for (size_t i = 0; i < STORAGE_SCALES; i++) {
        const struct storage_trend *t = &s->scales[i].trend;
        double full_in = time_to(left_bytes, t->likely);
        if (t->known && t->low > 0 && full_in < earliest &&
            full_in <= (double)t->span_ms * STORAGE_AHEAD_RATIO) {
            found = t;
            earliest = full_in;
        }
    }
    return found;
}

/* The one that has seen most: what growth as such is. */
static const struct storage_trend *longest(const struct storage *s) {
    const struct storage_trend *found = NULL;
    for (size_t i = 0; i < STORAGE_SCALES; i++) {
        const struct storage_trend *t = &s->scales[i].trend;
        found = t->known && (found == NULL || t->span_ms > found->span_ms) ? t : found;
    }
    return found;
}

/* Growth over months is not known from minutes: no further than the scale may speak for. */
static double size_for(const struct storage *s, const struct storage_policy *policy,
                       const struct storage_trend *t) {
    double ahead_ms = fmin((double)(policy->lead_ms + policy->horizon_ms),
                           (double)t->span_ms * STORAGE_AHEAD_RATIO);
    double used = s->used_bytes + fmax(t->high, 0) * ahead_ms / 1000;
    return ceil(used / policy->full_at_ratio / SIZE_STEP) * SIZE_STEP;
}

static void want_size(const struct storage *s, const struct storage_policy *policy,
                      struct storage_outlook *out) {
    const struct storage_trend *t = longest(s);
    out->size_wanted = s->size_bytes;
    if (t == NULL || (out->state != STORAGE_GROW && out->state != STORAGE_FULL)) {
        return;
    }
    double wanted = fmax(size_for(s, policy, t), s->size_bytes);
    double most = policy->size_most > 0 ? fmax(policy->size_most, s->size_bytes) : INFINITY;
    out->size_wanted = fmin(wanted, most);
    out->limited = wanted > most;
}

static enum storage_state state_of(const struct storage *s, const struct storage_policy *policy,
                                   double full_in_ms_low) {
    double near_ms = (double)policy->lead_ms * (s->state == STORAGE_GROW ? RELIEF_RATIO : 1);
    if (isnan(s->used_bytes) || !(s->size_bytes > 0)) {
        return STORAGE_UNKNOWN;
    }
    if (s->used_bytes >= policy->full_at_ratio * s->size_bytes ||
        s->inodes_ratio >= policy->full_at_ratio) {
        return STORAGE_FULL;
    }
    return full_in_ms_low <= near_ms ? STORAGE_GROW : STORAGE_FINE;
}

struct storage_outlook storage_judge(struct storage *s, const struct storage_policy *policy) {
    struct storage_outlook out = { .full_in_ms = NAN,
                                   .full_in_ms_low = NAN,
                                   .full_in_ms_high = NAN,
                                   .growth = NAN,
                                   .growth_low = NAN,
                                   .growth_high = NAN };
    for (size_t i = 0; i < STORAGE_SCALES; i++) {
        if (s->scales[i].stale) {
            fit(&s->scales[i], scales[i].len);
        }
    }
    double left = policy->full_at_ratio * s->size_bytes - s->used_bytes;
    const struct storage_trend *near = find_trend(s, left), *t = near != NULL ? near : longest(s);
    if (t != NULL) {
        out.growth = t->likely;
        out.growth_low = t->low;
        out.growth_high = t->high;
        out.seen_ms = t->span_ms;
        bool says_nothing = near == NULL && t->low > 0; /* it grows, but full is too far to see */
        out.full_in_ms = says_nothing ? NAN : near == NULL ? INFINITY : time_to(left, t->likely);
        out.full_in_ms_low = near == NULL ? out.full_in_ms : time_to(left, t->high);
        out.full_in_ms_high = near == NULL ? out.full_in_ms : time_to(left, t->low);
    }
    out.state = state_of(s, policy, out.full_in_ms_low);
    out.changed = out.state != s->state;
    s->state = out.state;
    want_size(s, policy, &out);
    return out;
}

const char *storage_state_name(enum storage_state state) {
    static const char *const names[STORAGE_STATES] = {
        [STORAGE_UNKNOWN] = "unknown",
        [STORAGE_FINE] = "fine",
        [STORAGE_GROW] = "grow",
        [STORAGE_FULL] = "full",
    };
    return names[state];
}
