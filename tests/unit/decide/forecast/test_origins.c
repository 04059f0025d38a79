#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decide/forecast/origins.h"

static struct origins o;

static void put(int64_t slot, float value) {
    origins_put(&o, slot, &(struct origin){ .recent_fast = value });
}

static float at(int64_t slot) {
    return origins_at(&o, slot)->recent_fast;
}

static void each_slot_has_its_own_at_steps_of_an_hour(void **state) {
    (void)state;
    assert_true(origins_init(&o, 25, 24));
    for (int slot = 0; slot < 1000; slot++) {
        put(slot, (float)slot);
        for (int back = 0; back < 25 && back <= slot; back++) {
            assert_true(at(slot - back) == (float)(slot - back));
        }
    }
    origins_fini(&o);
}

/* Nothing of what came after it, and not much older than it. */
static void older_ones_of_short_steps_are_of_shortly_before(void **state) {
    (void)state;
    assert_true(origins_init(&o, 241, 1440));
    for (int slot = 0; slot < 3000; slot++) {
        put(slot, (float)slot);
        for (int back = 0; back <= 240 && back <= slot; back++) {
            float age = (float)(slot - back) - at(slot - back);
            assert_true(age >= 0 && age < (back < 30 ? 1 : 5));
        }
    }
    origins_fini(&o);
}

/* A stretch is learned again: the newest stay what they were told last. */
static void a_stretch_can_be_put_again(void **state) {
    (void)state;
    assert_true(origins_init(&o, 241, 1440));
    for (int slot = 0; slot < 1000; slot++) {
        put(slot, 1);
    }
    for (int slot = 800; slot < 1000; slot++) {
        put(slot, 2);
    }
    put(1000, 3);
    for (int back = 1; back <= 195; back++) {
        assert_true(at(1000 - back) == 2);
    }
    assert_true(at(795) == 1 && at(1000) == 3);
    origins_fini(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_has_its_own_at_steps_of_an_hour),
        cmocka_unit_test(older_ones_of_short_steps_are_of_shortly_before),
        cmocka_unit_test(a_stretch_can_be_put_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
