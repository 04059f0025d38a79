#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "act/shm/plan.h"

static struct plan_segment *new_segment(int *fd) {
    struct error err = { 0 };
    struct plan_segment *segment = plan_segment_new(fd, &err);
    if (segment == NULL) {
        fail_msg("%s", err.text);
    }
    return segment;
}

static void publish(struct plan_segment *segment, const char *name) {
    struct plan *plan = plan_begin(segment);
    assert_non_null(plan);
    plan->service_count = 1;
    strcpy(plan->services[0].name, name);
    plan_publish(segment, plan);
}

static void nothing_before_the_first_plan(void **state) {
    int fd;
    (void)state;
    struct plan_segment *segment = new_segment(&fd);
    assert_null(plan_acquire(segment, 0));
    assert_null(plan_current(segment));
    assert_int_equal(plan_version(segment), 0);
    publish(segment, "shop");
    assert_string_equal(plan_acquire(segment, 0)->services[0].name, "shop");
    assert_int_equal(plan_version(segment), 1);
    plan_segment_free(segment);
    close(fd);
}

static void a_plan_in_use_stays_as_it_is(void **state) {
    int fd;
    (void)state;
    struct plan_segment *segment = new_segment(&fd);
    publish(segment, "first");
    const struct plan *first = plan_acquire(segment, 3);
    for (unsigned i = 0; i < 10; i++) {
        publish(segment, "later");
    }
    assert_string_equal(first->services[0].name, "first");
    assert_int_equal(first->version, 1);
    assert_int_equal(plan_acquire(segment, 3)->version, 11);
    plan_segment_free(segment);
    close(fd);
}

static void no_slot_is_free_while_all_are_in_use(void **state) {
    int fd;
    (void)state;
    struct plan_segment *segment = new_segment(&fd);
    for (unsigned worker = 0; worker < PLAN_SLOTS; worker++) {
        publish(segment, "held");
        assert_non_null(plan_acquire(segment, worker));
    }
    assert_null(plan_begin(segment));
    plan_forget_worker(segment, 0); /* the supervisor, of a dead one */
    assert_non_null(plan_begin(segment));
    plan_segment_free(segment);
    close(fd);
}

static void a_fresh_slot_is_clean(void **state) {
    int fd;
    struct plan_text text;
    (void)state;
    struct plan_segment *segment = new_segment(&fd);
    for (unsigned i = 0; i < 3 * PLAN_SLOTS; i++) {
        struct plan *plan = plan_begin(segment);
        assert_int_equal(plan->text_len, 0);
        assert_int_equal(plan->endpoints[5].state, ENDPOINT_NONE);
        plan->endpoints[5].state = ENDPOINT_SERVING;
        assert_true(plan_add_text(plan, SLICE("shop.test"), &text));
        assert_true(slice_equal(plan_slice(plan, text), SLICE("shop.test")));
        plan_publish(segment, plan);
    }
    plan_segment_free(segment);
    close(fd);
}

static void text_has_a_limit(void **state) {
    int fd;
    struct plan_text text;
    (void)state;
    struct plan_segment *segment = new_segment(&fd);
    struct plan *plan = plan_begin(segment);
    char *big = calloc(1, PLAN_TEXT_BYTES);
    assert_true(plan_add_text(plan, slice_of(big, PLAN_TEXT_BYTES - 1), &text));
    assert_false(plan_add_text(plan, SLICE("xy"), &text));
    assert_true(plan_add_text(plan, SLICE("x"), &text));
    assert_false(plan_add_text(plan, SLICE("y"), &text));
    free(big);
    plan_segment_free(segment);
    close(fd);
}

static void customers_are_found_by_their_id(void **state) {
    int fd;
    char id[32];
    float value;
    (void)state;
    struct plan_segment *segment = new_segment(&fd);
    for (unsigned round = 0; round < 2 * PLAN_SLOTS; round++) { /* slots are used again */
        struct plan *plan = plan_begin(segment);
        assert_false(plan_find_customer(plan, SLICE("1"), &value)); /* no table yet */
        assert_false(plan_begin_customers(plan, PLAN_CUSTOMERS_MAX / 2 + 1));
        assert_true(plan_begin_customers(plan, 1000));
        for (unsigned i = 0; i < 1000; i++) {
            int len = snprintf(id, sizeof id, "customer-%u-%u", round, i);
            plan_add_customer(plan, slice_of(id, (size_t)len), (float)i);
        }
        plan_add_customer(plan, slice_of(id, strlen(id)), 7.5F);
        assert_true(plan_find_customer(plan, slice_of(id, strlen(id)), &value));
        assert_true(value == 7.5F);
        for (unsigned i = 0; i < 999; i++) {
            int len = snprintf(id, sizeof id, "customer-%u-%u", round, i);
            assert_true(plan_find_customer(plan, slice_of(id, (size_t)len), &value));
            assert_true(value == (float)i);
            len = snprintf(id, sizeof id, "customer-%u-%u", round + 1, i);
            assert_false(plan_find_customer(plan, slice_of(id, (size_t)len), &value));
        }
        plan_publish(segment, plan);
    }
    plan_segment_free(segment);
    close(fd);
}

static void another_process_sees_it(void **state) {
    int fd, status;
    (void)state;
    struct plan_segment *segment = new_segment(&fd);
    publish(segment, "shop");
    pid_t pid = fork();
    if (pid == 0) {
        struct plan_segment *mine = plan_segment_attach(fd, NULL);
        const struct plan *plan = mine == NULL ? NULL : plan_acquire(mine, 1);
        _exit(plan != NULL && strcmp(plan->services[0].name, "shop") == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    int other = memfd_create("other", 0);
    struct error err = { 0 };
    assert_null(plan_segment_attach(other, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    close(other);
    plan_segment_free(segment);
    close(fd);
}

/* A publisher that never stops and readers that check every plan they get: what a reader holds is
 * whole and does not change, which is the promise. */
static struct plan_segment *shared;
static _Atomic bool over;
static _Atomic unsigned torn, acquired;

static void fill(struct plan *plan, uint32_t mark) {
    plan->service_count = 2;
    plan->services[0].objective_us = mark;
    plan->endpoints[PLAN_ENDPOINTS_MAX - 1].generation = mark;
    plan->route_count = mark;
}

static bool whole(const struct plan *plan) {
    uint32_t mark = plan->route_count;
    return plan->services[0].objective_us == mark &&
           plan->endpoints[PLAN_ENDPOINTS_MAX - 1].generation == mark && plan->version == mark;
}

static void *read_plans(void *argument) {
    unsigned worker = (unsigned)(uintptr_t)argument;
    while (!atomic_load(&over)) {
        const struct plan *plan = plan_acquire(shared, worker);
        for (unsigned i = 0; plan != NULL && i < 20; i++) {
            torn += !whole(plan);
        }
        acquired++;
    }
    return NULL;
}

static void readers_never_see_a_torn_plan(void **state) {
    int fd;
    pthread_t readers[3];
    (void)state;
    shared = new_segment(&fd);
    for (uintptr_t i = 0; i < 3; i++) {
        pthread_create(&readers[i], NULL, read_plans, (void *)i);
    }
    for (unsigned published = 0; published < 20000;) {
        struct plan *plan = plan_begin(shared);
        if (plan != NULL) {
            fill(plan, (uint32_t)++published);
            plan_publish(shared, plan);
        }
    }
    over = true;
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(readers[i], NULL);
    }
    assert_int_equal(torn, 0);
    assert_true(acquired > 100);
    plan_segment_free(shared);
    close(fd);
}

/* At an upgrade: all of it, and the versions go on. */
static void a_plan_is_inherited(void **state) {
    int old_fd, new_fd;
    struct error err = { 0 };
    float value = 0;
    (void)state;
    struct plan_segment *old = new_segment(&old_fd), *fresh = new_segment(&new_fd);
    assert_false(plan_segment_inherit(fresh, new_fd, old_fd, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    publish(old, "first");
    struct plan *plan = plan_begin(old);
    plan->service_count = 1;
    strcpy(plan->services[0].name, "second");
    assert_true(plan_begin_customers(plan, 1000));
    plan_add_customer(plan, SLICE("anna"), 12.5f);
    assert_true(plan_add_text(plan, SLICE("/checkout"), &plan->routes[0].prefix));
    plan->route_count = 1;
    plan_publish(old, plan);
    assert_true(plan_segment_inherit(fresh, new_fd, old_fd, &err));
    const struct plan *got = plan_acquire(fresh, 3);
    assert_non_null(got);
    assert_int_equal(got->version, 2);
    assert_int_equal(plan_version(fresh), 2);
    assert_string_equal(got->services[0].name, "second");
    assert_true(slice_equal(plan_slice(got, got->routes[0].prefix), SLICE("/checkout")));
    assert_true(plan_find_customer(got, SLICE("anna"), &value) && value == 12.5f);
    publish(fresh, "third");
    assert_int_equal(plan_version(fresh), 3);
    assert_int_equal(plan_version(old), 2);
    plan_segment_free(old);
    close(old_fd);
    int other_fd = memfd_create("other", 0);
    assert_int_equal(ftruncate(other_fd, 4096), 0);
    assert_false(plan_segment_inherit(fresh, new_fd, other_fd, &err)); /* another version's */
    close(other_fd);
    plan_segment_free(fresh);
    close(new_fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_before_the_first_plan),
        cmocka_unit_test(a_plan_in_use_stays_as_it_is),
        cmocka_unit_test(no_slot_is_free_while_all_are_in_use),
        cmocka_unit_test(a_fresh_slot_is_clean),
        cmocka_unit_test(text_has_a_limit),
        cmocka_unit_test(customers_are_found_by_their_id),
        cmocka_unit_test(another_process_sees_it),
        cmocka_unit_test(a_plan_is_inherited),
        cmocka_unit_test(readers_never_see_a_torn_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
