#include "base/siphash.h"

#include <string.h>

#define ROUNDS_END 3

struct state {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t x, unsigned by) {
    return x << by | x >> (64 - by);
}

static inline void mix(struct state *s) {
    s->a += s->b;
    s->c += s->d;
    s->b = rotate(s->b, 13) ^ s->a;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a = rotate(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = rotate(s->b, 17) ^ s->c;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c = rotate(s->c, 32);
}

static inline void take(struct state *s, uint64_t word) {
    s->d ^= word;
    mix(s);
    s->a ^= word;
}

uint64_t siphash(const struct siphash_key *key, struct slice text) {
    struct state s = { key->low ^ 0x736f6d6570736575, key->high ^ 0x646f72616e646f6d,
                       key->low ^ 0x6c7967656e657261, key->high ^ 0x7465646279746573 };
    uint64_t word, last = (uint64_t)text.len << 56;
    size_t at = 0;
    for (; at + sizeof word <= text.len; at += sizeof word) {
        memcpy(&word, text.data + at, sizeof word); /* little-endian, as all machines we run on */
        take(&s, word);
    }
    for (unsigned shift = 0; at < text.len; at++, shift += 8) {
        last |= (uint64_t)(uint8_t)text.data[at] << shift;
    }
    take(&s, last);
    s.c ^= 0xff;
    for (int i = 0; i < ROUNDS_END; i++) {
        mix(&s);
    }
    return s.a ^ s.b ^ s.c ^ s.d;
}
