#include "decide/forecast/demand_config.h"

#include <math.h>
#include <string.h>

#define MS_PER_DAY INT64_C(86400000)

void demand_config_init(struct demand_config *c) {
    *c = (struct demand_config){
        .margin_per_request = NAN,
        .step_ms = DEMAND_STEP_MS,
        .season_ms = { MS_PER_DAY, 7 * MS_PER_DAY },
        .season_count = 2,
    };
}

bool demand_config_check(struct demand_config *c, struct error *err) {
    if (c->step_ms < 1000 || c->step_ms > MS_PER_DAY) {
        return error_set(err, ERROR_INVALID, "step: expected a duration of 1s to 1d");
    }
    if (c->season_count == 2 && c->season_ms[0] > c->season_ms[1]) {
        int64_t longer = c->season_ms[0];
        c->season_ms[0] = c->season_ms[1];
        c->season_ms[1] = longer;
    }
    for (size_t i = 0; i < c->season_count; i++) {
        int64_t steps = c->season_ms[i] / c->step_ms;
        if (steps < 2 || steps > FORECAST_HISTORY_STEPS_MAX / 10) {
            return error_set(err, ERROR_INVALID, "seasons: expected 2 to %d steps of %g s",
                             FORECAST_HISTORY_STEPS_MAX / 10, (double)c->step_ms / 1000);
        }
    }
    for (size_t i = 0; i < c->holiday_count; i++) {
        if (!calendar_country_known(c->holidays[i])) {
            return error_set(err, ERROR_INVALID,
                             "holidays: expected countries of DE, AT, GB, US, FR, "
                             "AU, found '%.*s'",
                             SLICE_ARG(c->holidays[i]));
        }
    }
    return true;
}

bool demand_config_calendar(const struct demand_config *c, struct calendar_window window,
                            struct calendar *out, struct error *err) {
    if (c->campaigns != NULL && !calendar_read(out, c->campaigns, window, err)) {
        return false;
    }
    for (size_t i = 0; i < c->holiday_count; i++) {
        if (!calendar_add_holidays(out, c->holidays[i], window, err)) {
            return false;
        }
    }
    return true;
}

/* ---- the block in shop.yaml ---- */

#define DEMAND(member) offsetof(struct demand_config, member)

static void check(const struct config_place *place, void *item) {
    struct demand_config *c = item;
    struct error err;
    if (!demand_config_check(c, &err)) {
        /* "seasons: expected …" begins with the key that is wrong. */
        char key[16] = "";
        slice_copy_text(slice_of(err.text, strcspn(err.text, ":")), key, sizeof key);
        config_place_error(place, key, "%s", err.text);
    }
}

static const struct config_field fields[] = {
    { "campaigns", CONFIG_PATH, DEMAND(campaigns),
      .help = "calendar of campaigns: iCalendar, or CSV `start,end,name,kind,multiplier`" },
    { "holidays", CONFIG_SLICE, DEMAND(holidays), .many = true, .items_max = DEMAND_HOLIDAYS_MAX,
      .count_offset = DEMAND(holiday_count),
      .help = "countries whose public holidays matter: DE, AT, GB, US, FR, AU" },
    { "history", CONFIG_PATH, DEMAND(history),
      .help = "CSV of requests per interval from before Tidegate: taken in when the store knows "
              "nothing yet" },
    { "margin", CONFIG_MONEY, DEMAND(margin_per_request),
      .help = "what a request earns; with the unit's price it sets the quantile to provision" },
    { "step", CONFIG_DURATION, DEMAND(step_ms), .fallback = "1m",
      .help = "the forecast's interval" },
    { "seasons", CONFIG_DURATION, DEMAND(season_ms), .many = true,
      .items_max = FORECAST_SEASONS_MAX, .count_offset = DEMAND(season_count), .fallback = "1d, 7d",
      .help = "after which time demand repeats" },
};

const struct config_table demand_config_table =
    CONFIG_TABLE_CHECKED(struct demand_config, fields, check);
