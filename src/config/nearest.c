#include <string.h>

#include "config/config.h"

#define NAME_BYTES_MAX 64

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Edit distance with neighbours exchanged as one step (optimal string alignment). */
static size_t distance(struct slice a, struct slice b) {
    size_t rows[3][NAME_BYTES_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b.len; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t differs = a.data[i - 1] != b.data[j - 1];
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + differs);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
                a.data[i - 2] == b.data[j - 1]) {
                now[j] = least(now[j], before[j - 2] + 1);
            }
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[b.len];
}

const char *config_nearest(struct slice name, const char *const *names, size_t len) {
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    if (name.len == 0 || name.len > NAME_BYTES_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        struct slice candidate = slice_from(names[i]);
        if (candidate.len > NAME_BYTES_MAX) {
            continue;
        }
        /* "minimum" for "min": what begins the same is near, however long it goes on. */
        bool begins = candidate.len >= 3 &&
                      (slice_starts_with(name, candidate) || slice_starts_with(candidate, name));
        size_t d = begins ? 1 : distance(name, candidate);
        if (d < best_distance && d <= (name.len + 2) / 3 + (name.len > 3)) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}
