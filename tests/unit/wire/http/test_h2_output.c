/* What an HTTP/2 connection gives to be sent: how much at once, and what of it is copied. */
#include "h2_wire.h"

static struct wire w;
static struct listener l;

/* A client with wide windows has asked for something, and the answer's head is queued. */
static void begin(struct buffer *out) {
    struct http_field none[1];
    struct http_head head;
    buffer_init(out, SIZE_MAX / 2);
    wire_init(&w, true);
    listener_init(&l, H2_SERVER, &wire_limits);
    wire_frame(&w, NGHTTP2_SETTINGS, 0, 0, "\0\4\0\x10\0\0", 6); /* a window of 1 MiB */
    wire_frame(&w, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\x10\0\0", 4);
    wire_head(&w, 1, ":method=GET|:scheme=http|:authority=a|:path=/", 0, true);
    assert_true(listener_hear(&l, &w, SIZE_MAX / 2, out));
    http_head_init(&head, none, 1);
    head.status = 200;
    head.framing = HTTP_BODY_CHUNKED;
    h2_send_response(&l.streams[0], &head);
}

static void finish(struct buffer *out) {
    listener_fini(&l);
    wire_fini(&w);
    buffer_fini(out);
}

static void test_output_stops_at_its_bound(void **state) {
    static char large[400000];
    struct buffer out;
    (void)state;
    begin(&out);
    h2_send_data(&l.streams[0], slice_of(large, sizeof large));
    assert_int_equal(h2_unsent(l.h2), sizeof large);
    size_t sent = 0;
    for (unsigned turns = 0; h2_unsent(l.h2) > 0; turns++) {
        buffer_clear(&out);
        assert_true(h2_output(l.h2, &out, 65536, l.now_us));
        assert_true(buffer_len(&out) <= 65536 + H2_FRAME_BYTES + 9);
        sent += buffer_len(&out);
        assert_true(turns < 10);
    }
    assert_true(sent > sizeof large);
    finish(&out);
}

/* Frames and pieces in the order they go out, into one buffer. */
static void gather(const struct buffer *out, const struct h2_pieces *pieces, struct buffer *all) {
    struct slice parts[2 * H2_PIECES_MAX + 1];
    size_t count = h2_join(out, pieces, parts);
    for (size_t i = 0; i < count; i++) {
        assert_true(buffer_append(all, parts[i]));
    }
}

/* The payloads of the DATA frames in `all`. */
static size_t read_payloads(struct slice all, char *to) {
    size_t len = 0;
    while (all.len >= 9) {
        size_t payload = read_u32(all) >> 8;
        if (all.data[3] == NGHTTP2_DATA) {
            memcpy(to + len, all.data + 9, payload);
            len += payload;
        }
        all = slice_skip(all, 9 + payload);
    }
    assert_int_equal(all.len, 0);
    return len;
}

static bool is_within(struct slice part, const char *memory, size_t bytes) {
    return part.data >= memory && part.data + part.len <= memory + bytes;
}

/* Queued, lent in two pieces, queued: what is lent goes out from where it is as far as the window
 * and the bound allow; the rest is copied when it is asked back. */
static void test_lent_bytes_are_not_copied_until_they_must(void **state) {
    enum { FIRST = 1000, LENT = 60000, LAST = 5000, TOTAL = FIRST + 2 * LENT + LAST };
    static char body[TOTAL], lent[2 * LENT], back[TOTAL];
    struct buffer out, all;
    struct h2_pieces pieces;
    (void)state;
    for (size_t i = 0; i < TOTAL; i++) {
        body[i] = (char)(i * 131 >> 6);
    }
    memcpy(lent, body + FIRST, sizeof lent);
    begin(&out);
    buffer_init(&all, SIZE_MAX / 2);
    h2_send_data(&l.streams[0], slice_of(body, FIRST));
    h2_lend_data(&l.streams[0], slice_of(lent, LENT));
    h2_lend_data(&l.streams[0], slice_of(lent + LENT, LENT));
    assert_int_equal(h2_unsent(l.h2), FIRST + 2 * LENT);
    buffer_clear(&out);
    assert_true(h2_output_pieces(l.h2, &out, &pieces, 65536, l.now_us));
    assert_true(pieces.bytes > 40000 && buffer_len(&out) < 65536 - 40000);
    for (size_t i = 0; i < pieces.count; i++) {
        assert_true(is_within(pieces.piece[i].data, lent, sizeof lent));
    }
    gather(&out, &pieces, &all);
    h2_settle(l.h2);
    memset(lent, '!', sizeof lent); /* the lender has it back */
    h2_send_data(&l.streams[0], slice_of(body + TOTAL - LAST, LAST));
    h2_send_end(&l.streams[0], NULL);
    for (unsigned turns = 0; h2_unsent(l.h2) > 0; turns++) {
        buffer_clear(&out);
        assert_true(h2_output_pieces(l.h2, &out, &pieces, 65536, l.now_us));
        gather(&out, &pieces, &all);
        assert_true(turns < 10);
    }
    assert_int_equal(read_payloads(buffer_slice(&all), back), TOTAL);
    assert_memory_equal(back, body, TOTAL);
    buffer_fini(&all);
    finish(&out);
}

/* What was lent to a stream that is reset counts no more. */
static void test_a_reset_stream_forgets_what_it_was_lent(void **state) {
    static char lent[20000];
    struct buffer out;
    struct h2_pieces pieces;
    (void)state;
    begin(&out);
    h2_lend_data(&l.streams[0], slice_of(lent, sizeof lent));
    h2_reset(&l.streams[0], H2_CANCEL);
    assert_int_equal(h2_unsent(l.h2), 0);
    h2_settle(l.h2);
    buffer_clear(&out);
    assert_true(h2_output_pieces(l.h2, &out, &pieces, 65536, l.now_us));
    assert_int_equal(pieces.count, 0);
    finish(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_stops_at_its_bound),
        cmocka_unit_test(test_lent_bytes_are_not_copied_until_they_must),
        cmocka_unit_test(test_a_reset_stream_forgets_what_it_was_lent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
