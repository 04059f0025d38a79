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
    const char *note; /* NULL: it is well */
};

static const struct probe_case cases[] = {
    { "200", false, ":status=200", NULL, 0, NULL, NULL },
    { "302", false, ":status=302|location=/", NULL, 0, NULL, NULL },
    { "404", false, ":status=404", NULL, 0, NULL, "it answered 404" },
    { "500 with a body", false, ":status=500", "sorry", 5, NULL, "it answered 500" },
    { "no status", false, "x=y", NULL, 0, NULL, "its answer is not HTTP/2" },
    { "serving", true, ":status=200", SERVING, 7, "grpc-status=0", NULL },
    { "not serving", true, ":status=200", NOT_SERVING, 7, "grpc-status=0",
      "its grpc.health.v1 says that it is not serving" },
    { "unknown, the default of the field", true, ":status=200", EMPTY, 5, "grpc-status=0",
      "its grpc.health.v1 says that it is not serving" },
    { "a service that it does not know", true, ":status=200|grpc-status=5", NULL, 0, NULL,
      "its grpc.health.v1 answered status 5" },
    { "no status of gRPC", true, ":status=200", SERVING, 7, NULL,
      "its grpc.health.v1 answered status " },
    { "no health service", true, ":status=404", NULL, 0, NULL,
      "it answered 404 to grpc.health.v1" },
};

static void run(const struct probe_case *c, size_t step) {
    static struct wire w;
    struct buffer out;
    char why[64] = "";
    enum probe_h2_verdict verdict = PROBE_H2_MORE;
    buffer_init(&out, 1u << 20);
    struct probe_h2 *p = probe_h2_new("/healthz", c->grpc ? "" : NULL, "a:1", &out);
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
    for (size_t at = 0; at < w.len && verdict == PROBE_H2_MORE; at += step) {
        size_t len = w.len - at < step ? w.len - at : step;
        verdict = probe_h2_take(p, slice_of(w.bytes + at, len), 1, &out, why);
    }
    bool right = c->note == NULL ? verdict == PROBE_H2_WELL
                                 : verdict == PROBE_H2_ILL && strcmp(why, c->note) == 0;
    if (!right) {
        fail_msg("%s, in steps of %zu: %d '%s'", c->name, step, verdict, why);
    }
    probe_h2_free(p);
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
    char why[64] = "";
    (void)state;
    buffer_init(&out, 1u << 20);
    struct probe_h2 *p = probe_h2_new("/", NULL, "a:1", &out);
    assert_int_equal(probe_h2_take(p, SLICE("HTTP/1.1 400 Bad Request\r\n\r\n"), 1, &out, why),
                     PROBE_H2_ILL);
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
