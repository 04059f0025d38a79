#include "decide/balance/maglev.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define FREE UINT16_MAX

/* Of a member: offset + n × skip, modulo the size, are the places it asks for, all of them once. */
struct order {
    uint32_t next, skip, turn;
};

static int by_id(const void *a, const void *b) {
    const struct maglev_member *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static void take_free(struct maglev *m, struct order *o, uint16_t position) {
    while (m->table[o->next] != FREE) {
        o->next = (o->next + o->skip) % MAGLEV_SIZE;
    }
    m->table[o->next] = position;
}

void maglev_build(struct maglev *m, struct maglev_member *members, uint32_t count) {
    struct order orders[MAGLEV_MEMBERS_MAX];
    uint32_t heaviest = 1, filled = 0;
    assert(count > 0 && count <= MAGLEV_MEMBERS_MAX);
    qsort(members, count, sizeof *members, by_id);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t id = members[i].id;
        orders[i].next = (uint32_t)(XXH3_64bits_withSeed(&id, sizeof id, 1) % MAGLEV_SIZE);
        orders[i].skip =
            1 + (uint32_t)(XXH3_64bits_withSeed(&id, sizeof id, 2) % (MAGLEV_SIZE - 1));
        orders[i].turn = 0;
        heaviest = members[i].weight > heaviest ? members[i].weight : heaviest;
    }
    memset(m->table, 0xff, sizeof m->table);
    while (filled < MAGLEV_SIZE) {
        for (uint32_t i = 0; i < count && filled < MAGLEV_SIZE; i++) {
            orders[i].turn += members[i].weight > 0 ? members[i].weight : 1;
            if (orders[i].turn >= heaviest) { /* a lighter one passes now and then */
                orders[i].turn -= heaviest;
                take_free(m, &orders[i], members[i].position);
                filled++;
            }
        }
    }
}

uint32_t maglev_bound(uint32_t in_flight, uint32_t weight, uint32_t weight_sum,
                      uint32_t factor_percent) {
    if (factor_percent == 0) {
        return UINT32_MAX;
    }
    uint64_t of = (uint64_t)(weight_sum > 0 ? weight_sum : 1) * 100;
    uint64_t bound = ((uint64_t)in_flight * weight * factor_percent + of - 1) / of;
    return bound < MAGLEV_IN_FLIGHT_LEAST ? MAGLEV_IN_FLIGHT_LEAST : (uint32_t)bound;
}

bool maglev_find(const struct maglev *m, uint64_t key, maglev_takes *takes, const void *self,
                 uint16_t *position) {
    uint32_t at = (uint32_t)(key % MAGLEV_SIZE);
    uint16_t before = FREE;
    for (uint32_t steps = 0; steps < MAGLEV_STEPS_MAX; steps++) {
        uint16_t here = m->table[at];
        if (here != before && takes(self, here)) {
            *position = here;
            return true;
        }
        before = here;
        at = at + 1 < MAGLEV_SIZE ? at + 1 : 0;
    }
    return false;
}
