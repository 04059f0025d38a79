/* Names of methods and fields, lists, and what stays on its hop. */
#include "h1_dump.h"

static const char *const known_names[] = {
#define NAME(id, name) name,
    HTTP_KNOWN_FIELDS(NAME)
#undef NAME
};
static const enum http_field_id known_ids[] = {
#define ID(id, name) HTTP_FIELD_##id,
    HTTP_KNOWN_FIELDS(ID)
#undef ID
};
#define KNOWN (sizeof known_names / sizeof *known_names)

static void knows_methods(void **state) {
    (void)state;
    for (enum http_method m = HTTP_GET; m < HTTP_METHODS; m++) {
        assert_int_equal(http_method_of(slice_from(http_method_name(m))), m);
    }
    assert_int_equal(http_method_of(SLICE("get")), HTTP_METHOD_OTHER);
    assert_int_equal(http_method_of(SLICE("GETS")), HTTP_METHOD_OTHER);
    assert_int_equal(http_method_of(SLICE("")), HTTP_METHOD_OTHER);
    assert_string_equal(http_method_name(HTTP_METHOD_OTHER), "OTHER");
}

static void knows_what_may_be_repeated(void **state) { /* RFC 9110 9.2.2 */
    static const enum http_method idempotent[] = { HTTP_GET,    HTTP_HEAD,    HTTP_PUT,
                                                   HTTP_DELETE, HTTP_OPTIONS, HTTP_TRACE };
    unsigned count = 0;
    (void)state;
    for (enum http_method m = HTTP_METHOD_OTHER; m < HTTP_METHODS; m++) {
        count += http_method_is_idempotent(m);
    }
    assert_int_equal(count, sizeof idempotent / sizeof *idempotent);
    for (size_t i = 0; i < count; i++) {
        assert_true(http_method_is_idempotent(idempotent[i]));
    }
}

static void knows_fields_in_any_case(void **state) {
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        char text[32];
        size_t len = strlen(known_names[i]);
        assert_int_equal(http_field_id_of(slice_from(known_names[i])), known_ids[i]);
        for (size_t c = 0; c <= len; c++) {
            text[c] = known_names[i][c];
            if (text[c] >= 'a' && text[c] <= 'z' && c % 2 == 0) {
                text[c] = (char)(text[c] - 'a' + 'A');
            }
        }
        assert_int_equal(http_field_id_of(slice_from(text)), known_ids[i]);
    }
}

/* Every known name with one byte changed, cut or added is unknown (or another known one). */
static void knows_no_others(void **state) {
    (void)state;
    assert_int_equal(http_field_id_of(SLICE("")), HTTP_FIELD_OTHER);
    for (size_t i = 0; i < KNOWN; i++) {
        char text[32];
        size_t len = strlen(known_names[i]);
        memcpy(text, known_names[i], len);
        for (size_t c = 0; c < len; c++) {
            for (int other = '!'; other < 0x7f; other++) {
                bool token = http_is_token(slice_of(&(char){ (char)other }, 1));
                if (token && (other | 0x20) != (known_names[i][c] | 0x20)) {
                    text[c] = (char)other;
                    assert_int_not_equal(http_field_id_of(slice_of(text, len)), known_ids[i]);
                }
            }
            text[c] = known_names[i][c];
        }
        assert_int_not_equal(http_field_id_of(slice_of(text, len - 1)), known_ids[i]);
        text[len] = 's';
        assert_int_not_equal(http_field_id_of(slice_of(text, len + 1)), known_ids[i]);
    }
}

static void sees_underscores(void **state) { /* RFC 9112 11.2 */
    static const struct {
        const char *name;
        bool mistakable;
    } cases[] = {
        { "content_length", true },  { "CONTENT_LENGTH", true },  { "x_forwarded-for", true },
        { "x-forwarded_for", true }, { "content-length", false }, { "content__length", false },
        { "contentxlength", false }, { "con_ent-length", false }, { "x_y", false }
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool mistakable;
        http_field_id_look_up(slice_from(cases[i].name), &mistakable);
        if (mistakable != cases[i].mistakable) {
            fail_msg("%s: %d", cases[i].name, mistakable);
        }
    }
}

/* Against the plain definition, at every length around the width of a block. */
static void tells_tokens_and_values(void **state) {
    (void)state;
    for (size_t len = 0; len < 40; len++) {
        char *text = malloc(len + 1); /* exact, so that a read past it is seen */
        for (size_t at = 0; at <= len && len > 0; at++) {
            for (int byte = 0; byte < 256; byte++) {
                memset(text, 'a', len);
                if (at < len) {
                    text[at] = (char)byte;
                }
                bool changed = at < len;
                bool value = !changed || (byte >= 0x20 && byte != 0x7f) || byte == '\t';
                bool token = !changed || (byte > 0x20 && byte < 0x7f &&
                                          strchr("\"(),/:;<=>?@[\\]{}", byte) == NULL);
                char *exact = exact_copy(slice_of(text, len));
                assert_int_equal(http_is_field_value(slice_of(exact, len)), value);
                assert_int_equal(http_is_token(slice_of(exact, len)), token);
                free(exact);
            }
        }
        free(text);
    }
    assert_true(http_is_field_value(SLICE("")));
    assert_false(http_is_token(SLICE("")));
}

static void searches_lists(void **state) { /* RFC 9110 5.6.1: empty elements do not count */
    (void)state;
    assert_true(http_list_has(SLICE("close"), SLICE("close")));
    assert_true(http_list_has(SLICE("a, ,\tCLOSE ,b"), SLICE("close")));
    assert_false(http_list_has(SLICE("a, closed, b close"), SLICE("close")));
    assert_false(http_list_has(SLICE(""), SLICE("close")));
    assert_false(http_list_has(SLICE(",,"), SLICE("close")));
}

static void finds_adds_removes(void **state) {
    struct http_field fields[3];
    struct http_head head;
    (void)state;
    http_head_init(&head, fields, 3);
    assert_null(http_head_find(&head, HTTP_FIELD_COOKIE));
    assert_false(http_head_may_have(&head, HTTP_FIELD_COOKIE));
    assert_true(http_head_add(&head, SLICE("Cookie"), SLICE("a=1")));
    assert_true(http_head_may_have(&head, HTTP_FIELD_COOKIE));
    assert_true(http_head_add(&head, SLICE("x-a"), SLICE("1")));
    assert_true(http_head_add(&head, SLICE("cookie"), SLICE("b=2")));
    assert_false(http_head_add(&head, SLICE("x"), SLICE("")));
    assert_ptr_equal(http_head_find(&head, HTTP_FIELD_COOKIE), &fields[0]);
    assert_ptr_equal(http_head_find_name(&head, SLICE("X-A")), &fields[1]);
    http_head_remove(&head, HTTP_FIELD_COOKIE);
    assert_int_equal(head.field_count, 1);
    assert_null(http_head_find(&head, HTTP_FIELD_COOKIE));
    assert_true(http_head_add_known(&head, HTTP_FIELD_COOKIE, SLICE("c=3")));
    assert_ptr_equal(http_head_find(&head, HTTP_FIELD_COOKIE), &fields[1]);
    http_head_remove(&head, HTTP_FIELD_COOKIE);
    assert_true(slice_equal(fields[0].name, SLICE("x-a")));
    assert_null(http_head_find_name(&head, SLICE("cookie")));
}

/* ---- hop by hop ---- */

static void strips_its_hop(void **state) { /* RFC 9110 7.6.1 */
    static const struct {
        const char *name;
        struct slice fields; /* name=value, separated by LF */
        const char *kept;    /* the names */
    } cases[] = {
        { "nothing to do", SLICE("accept=*/*\nx=1"), "accept x " },
        { "the known ones",
          SLICE("connection=close\nkeep-alive=5\nproxy-connection=x\n"
                "transfer-encoding=chunked\nupgrade=x\nhttp2-settings=x\n"
                "proxy-authorization=x\nproxy-authenticate=x\nexpect=x\na=1"),
          "a " },
        { "nominated, in any case", SLICE("x-a=1\nX-B=2\nx-c=3\nconnection=X-A, x-b"), "x-c " },
        { "nominated by a second field", SLICE("connection=close\nx-a=1\nconnection=x-a\nx-b=2"),
          "x-b " },
        { "the last one nominates the first", SLICE("x-a=1\nx-b=2\nconnection=x-a"), "x-b " },
        { "half a name nominates nothing", SLICE("x-ab=1\nconnection=x-a"), "x-ab " },
        { "close nominates nothing", SLICE("close=1\nconnection=close\nx=1"), "close x " },
        { "what the message needs stays",
          SLICE(
              "host=a\ncontent-length=1\ncookie=c\nauthorization=a\nx-forwarded-for=1\n"
              "forwarded=f\nset-cookie=s\nidempotency-key=k\nvia=v\nx-forwarded-proto="
              "p\ntraceparent=t\n"
              "connection=host, content-length, cookie, authorization, x-forwarded-for, forwarded, "
              "set-cookie, idempotency-key, via, x-forwarded-proto, traceparent"),
          "host content-length cookie authorization x-forwarded-for forwarded set-cookie "
          "idempotency-key via x-forwarded-proto traceparent " },
        { "te with trailers", SLICE("te=gzip;q=0.5, Trailers"), "te:trailers " },
        { "te with trailers, nominated", SLICE("te=trailers\nconnection=te"), "te:trailers " },
        { "te without", SLICE("te=gzip"), "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_field fields[16];
        struct http_head head;
        struct slice rest = cases[i].fields, line;
        struct dump d = { .len = 0, .text = "" };
        http_head_init(&head, fields, 16);
        while (slice_cut(&rest, '\n', &line)) {
            size_t mark = slice_find(line, '=');
            http_head_add(&head, slice_sub(line, 0, mark), slice_skip(line, mark + 1));
        }
        http_strip_hop_by_hop(&head);
        for (size_t f = 0; f < head.field_count; f++) {
            bool te = fields[f].id == HTTP_FIELD_TE;
            struct slice value = te ? fields[f].value : SLICE("");
            dump_add(&d, "%.*s%s%.*s ", SLICE_ARG(fields[f].name), te ? ":" : "", SLICE_ARG(value));
        }
        if (strcmp(d.text, cases[i].kept) != 0) {
            fail_msg("%s: '%s', not '%s'", cases[i].name, d.text, cases[i].kept);
        }
    }
}

static void strips_a_full_head(void **state) {
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    (void)state;
    http_head_init(&head, fields, HTTP_FIELDS_MAX);
    while (head.field_count < HTTP_FIELDS_MAX - 1) {
        assert_true(http_head_add(&head, SLICE("x"), SLICE("1")));
    }
    assert_true(http_head_add_known(&head, HTTP_FIELD_TE, SLICE("x")));
    http_strip_hop_by_hop(&head);
    assert_int_equal(head.field_count, HTTP_FIELDS_MAX - 1);
}

static void keeps_framing_out_of_trailers(void **state) { /* RFC 9110 6.5.1 */
    static const enum http_field_id forbidden[] = {
        HTTP_FIELD_TRANSFER_ENCODING,
        HTTP_FIELD_CONTENT_LENGTH,
        HTTP_FIELD_HOST,
        HTTP_FIELD_TE,
        HTTP_FIELD_TRAILER,
        HTTP_FIELD_AUTHORIZATION,
        HTTP_FIELD_CONTENT_ENCODING,
        HTTP_FIELD_CONTENT_TYPE,
        HTTP_FIELD_CONNECTION,
        HTTP_FIELD_COOKIE,
        HTTP_FIELD_SET_COOKIE,
        HTTP_FIELD_EXPECT,
        HTTP_FIELD_LOCATION,
        HTTP_FIELD_DATE,
        HTTP_FIELD_RETRY_AFTER,
        HTTP_FIELD_CACHE_CONTROL,
        HTTP_FIELD_MAX_FORWARDS,
        HTTP_FIELD_RANGE,
        HTTP_FIELD_IF_MATCH,
        HTTP_FIELD_IF_MODIFIED_SINCE,
        HTTP_FIELD_IF_NONE_MATCH,
        HTTP_FIELD_IF_RANGE,
        HTTP_FIELD_IF_UNMODIFIED_SINCE,
        HTTP_FIELD_CONTENT_RANGE,
        HTTP_FIELD_AGE,
        HTTP_FIELD_EXPIRES,
        HTTP_FIELD_PRAGMA,
        HTTP_FIELD_VARY,
        HTTP_FIELD_WARNING,
        HTTP_FIELD_WWW_AUTHENTICATE,
    };
    (void)state;
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        assert_true(http_field_forbidden_in_trailer(forbidden[i]));
    }
    assert_false(http_field_forbidden_in_trailer(HTTP_FIELD_OTHER));
    assert_false(http_field_forbidden_in_trailer(HTTP_FIELD_ETAG)); /* RFC 9110 8.8.3 */
    assert_false(http_field_forbidden_in_trailer(HTTP_FIELD_CONTENT_DIGEST));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_methods),
        cmocka_unit_test(knows_what_may_be_repeated),
        cmocka_unit_test(knows_fields_in_any_case),
        cmocka_unit_test(knows_no_others),
        cmocka_unit_test(sees_underscores),
        cmocka_unit_test(tells_tokens_and_values),
        cmocka_unit_test(searches_lists),
        cmocka_unit_test(finds_adds_removes),
        cmocka_unit_test(strips_its_hop),
        cmocka_unit_test(strips_a_full_head),
        cmocka_unit_test(keeps_framing_out_of_trailers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
