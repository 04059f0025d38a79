#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tool/sim/amount.h"

static void amounts_are_read_by_threes(void **state) {
    (void)state;
    static const struct {
        double value;
        unsigned decimals;
        const char *text;
    } cases[] = {
        { 0, 0, "0" },
        { 999.4, 0, "999" },
        { 999.5, 0, "1,000" },
        { 1512183, 0, "1,512,183" },
        { 84.206, 2, "84.21" },
        { 123456.789, 1, "123,456.8" },
        { -1234.5, 1, "-1,234.5" },
        { -0.001, 2, "0.00" },
        { 1e23, 0, "99,999,999,999,999,991,611,392" },
        { 1e24, 6, "–" },
        { NAN, 2, "–" },
        { -INFINITY, 0, "–" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[AMOUNT_BYTES];
        assert_string_equal(amount_text(cases[i].value, cases[i].decimals, out), cases[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read_by_threes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
