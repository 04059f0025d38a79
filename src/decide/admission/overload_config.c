#include "decide/admission/overload_config.h"

#define OVERLOAD(member) offsetof(struct overload_config, member)

static const char *const orders[] = { "value", "fifo", NULL };

static void check(const struct config_place *place, void *item) {
    const struct overload_config *c = item;
    if (c->waiting_room) {
        config_place_warning(place, "waiting_room",
                             "this version has no waiting room yet: who is turned away gets 503 "
                             "with Retry-After");
    }
}

static const struct config_field fields[] = {
    { "order", CONFIG_CHOICE, OVERLOAD(order), .choices = orders, .fallback = "value",
      .help = "who goes first when there is not enough: the most valuable visit, or who came "
              "first" },
    { "queue", CONFIG_COUNT, OVERLOAD(queue), .fallback = "256", .max = 65536,
      .help = "requests of a service that may wait in a worker; the least valuable ones beyond "
              "get 503" },
    { "patience", CONFIG_DURATION, OVERLOAD(patience_ms), .fallback = "1s", .max = 60000,
      .help = "how long a request waits before it gets 503" },
    { "waiting_room", CONFIG_BOOL, OVERLOAD(waiting_room), .fallback = "false",
      .help = "seat those who are turned away; not in this version" },
};

const struct config_table overload_config_table =
    CONFIG_TABLE_CHECKED(struct overload_config, fields, check);
