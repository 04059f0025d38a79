#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tool/load/visitor.h"

static const struct visitor_habits habits = { .think_us_mean = 3e6,
                                              .customers = 200,
                                              .products = 1000 };

#define FORM "<p>x</p><form><input type=\"hidden\" name=\"token\" value=\"abc-DEF_1\"></form>"

/* A whole visit at a shop where all goes well; counts its steps by stage and method. */
static enum visitor_outcome walk(uint64_t number, unsigned steps[STAGE_COUNT], char *trail,
                                 size_t trail_bytes) {
    struct visitor v;
    struct visitor_step step;
    enum visitor_outcome outcome = VISITOR_STAYS;
    visitor_init(&v, &habits, number);
    while (outcome == VISITOR_STAYS) {
        uint64_t think_us = 0;
        visitor_next(&v, &step);
        steps[step.stage]++;
        size_t used = strlen(trail);
        snprintf(trail + used, trail_bytes - used, "%s ", step.target);
        bool added = step.method == HTTP_POST && step.stage == STAGE_CART;
        if (step.method == HTTP_POST && step.stage == STAGE_CHECKOUT) {
            assert_string_equal(step.form, "token=abc-DEF_1");
        }
        struct visitor_answer answer = { .answered = true, .status = added ? 303 : 200 };
        answer.page = step.wants_page ? SLICE(FORM) : SLICE("");
        outcome = visitor_answered(&v, &answer, &think_us);
        if (outcome == VISITOR_STAYS) {
            assert_int_equal(think_us == 0, added); /* a redirect is followed at once */
        }
    }
    visitor_fini(&v);
    return outcome;
}

static void each_stage_is_reached_by_fewer(void **state) {
    (void)state;
    unsigned steps[STAGE_COUNT] = { 0 }, orders = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        char trail[4096] = "";
        orders += walk(i, steps, trail, sizeof trail) == VISITOR_ORDERED;
    }
    assert_true(steps[STAGE_PRODUCT] > steps[STAGE_CART]);
    assert_true(steps[STAGE_CART] > steps[STAGE_CHECKOUT]);
    assert_true(steps[STAGE_SEARCH] > steps[STAGE_CHECKOUT]);
    assert_in_range(orders, 400, 1500);
    assert_int_equal(steps[STAGE_OTHER], 0);
}

static void the_number_decides_the_walk(void **state) {
    (void)state;
    unsigned steps[STAGE_COUNT] = { 0 };
    char one[4096] = "", again[4096] = "", all[4096] = "";
    walk(5, steps, one, sizeof one);
    walk(5, steps, again, sizeof again);
    assert_string_equal(one, again);
    for (uint64_t i = 6; i < 12; i++) {
        walk(i, steps, all, sizeof all);
    }
    assert_string_not_equal(one, all);
}

static void a_share_is_signed_in(void **state) {
    (void)state;
    unsigned signed_in = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        struct visitor v;
        visitor_init(&v, &habits, i);
        if (v.jar.count > 0) {
            unsigned customer = 0;
            char text[32] = "";
            slice_copy_text(slice_of(v.jar.pairs[0].text, v.jar.pairs[0].len), text, sizeof text);
            assert_int_equal(sscanf(text, "customer_id=C%u", &customer), 1);
            assert_in_range(customer, 1001, 1200);
            signed_in++;
        }
        visitor_fini(&v);
    }
    assert_in_range(signed_in, 250, 450);
}

static struct visitor ordering(void) {
    struct visitor v;
    visitor_init(&v, &habits, 1);
    v.page = PAGE_ORDER;
    strcpy(v.token, "abc-DEF_1");
    return v;
}

static void an_order_is_tried_again_with_the_same_form(void **state) {
    (void)state;
    struct visitor v = ordering();
    struct visitor_step step;
    struct visitor_answer cut = { .answered = false }, busy = { true, 503, 2, { 0 } };
    struct visitor_answer done = { .answered = true, .status = 200 };
    uint64_t think_us = 0;
    assert_int_equal(visitor_answered(&v, &cut, &think_us), VISITOR_STAYS);
    assert_true(think_us > 0);
    assert_int_equal(visitor_answered(&v, &busy, &think_us), VISITOR_STAYS);
    assert_int_equal(think_us, 2000000);
    visitor_next(&v, &step);
    assert_string_equal(step.form, "token=abc-DEF_1");
    assert_int_equal(visitor_answered(&v, &done, &think_us), VISITOR_ORDERED);
    visitor_fini(&v);
}

static void nobody_tries_for_ever(void **state) {
    (void)state;
    struct visitor v = ordering();
    struct visitor_answer broken = { .answered = true, .status = 500 };
    uint64_t think_us;
    unsigned tries = 1;
    while (visitor_answered(&v, &broken, &think_us) == VISITOR_STAYS) {
        assert_true(++tries < 10);
    }
    assert_true(tries > 1);
    visitor_fini(&v);
}

static void an_answer_gives_new_patience(void **state) {
    (void)state;
    struct visitor v;
    struct visitor_answer cut = { .answered = false };
    struct visitor_answer form = { true, 200, 0, SLICE(FORM) };
    uint64_t think_us;
    visitor_init(&v, &habits, 1);
    for (unsigned tries = 0; tries < 3; tries++) {
        v.page = PAGE_ORDER;
        assert_int_equal(visitor_answered(&v, &cut, &think_us), VISITOR_STAYS);
    }
    v.page = PAGE_ADD; /* the page after it is always asked for */
    assert_int_equal(visitor_answered(&v, &form, &think_us), VISITOR_STAYS);
    v.page = PAGE_ORDER;
    assert_int_equal(visitor_answered(&v, &cut, &think_us), VISITOR_STAYS);
    visitor_fini(&v);
}

static void an_empty_cart_ends_the_visit(void **state) {
    (void)state;
    struct visitor v = ordering();
    v.page = PAGE_CHECKOUT;
    struct visitor_answer empty = { true, 200, 0, SLICE("<p>Your cart is empty</p>") };
    uint64_t think_us;
    assert_int_equal(visitor_answered(&v, &empty, &think_us), VISITOR_LEAVES);
    visitor_fini(&v);
}

static void tokens(void **state) {
    (void)state;
    static const struct {
        const char *page, *token; /* NULL: none */
    } cases[] = {
        { FORM, "abc-DEF_1" },
        { "<input value=\"v1\" type=\"hidden\" name=\"token\" />", "v1" },
        { "<input name=\"other\" value=\"no\"><input name=\"token\" value=\"yes\">", "yes" },
        { "<input name=\"token\" value=\"\">", NULL },
        { "<input name=\"token\"><p value=\"x\">", NULL },
        { "<input name=\"token", NULL },
        { "name=\"token\" value=\"x\"", NULL },
        { "<<<>>", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char token[VISITOR_TOKEN_BYTES] = "";
        bool found = visitor_find_token(slice_from(cases[i].page), token);
        assert_int_equal(found, cases[i].token != NULL);
        if (found) {
            assert_string_equal(token, cases[i].token);
        }
    }
}

static void stages_of_paths(void **state) {
    (void)state;
    static const struct {
        const char *target;
        enum stage stage;
    } cases[] = {
        { "/", STAGE_BROWSE },
        { "/?x=/cart", STAGE_BROWSE },
        { "/search?q=a", STAGE_SEARCH },
        { "/product/12", STAGE_PRODUCT },
        { "/products", STAGE_OTHER },
        { "/cart", STAGE_CART },
        { "/checkout?x", STAGE_CHECKOUT },
        { "/style.css", STAGE_OTHER },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(visitor_stage_of(slice_from(cases[i].target)), cases[i].stage);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stage_is_reached_by_fewer),
        cmocka_unit_test(the_number_decides_the_walk),
        cmocka_unit_test(a_share_is_signed_in),
        cmocka_unit_test(an_order_is_tried_again_with_the_same_form),
        cmocka_unit_test(nobody_tries_for_ever),
        cmocka_unit_test(an_answer_gives_new_patience),
        cmocka_unit_test(an_empty_cart_ends_the_visit),
        cmocka_unit_test(tokens),
        cmocka_unit_test(stages_of_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
