#include "decide/forecast/forecast_options.h"

#include "base/clock.h"

void forecast_default_seasons(struct forecast_options *options) {
    bool daily = options->step_ms >= MS_PER_DAY;
    options->season_ms[0] = daily ? 7 * MS_PER_DAY : MS_PER_DAY;
    options->season_ms[1] = daily ? 364 * MS_PER_DAY : 7 * MS_PER_DAY;
    options->season_count = 2;
}

size_t forecast_options_seasons(const struct forecast_options *o, uint32_t *steps) {
    size_t count = 0;
    for (size_t i = 0; i < o->season_count; i++) {
        int64_t season = (o->season_ms[i] + o->step_ms / 2) / o->step_ms;
        if (season >= 2 && season <= FORECAST_HISTORY_STEPS_MAX / 2 &&
            (count == 0 || season > steps[count - 1])) {
            steps[count++] = (uint32_t)season;
        }
    }
    return count;
}

bool forecast_options_valid(const struct forecast_options *o, struct error *err) {
    if (o->step_ms <= 0 || o->step_ms > 366 * MS_PER_DAY) {
        return error_set(err, ERROR_INVALID, "expected a step between 1 ms and a year");
    }
    if (o->horizon_steps < 1 || o->horizon_steps > FORECAST_HORIZON_STEPS_MAX) {
        return error_set(err, ERROR_INVALID, "expected a horizon of 1 to %d steps, found %u",
                         FORECAST_HORIZON_STEPS_MAX, o->horizon_steps);
    }
    if (o->season_count > FORECAST_SEASONS_MAX) {
        return error_set(err, ERROR_INVALID, "expected at most %d seasons", FORECAST_SEASONS_MAX);
    }
    if (o->history_steps > FORECAST_HISTORY_STEPS_MAX) {
        return error_set(err, ERROR_LIMIT, "expected at most %d steps of history",
                         FORECAST_HISTORY_STEPS_MAX);
    }
    return true;
}
