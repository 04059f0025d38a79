/* What a probe in HTTP/2 takes for health: answers made frame by frame, whole and byte by byte. */
#include "../../wire/http/h2_wire.h"

#include "act/fleet/probe_h2.h"

#define SERVING "\0\0\0\0\2\x08\1"
#define NOT_SERVING "\0\0\0\0\2\x08\2"
#define EMPTY "\0\0\0\0\0"

struct probe_case {
    const char *name;
    bool grpc;
    const char *head; /* NULL: none */
    const char *body; /* of gRPC; NULL: the head is all */
    size_t body_len;
    const char *trailers;
    const char *note;   /* NULL: it is well */
    const char *expect; /* in the body; NULL: anything */
};

static const struct probe_case cases[] = {
    { "200", false, ":status=200", NULL, 0, NULL, NULL, NULL },
    { "302", false, ":status=302|location=/", NULL, 0, NULL, NULL, NULL },
    { "404", false, ":status=404", NULL, 0, NULL, "it answered 404", NULL },
    { "500 with a body", false, ":status=500", "sorry", 5, NULL, "it answered 500", NULL },
    { "the body", false, ":status=200", "all ready", 9, NULL, NULL, "ready" },
    { "not the body", false, ":status=200", "not yet", 7, NULL, "its body has not what is expected",
      "ready" },
    { "no status", false, "x=y", NULL, 0, NULL, "its answer is not HTTP/2", NULL },
    { "serving", true, ":status=200", SERVING, 7, "grpc-status=0", NULL, NULL },
    { "not serving", true, ":status=200", NOT_SERVING, 7, "grpc-status=0",
      "its grpc.health.v1 says that it is not serving", NULL },
    { "unknown, the default of the field", true, ":status=200", EMPTY, 5, "grpc-status=0",
      "its grpc.health.v1 says that it is not serving", NULL },
    { "a service that it does not know", true, ":status=200|grpc-status=5", NULL, 0, NULL,
      "its grpc.health.v1 answered status 5", NULL },
    { "no status of gRPC", true, ":status=200", SERVING, 7, NULL,
      "its grpc.health.v1 answered status ", NULL },
    { "no health service", true, ":status=404", NULL, 0, NULL, "it answered 404 to grpc.health.v1",
      NULL },
};

static struct probe_h2 *ask(bool grpc, const struct expectation *expectation, struct buffer *out) {
    struct http_field fields[4];
    struct http_head head;
    http_head_init(&head, fields, 4);
    head.authority = SLICE("a:1");
    if (grpc) {
        return probe_h2_new_grpc("", &head, out);
    }
    head.method = HTTP_GET;
    head.method_text = SLICE("GET");
    head.path = SLICE("/healthz");
    return probe_h2_new(&head, expectation, out);
}

static void run(const struct probe_case *c, size_t step) {
    static struct wire w;
    struct buffer out;
    char why[PROBE_WHY_BYTES] = "";
    enum probe_result verdict = PROBE_MORE;
    buffer_init(&out, 1u << 20);
    const struct expect_config config = { .body = c->expect };
    struct expectation *expectation = expectation_new(&config, NULL);
    struct probe_h2 *p = ask(c->grpc, expectation, &out);
    assert_non_null(p);
    assert_true(buffer_len(&out) > H2_PREFACE.len);
    wire_init(&w, false);
    wire_frame(&w, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    wire_head(&w, 1, c->head, 0, c->body == NULL);
    if (c->body != NULL) {
        wire_frame(&w, NGHTTP2_DATA, c->trailers == NULL ? END_STREAM : 0, 1, c->body, c->body_len);
    }
    if (c->trailers != NULL) {
        wire_head(&w, 1, c->trailers, 0, true);
    }
    for (size_t at = 0; at < w.len && verdict == PROBE_MORE; at += step) {
        size_t len = w.len - at < step ? w.len - at : step;
        verdict = probe_h2_take(p, slice_of(w.bytes + at, len), 1, &out, why);
    }
    bool right =
        c->note == NULL ? verdict == PROBE_WELL : verdict > PROBE_WELL && strcmp(why, c->note) == 0;
    if (!right) {
        fail_msg("%s, in steps of %zu: %d '%s'", c->name, step, verdict, why);
    }
    probe_h2_free(p);
    expectation_free(expectation);
    wire_fini(&w);
    buffer_fini(&out);
}

static void judges_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(&cases[i], 1);
        run(&cases[i], WIRE_BYTES);
    }
}

static void knows_who_does_not_speak_it(void **state) {
    struct buffer out;
    char why[PROBE_WHY_BYTES] = "";
    (void)state;
    buffer_init(&out, 1u << 20);
    struct probe_h2 *p = ask(false, NULL, &out);
    assert_int_equal(probe_h2_take(p, SLICE("HTTP/1.1 400 Bad Request\r\n\r\n"), 1, &out, why),
                     PROBE_PROTOCOL);
    assert_string_equal(why, "its answer is not HTTP/2");
    probe_h2_free(p);
    buffer_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_answers),
        cmocka_unit_test(knows_who_does_not_speak_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
