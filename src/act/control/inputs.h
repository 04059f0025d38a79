/* Inputs: the files that shop.yaml names. All are read and checked before anything is applied, by
 * `check`, by `run` before it forks, and by a reload. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/control/shop.h"
#include "base/clock.h"
#include "base/error.h"
#include "decide/forecast/calendar.h"
#include "decide/value/lifetime.h"
#include "record/series/series.h"

#define INPUTS_CALENDAR_BACK_MS (400 * MS_PER_DAY)  /* recurrences are expanded from then */
#define INPUTS_CALENDAR_AHEAD_MS (400 * MS_PER_DAY) /* to then */
#define INPUTS_CUSTOMERS_BYTES_MAX (64u << 20)

struct inputs {
    struct calendar calendar;
    struct lifetime lifetime;
    struct arena arena; /* of lifetime */
    char *lifetime_text;
    struct series history;
    const struct series_column *history_column; /* NULL: no history */
};

/* False with the first file's error: `name:line:column: expected …`. */
bool inputs_load(const struct shop *shop, int64_t now_ms, struct inputs *out, struct error *err);
void inputs_fini(struct inputs *inputs);

/* What inputs_load has said, as a line of the report. */
void inputs_report(const struct error *err, struct config_report *report);

/* Loads and lets go: what is wrong becomes a line of the report. */
bool inputs_check(const struct shop *shop, int64_t now_ms, struct config_report *report);
