#include "decide/forecast/demand_config.h"

#include "base/clock.h"
#include "wire/http/url.h"
#include "wire/net/tls.h"

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

#define AUTHORIZATION_BYTES_MAX 4096

/* Up to its end, or what has no place in a field. */
static size_t line_length(struct slice text) {
    size_t len = 0;
    while (len < text.len && text.data[len] >= ' ' && text.data[len] < 0x7f) {
        len++;
    }
    return len;
}

#define CALENDAR(member) offsetof(struct calendar_config, member)

static void check_files(const struct config_place *place, const struct calendar_config *c) {
    struct slice text;
    struct error err;
    if (c->ca != NULL && config_place_file(place, "ca", c->ca, TLS_PEM_BYTES_MAX, &text) &&
        !tls_authorities_check(text, &err)) {
        config_place_error(place, "ca", "ca: %s", err.text);
    }
    if (c->authorization != NULL && config_place_file(place, "authorization", c->authorization,
                                                      AUTHORIZATION_BYTES_MAX, &text)) {
        struct slice line = slice_sub(text, 0, line_length(text));
        if (line.len == 0 || slice_find(line, ' ') == SLICE_NONE) {
            config_place_error(place, "authorization",
                               "authorization: expected a line such as `Bearer …` or `Basic …`");
        }
    }
}

static void check_calendar(const struct config_place *place, void *item) {
    const struct calendar_config *c = item;
    struct url url;
    if (c->url != NULL && !url_parse(slice_from(c->url), &url)) {
        /* Not repeated: it may be a secret. */
        config_place_error(place, "url",
                           "url: expected http:// or https:// and a host, without user and "
                           "password (those go into the file of 'authorization')");
    }
    check_files(place, c);
    if (c->refresh_ms < 1000 || c->refresh_ms > MS_PER_DAY) {
        config_place_error(place, "refresh", "refresh: expected a duration of 1s to 1d");
    }
    if (c->timeout_ms < 100 || c->timeout_ms > 60000) {
        config_place_error(place, "timeout", "timeout: expected a duration of 100ms to 1m");
    }
    if (c->bytes_max < 1024 || c->bytes_max > CALENDAR_BYTES_MAX) {
        config_place_error(place, "size", "size: expected 1KiB to %uMiB", CALENDAR_BYTES_MAX >> 20);
    }
}

static const struct config_field calendar_fields[] = {
    { "url", CONFIG_TEXT, CALENDAR(url), .required = true,
      .help = "of the calendar, http:// or https://; beyond its host it is nowhere logged" },
    { "refresh", CONFIG_DURATION, CALENDAR(refresh_ms), .fallback = "5m",
      .help = "how often it is asked for" },
    { "timeout", CONFIG_DURATION, CALENDAR(timeout_ms), .fallback = "10s",
      .help = "for the whole answer, redirects included" },
    { "size", CONFIG_SIZE, CALENDAR(bytes_max), .fallback = "1MiB",
      .help = "a longer calendar is refused" },
    { "ca", CONFIG_PATH, CALENDAR(ca),
      .help = "PEM file of the authorities that sign its server's certificate; without it the "
              "system's" },
    { "authorization", CONFIG_PATH, CALENDAR(authorization),
      .help = "file whose first line is sent as Authorization, `Bearer …` or `Basic …`; to this "
              "server only" },
};

static const struct config_table calendar_table =
    CONFIG_TABLE_CHECKED(struct calendar_config, calendar_fields, check_calendar);

#define DEMAND(member) offsetof(struct demand_config, member)

static bool check_step(const struct config_place *place, const struct demand_config *c) {
    bool fits = c->step_ms >= 1000 && c->step_ms <= MS_PER_DAY;
    if (!fits) {
        config_place_error(place, "step", "step: expected a duration of 1s to 1d");
    }
    return fits;
}

static void sort_seasons(struct demand_config *c) {
    if (c->season_count == 2 && c->season_ms[0] > c->season_ms[1]) {
        int64_t longer = c->season_ms[0];
        c->season_ms[0] = c->season_ms[1];
        c->season_ms[1] = longer;
    }
}

static bool check_seasons(const struct config_place *place, const struct demand_config *c) {
    for (size_t i = 0; i < c->season_count; i++) {
        int64_t steps = c->season_ms[i] / c->step_ms;
        if (steps < 2 || steps > FORECAST_HISTORY_STEPS_MAX / 10) {
            config_place_error(place, "seasons", "seasons: expected 2 to %d steps of %g s",
                               FORECAST_HISTORY_STEPS_MAX / 10, (double)c->step_ms / 1000);
            return false;
        }
    }
    return true;
}

static void check_holidays(const struct config_place *place, const struct demand_config *c) {
    for (size_t i = 0; i < c->holiday_count; i++) {
        if (!calendar_country_known(c->holidays[i])) {
            config_place_error(place, "holidays",
                               "holidays: expected " CALENDAR_COUNTRIES ", found '%.*s'",
                               SLICE_ARG(c->holidays[i]));
            return;
        }
    }
}

static void check(const struct config_place *place, void *item) {
    struct demand_config *c = item;
    sort_seasons(c);
    if (check_step(place, c) && check_seasons(place, c)) {
        check_holidays(place, c);
    }
}

static const struct config_field fields[] = {
    { "campaigns", CONFIG_PATH, DEMAND(campaigns),
      .help = "calendar of campaigns: iCalendar, or CSV `start,end,name,kind,multiplier`" },
    { "calendar", CONFIG_BLOCK, DEMAND(calendar), .table = &calendar_table, .allocated = true,
      .help = "calendar of campaigns on another server, iCalendar or CSV" },
    { "holidays", CONFIG_SLICE, DEMAND(holidays), .many = true, .items_max = DEMAND_HOLIDAYS_MAX,
      .count_offset = DEMAND(holiday_count),
      .help =
          "countries whose public holidays matter, and other days by rule: " CALENDAR_COUNTRIES },
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
