/* Events from iCalendar, by libical: time zones, recurrence rules, exceptions, moved instances. */
#include <libical/ical.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "decide/forecast/calendar_internal.h"
#include "decide/forecast/ical_check.h"

#define UID_BYTES 256

static int64_t time_ms(struct icaltimetype t) {
    return (int64_t)icaltime_as_timet_with_zone(t, t.zone) * 1000;
}

static struct slice text_property(icalcomponent *event, icalproperty_kind kind) {
    icalproperty *property = icalcomponent_get_first_property(event, kind);
    if (property == NULL) {
        return SLICE("");
    }
    const char *text = icalvalue_get_text(icalproperty_get_value(property));
    return slice_from(text);
}

/* CATEGORIES may list several, parted by commas: the first is the kind. */
static struct slice kind_of(icalcomponent *event) {
    struct slice all = text_property(event, ICAL_CATEGORIES_PROPERTY), first;
    return slice_cut(&all, ',', &first) ? slice_trim(first) : SLICE("");
}

/* The value of an X- property; borrowed from the component. */
static struct slice extension(icalcomponent *event, struct slice wanted) {
    for (icalproperty *p = icalcomponent_get_first_property(event, ICAL_X_PROPERTY); p != NULL;
         p = icalcomponent_get_next_property(event, ICAL_X_PROPERTY)) {
        const char *name = icalproperty_get_x_name(p), *value = icalproperty_get_x(p);
        if (name != NULL && value != NULL && slice_equal_fold(slice_from(name), wanted)) {
            return slice_trim(slice_from(value));
        }
    }
    return SLICE("");
}

static double multiplier_of(icalcomponent *event) {
    double multiplier;
    struct slice text = extension(event, SLICE("X-TIDEGATE-MULTIPLIER"));
    return calendar_parse_multiplier(text, &multiplier) ? multiplier : (double)NAN;
}

/* RFC 5545 §3.6.1: without DTEND and DURATION a date lasts the day, a time has no length. */
static int64_t length_ms(icalcomponent *event, struct icaltimetype start) {
    struct icaltimetype end = icalcomponent_get_dtend(event);
    if (!icaltime_is_null_time(end)) {
        return time_ms(end) - time_ms(start);
    }
    return start.is_date ? MS_PER_DAY : 0;
}

static bool is_excepted(icalcomponent *event, struct icaltimetype at) {
    for (icalproperty *p = icalcomponent_get_first_property(event, ICAL_EXDATE_PROPERTY); p != NULL;
         p = icalcomponent_get_next_property(event, ICAL_EXDATE_PROPERTY)) {
        struct icaltimetype except = icalproperty_get_datetime_with_component(p, event);
        bool same = except.is_date ? icaltime_compare_date_only(except, at) == 0
                                   : time_ms(except) == time_ms(at);
        if (same) {
            return true;
        }
    }
    return false;
}

static bool same_uid(icalcomponent *a, icalcomponent *b) {
    const char *x = icalcomponent_get_uid(a), *y = icalcomponent_get_uid(b);
    return x != NULL && y != NULL && strcmp(x, y) == 0;
}

/* Which instance the component stands for, in its time zone; null time: none. */
static struct icaltimetype instance_of(icalcomponent *event) {
    icalproperty *p = icalcomponent_get_first_property(event, ICAL_RECURRENCEID_PROPERTY);
    return p == NULL ? icaltime_null_time() : icalproperty_get_datetime_with_component(p, event);
}

/* Another VEVENT of the same UID speaks for this instance: it was moved or cancelled. The caller's
 * iteration over the calendar is not disturbed: icalcompiter keeps its own place. */
static bool is_overridden(icalcomponent *calendar, icalcomponent *event, struct icaltimetype at) {
    for (icalcompiter i = icalcomponent_begin_component(calendar, ICAL_VEVENT_COMPONENT);
         icalcompiter_deref(&i) != NULL; icalcompiter_next(&i)) {
        icalcomponent *other = icalcompiter_deref(&i);
        struct icaltimetype instance = instance_of(other);
        if (other != event && !icaltime_is_null_time(instance) && same_uid(other, event) &&
            time_ms(instance) == time_ms(at)) {
            return true;
        }
    }
    return false;
}

struct expansion {
    struct calendar *calendar;
    icalcomponent *root, *component;
    struct calendar_event event; /* name, kind, multiplier */
    int64_t length_ms;
    struct calendar_window window;
};

/* An instance of a series is known by the time it was first planned for, wherever it is moved to.
 */
static struct slice instance_uid(const struct expansion *x, struct icaltimetype at, char *out,
                                 size_t out_bytes) {
    const char *uid = icalcomponent_get_uid(x->component);
    struct icaltimetype moved = instance_of(x->component);
    bool series = icalcomponent_get_first_property(x->component, ICAL_RRULE_PROPERTY) != NULL;
    if (uid == NULL) {
        return SLICE("");
    }
    if (!series && icaltime_is_null_time(moved)) {
        return slice_from(uid);
    }
    int64_t planned_ms = time_ms(series ? at : moved);
    int len = snprintf(out, out_bytes, "%s/%lld", uid, (long long)(planned_ms / 1000));
    return slice_of(out, len < 0 || (size_t)len >= out_bytes ? 0 : (size_t)len);
}

static bool add_instance(const struct expansion *x, struct icaltimetype at, struct error *err) {
    char uid[UID_BYTES];
    struct calendar_event event = x->event;
    event.start_ms = time_ms(at);
    event.end_ms = event.start_ms + x->length_ms;
    event.uid = instance_uid(x, at, uid, sizeof uid);
    return calendar_add(x->calendar, &event, err);
}

static bool expand(const struct expansion *x, struct icalrecurrencetype rule,
                   struct icaltimetype start, struct error *err) {
    icalrecur_iterator *i = icalrecur_iterator_new(rule, start);
    if (i == NULL) {
        return error_set(err, ERROR_INVALID, "expected a recurrence rule that has instances");
    }
    bool ok = true;
    unsigned tried = 0;
    for (struct icaltimetype at = icalrecur_iterator_next(i); ok && !icaltime_is_null_time(at);
         at = icalrecur_iterator_next(i)) {
        if (++tried > CALENDAR_RECURRENCES_MAX) {
            ok = error_set(err, ERROR_LIMIT, "expected at most %d instances of one rule",
                           CALENDAR_RECURRENCES_MAX);
            break;
        }
        int64_t at_ms = time_ms(at);
        if (at_ms >= x->window.to_ms) {
            break;
        }
        if (at_ms + x->length_ms > x->window.from_ms && !is_excepted(x->component, at) &&
            !is_overridden(x->root, x->component, at)) {
            ok = add_instance(x, at, err);
        }
    }
    icalrecur_iterator_free(i);
    return ok;
}

static bool add_component(struct expansion *x, struct error *err) {
    struct icaltimetype start = icalcomponent_get_dtstart(x->component);
    x->event.name = text_property(x->component, ICAL_SUMMARY_PROPERTY);
    x->event.kind = kind_of(x->component);
    x->event.multiplier = multiplier_of(x->component);
    x->event.channel = extension(x->component, SLICE("X-TIDEGATE-CHANNEL"));
    x->event.audience = extension(x->component, SLICE("X-TIDEGATE-AUDIENCE"));
    x->event.cancelled = icalcomponent_get_status(x->component) == ICAL_STATUS_CANCELLED;
    int sequence = icalcomponent_get_sequence(x->component);
    x->event.sequence = sequence > 0 ? (uint32_t)sequence : 0;
    x->length_ms = length_ms(x->component, start);
    if (x->length_ms <= 0 && x->event.cancelled) {
        x->length_ms = 1; /* what is cancelled needs no end */
    }
    if (x->length_ms <= 0) {
        return error_set(err, ERROR_INVALID, "'%.*s': expected an end after the start",
                         SLICE_ARG(slice_sub(x->event.name, 0, 60)));
    }
    icalproperty *rule = icalcomponent_get_first_property(x->component, ICAL_RRULE_PROPERTY);
    if (rule == NULL) {
        return add_instance(x, start, err);
    }
    return expand(x, icalproperty_get_rrule(rule), start, err);
}

/* Line of the BEGIN of the n-th VEVENT (0-based): libical does not keep it. */
static unsigned event_line(struct slice text, size_t n) {
    struct slice line;
    unsigned number = 0;
    while (slice_cut(&text, '\n', &line)) {
        number++;
        if (slice_ends_with(line, SLICE("\r"))) {
            line.len--;
        }
        if (slice_equal_fold(line, SLICE("BEGIN:VEVENT")) && n-- == 0) {
            break;
        }
    }
    return number;
}

static bool add_components(struct calendar *c, icalcomponent *root, struct slice text,
                           const char *name, struct calendar_window window, struct error *err) {
    size_t n = 0;
    for (icalcompiter i = icalcomponent_begin_component(root, ICAL_VEVENT_COMPONENT);
         icalcompiter_deref(&i) != NULL; icalcompiter_next(&i), n++) {
        struct expansion x = {
            .calendar = c, .root = root, .component = icalcompiter_deref(&i), .window = window
        };
        if (!add_component(&x, err)) {
            return error_wrap(err, "%s:%u:1", name, event_line(text, n));
        }
    }
    return true;
}

bool calendar_parse_ical(struct calendar *c, struct slice text, const char *name,
                         struct calendar_window window, struct error *err) {
    icalerror_set_errors_are_fatal(0);
    if (slice_starts_with(text, SLICE("\xef\xbb\xbf"))) {
        text = slice_skip(text, 3);
    }
    if (!ical_check(text, name, err)) {
        return false;
    }
    char *copy = strndup(text.data, text.len);
    icalcomponent *root = copy != NULL ? icalparser_parse_string(copy) : NULL;
    bool ok = root != NULL ? add_components(c, root, text, name, window, err)
                           : error_set(err, ERROR_INVALID, "%s:1:1: expected a calendar", name);
    if (root != NULL) {
        icalcomponent_free(root);
    }
    icalmemory_free_ring();
    free(copy);
    return ok;
}
