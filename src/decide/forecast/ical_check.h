/* First look at iCalendar text, line by line, so that errors can say where: libical itself forgets
 * the line and repairs silently what it does not understand. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

#define ICAL_LINE_BYTES_MAX 16384 /* unfolded */
#define ICAL_DEPTH_MAX 8

/* Every line is NAME[;PARAM]:VALUE, BEGIN and END match, every VEVENT has a DTSTART and an end that
 * can be read, rules and multipliers parse. */
bool ical_check(struct slice text, const char *name, struct error *err);
