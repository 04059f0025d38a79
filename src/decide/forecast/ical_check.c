#include "decide/forecast/ical_check.h"

#include <libical/ical.h>
#include <string.h>

#include "decide/forecast/calendar_internal.h"

struct checker {
    const char *name;
    struct slice rest;
    unsigned line, lines_read;
    char text[ICAL_LINE_BYTES_MAX]; /* the logical line */
    size_t len;
    char open[ICAL_DEPTH_MAX][32]; /* BEGINs not yet ended */
    size_t depth;
    unsigned event_line; /* of its BEGIN:VEVENT */
    bool has_start;
};

static bool fail(const struct checker *c, size_t column, struct error *err, const char *expected) {
    return error_set(err, ERROR_INVALID, "%s:%u:%zu: expected %s", c->name, c->line, column + 1,
                     expected);
}

static bool append(struct checker *c, struct slice part, struct error *err) {
    if (part.len >= sizeof c->text - c->len) {
        return error_set(err, ERROR_LIMIT, "%s:%u:1: expected at most %d bytes in a line", c->name,
                         c->line, ICAL_LINE_BYTES_MAX);
    }
    memcpy(c->text + c->len, part.data, part.len);
    c->len += part.len;
    c->text[c->len] = '\0';
    return true;
}

static bool take_physical(struct checker *c, struct slice *line) {
    if (!slice_cut(&c->rest, '\n', line)) {
        return false;
    }
    c->lines_read++;
    if (slice_ends_with(*line, SLICE("\r"))) {
        line->len--;
    }
    return true;
}

static bool folded_next(const struct checker *c) {
    return c->rest.len > 0 && (c->rest.data[0] == ' ' || c->rest.data[0] == '\t');
}

/* Unfolds the next line; *end when there is none. */
static bool take_line(struct checker *c, bool *end, struct error *err) {
    struct slice part;
    *end = c->rest.len == 0 || !take_physical(c, &part);
    c->line = c->lines_read;
    c->len = 0;
    if (*end || !append(c, part, err)) {
        return *end;
    }
    while (folded_next(c) && take_physical(c, &part)) {
        if (!append(c, slice_skip(part, 1), err)) {
            return false;
        }
    }
    return true;
}

/* Index of the colon before the value; colons inside quoted parameters do not count. */
static size_t value_colon(const struct checker *c) {
    bool quoted = false;
    for (size_t i = 0; i < c->len; i++) {
        if (c->text[i] == '"') {
            quoted = !quoted;
        } else if (c->text[i] == ':' && !quoted) {
            return i;
        }
    }
    return SLICE_NONE;
}

static bool begin(struct checker *c, struct slice value, struct error *err) {
    if (c->depth == ICAL_DEPTH_MAX) {
        return fail(c, 0, err, "at most 8 nested components");
    }
    if (!slice_copy_text(value, c->open[c->depth], sizeof c->open[0])) {
        return fail(c, 6, err, "the name of a component");
    }
    c->depth++;
    if (slice_equal_fold(value, SLICE("VEVENT"))) {
        c->event_line = c->line;
        c->has_start = false;
    }
    return true;
}

static bool end(struct checker *c, struct slice value, struct error *err) {
    if (c->depth == 0 || !slice_equal_fold(value, slice_from(c->open[c->depth - 1]))) {
        return fail(c, 4, err,
                    c->depth == 0 ? "a BEGIN before this END"
                                  : "the END of the component that was begun last");
    }
    c->depth--;
    if (slice_equal_fold(value, SLICE("VEVENT")) && !c->has_start) {
        return error_set(err, ERROR_INVALID, "%s:%u:1: expected a DTSTART in this VEVENT", c->name,
                         c->event_line);
    }
    return true;
}

static bool time_valid(const char *text) {
    struct icaltimetype t = icaltime_from_string(text);
    return !icaltime_is_null_time(t) && icaltime_is_valid_time(t) && t.year >= 1900 &&
           t.year <= 2200 && t.month >= 1 && t.month <= 12 && t.day >= 1 && t.day <= 31;
}

static bool duration_valid(const char *text) {
    struct icaldurationtype d = icaldurationtype_from_string(text);
    return !icaldurationtype_is_bad_duration(d) && !d.is_neg && d.weeks < 5000 &&
           icaldurationtype_as_int(d) > 0;
}

static bool rule_valid(const char *text) {
    struct icalrecurrencetype rule = icalrecurrencetype_from_string(text);
    return rule.freq != ICAL_NO_RECURRENCE;
}

/* `value` is the end of c->text, hence NUL-terminated. */
static bool event_property(struct checker *c, struct slice name, struct slice value,
                           struct error *err) {
    size_t column = (size_t)(value.data - c->text);
    if (slice_equal_fold(name, SLICE("DTSTART")) || slice_equal_fold(name, SLICE("DTEND"))) {
        c->has_start |= slice_equal_fold(name, SLICE("DTSTART"));
        return time_valid(value.data) ||
               fail(c, column, err, "a date or time such as 20261127T080000Z");
    }
    if (slice_equal_fold(name, SLICE("DURATION"))) {
        return duration_valid(value.data) || fail(c, column, err, "a duration such as PT2H");
    }
    if (slice_equal_fold(name, SLICE("RRULE"))) {
        return rule_valid(value.data) || fail(c, column, err, "a rule such as FREQ=WEEKLY;COUNT=4");
    }
    double multiplier;
    if (slice_equal_fold(name, SLICE("X-TIDEGATE-MULTIPLIER"))) {
        return calendar_parse_multiplier(slice_trim(value), &multiplier) ||
               fail(c, column, err, "a multiplier above 0 and at most 1000");
    }
    return true;
}

static bool check_line(struct checker *c, struct error *err) {
    if (c->len == 0) {
        return true;
    }
    size_t colon = value_colon(c);
    if (colon == SLICE_NONE || colon == 0) {
        return fail(c, 0, err, "NAME:VALUE");
    }
    struct slice name = slice_of(c->text, colon);
    struct slice value = slice_of(c->text + colon + 1, c->len - colon - 1);
    size_t parameters = slice_find(name, ';');
    name = slice_sub(name, 0, parameters);
    if (slice_equal_fold(name, SLICE("BEGIN"))) {
        return begin(c, value, err);
    }
    if (slice_equal_fold(name, SLICE("END"))) {
        return end(c, value, err);
    }
    if (c->depth == 0) {
        return fail(c, 0, err, "BEGIN:VCALENDAR");
    }
    bool in_event = slice_equal_fold(slice_from(c->open[c->depth - 1]), SLICE("VEVENT"));
    return !in_event || event_property(c, name, value, err);
}

bool ical_check(struct slice text, const char *name, struct error *err) {
    struct checker c = { .name = name, .rest = text };
    if (slice_find(text, '\0') != SLICE_NONE) {
        return error_set(err, ERROR_INVALID, "%s:1:1: expected text, found a zero byte", name);
    }
    for (;;) {
        bool at_end;
        if (!take_line(&c, &at_end, err)) {
            return false;
        }
        if (at_end) {
            break;
        }
        if (!check_line(&c, err)) {
            return false;
        }
    }
    if (c.depth > 0) {
        return error_set(err, ERROR_INVALID, "%s:%u:1: expected END:%s, found the end of the file",
                         name, c.lines_read + 1, c.open[c.depth - 1]);
    }
    return true;
}
