#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "decide/cost/ledger.h"

static void says_whether_it_paid(void **state) {
    (void)state;
    static const struct {
        const char *name;
        struct ledger_question q;
        enum ledger_paid paid;
        const char *words;
    } cases[] = {
        { "a minute",
          { 60, 1000, { 1, 1, 0 }, { 1, 1, 0 }, NAN, "EUR" },
          LEDGER_TOO_EARLY,
          "Too early" },
        { "more served at the margin of each",
          { 86400, 1e6, { 24, 24, 0 }, { 23, 23, 2000 }, 0.002, "EUR" },
          LEDGER_PAID,
          "At 0.002 EUR a request that is 3.00 EUR gained." },
        { "too dear for what it served",
          { 86400, 1e6, { 40, 40, 0 }, { 23, 23, 2000 }, 0.002, "EUR" },
          LEDGER_NOT_PAID,
          "13.00 EUR lost" },
        { "what a request is worth is not known",
          { 86400, 1e6, { 24, 24, 0 }, { 23, 23, 2000 }, NAN, "EUR" },
          LEDGER_DEPENDS,
          "above 0.0005 EUR a request" },
        { "no price, more served by as many",
          { 86400, 1e6, { 23, NAN, 0 }, { 23, NAN, 2000 }, NAN, "" },
          LEDGER_PAID,
          "23.00 instance-hours" },
        { "nothing is different",
          { 86400, 1e6, { 23, NAN, 0 }, { 23, NAN, 0 }, NAN, "" },
          LEDGER_NOT_PAID,
          "did not pay" },
        { "cheaper, as much served",
          { 86400, 1e6, { 20, 2, 0 }, { 23, 2.3, 0 }, NAN, "EUR" },
          LEDGER_PAID,
          "2.00 EUR" },
        { "cheaper, less served",
          { 86400, 1e6, { 20, 2, 500 }, { 23, 2.3, 0 }, NAN, "EUR" },
          LEDGER_NOT_PAID,
          "500 of 1000000" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ledger_verdict v = ledger_judge(&cases[i].q);
        if (v.paid != cases[i].paid || strstr(v.text, cases[i].words) == NULL) {
            fail_msg("%s: %d %s", cases[i].name, (int)v.paid, v.text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(says_whether_it_paid) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
