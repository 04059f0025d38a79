#include "decide/forecast/profile_cache.h"

static void forget(struct profile_cache *c, uint32_t revision) {
    c->revision = revision;
    for (size_t i = 0; i < PROFILE_CACHE_SLOTS; i++) {
        c->of[i].slot = -1;
    }
}

/* The furthest horizon up to which all are the same as one step ahead: once they differ they stay
 * different, for each looks a season further back than the one before or is cut short. */
static uint32_t find_near(const struct members *m) {
    uint32_t near = 1, far = UINT16_MAX;
    while (near + 1 < far) {
        uint32_t middle = near + (far - near) / 2;
        if (members_profiles_equal(m, 1, middle)) {
            near = middle;
        } else {
            far = middle;
        }
    }
    return near;
}

void profile_cache_init(struct profile_cache *c, const struct members *m) {
    *c = (struct profile_cache){ .near_steps = find_near(m) };
    forget(c, 0);
}

void profile_cache_look(struct profile_cache *c, const struct members *m, const struct history *h,
                        int64_t slot, uint32_t ahead, struct profile_values *out) {
    int64_t beyond = slot - history_end(h); /* farther ones would push out those that come next */
    if (ahead > c->near_steps || beyond < 0 || beyond >= PROFILE_CACHE_SLOTS) {
        members_profiles(m, h, slot, ahead, out);
        return;
    }
    if (c->revision != h->revision) {
        forget(c, h->revision);
    }
    size_t place = (size_t)slot % PROFILE_CACHE_SLOTS;
    if (c->of[place].slot != slot) {
        members_profiles(m, h, slot, ahead, &c->of[place].values);
        c->of[place].slot = slot;
    }
    *out = c->of[place].values;
}
