#include "decide/balance/balance.h"

enum balance_quality balance_quality_of(const struct balance_candidate *c) {
    if (c->ejected) {
        return c->tried ? BALANCE_NOBODY : BALANCE_PANIC;
    }
    return c->tried ? BALANCE_TRIED : BALANCE_GOOD;
}

static float weight_of(const struct balance_candidate *c) {
    return c->weight > 0 ? (float)c->weight : 1;
}

/* What its failures cost. Failing no more than twice as often as its peers says nothing against it:
 * then the request is to blame, or something behind them all. */
static float error_us(const struct balance_candidate *c, uint32_t typical_ppm) {
    uint64_t usual_ppm = 2 * (uint64_t)typical_ppm;
    return c->error_ppm <= usual_ppm
               ? 0
               : (float)(c->error_ppm - usual_ppm) * ((float)BALANCE_ERROR_COST_US / BALANCE_PPM);
}

/* Estimates of equals differ by as much. */
static bool is_alike(float known, float typical) {
    float difference = known > typical ? known - typical : typical - known;
    return difference < BALANCE_NOISE_US ||
           (known < typical * BALANCE_ALIKE && typical < known * BALANCE_ALIKE);
}

float balance_score(const struct balance_candidate *c, const struct balance_typical *peers) {
    float typical = (float)peers->us;
    float known = (c->usual_us > 0 ? (float)c->usual_us : typical) + error_us(c, peers->error_ppm);
    if (is_alike(known, typical)) {
        known = typical;
    }
    /* It fades towards what is typical, not towards nothing: silence is no merit. */
    float excess = known - typical;
    float expected = excess > 0 ? typical + excess * balance_faded(c->idle_us) : known;
    return ((float)c->in_flight + 1) * (expected + 1) / weight_of(c);
}

/* ---- those that are compared: only good ones ---- */

struct sample {
    uint32_t count;
    uint32_t position[BALANCE_LOOKS];
    struct balance_candidate of[BALANCE_LOOKS];
    struct balance_typical typical;
    bool suspect[BALANCE_LOOKS];
};

static void add(struct sample *s, const void *self, balance_look *look, uint32_t position) {
    struct balance_candidate *c = &s->of[s->count];
    *c = look(self, position);
    if (!c->ejected && !c->tried) {
        s->suspect[s->count] = false;
        s->position[s->count++] = position;
    }
}

/* Different ones: each draw leaves out those before it (Floyd's algorithm). */
static void draw(struct sample *s, const void *self, balance_look *look, uint32_t count,
                 struct rand *r) {
    uint32_t drawn[BALANCE_LOOKS] = { 0 };
    uint64_t bits = rand_next(r);
    for (uint32_t i = 0; i < BALANCE_LOOKS; i++) {
        uint32_t last = count - BALANCE_LOOKS + i, at;
        at = (uint32_t)((bits >> 16 * i & 0xffff) * (last + 1) >> 16);
        for (uint32_t k = 0; k < i; k++) {
            at = drawn[k] == at ? last : at;
        }
        drawn[i] = at;
        add(s, self, look, at);
    }
}

/* The lower median of a few, in place. */
static uint32_t median(uint32_t *values, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        for (uint32_t k = i; k > 0 && values[k] < values[k - 1]; k--) {
            uint32_t other = values[k - 1];
            values[k - 1] = values[k];
            values[k] = other;
        }
    }
    return count == 0 ? 0 : values[(count - 1) / 2];
}

static void suspect_failing(struct sample *s) {
    uint32_t ppm[BALANCE_LOOKS], most = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        most = s->of[i].error_ppm > most ? s->of[i].error_ppm : most;
    }
    if (most == 0) {
        return; /* the usual case */
    }
    for (uint32_t i = 0; i < s->count; i++) {
        ppm[i] = s->of[i].error_ppm;
    }
    s->typical.error_ppm = median(ppm, s->count);
    uint32_t bound = BALANCE_FAILING_PPM + 2 * s->typical.error_ppm;
    for (uint32_t i = 0; i < s->count; i++) {
        s->suspect[i] = s->of[i].error_ppm > bound;
    }
}

static uint32_t usual_of(const struct sample *s) {
    uint32_t us[BALANCE_LOOKS], count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->of[i].usual_us > 0 && !s->suspect[i]) {
            us[count++] = s->of[i].usual_us;
        }
    }
    return median(us, count);
}

/* One that is not known yet gets one request at a time: it may be cold. */
static void suspect_slow(struct sample *s) {
    if (s->typical.us == 0) {
        return; /* nobody has */
    }
    uint64_t bound = (uint64_t)s->typical.us * BALANCE_SLOW;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct balance_candidate *c = &s->of[i];
        bool slow = c->usual_us > bound && c->usual_us - s->typical.us > BALANCE_NOISE_US;
        s->suspect[i] |= slow || (c->usual_us == 0 && c->in_flight > 0);
    }
}

/* ---- probes ---- */

/* In usual answers. */
static float probe_price(const struct balance_candidate *c, const struct balance_typical *peers) {
    float price = ((float)c->usual_us + error_us(c, peers->error_ppm)) / ((float)peers->us + 1);
    return price < BALANCE_PROBE_PRICE_LEAST ? BALANCE_PROBE_PRICE_LEAST : price;
}

/* BALANCE_LOOKS: none is due. */
static uint32_t find_probe(struct balance *b, const struct sample *s) {
    for (uint32_t i = 0; i < s->count; i++) {
        const struct balance_candidate *c = &s->of[i];
        if (s->suspect[i] && c->in_flight == 0 &&
            (b->probe_credit >= probe_price(c, &s->typical) || c->idle_us > BALANCE_SILENCE_US)) {
            b->probe_credit = 0;
            return i;
        }
    }
    return BALANCE_LOOKS;
}

/* ---- the choice ---- */

static float score_of(const struct balance_candidate *c, enum balance_policy policy,
                      const struct balance_typical *peers) {
    return policy == BALANCE_FASTEST ? balance_score(c, peers)
                                     : ((float)c->in_flight + 1) / weight_of(c);
}

/* One of the best that are no suspects. */
static uint32_t best_of(const struct sample *s, enum balance_policy policy, struct rand *r) {
    float scores[BALANCE_LOOKS], least = 0;
    uint32_t equal[BALANCE_LOOKS] = { 0 }, count = 0;
    bool found = false;
    for (uint32_t i = 0; i < s->count; i++) {
        scores[i] = score_of(&s->of[i], policy, &s->typical);
        if (!s->suspect[i] && (!found || scores[i] < least)) {
            least = scores[i];
            found = true;
        }
    }
    float tie = policy == BALANCE_FASTEST ? least * BALANCE_TIE : least;
    for (uint32_t i = 0; i < s->count; i++) {
        if (!s->suspect[i] && scores[i] <= tie) {
            equal[count++] = i;
        }
    }
    return count == 1 ? equal[0] : equal[rand_below(r, count)];
}

static struct balance_choice choose(struct balance *b, const struct balance_request *request,
                                    struct sample *s, struct rand *r) {
    if (s->count > 1) {
        suspect_failing(s);
        s->typical.us = usual_of(s);
        if (request->policy == BALANCE_FASTEST) {
            suspect_slow(s);
        }
        uint32_t probe = request->may_probe ? find_probe(b, s) : BALANCE_LOOKS;
        if (probe < s->count) {
            return (struct balance_choice){ BALANCE_GOOD, s->position[probe] };
        }
    }
    return (struct balance_choice){
        BALANCE_GOOD, s->position[s->count == 1 ? 0 : best_of(s, request->policy, r)]
    };
}

/* None of the few was any good: of all the best, from a random one on, so that equal ones are used
 * alike. */
static struct balance_choice search(const struct balance_request *request, const void *self,
                                    balance_look *look, uint32_t count, struct rand *r) {
    static const struct balance_typical nothing = { 0 };
    struct balance_choice best = { .quality = BALANCE_NOBODY };
    uint32_t start = count > 1 ? rand_below(r, count) : 0;
    float least = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t position = start + i < count ? start + i : start + i - count;
        struct balance_candidate c = look(self, position);
        enum balance_quality quality = balance_quality_of(&c);
        float score = score_of(&c, request->policy, &nothing);
        if (quality < best.quality ||
            (quality == best.quality && quality != BALANCE_NOBODY && score < least)) {
            best = (struct balance_choice){ quality, position };
            least = score;
        }
    }
    return best;
}

static struct balance_choice compare(struct balance *b, const struct balance_request *request,
                                     const void *self, balance_look *look, uint32_t count,
                                     struct rand *r) {
    struct sample s;
    s.count = 0;
    s.typical = (struct balance_typical){ 0 };
    b->probe_credit += BALANCE_PROBE_RATIO;
    if (count <= BALANCE_LOOKS) {
        for (uint32_t i = 0; i < count; i++) {
            add(&s, self, look, i);
        }
    } else {
        draw(&s, self, look, count, r);
    }
    return s.count > 0 ? choose(b, request, &s, r) : search(request, self, look, count, r);
}

/* Interleaved weighted round robin: round n visits those whose weight is greater than n. When a
 * round has nobody, all that follow have nobody, and round 0 comes again. */
static struct balance_choice take_turns(struct balance *b, const struct balance_request *request,
                                        const void *self, balance_look *look, uint32_t count,
                                        struct rand *r) {
    bool somebody = b->position > 0; /* in the part of this round that is over */
    for (uint32_t looks = 0; looks < 3 * count; looks++) {
        if (b->position >= count) {
            b->position = 0;
            b->round = somebody ? b->round + 1 : 0;
            somebody = false;
        }
        uint32_t position = b->position++;
        struct balance_candidate c = look(self, position);
        if (weight_of(&c) > (float)b->round && balance_quality_of(&c) == BALANCE_GOOD) {
            return (struct balance_choice){ BALANCE_GOOD, position };
        }
    }
    return search(request, self, look, count, r);
}

struct balance_choice balance_pick(struct balance *b, const struct balance_request *request,
                                   const void *self, balance_look *look, uint32_t count,
                                   struct rand *r) {
    return request->policy == BALANCE_ROUND_ROBIN ? take_turns(b, request, self, look, count, r)
                                                  : compare(b, request, self, look, count, r);
}
