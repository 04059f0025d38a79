#include "act/proxy/crowd.h"

#include "act/proxy/clients.h"
#include "act/proxy/entrance.h"
#include "act/proxy/session.h"
#include "act/proxy/worker_internal.h"
#include "base/log.h"

#define SAY_EVERY_US 1000000

bool crowd_is_full(const struct worker *w) {
    return w->limits.connections > 0 && w->clients.connections > w->limits.connections;
}

bool crowd_may_tell(const struct worker *w) {
    uint32_t most = w->limits.connections, beyond = most / 16;
    return w->clients.connections <=
           most + (beyond < CROWD_TOLD_MAX ? beyond : (uint32_t)CROWD_TOLD_MAX);
}

/* ---- said ---- */

static void say(struct worker *w) {
    struct crowd *c = &w->crowd;
    uint64_t now_us = loop_now_us(w->loop);
    if (c->said_us != 0 && now_us - c->said_us < SAY_EVERY_US) {
        return;
    }
    c->said_us = now_us;
    log_warn("connections_full",
             "connections=%u limit=%u heaviest_client=%u gave_way=%llu held=%llu told=%llu "
             "reset=%llu looks=%llu",
             w->clients.connections, w->limits.connections, clients_most(&w->clients),
             (unsigned long long)c->gave_way, (unsigned long long)c->held,
             (unsigned long long)c->told, (unsigned long long)c->reset,
             (unsigned long long)c->looks);
    c->gave_way = c->held = c->told = c->reset = c->looks = 0;
}

void crowd_held(struct worker *w) {
    vitals_add(&w->own->connections_held, 1);
    w->crowd.held++;
    say(w);
}

void crowd_told(struct worker *w) {
    vitals_add(&w->own->connections_told, 1);
    w->crowd.told++;
    say(w);
}

void crowd_reset(struct worker *w) {
    vitals_add(&w->own->connections_refused, 1);
    w->crowd.reset++;
    say(w);
}

/* ---- who gives way ---- */

/* What one look is for. */
struct look {
    struct worker *worker;
    uint64_t idle_us, stalled_us;
    uint32_t left; /* connections that may still be looked at */
};

/* Those that were looked at go to the end: the next look begins with those that were not. */
static bool one_of(struct look *look, struct client *client, uint32_t most) {
    for (uint32_t i = most; i > 0 && look->left > 0; i--) {
        struct list *link = list_first(&client->sessions);
        if (link == NULL) {
            return false; /* all are on the way to be one */
        }
        look->left--;
        look->worker->crowd.looks++;
        list_remove(link);
        list_append(&client->sessions, link);
        if (session_give_way(link, look->idle_us, look->stalled_us)) {
            return true;
        }
    }
    return false;
}

/* Of equals. Clients of whose connections none could go to the end, too. */
static bool one_of_rank(struct look *look, unsigned rank) {
    struct list *clients = &look->worker->clients.ranks[rank];
    uint64_t now_us = loop_now_us(look->worker->loop);
    struct list *link;
    while (look->left > 0 && (link = list_first(clients)) != NULL) {
        struct client *client = LIST_ITEM(link, struct client, rank);
        if (client->crowd_busy_until_us > now_us) {
            return false; /* and so are all behind it */
        }
        look->left--;
        if (one_of(look, client, client->connections)) {
            return true;
        }
        client->crowd_busy_until_us = now_us + CROWD_BUSY_US;
        list_remove(link);
        list_append(clients, link);
    }
    return false;
}

/* Of a client with several times as many connections: then it matters little how long one is idle.
 * Else who opens anew at once what was closed would always be too young to give way. It has a rest
 * when all were looked at in vain, for several newcomers maybe: before that one in a thousand that
 * could go is found. */
static bool one_of_heavy(struct look *look, struct client *client, uint32_t most) {
    uint32_t seen = client->heavy_in_vain, before = look->left;
    uint32_t unseen = client->connections > seen ? client->connections - seen : 0;
    most = unseen < most ? unseen : most;
    if (one_of(look, client, most)) {
        client->heavy_in_vain = 0;
        client->heavy_rest = (struct client_rest){ 0 };
        return true;
    }
    uint32_t looked = before - look->left;
    bool no_more = looked == unseen || (looked < most && look->left > 0);
    client->heavy_in_vain = no_more ? 0 : seen + looked;
    if (no_more) {
        client_rest(&client->heavy_rest, loop_now_us(look->worker->loop));
    }
    return false;
}

/* Clients of whom none could go end up behind the others, so that they hide nobody for long. */
static bool one_of_heavy_rank(struct look *look, struct list *clients, uint32_t most) {
    uint64_t now_us = loop_now_us(look->worker->loop);
    const struct list *first_seen = NULL;
    LIST_EACH(clients, link, saved) {
        struct client *client = LIST_ITEM(link, struct client, rank);
        if (look->left == 0 || link == first_seen) {
            return false;
        }
        look->left--;
        if (client->heavy_rest.until_us > now_us) {
            continue;
        }
        if (one_of_heavy(look, client, most)) {
            return true;
        }
        list_remove(link);
        list_append(clients, link);
        first_seen = first_seen == NULL ? link : first_seen;
    }
    return false;
}

/* First a few connections of each, for the heaviest may have all of them at work. */
static bool one_of_heavier(struct worker *w, unsigned least) {
    struct look look = { w, 0, CROWD_STALLED_US / 4, CROWD_LOOKS_LEAST };
    for (uint32_t most = CROWD_LOOKS_LEAST / 4; most <= CROWD_LOOKS_LEAST; most *= 4) {
        for (unsigned rank = CLIENTS_RANKS; rank-- > least;) {
            if (one_of_heavy_rank(&look, &w->clients.ranks[rank], most)) {
                return true;
            }
        }
    }
    return false;
}

static bool one_of_equals(struct worker *w, unsigned least) {
    uint32_t looks = CROWD_LOOKS_LEAST + w->limits.connections / 16;
    struct look look = { w, CROWD_IDLE_US, CROWD_STALLED_US, looks };
    for (unsigned rank = CLIENTS_RANKS; rank-- > least && look.left > 0;) {
        if (one_of_rank(&look, rank)) {
            return true;
        }
    }
    /* Proxies that we trust, and others of no limit: for how many they speak nobody knows. */
    struct client *unlimited = &w->clients.unlimited;
    return one_of(&look, unlimited, unlimited->connections) || entrance_give_way(w, CROWD_IDLE_US);
}

static bool somebody(struct worker *w, const struct client *for_whom) {
    uint64_t now_us = loop_now_us(w->loop);
    unsigned rank = client_is_limited(&w->clients, for_whom) ? clients_rank(for_whom) : 0;
    if (entrance_give_way(w, CROWD_STALLED_US) || one_of_heavier(w, rank + CROWD_HEAVIER_RANKS)) {
        return true;
    }
    if (now_us < w->crowd.busy_until_us) {
        return false;
    }
    bool found = one_of_equals(w, rank);
    w->crowd.busy_until_us = found ? 0 : now_us + CROWD_LOOK_AGAIN_US;
    return found;
}

bool crowd_make_room(struct worker *w, const struct client *for_whom) {
    bool found = somebody(w, for_whom);
    if (found) {
        vitals_add(&w->own->connections_gave_way, 1);
        w->crowd.gave_way++;
        say(w);
    }
    return found;
}
