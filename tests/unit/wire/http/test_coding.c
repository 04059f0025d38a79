/* Which coding a client takes: Accept-Encoding, weights, orders. */
#include "h1_dump.h"

#include "wire/http/coding.h"

#define G HTTP_CODING_GZIP
#define B HTTP_CODING_BROTLI
#define Z HTTP_CODING_ZSTD
#define I HTTP_CODING_IDENTITY

/* The order is zstd, br, gzip. `fields`: values, one a line; NULL: no field at all. */
static const struct {
    const char *name, *fields;
    enum http_coding chosen;
    bool identity_refused;
} cases[] = {
    { "no field is identity", NULL, I, false },
    { "an empty field is identity", "", I, false },
    { "one coding", "gzip", G, false },
    { "in any case", "GZip", G, false },
    { "x-gzip is gzip", "x-gzip", G, false },
    { "the favourite of ours among equals", "gzip, br, zstd", Z, false },
    { "what browsers send", "gzip, deflate, br, zstd", Z, false },
    { "what older ones send", "gzip, deflate, br", B, false },
    { "deflate is not ours", "deflate", I, false },
    { "compress and others are not", "compress, exi, pack200-gzip", I, false },
    { "weights go before our order", "gzip;q=1.0, br;q=0.8, zstd;q=0.5", G, false },
    { "three digits count", "gzip;q=0.501, br;q=0.500", G, false },
    { "blanks around everything", " gzip \t;\t q=0.5 ,\tbr ; q=0.6 ", B, false },
    { "Q in capitals", "br;Q=0.5", B, false },
    { "q=0 refuses", "zstd;q=0, br;q=0.0, gzip;q=0.000", I, false },
    { "the least weight is a weight", "gzip;q=0.001", G, false },
    { "a star is for the others", "*", Z, false },
    { "a star with a weight", "gzip, *;q=0.5", G, false },
    { "a star refuses the others", "gzip, *;q=0", G, true },
    { "a star refuses all", "*;q=0", I, true },
    { "a star spares what is named", "identity, *;q=0", I, false },
    { "identity refused", "gzip, identity;q=0", G, true },
    { "identity refused, nothing else", "identity;q=0", I, true },
    { "identity liked best", "gzip;q=0.5, identity;q=1", I, false },
    { "identity liked equally", "gzip, identity", G, false },
    { "identity liked less", "identity;q=0.5, gzip;q=0.6", G, false },
    { "identity by a star", "gzip;q=0.5, br;q=0, zstd;q=0, *;q=0.9", I, false },
    { "fields are one list", "gzip;q=0.2\nbr;q=0.3", B, false },
    { "said twice, the lesser counts", "gzip, gzip;q=0", I, false },
    { "in the other order too", "gzip;q=0, gzip", I, false },
    { "and through its alias", "gzip, x-gzip;q=0", I, false },
    { "empty items are nothing", ",, gzip ,,", G, false },
    { "a weight above one is malformed", "gzip;q=1.001, br;q=0.1", B, false },
    { "two is malformed", "gzip;q=2", I, false },
    { "four digits are malformed", "gzip;q=0.1234", I, false },
    { "no digits are malformed", "gzip;q=", I, false },
    { "a bare dot is a weight of zero", "gzip;q=0.", I, false },
    { "one and a dot is full", "gzip;q=1.", G, false },
    { "a comma is not a dot", "gzip;q=.5", I, false },
    { "a sign is malformed", "gzip;q=-0", I, false },
    { "letters are malformed", "gzip;q=0.a", I, false },
    { "another parameter is malformed", "gzip;level=1", I, false },
    { "two parameters are malformed", "gzip;q=1;x=2", I, false },
    { "blanks inside are malformed", "g zip", I, false },
    { "q with a blank", "gzip;q =1", I, false },
    { "quotes are malformed", "\"gzip\"", I, false },
    { "a prefix is another coding", "gzi, b, zst", I, false },
    { "a longer one is another coding", "gzipp, brr, zstdd", I, false },
    { "a malformed item spoils no other", "gzip;q=x, br", B, false },
};

static struct http_acceptance accept(const char *text) {
    struct http_field fields[8];
    struct http_head head;
    struct slice rest = slice_from(text), line;
    http_head_init(&head, fields, 8);
    if (text != NULL && rest.len == 0) {
        http_head_add(&head, SLICE("Accept-Encoding"), rest);
    }
    while (slice_cut(&rest, '\n', &line)) {
        http_head_add(&head, SLICE("Accept-Encoding"), line);
    }
    http_head_add(&head, SLICE("Accept"), SLICE("zstd"));
    return http_accept_encoding(&head);
}

static void chooses(void **state) {
    static const enum http_coding order[] = { Z, B, G };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_acceptance accepted = accept(cases[i].fields);
        enum http_coding chosen = http_coding_choose(&accepted, order, 3);
        if (chosen != cases[i].chosen || accepted.identity_refused != cases[i].identity_refused) {
            fail_msg("%s: %.*s, identity %s", cases[i].name, SLICE_ARG(http_coding_name(chosen)),
                     accepted.identity_refused ? "refused" : "accepted");
        }
    }
}

static void follows_our_order(void **state) {
    static const enum http_coding only_gzip[] = { G }, gzip_first[] = { G, B };
    struct http_acceptance all = accept("gzip, br, zstd"), no_gzip = accept("br, zstd");
    (void)state;
    assert_int_equal(http_coding_choose(&all, only_gzip, 1), G);
    assert_int_equal(http_coding_choose(&all, gzip_first, 2), G);
    assert_int_equal(http_coding_choose(&no_gzip, gzip_first, 2), B);
    assert_int_equal(http_coding_choose(&no_gzip, only_gzip, 1), I);
    assert_int_equal(http_coding_choose(&all, NULL, 0), I);
}

static void reads_a_bounded_number_of_items(void **state) {
    char text[8 * HTTP_ACCEPT_ITEMS_MAX] = "";
    (void)state;
    for (unsigned i = 0; i < HTTP_ACCEPT_ITEMS_MAX - 1; i++) {
        strcat(text, "x,");
    }
    char last[sizeof text + 16], one_more[sizeof text + 16];
    snprintf(last, sizeof last, "%sgzip", text);
    snprintf(one_more, sizeof one_more, "%sx,gzip", text);
    assert_int_equal(accept(last).weight[G], 1000);
    assert_int_equal(accept(one_more).weight[G], 0);
    char lines[sizeof one_more]; /* over all fields */
    snprintf(lines, sizeof lines, "%sx\ngzip", text);
    assert_int_equal(accept(lines).weight[G], 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses),
        cmocka_unit_test(follows_our_order),
        cmocka_unit_test(reads_a_bounded_number_of_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
