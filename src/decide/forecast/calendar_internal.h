/* Between the files of the calendar. */
#pragma once
#include "decide/forecast/calendar.h"

bool calendar_parse_ical(struct calendar *c, struct slice text, const char *name,
                         struct calendar_window window, struct error *err);
bool calendar_parse_csv(struct calendar *c, struct slice text, const char *name, struct error *err);

/* Share of [from_ms, to_ms) that the event covers when it counts from `lead_ms` earlier on. */
double calendar_share(const struct calendar_event *e, int64_t from_ms, int64_t to_ms,
                      int64_t lead_ms);

/* Text of a multiplier: a positive number up to CALENDAR_MULTIPLIER_MAX. */
bool calendar_parse_multiplier(struct slice text, double *multiplier);
