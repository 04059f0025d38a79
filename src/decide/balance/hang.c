#include "decide/balance/hang.h"

#define TAIL_LEARNS 512 /* numbers that it is quick for */
#define TAIL_STEP_FEW 1 /* up by a half, down by a 256th */
#define TAIL_STEP_MANY 4
#define TAIL_RATIO_LOG2 7 /* of the two steps: 1 in 128 is above */

void hang_mark(struct hang *h, uint64_t now_us) {
    if (h->marked < HANG_REQUESTS && h->unanswered > h->marked) {
        h->marked = h->unanswered;
        h->marked_us = now_us;
    }
}

uint64_t hang_patience_us(uint64_t tail) {
    return tail * HANG_TAILS > HANG_LEAST_US ? tail * HANG_TAILS : HANG_LEAST_US;
}

static uint64_t since_us(uint64_t from_us, uint64_t now_us) {
    return from_us != 0 && now_us > from_us ? now_us - from_us : 0;
}

bool hang_is_certain(const struct hang *h, uint64_t tail, uint32_t awaiting, uint32_t peers_answers,
                     uint64_t now_us) {
    uint64_t patience_us = hang_patience_us(tail);
    return tail > 0 && h->marked >= HANG_REQUESTS && awaiting >= HANG_AWAITING &&
           peers_answers >= HANG_PEERS_ANSWERS &&
           since_us(h->silent_since_us, now_us) >= patience_us &&
           since_us(h->marked_us, now_us) >= patience_us / 2;
}

bool hang_is_suspected(const struct hang *h, uint64_t tail, uint64_t now_us) {
    return tail > 0 && h->unanswered > 0 && h->unanswered < HANG_REQUESTS &&
           since_us(h->silent_since_us, now_us) >= hang_patience_us(tail) / 2;
}

void tail_add(struct tail *t, uint64_t us) {
    uint64_t x = us << 8;
    if (t->us_256 == 0) {
        t->us_256 = x + 256;
    }
    unsigned step = t->seen < TAIL_LEARNS ? TAIL_STEP_FEW : TAIL_STEP_MANY;
    t->seen += t->seen < TAIL_LEARNS;
    if (x > t->us_256) {
        t->us_256 += (t->us_256 >> step) + 1;
    } else {
        t->us_256 -= t->us_256 >> (step + TAIL_RATIO_LOG2);
    }
}
