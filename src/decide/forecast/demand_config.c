#include "decide/forecast/demand_config.h"

#include <math.h>

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
