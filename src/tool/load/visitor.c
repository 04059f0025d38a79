#include "tool/load/visitor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TRIES_MAX 3
#define TRY_AGAIN_RATIO 0.6  /* of those whose page did not come */
#define THINK_US_MIN 200000  /* nobody clicks faster */
#define RETRY_AFTER_S_MAX 60 /* nobody waits longer */
#define SIGNED_IN_RATIO 0.35
#define MISSPELT_RATIO 0.08
#define CUSTOMER_FIRST 1001

/* Where a visitor goes from a page; the rest leaves. Of a hundred visitors about twenty put
 * something into the cart and seven buy: a good shop on a good day. */
static const struct {
    enum stage stage;
    enum http_method method;
    double next_ratio[PAGE_COUNT];
} pages[PAGE_COUNT] = {
    [PAGE_HOME] = { STAGE_BROWSE,
                    HTTP_GET,
                    { [PAGE_HOME] = 0.05, [PAGE_SEARCH] = 0.35, [PAGE_PRODUCT] = 0.40 } },
    [PAGE_SEARCH] = { STAGE_SEARCH, HTTP_GET, { [PAGE_SEARCH] = 0.15, [PAGE_PRODUCT] = 0.60 } },
    [PAGE_PRODUCT] = { STAGE_PRODUCT,
                       HTTP_GET,
                       { [PAGE_HOME] = 0.05,
                         [PAGE_SEARCH] = 0.12,
                         [PAGE_PRODUCT] = 0.35,
                         [PAGE_ADD] = 0.15 } },
    [PAGE_ADD] = { STAGE_CART, HTTP_POST, { [PAGE_CART] = 1 } },
    [PAGE_CART] = { STAGE_CART,
                    HTTP_GET,
                    { [PAGE_SEARCH] = 0.10, [PAGE_PRODUCT] = 0.20, [PAGE_CHECKOUT] = 0.50 } },
    [PAGE_CHECKOUT] = { STAGE_CHECKOUT, HTTP_GET, { [PAGE_ORDER] = 0.75 } },
    [PAGE_ORDER] = { STAGE_CHECKOUT, HTTP_POST, { 0 } },
};

static const double entry_ratio[PAGE_COUNT] = {
    [PAGE_HOME] = 0.55, [PAGE_SEARCH] = 0.15, [PAGE_PRODUCT] = 0.30
};

static const char *const words[] = {
    "linen",        "kettle",    "tent",         "leather+bag", "desk+lamp", "notebook",
    "sleeping+bag", "copper",    "bread+tin",    "blanket",     "planter",   "chef+knife",
    "coffee",       "tea+caddy", "bicycle+bell", "oak",         "hammock",   "wool",
    "tool+box",     "cushion",   "camping",      "gift",        "reading",   "brass+lantern",
};

#define WORDS (sizeof words / sizeof words[0])

/* One of the pages by their shares, PAGE_COUNT for what is left. */
static enum visitor_page draw_page(struct visitor *v, const double ratio[PAGE_COUNT]) {
    double left = rand_unit(&v->rand);
    for (unsigned i = 0; i < PAGE_COUNT; i++) {
        if (left < ratio[i]) {
            return (enum visitor_page)i;
        }
        left -= ratio[i];
    }
    return PAGE_COUNT;
}

/* A few products are asked for by many: a tenth of them by a third of the visitors. */
static uint32_t draw_product(struct visitor *v) {
    double place = rand_unit(&v->rand);
    return 1 + (uint32_t)(place * place * v->habits->products);
}

void visitor_init(struct visitor *v, const struct visitor_habits *habits, uint64_t number) {
    *v = (struct visitor){ .habits = habits };
    rand_init(&v->rand, number);
    enum visitor_page entry = draw_page(v, entry_ratio);
    v->page = entry == PAGE_COUNT ? PAGE_HOME : entry;
    v->product = draw_product(v);
    if (habits->customers > 0 && rand_unit(&v->rand) < SIGNED_IN_RATIO) {
        char name[16];
        int len = snprintf(name, sizeof name, "C%u",
                           CUSTOMER_FIRST + rand_below(&v->rand, habits->customers));
        cookie_jar_put(&v->jar, SLICE("customer_id"), slice_of(name, (size_t)len));
    }
}

void visitor_fini(struct visitor *v) {
    cookie_jar_fini(&v->jar);
}

/* ---- the next step ---- */

/* Some people write "kettel": two letters change places. */
static void write_search(struct visitor *v, char out[VISITOR_TARGET_BYTES]) {
    const char *word = words[rand_below(&v->rand, WORDS)];
    int prefix = snprintf(out, VISITOR_TARGET_BYTES, "/search?q=%s", word) - (int)strlen(word);
    if (rand_unit(&v->rand) < MISSPELT_RATIO) {
        char *letters = out + prefix + 1 + rand_below(&v->rand, 2);
        char first = letters[0];
        letters[0] = letters[1];
        letters[1] = first;
    }
}

void visitor_next(struct visitor *v, struct visitor_step *step) {
    step->stage = pages[v->page].stage;
    step->method = pages[v->page].method;
    step->wants_page = v->page == PAGE_CHECKOUT;
    step->form[0] = '\0';
    switch (v->page) {
    case PAGE_SEARCH:
        write_search(v, step->target);
        return;
    case PAGE_PRODUCT:
        snprintf(step->target, sizeof step->target, "/product/%u", v->product);
        return;
    case PAGE_ADD:
        strcpy(step->target, "/cart");
        snprintf(step->form, sizeof step->form, "product=%u&quantity=%u", v->product,
                 1 + rand_below(&v->rand, 2));
        return;
    case PAGE_CART:
        strcpy(step->target, "/cart");
        return;
    case PAGE_CHECKOUT:
        strcpy(step->target, "/checkout");
        return;
    case PAGE_ORDER:
        strcpy(step->target, "/checkout");
        snprintf(step->form, sizeof step->form, "token=%s", v->token);
        return;
    case PAGE_HOME:
    case PAGE_COUNT:
        break;
    }
    strcpy(step->target, "/");
}

/* ---- the answer ---- */

static uint64_t draw_think_us(struct visitor *v) {
    double think_us = v->habits->think_us_mean * rand_exponential(&v->rand);
    return think_us < THINK_US_MIN ? (uint64_t)fmin(THINK_US_MIN, v->habits->think_us_mean)
                                   : (uint64_t)think_us;
}

/* The same step again: after what Retry-After says, or some thought. An order above all: the same
 * form sent twice is one order. */
static enum visitor_outcome try_again(struct visitor *v, const struct visitor_answer *answer,
                                      uint64_t *think_us) {
    bool insists = v->page == PAGE_ORDER || rand_unit(&v->rand) < TRY_AGAIN_RATIO;
    if (++v->tries > TRIES_MAX || !insists || answer->retry_after_s > RETRY_AFTER_S_MAX) {
        return VISITOR_LEAVES;
    }
    *think_us =
        answer->retry_after_s > 0 ? (uint64_t)answer->retry_after_s * 1000000 : draw_think_us(v);
    return VISITOR_STAYS;
}

enum visitor_outcome visitor_answered(struct visitor *v, const struct visitor_answer *answer,
                                      uint64_t *think_us) {
    if (!answer->answered || answer->status >= 500) {
        return try_again(v, answer, think_us);
    }
    v->tries = 0;
    if (answer->status >= 400) {
        return VISITOR_LEAVES;
    }
    if (v->page == PAGE_ORDER) {
        return answer->status < 300 ? VISITOR_ORDERED : VISITOR_LEAVES;
    }
    if (v->page == PAGE_CHECKOUT && !visitor_find_token(answer->page, v->token)) {
        return VISITOR_LEAVES; /* the cart was empty */
    }
    bool redirected = v->page == PAGE_ADD; /* to the cart, which a browser asks for at once */
    enum visitor_page next = draw_page(v, pages[v->page].next_ratio);
    if (next == PAGE_COUNT) {
        return VISITOR_LEAVES;
    }
    v->page = next;
    if (next == PAGE_PRODUCT) {
        v->product = draw_product(v);
    }
    *think_us = redirected ? 0 : draw_think_us(v);
    return VISITOR_STAYS;
}

/* ---- pages and paths ---- */

/* The value of `attribute="…"` in a tag. */
static bool find_attribute(struct slice tag, struct slice opening, struct slice *value) {
    size_t at = slice_find_slice(tag, opening);
    if (at == SLICE_NONE) {
        return false;
    }
    struct slice rest = slice_skip(tag, at + opening.len);
    size_t quote = slice_find(rest, '"');
    *value = slice_sub(rest, 0, quote);
    return quote != SLICE_NONE;
}

bool visitor_find_token(struct slice page, char out[VISITOR_TOKEN_BYTES]) {
    struct slice rest = page, before, tag, name, value;
    while (slice_cut(&rest, '<', &before) && slice_cut(&rest, '>', &tag)) {
        if (slice_starts_with(tag, SLICE("input ")) &&
            find_attribute(tag, SLICE(" name=\""), &name) && slice_equal(name, SLICE("token")) &&
            find_attribute(tag, SLICE(" value=\""), &value)) {
            return value.len > 0 && slice_copy_text(value, out, VISITOR_TOKEN_BYTES);
        }
    }
    return false;
}

/* Whether `path` is `place`, or lies under it. */
static bool is_at(struct slice path, struct slice place) {
    return slice_starts_with(path, place) && (path.len == place.len || path.data[place.len] == '/');
}

enum stage visitor_stage_of(struct slice target) {
    static const struct {
        struct slice place;
        enum stage stage;
    } places[] = {
        { { "/search", 7 }, STAGE_SEARCH },
        { { "/product", 8 }, STAGE_PRODUCT },
        { { "/cart", 5 }, STAGE_CART },
        { { "/checkout", 9 }, STAGE_CHECKOUT },
    };
    struct slice rest = target, path;
    if (!slice_cut(&rest, '?', &path) || slice_equal(path, SLICE("/"))) {
        return STAGE_BROWSE;
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (is_at(path, places[i].place)) {
            return places[i].stage;
        }
    }
    return STAGE_OTHER;
}
