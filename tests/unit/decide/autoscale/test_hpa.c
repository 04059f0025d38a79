#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decide/autoscale/hpa.h"

/* Worked from the published algorithm: desired = ceil(current x utilisation / 0.8). */
static void one_sync(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t serving, starting;
        double utilisation;
        uint32_t desired;
    } cases[] = {
        { "on target", 10, 0, 0.8, 10 },
        { "within the tolerance above", 10, 0, 0.87, 10 },
        { "within the tolerance below", 10, 0, 0.73, 10 },
        { "above", 10, 0, 0.9, 12 },
        { "CPU saturates: at most a quarter more", 100, 0, 1.0, 125 },
        { "what is starting counts as idle", 10, 5, 1.0, 15 },
        { "too little is starting", 10, 1, 1.0, 13 },
        { "up by at most 4 or 100 %: small", 1, 0, 1.0, 2 },
        { "the maximum", 199, 0, 1.0, 200 },
        { "nothing is measured", 0, 3, 0, 3 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hpa h;
        hpa_init(&h, 1, 200);
        uint32_t desired = hpa_sync(&h, cases[i].serving, cases[i].starting, cases[i].utilisation);
        if (desired != cases[i].desired) {
            fail_msg("%s: %u", cases[i].name, desired);
        }
    }
}

static void down_after_300_s_to_the_highest_of_the_window(void **state) {
    (void)state;
    struct hpa h;
    hpa_init(&h, 2, 100);
    uint32_t current = 20;
    int syncs = 0;
    hpa_sync(&h, current, 0, 0.8);
    while (current == 20 && syncs < 100) {
        current = hpa_sync(&h, current, 0, syncs == 5 ? 0.4 : 0.2); /* 5, once 10 */
        syncs++;
    }
    assert_int_equal(current, 10);
    assert_int_equal(syncs, HPA_WINDOW);
    for (int i = 0; i < 100; i++) {
        current = hpa_sync(&h, current, 0, 0);
    }
    assert_int_equal(current, 2); /* the minimum */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_sync),
        cmocka_unit_test(down_after_300_s_to_the_highest_of_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
