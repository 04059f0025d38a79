/* The thread that checks passwords, on a real loop; and what is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "act/proxy/verifier.h"
#include "act/proxy/verifier_cache.h"

/* bcrypt, cost 5, of "secret". */
#define HASH "$2b$05$aaaaaaaaaaaaaaaaaaaaaOjOHCcGZ1ZydhnG2lX11qSmiRJbsbsA."
#define SECOND 1000000u

static unsigned good_count, bad_count;
static struct verification *to_forget;

static void on_verdict(void *owner, bool good) {
    (void)owner;
    good_count += good;
    bad_count += !good;
    if (to_forget != NULL) {
        verifier_forget(to_forget);
        to_forget = NULL;
    }
}

struct fixture {
    struct loop *loop;
    struct rate_table *rates;
    struct verifier *verifier;
};

static int set_up(void **state) {
    static struct fixture f;
    good_count = bad_count = 0;
    to_forget = NULL;
    f.loop = loop_new(NULL);
    f.rates = calloc(1, sizeof *f.rates);
    assert_true(f.rates != NULL && rate_table_init(f.rates));
    f.verifier = verifier_new(f.loop, f.rates, on_verdict, NULL);
    *state = &f;
    return f.verifier == NULL;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    verifier_free(f->verifier);
    free(f->rates);
    loop_free(f->loop);
    return 0;
}

static const uint8_t *ip(uint8_t last) {
    static uint8_t address[16] = { [10] = 0xff, [11] = 0xff, 192, 0, 2 };
    address[15] = last;
    return address;
}

static enum verdict ask(struct fixture *f, const char *user, const char *password, uint8_t from,
                        struct verification *waiter) {
    struct verifier_question q = {
        .credentials = { slice_from(user), slice_from(password) },
        .hash = SLICE(HASH),
        .user_is_known = strcmp(user, "nobody") != 0,
        .ip = ip(from),
    };
    waiter->owner = waiter;
    return verifier_ask(f->verifier, &q, waiter);
}

static void settle(struct fixture *f, unsigned verdicts) {
    for (unsigned turn = 0; turn < 2000 && good_count + bad_count < verdicts; turn++) {
        assert_true(loop_turn(f->loop, 10, NULL));
    }
    assert_int_equal(good_count + bad_count, verdicts);
}

static void checks_and_remembers(void **state) {
    struct fixture *f = *state;
    struct verification w[4] = { 0 };
    assert_int_equal(ask(f, "ann", "secret", 1, &w[0]), VERDICT_LATER);
    assert_int_equal(ask(f, "ann", "secreT", 1, &w[1]), VERDICT_LATER);
    assert_int_equal(ask(f, "nobody", "secret", 1, &w[2]), VERDICT_LATER);
    settle(f, 3);
    assert_int_equal(good_count, 1);
    assert_int_equal(ask(f, "ann", "secret", 1, &w[3]), VERDICT_GOOD);
    assert_int_equal(ask(f, "ann", "secreT", 1, &w[3]), VERDICT_BAD);
    assert_int_equal(ask(f, "nobody", "secret", 1, &w[3]), VERDICT_BAD);
    assert_int_equal(ask(f, "bob", "secret", 1, &w[3]), VERDICT_LATER); /* another user */
    settle(f, 4);
}

static void one_check_for_the_same_question(void **state) {
    struct fixture *f = *state;
    struct verification w[40] = { 0 };
    for (unsigned i = 0; i < 40; i++) { /* more than may be guessed */
        assert_int_equal(ask(f, "ann", "secret", 1, &w[i]), VERDICT_LATER);
    }
    verifier_forget(&w[7]); /* gone: nobody calls it */
    to_forget = &w[20];     /* goes while the others are told */
    settle(f, 38);
    assert_int_equal(good_count, 38);
}

static void guessing_is_slowed_down(void **state) {
    struct fixture *f = *state;
    struct verification w[VERIFIER_GUESSES_MAX + 1] = { 0 };
    char password[16];
    for (unsigned i = 0; i < VERIFIER_GUESSES_MAX; i++) {
        snprintf(password, sizeof password, "guess-%u", i);
        assert_int_equal(ask(f, "ann", password, 1, &w[i]), VERDICT_LATER);
    }
    assert_int_equal(ask(f, "ann", "one more", 1, &w[10]), VERDICT_TOO_OFTEN);
    assert_int_equal(ask(f, "ann", "one more", 2, &w[10]), VERDICT_LATER); /* another network */
    settle(f, VERIFIER_GUESSES_MAX + 1);
    assert_int_equal(ask(f, "ann", "guess-1", 1, &w[0]), VERDICT_BAD); /* remembered: no guess */
}

static void ends_while_questions_wait(void **state) {
    struct fixture *f = *state;
    static struct verification w[8];
    char password[16];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(password, sizeof password, "p%u", i);
        assert_int_equal(ask(f, "ann", password, 9, &w[i]), VERDICT_LATER);
        verifier_forget(&w[i]);
    }
}

static void the_cache_forgets_in_time(void **state) {
    (void)state;
    static struct verifier_cache cache;
    struct verifier_digest a, b;
    struct verifier_question q = { .credentials = { SLICE("a"), SLICE("bc") }, .hash = SLICE("h") };
    bool good = false;
    assert_true(verifier_cache_init(&cache));
    assert_true(verifier_digest_of(&cache, &q, &a));
    q.credentials = (struct basic_credentials){ SLICE("ab"), SLICE("c") };
    assert_true(verifier_digest_of(&cache, &q, &b));
    assert_memory_not_equal(a.bytes, b.bytes, sizeof a.bytes);
    verifier_cache_add(&cache, &a, true, 5);
    assert_true(verifier_cache_find(&cache, &a, 5 + VERIFIER_GOOD_US - 1, &good) && good);
    assert_false(verifier_cache_find(&cache, &a, 5 + VERIFIER_GOOD_US, &good));
    verifier_cache_add(&cache, &b, false, 5);
    assert_true(verifier_cache_find(&cache, &b, 5 + VERIFIER_BAD_US - 1, &good) && !good);
    assert_false(verifier_cache_find(&cache, &b, 5 + VERIFIER_BAD_US, &good));
    q.hash = SLICE("h2"); /* the file has changed */
    assert_true(verifier_digest_of(&cache, &q, &b));
    assert_false(verifier_cache_find(&cache, &b, 6, &good));
}

/* All of an IPv6 /64 is one visitor, and it is one to all workers. */
static void all_workers_count_the_same_guesses(void **state) {
    struct fixture *f = *state, other = *f;
    struct verification w[VERIFIER_GUESSES_MAX + 2] = { 0 };
    struct verifier_question q = { .hash = SLICE(HASH), .user_is_known = true };
    uint8_t v6[16] = { 0x20, 1, 0xd, 0xb8 };
    other.verifier = verifier_new(f->loop, f->rates, on_verdict, NULL);
    q.ip = v6;
    for (unsigned i = 0; i < VERIFIER_GUESSES_MAX + 2; i++) {
        char password[16];
        snprintf(password, sizeof password, "guess-%u", i);
        q.credentials = (struct basic_credentials){ SLICE("ann"), slice_from(password) };
        v6[15] = (uint8_t)i;
        v6[7] = i == VERIFIER_GUESSES_MAX + 1; /* the next /64 */
        w[i].owner = &w[i];
        enum verdict verdict = verifier_ask(i % 2 == 0 ? f->verifier : other.verifier, &q, &w[i]);
        assert_int_equal(verdict, i == VERIFIER_GUESSES_MAX ? VERDICT_TOO_OFTEN : VERDICT_LATER);
    }
    settle(f, VERIFIER_GUESSES_MAX + 1);
    verifier_free(other.verifier);
}

/* A right password gives its guess back. */
static void who_knows_the_password_is_not_held_back(void **state) {
    struct fixture *f = *state;
    struct verification w = { 0 };
    for (unsigned i = 0; i < 2 * VERIFIER_GUESSES_MAX; i++) {
        char user[16];
        snprintf(user, sizeof user, "user-%u", i); /* a question not asked before */
        assert_int_equal(ask(f, user, "secret", 1, &w), VERDICT_LATER);
        settle(f, i + 1);
    }
    assert_int_equal(good_count, 2 * VERIFIER_GUESSES_MAX);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(checks_and_remembers),
        CASE(one_check_for_the_same_question),
        CASE(guessing_is_slowed_down),
        CASE(ends_while_questions_wait),
        cmocka_unit_test(the_cache_forgets_in_time),
        CASE(all_workers_count_the_same_guesses),
        CASE(who_knows_the_password_is_not_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
