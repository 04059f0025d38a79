#include "decide/balance/balance.h"

#include <math.h>

#define KEEP_RATIO 0.875    /* a new sample counts an eighth */
#define KEEP_PEAK_RATIO 0.5 /* a latency above the average counts half */
#define ERROR_PPM_LEAST 8   /* less is none */

/* How much of what was learned still counts: halved by each BALANCE_FADE_US, linear in between. */
static double faded(uint64_t idle_us) {
    uint64_t halvings = idle_us / BALANCE_FADE_US;
    if (halvings >= BALANCE_FADE_HALVINGS_MAX) {
        return 0;
    }
    double rest = (double)(idle_us % BALANCE_FADE_US) / BALANCE_FADE_US;
    return (1 - rest / 2) / (double)(1u << halvings);
}

double balance_score(const struct balance_candidate *c, uint32_t typical_us) {
    double latency_us = c->ewma_us > 0 ? c->ewma_us : typical_us;
    double error_us = (double)c->error_ppm / BALANCE_PPM * BALANCE_ERROR_COST_US;
    double known_us = latency_us + error_us, keep = faded(c->idle_us);
    /* It fades towards what is typical, not towards nothing: silence is no merit. */
    double expected_us =
        known_us > typical_us ? typical_us + (known_us - typical_us) * keep : known_us;
    return (c->in_flight + 1.0) * (expected_us + 1) / (c->weight > 0 ? (double)c->weight : 1);
}

/* The lower latency of the two stands for one that is not known. */
static bool is_better(const struct balance_candidate *a, const struct balance_candidate *b) {
    uint32_t a_us = a->ewma_us, b_us = b->ewma_us;
    uint32_t typical_us = a_us == 0 ? b_us : b_us == 0 || a_us < b_us ? a_us : b_us;
    return balance_score(a, typical_us) < balance_score(b, typical_us);
}

static enum balance_quality quality_of(const struct balance_candidate *c) {
    if (c->ejected) {
        return c->tried ? BALANCE_NOBODY : BALANCE_PANIC;
    }
    return c->tried ? BALANCE_TRIED : BALANCE_GOOD;
}

struct best {
    struct balance_choice choice;
    struct balance_candidate candidate;
};

static void consider(const void *self, balance_look *look, uint32_t position, struct best *best) {
    struct balance_candidate candidate = look(self, position);
    enum balance_quality quality = quality_of(&candidate);
    if (quality < best->choice.quality ||
        (quality == best->choice.quality && quality != BALANCE_NOBODY &&
         is_better(&candidate, &best->candidate))) {
        *best = (struct best){ { quality, position }, candidate };
    }
}

struct balance_choice balance_pick(const void *self, balance_look *look, uint32_t count,
                                   struct rand *r) {
    struct best best = { .choice = { .quality = BALANCE_NOBODY } };
    if (count > 2) {
        uint32_t first = rand_below(r, count), second = rand_below(r, count - 1);
        consider(self, look, first, &best);
        consider(self, look, second + (second >= first), &best);
    }
    if (best.choice.quality != BALANCE_GOOD) {
        /* From a random one on, so that equal ones are used alike. */
        uint32_t start = count > 1 ? rand_below(r, count) : 0;
        for (uint32_t i = 0; i < count; i++) {
            consider(self, look, start + i < count ? start + i : start + i - count, &best);
        }
    }
    return best.choice;
}

static double blend(double before, double sample, double keep) {
    return before * keep + sample * (1 - keep);
}

uint32_t balance_add_latency(uint32_t ewma_us, uint64_t sample_us, uint64_t idle_us) {
    uint32_t sample = sample_us >= UINT32_MAX ? UINT32_MAX : (uint32_t)sample_us + (sample_us == 0);
    if (ewma_us == 0) {
        return sample;
    }
    double keep = (sample > ewma_us ? KEEP_PEAK_RATIO : KEEP_RATIO) * faded(idle_us);
    return (uint32_t)blend(ewma_us, sample, keep);
}

uint32_t balance_add_error(uint32_t error_ppm, bool failed, uint64_t idle_us) {
    if (error_ppm == 0 && !failed) {
        return 0; /* the usual case */
    }
    double after = blend(error_ppm, failed ? BALANCE_PPM : 0, KEEP_RATIO * faded(idle_us));
    return after < ERROR_PPM_LEAST ? 0 : (uint32_t)after;
}
