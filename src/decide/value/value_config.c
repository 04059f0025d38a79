#include "decide/value/value_config.h"

#define VALUE(member) offsetof(struct value_config, member)

static const struct config_field cookie_fields[] = {
    { "cookie", CONFIG_SLICE, 0, .help = "name of the cookie" },
};
static const struct config_table cookie_table = CONFIG_TABLE(struct slice, cookie_fields);

static const struct config_field fields[] = {
    { "customer", CONFIG_BLOCK, VALUE(customer), .table = &cookie_table,
      .help = "what names the customer" },
    { "session", CONFIG_BLOCK, VALUE(session), .table = &cookie_table,
      .help = "what names the session" },
    { "lifetime", CONFIG_PATH, VALUE(lifetime),
      .help = "CSV with the columns `customer` and `expected_value`: what each is expected to "
              "bring" },
    { "floor", CONFIG_SHARE, VALUE(floor_ratio), .fallback = "10%",
      .help = "share of the capacity kept for visitors whom nobody knows" },
};

const struct config_table value_config_table = CONFIG_TABLE(struct value_config, fields);
