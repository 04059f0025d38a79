/* A visitor of the example shop, or of any shop with its paths: comes in by a page, looks, searches
 * things, puts some into the cart, and sometimes buys; each step less likely than the one before.
 * What fails is tried again a few times, then the visitor leaves. Pure: answers in, the next step
 * out; all chance comes from the visitor's number, so that the same answers give the same walk.
 *
 *   home, search, product ──▶ product ──▶ add to cart ──303──▶ cart ──▶ checkout ──▶ order
 *
 * Not here: when there is a turn for the step (load.h). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/heap.h"
#include "base/rand.h"
#include "decide/value/stage.h"
#include "tool/load/cookie_jar.h"
#include "wire/http/message.h"

#define VISITOR_TOKEN_BYTES 129       /* of the checkout form, with a NUL */
#define VISITOR_TARGET_BYTES 160      /* "/search?q=…" */
#define VISITOR_PAGE_BYTES_MAX 262144 /* of a checkout page that is searched for its token */

enum visitor_page {
    PAGE_HOME,
    PAGE_SEARCH,
    PAGE_PRODUCT,
    PAGE_ADD, /* POST /cart */
    PAGE_CART,
    PAGE_CHECKOUT,
    PAGE_ORDER, /* POST /checkout */
    PAGE_COUNT,
};

struct visitor_habits {
    double think_us_mean;
    uint32_t customers; /* sign-in cookies C1001 and on; 0: nobody is signed in */
    uint32_t products;  /* /product/1 and on */
};

struct visitor {
    struct heap_node node; /* of those who think, by due_us */
    uint64_t due_us;
    const struct visitor_habits *habits;
    struct rand rand;
    struct cookie_jar jar;
    enum visitor_page page; /* that is asked for next, or was */
    uint32_t product, tries;
    char token[VISITOR_TOKEN_BYTES]; /* empty: no checkout form seen */
};

/* What a visitor asks for; slices point into it and into the visitor. */
struct visitor_step {
    enum stage stage;
    enum http_method method;
    char target[VISITOR_TARGET_BYTES];
    char form[VISITOR_TARGET_BYTES]; /* of a POST */
    bool wants_page;                 /* visitor_answered looks into the body */
};

struct visitor_answer {
    bool answered; /* else it failed: no answer, or a cut one */
    uint16_t status;
    uint32_t retry_after_s; /* 0: not said */
    struct slice page;      /* when wants_page */
};

enum visitor_outcome { VISITOR_STAYS, VISITOR_LEAVES, VISITOR_ORDERED };

void visitor_init(struct visitor *v, const struct visitor_habits *habits, uint64_t number);
void visitor_fini(struct visitor *v);

void visitor_next(struct visitor *v, struct visitor_step *step);
/* VISITOR_STAYS: *think_us later (0: at once) visitor_next says what comes. VISITOR_ORDERED: bought
 * something, and leaves. */
enum visitor_outcome visitor_answered(struct visitor *v, const struct visitor_answer *answer,
                                      uint64_t *think_us);

/* The stage of a path that somebody else asks for. */
enum stage visitor_stage_of(struct slice target);

/* The value of <input name="token" value="…"> in a page. */
bool visitor_find_token(struct slice page, char out[VISITOR_TOKEN_BYTES]);
