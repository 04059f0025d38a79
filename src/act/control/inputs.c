#include "act/control/inputs.h"

#include <stdlib.h>
#include <string.h>

#include "base/parse.h"

#define LIFETIME_ARENA_BYTES (64u << 20)

static bool load_lifetime(const struct shop *shop, struct inputs *in, struct error *err) {
    const char *path = shop->value.lifetime;
    size_t len;
    return path == NULL ||
           (series_load_file(path, INPUTS_CUSTOMERS_BYTES_MAX, &in->lifetime_text, &len, err) &&
            lifetime_parse(slice_of(in->lifetime_text, len), path, &in->arena, &in->lifetime, err));
}

static bool load_history(const struct shop *shop, struct inputs *in, struct error *err) {
    const char *path = shop->demand.history;
    if (path == NULL) {
        return true;
    }
    if (!series_read(&in->history, path, err)) {
        return false;
    }
    if (!series_column(&in->history, SLICE(""), &in->history_column, err)) {
        series_fini(&in->history);
        return false;
    }
    return true;
}

bool inputs_load(const struct shop *shop, int64_t now_ms, struct inputs *out, struct error *err) {
    struct calendar_window window = { now_ms - INPUTS_CALENDAR_BACK_MS,
                                      now_ms + INPUTS_CALENDAR_AHEAD_MS };
    memset(out, 0, sizeof *out);
    calendar_init(&out->calendar);
    out->calendar.raw = true; /* merged with the campaign book, then settled */
    arena_init(&out->arena, LIFETIME_ARENA_BYTES);
    if (demand_config_calendar(&shop->demand, window, &out->calendar, err) &&
        load_lifetime(shop, out, err) && load_history(shop, out, err)) {
        return true;
    }
    inputs_fini(out);
    return false;
}

void inputs_fini(struct inputs *inputs) {
    calendar_fini(&inputs->calendar);
    arena_fini(&inputs->arena);
    free(inputs->lifetime_text);
    if (inputs->history_column != NULL) {
        series_fini(&inputs->history);
    }
    memset(inputs, 0, sizeof *inputs);
}

/* The text begins with file, line and column, if it has them: parsed back, so that the report
 * counts and shows it as its own. */
void inputs_report(const struct error *err, struct config_report *report) {
    char name[256];
    struct slice text = slice_from(err->text), file;
    if (slice_find(text, ':') == SLICE_NONE) { /* of no file in particular */
        file = SLICE("input files");
    } else {
        slice_cut(&text, ':', &file);
    }
    slice_copy_text(slice_sub(file, 0, sizeof name - 1), name, sizeof name);
    struct config_mark at = { name, 0, 1 };
    uint32_t *numbers[] = { &at.line, &at.column };
    for (int i = 0; i < 2; i++) {
        struct slice rest = text, part;
        uint64_t number;
        if (!slice_cut(&rest, ':', &part) || !parse_uint(part, &number)) {
            break;
        }
        *numbers[i] = (uint32_t)number;
        text = rest;
    }
    text = slice_trim(text);
    config_report_error(report, at, "%.*s", SLICE_ARG(text));
}

bool inputs_check(const struct shop *shop, int64_t now_ms, struct config_report *report) {
    struct inputs inputs;
    struct error err;
    if (!inputs_load(shop, now_ms, &inputs, &err)) {
        inputs_report(&err, report);
        return false;
    }
    inputs_fini(&inputs);
    return true;
}
