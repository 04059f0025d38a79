#include "act/proxy/clients.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static void init(struct client *c) {
    list_init(&c->link);
    list_init(&c->rank);
    list_init(&c->sessions);
}

void clients_init(struct clients *clients, uint64_t seed) {
    memset(clients, 0, sizeof *clients);
    clients->seed = seed;
    list_init(&clients->all);
    for (unsigned i = 0; i < CLIENTS_RANKS; i++) {
        list_init(&clients->ranks[i]);
    }
    init(&clients->unlimited);
    list_append(&clients->all, &clients->unlimited.link);
}

void clients_fini(struct clients *clients) {
    list_remove(&clients->unlimited.link);
    LIST_EACH(&clients->all, link, saved) {
        free(LIST_ITEM(link, struct client, link));
    }
    list_init(&clients->all);
}

/* Whom we take for one client. */
static void key_of(const uint8_t ip[16], uint8_t key[16]) {
    static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };
    memcpy(key, ip, 16);
    if (memcmp(ip, v4_prefix, sizeof v4_prefix) != 0) {
        memset(key + 8, 0, 8);
    }
}

static uint64_t hash(const struct clients *clients, const uint8_t key[16]) {
    return XXH3_64bits_withSeed(key, 16, clients->seed);
}

static struct client **bucket_of(struct clients *clients, const uint8_t key[16]) {
    return &clients->buckets[hash(clients, key) % CLIENTS_BUCKETS];
}

unsigned clients_rank(const struct client *c) {
    unsigned rank = 31 - (unsigned)__builtin_clz(c->connections);
    return rank < CLIENTS_RANKS ? rank : CLIENTS_RANKS - 1;
}

uint32_t clients_most(const struct clients *clients) {
    for (unsigned i = CLIENTS_RANKS; i-- > 0;) {
        if (!list_empty(&clients->ranks[i])) {
            return 1u << i;
        }
    }
    return 0;
}

/* `before`: it had so many. */
static void move_in_ranks(struct clients *clients, struct client *c, uint32_t before) {
    uint32_t now = c->connections;
    bool same = before > 0 && now > 0 && __builtin_clz(before) == __builtin_clz(now);
    if (same || !client_is_limited(clients, c)) {
        return;
    }
    list_remove(&c->rank);
    if (now > 0) {
        list_append(&clients->ranks[clients_rank(c)], &c->rank);
    }
}

static struct client *count_in(struct clients *clients, struct client *c) {
    clients->connections++;
    c->connections++;
    move_in_ranks(clients, c, c->connections - 1);
    clients_hold(c);
    return c;
}

struct client *clients_enter_unlimited(struct clients *clients) {
    return count_in(clients, &clients->unlimited);
}

struct client *clients_enter(struct clients *clients, const uint8_t ip[16]) {
    uint8_t key[16];
    key_of(ip, key);
    struct client **bucket = bucket_of(clients, key);
    for (struct client *c = *bucket; c != NULL; c = c->next) {
        if (memcmp(c->key, key, sizeof key) == 0) {
            return count_in(clients, c);
        }
    }
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return clients_enter_unlimited(clients);
    }
    init(c);
    memcpy(c->key, key, sizeof key);
    c->next = *bucket;
    *bucket = c;
    list_append(&clients->all, &c->link);
    return count_in(clients, c);
}

void clients_leave(struct clients *clients, struct client *client) {
    clients->connections--;
    client->connections--;
    move_in_ranks(clients, client, client->connections + 1);
    clients_release(clients, client);
}

void clients_hold(struct client *client) {
    client->holds++;
}

void clients_release(struct clients *clients, struct client *client) {
    client->holds--;
    if (client->holds > 0 || !client_is_limited(clients, client)) {
        return;
    }
    struct client **at = bucket_of(clients, client->key);
    while (*at != client) {
        at = &(*at)->next;
    }
    *at = client->next;
    list_remove(&client->link);
    free(client);
}

void client_rest(struct client_rest *rest, uint64_t now_us) {
    uint32_t twice = rest->last_us == 0 ? CLIENT_REST_US : rest->last_us * 2;
    rest->last_us = twice < CLIENT_REST_US_MAX ? twice : CLIENT_REST_US_MAX;
    rest->until_us = now_us + rest->last_us;
}

bool clients_may_handshake(struct clients *clients, const uint8_t ip[16], double per_second,
                           uint64_t now_us) {
    uint8_t key[16];
    key_of(ip, key);
    uint64_t *due_us = &clients->handshake_due_us[hash(clients, key) % CLIENTS_RATE_SLOTS];
    uint64_t from_us = *due_us > now_us ? *due_us : now_us;
    uint64_t next_us = from_us + (uint64_t)(1e6 / per_second);
    if (next_us > now_us + CLIENTS_BURST_S * UINT64_C(1000000)) {
        return false;
    }
    *due_us = next_us;
    return true;
}
