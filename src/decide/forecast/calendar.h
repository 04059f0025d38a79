/* Calendar: what is known ahead about demand. Campaigns and events, each a span with a name, a kind
 * and perhaps a multiplier (the marketer's own guess); public holidays by rule.
 * Read from iCalendar (RFC 5545: SUMMARY = name, first of CATEGORIES = kind, X-TIDEGATE-MULTIPLIER,
 * X-TIDEGATE-CHANNEL, X-TIDEGATE-AUDIENCE; RRULE expanded within a window) or CSV
 * `start,end,name,kind,multiplier` (also `label` for name; optional: channel, audience, uid,
 * status). Parsed from memory; a bad line is an error with its place, and nothing is half read.
 * The same event announced twice is one: calendar_settle.
 * Not here: how much an event is worth (uplift.h, effects.h), who edits calendars. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define CALENDAR_EVENTS_MAX 20000 /* after expansion of recurrences */
#define CALENDAR_BYTES_MAX (16u << 20)
#define CALENDAR_RECURRENCES_MAX 5000 /* instances tried of one RRULE */
#define CALENDAR_MULTIPLIER_MAX 1000.0
#define CALENDAR_HOLIDAY "holiday" /* the kind of public holidays; of others "holiday: NAME" */
/* What calendar_add_holidays knows. */
#define CALENDAR_COUNTRIES                                                                         \
    "AT, AU, BE, CA, CH, CZ, DE, ES, FI, FR, GB, IT, NL, NO, PL, PT, SE, US, shopping or paydays"
#define CALENDAR_KINDS_MAX 32 /* further kinds share the last */

struct calendar_event {
    int64_t start_ms, end_ms;       /* end is exclusive, > start */
    struct slice name, kind;        /* kind "campaign" when the source has none */
    struct slice channel, audience; /* empty: not said */
    struct slice uid;    /* of this instance of the event, wherever it was moved to; empty: none */
    uint32_t sequence;   /* of versions of one uid the highest holds (RFC 5545 §3.8.7.4) */
    bool cancelled;      /* takes the event with it in calendar_settle */
    double multiplier;   /* of the baseline demand; NaN: not given, to be learned */
    uint32_t kind_index; /* into calendar.kinds */
    uint32_t added;      /* order in which they came */
};

struct calendar {
    struct calendar_event *events; /* by start */
    size_t len, capacity;
    struct slice kinds[CALENDAR_KINDS_MAX];
    size_t kind_count;
    uint32_t added;     /* ever */
    int64_t longest_ms; /* of any event: bounds the search */
    bool raw; /* set by who goes on adding: calendar_parse leaves calendar_settle to him */
    struct arena arena;
};

/* Recurrences are expanded inside [from_ms, to_ms); single events are all kept. */
struct calendar_window {
    int64_t from_ms, to_ms;
};

void calendar_init(struct calendar *c); /* empty */
void calendar_fini(struct calendar *c);

/* Adds the events of `text`: iCalendar when it begins with BEGIN:VCALENDAR, else CSV.
 * On failure `c` is as before. `name` is for errors only. */
bool calendar_parse(struct calendar *c, struct slice text, const char *name,
                    struct calendar_window window, struct error *err);
bool calendar_read(struct calendar *c, const char *path, struct calendar_window window,
                   struct error *err);

/* Adds one event (its texts are copied); the table of kinds grows with it. Fails with ERROR_INVALID
 * when it does not end after its start, ERROR_LIMIT beyond CALENDAR_EVENTS_MAX or without memory.
 */
bool calendar_add(struct calendar *c, const struct calendar_event *event, struct error *err);

/* Sorts after calendar_add; calendar_parse and calendar_add_holidays do it themselves. */
void calendar_sort(struct calendar *c);

/* Makes one of what was announced twice: the same uid, or the same name and kind at overlapping
 * times. The higher sequence holds, of equal ones the one that was added last; what it does not
 * say (multiplier, channel, audience) is taken from the other. Cancelled ones go, with what they
 * cancel. Sorted afterwards. */
void calendar_settle(struct calendar *c);

/* Adds all events of `from`, or (`ordinary`) those that are no campaigns. Fails as calendar_add. */
bool calendar_copy(struct calendar *c, const struct calendar *from, bool ordinary,
                   struct error *err);

/* No campaign: a holiday, or something that makes demand smaller. */
bool calendar_is_ordinary(const struct calendar_event *event);

/* Public holidays of a country, or other days, by rule: one of CALENDAR_COUNTRIES; whole days of
 * the clock of the series, kind CALENDAR_HOLIDAY, multiplier to be learned. Fails with
 * ERROR_INVALID naming the countries known. */
bool calendar_add_holidays(struct calendar *c, struct slice country, struct calendar_window window,
                           struct error *err);
/* One of CALENDAR_COUNTRIES. */
bool calendar_country_known(struct slice country);

/* Product of the given multipliers over [from_ms, to_ms), each by the share of the slot it covers;
 * 1 without events. With `lead_ms` every event counts from that much earlier on. NULL: 1. */
double calendar_multiplier(const struct calendar *c, int64_t from_ms, int64_t to_ms,
                           int64_t lead_ms);

/* The event that raises demand most in [from_ms, to_ms) (given multipliers above 1; unknown ones
 * count as 1.0 and come last); NULL without any. */
const struct calendar_event *calendar_strongest(const struct calendar *c, int64_t from_ms,
                                                int64_t to_ms);

/* Index of the first event that can still touch times from `from_ms` on. */
size_t calendar_first_touching(const struct calendar *c, int64_t from_ms);
