/* Quantities: whole or not at all, the same in every locale. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rand.h"
#include "config/units.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define KEPT 42 /* what the result held before: must be left alone by a refusal */

static void reads_durations(void **state) {
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        { "0", 0 },
        { "0.0", 0 },
        { "0ms", 0 },
        { "1ms", 1 },
        { "250ms", 250 },
        { "1.5s", 1500 },
        { "90s", 90000 },
        { "5m", 300000 },
        { "24h", 86400000 },
        { "14d", 1209600000 },
        { "26w", 15724800000 },
        { "0.5ms", 1 }, /* to the nearest, halves away from zero */
        { "0.4ms", 0 },
        { "1.0006s", 1001 },
        { "0.0001s", 0 },
        { "007s", 7000 },
        { "9007199254740992ms", INT64_C(9007199254740992) },
        { "9007199254740994ms", -1 }, /* beyond what a double holds exactly */
        { "9007199254741s", -1 },
        { "20000000w", -1 },
        { "1e3ms", -1 },
        { "99999999999999999999999999999999w", -1 },
        { "", -1 },
        { "5", -1 }, /* of what? */
        { "s", -1 },
        { ".", -1 },
        { ".s", -1 },
        { "-1s", -1 },
        { "+1s", -1 },
        { "1 s", -1 },
        { " 1s", -1 },
        { "1s ", -1 },
        { "1S", -1 },
        { "1sec", -1 },
        { "1.2.3s", -1 },
        { "1,5s", -1 },
        { "1s500ms", -1 },
        { "0x10s", -1 },
        { "infs", -1 },
        { "nan", -1 },
        { "\xd9\xa1s", -1 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = KEPT;
        bool good = units_parse_duration_ms(slice_from(cases[i].text), &ms);
        if (good != (cases[i].ms >= 0) || ms != (good ? cases[i].ms : KEPT)) {
            fail_msg("'%s': %d, %lld", cases[i].text, good, (long long)ms);
        }
    }
    int64_t ms;
    assert_false(units_parse_duration_ms(SLICE("1s\0"), &ms));
}

static void reads_sizes(void **state) {
    static const struct {
        const char *text;
        bool good;
        uint64_t bytes;
    } cases[] = {
        { "0", true, 0 },
        { "4096B", true, 4096 },
        { "1KiB", true, 1024 },
        { "1.5KiB", true, 1536 },
        { "64MiB", true, 67108864 },
        { "2GiB", true, UINT64_C(2147483648) },
        { "1kB", true, 1000 },
        { "1KB", true, 1000 },
        { "3MB", true, 3000000 },
        { "1GB", true, 1000000000 },
        { "2TiB", true, UINT64_C(2199023255552) },
        { "1.5TB", true, UINT64_C(1500000000000) },
        { "8388608GiB", true, UINT64_C(1) << 53 },
        { "8388609GiB", false, 0 },
        { "99999999999999999999GiB", false, 0 },
        { "4096", false, 0 },
        { "1K", false, 0 },
        { "1kib", false, 0 },
        { "1PiB", false, 0 },
        { "-1B", false, 0 },
        { "1 MiB", false, 0 },
        { "MiB", false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t bytes = KEPT;
        bool good = units_parse_size_bytes(slice_from(cases[i].text), &bytes);
        if (good != cases[i].good || bytes != (good ? cases[i].bytes : KEPT)) {
            fail_msg("'%s': %d, %llu", cases[i].text, good, (unsigned long long)bytes);
        }
    }
}

struct real_case {
    const char *text;
    double value; /* NaN: refused */
};

static void check_real(bool (*parse)(struct slice, double *), const struct real_case *cases,
                       size_t count) {
    for (size_t i = 0; i < count; i++) {
        double value = KEPT, wanted = isnan(cases[i].value) ? KEPT : cases[i].value;
        bool good = parse(slice_from(cases[i].text), &value);
        if (good == isnan(cases[i].value) || fabs(value - wanted) > 1e-12 * fabs(wanted)) {
            fail_msg("'%s': %d, %.17g", cases[i].text, good, value);
        }
    }
}

static void reads_rates(void **state) {
    static const struct real_case cases[] = {
        { "0", 0 },
        { "100/s", 100 },
        { "0.5/s", 0.5 },
        { "30/m", 0.5 },
        { "1000/h", 1000.0 / 3600 },
        { "100", NAN },
        { "/s", NAN },
        { "100/d", NAN },
        { "100 /s", NAN },
        { "100/S", NAN },
        { "-1/s", NAN },
        { "1e9/s", NAN },
        { "99999999999999999999/s", NAN },
        { "100rps", NAN },
    };
    (void)state;
    check_real(units_parse_rate_rps, cases, COUNT(cases));
}

static void reads_shares(void **state) {
    static const struct real_case cases[] = {
        { "0%", 0 },  { "99%", 0.99 }, { "99.9%", 0.999 },   { "100%", 1 },   { "100.0%", 1 },
        { "0", NAN }, { "0.99", NAN }, { "100.0001%", NAN }, { "101%", NAN }, { "-1%", NAN },
        { "%", NAN }, { "99 %", NAN }, { "99%%", NAN },      { "1/2", NAN },  { "99percent", NAN },
    };
    (void)state;
    check_real(units_parse_share, cases, COUNT(cases));
}

static void reads_money(void **state) {
    static const struct {
        const char *text, *currency; /* NULL: refused */
        double amount;
    } cases[] = {
        { "0.096 EUR", "EUR", 0.096 },
        { "12 USD", "USD", 12 },
        { "12USD", "USD", 12 },
        { "0 EUR", "EUR", 0 },
        { "3.5  CHF", "CHF", 3.5 },
        { "3.5 CHF ", "CHF", 3.5 },
        { "EUR", NULL, 0 },
        { "1", NULL, 0 },
        { "0", NULL, 0 },
        { "1 eur", NULL, 0 },
        { "1 EURO", NULL, 0 },
        { "1 EU", NULL, 0 },
        { "-1 EUR", NULL, 0 },
        { "1,50 EUR", NULL, 0 },
        { "EUR 1", NULL, 0 },
        { "1 E R", NULL, 0 },
        { "1 \xe2\x82\xac", NULL, 0 },
        { "1 EUR x", NULL, 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char currency[UNITS_CURRENCY_BYTES] = "old";
        double amount = KEPT;
        bool good = units_parse_money(slice_from(cases[i].text), &amount, currency);
        const char *wanted = cases[i].currency == NULL ? "old" : cases[i].currency;
        if (good != (cases[i].currency != NULL) || strcmp(currency, wanted) != 0 ||
            fabs(amount - (good ? cases[i].amount : KEPT)) > 1e-12) {
            fail_msg("'%s': %d, %g %s", cases[i].text, good, amount, currency);
        }
    }
}

/* A locale with a decimal comma must change nothing: shop.yaml is read the same everywhere. It is
 * made here, because few machines have one. */
static void does_not_ask_the_locale(void **state) {
    char folder[] = "/tmp/tidegate-locale-XXXXXX", command[256];
    double value;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 2>/dev/null",
             folder);
    int made = system(command);
    setenv("LOCPATH", folder, 1);
    bool found = setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
    bool dot = units_parse_share(SLICE("99.5%"), &value) && fabs(value - 0.995) < 1e-12;
    bool comma = units_parse_share(SLICE("99,5%"), &value);
    setlocale(LC_ALL, "C");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    assert_true(dot && !comma);
    if (!found) {
        print_message("localedef: %d: only the locale C was tried\n", made);
    }
}

/* Whole milliseconds come back as they were, in any unit that divides them. */
static void reads_back_what_was_written(void **state) {
    struct rand rand;
    (void)state;
    rand_init(&rand, 7041);
    for (int i = 0; i < 20000; i++) {
        uint64_t whole = rand_next(&rand) >> (21 + rand_below(&rand, 43));
        char text[64];
        int64_t ms;
        uint64_t bytes;
        snprintf(text, sizeof text, "%llums", (unsigned long long)whole);
        assert_true(units_parse_duration_ms(slice_from(text), &ms) && (uint64_t)ms == whole);
        snprintf(text, sizeof text, "%llu.%03llus", (unsigned long long)(whole / 1000),
                 (unsigned long long)(whole % 1000));
        assert_true(units_parse_duration_ms(slice_from(text), &ms) && (uint64_t)ms == whole);
        snprintf(text, sizeof text, "%lluKiB", (unsigned long long)whole);
        assert_true(units_parse_size_bytes(slice_from(text), &bytes) && bytes == whole * 1024);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reads_rates),
        cmocka_unit_test(reads_shares),
        cmocka_unit_test(reads_money),
        cmocka_unit_test(does_not_ask_the_locale),
        cmocka_unit_test(reads_back_what_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
