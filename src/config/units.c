#include "config/units.h"

#include <math.h>
#include <string.h>

#include "base/parse.h"

struct unit {
    const char *name;
    double factor;
};

static const struct unit durations[] = {
    { "ms", 1 },      { "s", 1000 },     { "m", 60000 },
    { "h", 3600000 }, { "d", 86400000 }, { "w", 604800000 },
};
static const struct unit sizes[] = {
    { "B", 1 },
    { "KiB", 1024 },
    { "MiB", 1048576 },
    { "GiB", 1073741824 },
    { "TiB", 1099511627776 },
    { "kB", 1e3 },
    { "KB", 1e3 },
    { "MB", 1e6 },
    { "GB", 1e9 },
    { "TB", 1e12 },
};
static const struct unit rates[] = { { "/s", 1 }, { "/m", 1.0 / 60 }, { "/h", 1.0 / 3600 } };

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define EXACT_MAX 9007199254740992.0 /* 2^53: whole numbers that a double holds exactly */

/* Splits "1.5s" after the number, which has no sign and no exponent. */
static bool split(struct slice text, double *number, struct slice *unit) {
    size_t len = 0;
    while (len < text.len &&
           ((text.data[len] >= '0' && text.data[len] <= '9') || text.data[len] == '.')) {
        len++;
    }
    *unit = slice_skip(text, len);
    return len > 0 && parse_double(slice_sub(text, 0, len), number);
}

static bool parse_with(struct slice text, const struct unit *units, size_t count, double *out) {
    double number;
    struct slice name;
    if (!split(text, &number, &name)) {
        return false;
    }
    if (name.len == 0 && number == 0) {
        *out = 0;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(name, slice_from(units[i].name))) {
            number *= units[i].factor;
            if (number > EXACT_MAX) {
                return false;
            }
            *out = number;
            return true;
        }
    }
    return false;
}

bool units_parse_duration_ms(struct slice text, int64_t *ms) {
    double value;
    if (!parse_with(text, durations, COUNT(durations), &value)) {
        return false;
    }
    *ms = (int64_t)llround(value);
    return true;
}

bool units_parse_size_bytes(struct slice text, uint64_t *bytes) {
    double value;
    if (!parse_with(text, sizes, COUNT(sizes), &value)) {
        return false;
    }
    *bytes = (uint64_t)llround(value);
    return true;
}

bool units_parse_rate_rps(struct slice text, double *rps) {
    return parse_with(text, rates, COUNT(rates), rps);
}

bool units_parse_share(struct slice text, double *ratio) {
    double number;
    struct slice unit;
    if (!split(text, &number, &unit) || !slice_equal(unit, SLICE("%")) || number > 100) {
        return false;
    }
    *ratio = number / 100;
    return true;
}

bool units_parse_money(struct slice text, double *amount, char currency[UNITS_CURRENCY_BYTES]) {
    double number;
    struct slice unit;
    if (!split(text, &number, &unit)) {
        return false;
    }
    unit = slice_trim(unit);
    if (unit.len != 3) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if (unit.data[i] < 'A' || unit.data[i] > 'Z') {
            return false;
        }
    }
    memcpy(currency, unit.data, 3);
    currency[3] = '\0';
    *amount = number;
    return true;
}
