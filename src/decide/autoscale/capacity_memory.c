/* What a capacity model knows as bytes for the store: a head, then its bins. Little-endian as the
 * machines that we run on; a store is not carried to another one.
 *
 *   uint32 magic, uint32 bins, double full_rps
 *   bins x { uint32 index, float calm, within[4], beyond[4] }
 */
#include <math.h>
#include <string.h>

#include "decide/autoscale/capacity.h"

#define MAGIC 0x31504354u /* "TCP1": another layout gets another one */
#define HEAD_BYTES 16
#define SECONDS_MOST 1000.0

struct kept_bin {
    uint32_t index;
    float calm_seconds;
    struct capacity_seen within, beyond;
};
_Static_assert(sizeof(struct kept_bin) == 40, "no padding is written");

static double weight_of(const struct capacity_bin *bin) {
    return (double)bin->within.seconds + (double)bin->beyond.seconds;
}

/* The evidence that the least of those that are kept has; 0: all are. */
static double least_kept(const struct capacity *c) {
    double least = 0;
    for (;;) {
        double next = INFINITY;
        size_t above = 0;
        for (size_t i = 0; i < CAPACITY_BINS; i++) {
            double weight = weight_of(&c->bins[i]);
            if (weight > least) {
                above++;
                next = fmin(next, weight);
            }
        }
        if (above <= CAPACITY_MEMORY_BINS) {
            return least;
        }
        least = next;
    }
}

size_t capacity_save(const struct capacity *c, uint8_t out[CAPACITY_MEMORY_BYTES]) {
    double least = least_kept(c);
    uint32_t magic = MAGIC, count = 0;
    for (uint32_t i = 0; i < CAPACITY_BINS; i++) {
        const struct capacity_bin *bin = &c->bins[i];
        if (weight_of(bin) > least) {
            const struct kept_bin kept = { i, bin->calm_seconds, bin->within, bin->beyond };
            memcpy(out + HEAD_BYTES + count * sizeof kept, &kept, sizeof kept);
            count++;
        }
    }
    memcpy(out, &magic, sizeof magic);
    memcpy(out + 4, &count, sizeof count);
    memcpy(out + 8, &c->full_rps, sizeof(double));
    return HEAD_BYTES + count * sizeof(struct kept_bin);
}

static bool is_number(double value, double most) {
    return value >= 0 && value <= most; /* NaN fails too */
}

static bool seen_is_good(const struct capacity_seen *seen) {
    return is_number((double)seen->seconds, SECONDS_MOST) &&
           is_number((double)seen->load_rps, 1e9) && is_number((double)seen->latency_ms, 1e9) &&
           is_number((double)seen->tail_ms, 1e9);
}

static bool take_bin(struct capacity *c, const uint8_t *bytes) {
    struct kept_bin kept;
    memcpy(&kept, bytes, sizeof kept);
    if (kept.index >= CAPACITY_BINS || !is_number((double)kept.calm_seconds, SECONDS_MOST) ||
        !seen_is_good(&kept.within) || !seen_is_good(&kept.beyond)) {
        return false;
    }
    c->bins[kept.index] = (struct capacity_bin){ kept.within, kept.beyond, kept.calm_seconds };
    return true;
}

bool capacity_restore(struct capacity *c, const uint8_t *bytes, size_t len) {
    struct capacity fresh = *c;
    uint32_t magic, count;
    double full_rps;
    if (len < HEAD_BYTES) {
        return false;
    }
    memcpy(&magic, bytes, sizeof magic);
    memcpy(&count, bytes + 4, sizeof count);
    memcpy(&full_rps, bytes + 8, sizeof full_rps);
    if (magic != MAGIC || count > CAPACITY_MEMORY_BINS ||
        len != HEAD_BYTES + count * sizeof(struct kept_bin) || !is_number(full_rps, 1e9)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!take_bin(&fresh, bytes + HEAD_BYTES + i * sizeof(struct kept_bin))) {
            return false;
        }
    }
    double objective_ms = c->objective_ms;
    fresh.full_rps = full_rps;
    fresh.objective_ms = -1; /* the sides of its bins are those of the objective of that time */
    capacity_set_objective(&fresh, objective_ms);
    *c = fresh;
    return true;
}
