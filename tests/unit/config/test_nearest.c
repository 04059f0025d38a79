/* The key that was meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/rand.h"
#include "config/config.h"

static const char *const keys[] = { "listen",    "admin", "store",    "services", "routes",
                                    "instances", "min",   "max",      "spares",   "health",
                                    "objective", "path",  "interval", "timeouts" };
#define KEYS (sizeof keys / sizeof keys[0])

static void finds_what_was_meant(void **state) {
    static const struct {
        const char *written, *meant; /* NULL: nothing is near */
    } cases[] = {
        { "lisen", "listen" },
        { "litsen", "listen" },
        { "listenn", "listen" },
        { "servics", "services" },
        { "service", "services" },
        { "route", "routes" },
        { "minimum", "min" },
        { "maxi", "max" },
        { "instance", "instances" },
        { "helath", "health" },
        { "Path", "path" },
        { "int", "interval" },
        { "timeout", "timeouts" },
        { "objectives", "objective" },
        { "kubernetes", NULL },
        { "zzz", NULL },
        { "", NULL },
        { "\xff\xfe", NULL },
        { "completely_else", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *near = config_nearest(slice_from(cases[i].written), keys, KEYS);
        if ((near == NULL) != (cases[i].meant == NULL) ||
            (near != NULL && strcmp(near, cases[i].meant) != 0)) {
            fail_msg("'%s': %s", cases[i].written, near == NULL ? "nothing" : near);
        }
    }
}

static void survives_long_names_and_none(void **state) {
    char text[300];
    const char *const long_key[] = { text };
    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_null(config_nearest(slice_from(text), keys, KEYS));
    assert_null(config_nearest(SLICE("aaa"), long_key, 1)); /* and not an array overrun */
    assert_null(config_nearest(SLICE("listen"), keys, 0));
}

/* One slip of the finger in a name of five letters and more is always found again. */
static void finds_every_single_slip(void **state) {
    struct rand rand;
    (void)state;
    rand_init(&rand, 7041);
    for (int i = 0; i < 5000; i++) {
        const char *key = keys[rand_below(&rand, KEYS)];
        char text[64];
        size_t len = strlen(key), at = rand_below(&rand, len);
        strcpy(text, key);
        if (len < 5) {
            continue;
        }
        switch (rand_below(&rand, 3)) {
        case 0: /* another letter */
            text[at] = (char)('a' + rand_below(&rand, 26));
            break;
        case 1: /* one missing */
            memmove(text + at, text + at + 1, len - at);
            break;
        default: /* two exchanged */
            at = at + 1 < len ? at : len - 2;
            text[at] = key[at + 1];
            text[at + 1] = key[at];
        }
        const char *near = config_nearest(slice_from(text), keys, KEYS);
        if (near == NULL || strcmp(near, key) != 0) {
            fail_msg("'%s' of '%s': %s", text, key, near == NULL ? "nothing" : near);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_meant),
        cmocka_unit_test(survives_long_names_and_none),
        cmocka_unit_test(finds_every_single_slip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
