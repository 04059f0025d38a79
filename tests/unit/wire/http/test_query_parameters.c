#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "wire/http/query.h"

static void finds(void **state) {
    (void)state;
    static const struct {
        const char *name, *query, *wanted, *value; /* value NULL: none */
        bool too_long;
    } cases[] = {
        { "one", "a=1", "a", "1", false },
        { "the first", "a=1&a=2", "a", "1", false },
        { "another", "a=1&b=2", "b", "2", false },
        { "an empty value", "a=&b=2", "a", "", false },
        { "no value", "a&b=2", "a", "", false },
        { "a name is whole", "ab=1", "a", NULL, false },
        { "a name has a case", "A=1", "a", NULL, false },
        { "decoded", "a=%41+%zz%4", "a", "A %zz%4", false },
        { "a decoded name", "%61%2b=1", "a+", "1", false },
        { "a second equals sign", "a=b=c", "a", "b=c", false },
        { "empty parameters", "&&a=1", "a", "1", false },
        { "none", "", "a", NULL, false },
        { "as long as the room", "a=12345678", "a", "12345678", false },
        { "longer", "a=123456789", "a", "123456789", true },
        { "longer until it is decoded", "a=%31%32%33%34%35%36%37%38", "a", "12345678", false },
        { "longer, decoded", "a=12345678%39", "a", "12345678%39", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char room[8];
        struct slice value;
        bool too_long = false;
        bool found = query_find(slice_from(cases[i].query), slice_from(cases[i].wanted), room,
                                sizeof room, &value, &too_long);
        bool good = cases[i].value == NULL ? !found
                                           : found && too_long == cases[i].too_long &&
                                                 slice_equal(value, slice_from(cases[i].value));
        if (!good) {
            fail_msg("%s: %.*s", cases[i].name, found ? (int)value.len : 0,
                     found ? value.data : "");
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(finds) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
