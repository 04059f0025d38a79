#include "decide/autoscale/scale_config.h"

#include <math.h>

#define INSTANCES(member) offsetof(struct instances_config, member)
#define UNIT(member) offsetof(struct unit_config, member)
#define INSTANCES_MAX 256 /* of one service */

static void check(const struct config_place *place, void *item) {
    const struct instances_config *c = item;
    if (c->min > c->max) {
        config_place_error(place, "min", "min: expected at most max, which is %u, found %u", c->max,
                           c->min);
    }
}

static const struct config_field instances_fields[] = {
    { "min", CONFIG_COUNT, INSTANCES(min), .fallback = "1", .min = 0, .max = INSTANCES_MAX,
      .help = "never fewer in rotation" },
    { "max", CONFIG_COUNT, INSTANCES(max), .fallback = "10", .min = 1, .max = INSTANCES_MAX,
      .help = "never more, without spares" },
    { "spares", CONFIG_COUNT, INSTANCES(spares), .fallback = "0", .max = INSTANCES_MAX,
      .help = "started and warm, out of rotation: they take over within milliseconds" },
    { "starting", CONFIG_COUNT, INSTANCES(starting), .fallback = "4", .min = 1,
      .max = INSTANCES_MAX, .help = "so many start at once, at most" },
    { "stabilisation", CONFIG_DURATION, INSTANCES(stabilisation_ms), .fallback = "5m",
      .max = 86400000, .help = "fewer must have been enough for this long before any is stopped" },
    { "headroom", CONFIG_SHARE, INSTANCES(headroom_ratio), .fallback = "10%",
      .help = "capacity kept free above the demand of the moment" },
    { "budget", CONFIG_MONEY, INSTANCES(budget_per_hour),
      .help = "all of them may cost so much an hour, spares included: with the unit's price it "
              "bounds `max`" },
    { "capacity", CONFIG_RATE, INSTANCES(capacity_rps),
      .help = "first guess of what one instance carries within the objective; learned without it" },
};
const struct config_table instances_config_table =
    CONFIG_TABLE_CHECKED(struct instances_config, instances_fields, check);

static const struct config_field unit_fields[] = {
    { "cpu", CONFIG_NUMBER, UNIT(cpu), .min = 0.01, .max = 1024, .help = "CPUs of one instance" },
    { "memory", CONFIG_SIZE, UNIT(memory_bytes), .help = "memory of one instance" },
    { "type", CONFIG_TEXT, UNIT(type), .help = "the machine type it stands for" },
    { "price", CONFIG_MONEY, UNIT(price_per_hour), .help = "what one costs an hour" },
};
const struct config_table unit_config_table = CONFIG_TABLE(struct unit_config, unit_fields);

/* So many instances it pays for. The little more: 3 x 0.1 is 0.3 to whoever wrote it. */
static double affordable(const struct instances_config *instances, const struct unit_config *unit) {
    return floor(instances->budget_per_hour / unit->price_per_hour * (1 + 1e-9));
}

void instances_check_budget(const struct config_place *service,
                            const struct instances_config *instances,
                            const struct unit_config *unit) {
    if (isnan(instances->budget_per_hour)) {
        return;
    }
    struct config_place at = config_place_block(service, "instances");
    if (!(unit->price_per_hour > 0)) {
        config_place_error(&at, "budget",
                           "budget: expected `unit: { price: … }` beside it, what one instance "
                           "costs an hour");
        return;
    }
    uint32_t least = instances->min > 0 ? instances->min : 1;
    if (affordable(instances, unit) < least + instances->spares) {
        config_place_error(&at, "budget",
                           "budget: expected at least %g an hour, for %u in rotation and %u spare "
                           "at %g each, found %g",
                           (least + instances->spares) * unit->price_per_hour, least,
                           instances->spares, unit->price_per_hour, instances->budget_per_hour);
    }
}

uint32_t instances_most(const struct instances_config *instances, const struct unit_config *unit) {
    if (isnan(instances->budget_per_hour) || !(unit->price_per_hour > 0)) {
        return instances->max;
    }
    return (uint32_t)fmax(0, fmin(instances->max, affordable(instances, unit) - instances->spares));
}

struct autoscale_policy instances_policy(const struct instances_config *instances,
                                         const struct unit_config *unit,
                                         double margin_per_request) {
    struct autoscale_policy policy;
    autoscale_policy_init(&policy);
    policy.instances_min = instances->min;
    policy.instances_max = instances_most(instances, unit);
    policy.budgeted = policy.instances_max < instances->max;
    policy.spares = instances->spares;
    policy.starting_max = instances->starting;
    policy.down_stabilisation_ms = instances->stabilisation_ms;
    policy.headroom_ratio = instances->headroom_ratio;
    policy.price_per_hour = unit->price_per_hour;
    policy.margin_per_request = margin_per_request;
    return policy;
}
