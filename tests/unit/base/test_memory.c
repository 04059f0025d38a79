/* Buffers and arenas, against a dumb twin and at their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <stdalign.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/rand.h"

#define TWIN_BYTES 5000

/* A plain array that is moved at each step. */
static void buffer_behaves_like_its_twin(void **state) {
    struct buffer b;
    struct rand r;
    char twin[TWIN_BYTES];
    size_t len = 0;
    (void)state;
    rand_init(&r, 7041);
    buffer_init(&b, TWIN_BYTES);
    for (int step = 0; step < 100000; step++) {
        char piece[400];
        size_t bytes = rand_below(&r, sizeof piece);
        memset(piece, (int)rand_below(&r, 256), sizeof piece);
        switch (rand_below(&r, 8)) {
        case 0:
        case 1:
        case 2: {
            bool fits = len + bytes <= TWIN_BYTES;
            assert_int_equal(buffer_append(&b, slice_of(piece, bytes)), fits);
            if (fits) {
                memcpy(twin + len, piece, bytes);
                len += bytes;
            }
            break;
        }
        case 3: {
            char *room = buffer_reserve(&b, bytes);
            assert_int_equal(room != NULL, len + bytes <= TWIN_BYTES);
            if (room != NULL) {
                assert_true(buffer_room(&b) >= bytes);
                size_t used = bytes / 2;
                memcpy(room, piece, used);
                buffer_commit(&b, used);
                memcpy(twin + len, piece, used);
                len += used;
            }
            break;
        }
        case 4:
        case 5:
        case 6: {
            size_t taken = len == 0 ? 0 : rand_below(&r, (uint32_t)len + 1);
            buffer_consume(&b, taken);
            memmove(twin, twin + taken, len - taken);
            len -= taken;
            break;
        }
        default:
            if (rand_below(&r, 50) == 0) {
                buffer_fini(&b); /* stays usable */
                len = 0;
            } else if (rand_below(&r, 50) == 0) {
                buffer_clear(&b);
                len = 0;
            }
        }
        assert_int_equal(buffer_len(&b), len);
        assert_true(b.capacity <= TWIN_BYTES);
        assert_true(slice_equal(buffer_slice(&b), slice_of(twin, len)));
    }
    buffer_fini(&b);
}

static void buffer_writes_text(void **state) {
    struct buffer b;
    (void)state;
    buffer_init(&b, 100);
    assert_true(buffer_append_text(&b, "n="));
    assert_true(buffer_append_uint(&b, UINT64_MAX));
    assert_true(buffer_append_byte(&b, ' '));
    assert_true(buffer_append_uint(&b, 0));
    assert_true(buffer_printf(&b, " %s %d", "x", -7));
    assert_true(slice_equal(buffer_slice(&b), SLICE("n=18446744073709551615 0 x -7")));
    buffer_fini(&b);
}

static void buffer_refuses_whole(void **state) {
    struct buffer b;
    (void)state;
    buffer_init(&b, 8);
    assert_true(buffer_append(&b, SLICE("12345")));
    assert_false(buffer_append(&b, SLICE("6789")));
    assert_false(buffer_printf(&b, "%s", "abcd"));
    assert_null(buffer_reserve(&b, 4));
    assert_null(buffer_reserve(&b, SIZE_MAX));
    assert_true(slice_equal(buffer_slice(&b), SLICE("12345")));
    buffer_consume(&b, 3);
    assert_true(buffer_append(&b, SLICE("678901"))); /* what was consumed is room again */
    assert_true(slice_equal(buffer_slice(&b), SLICE("45678901")));
    buffer_fini(&b);
    assert_non_null(buffer_reserve(&b, 8)); /* exactly the limit */
    memcpy(b.data, "abcdefgh", 8);
    buffer_commit(&b, 8);
    assert_true(slice_equal(buffer_slice(&b), SLICE("abcdefgh")));
    assert_false(buffer_append_byte(&b, 'i'));
    buffer_fini(&b);
    buffer_fini(&b);
    buffer_fini(NULL);
}

static void arena_gives_what_was_asked(void **state) {
    struct arena a;
    struct rand r;
    (void)state;
    rand_init(&r, 7041);
    arena_init(&a, 1u << 20);
    for (int round = 0; round < 50; round++) {
        unsigned char *given[200];
        size_t bytes[200], sum = 0;
        for (int i = 0; i < 200; i++) {
            bytes[i] = rand_below(&r, i % 20 == 0 ? 9000 : 200);
            given[i] = arena_alloc(&a, bytes[i]);
            assert_non_null(given[i]);
            assert_int_equal((uintptr_t)given[i] % alignof(max_align_t), 0);
            for (size_t b = 0; b < bytes[i]; b++) {
                assert_int_equal(given[i][b], 0);
            }
            memset(given[i], i, bytes[i]);
            sum += bytes[i];
        }
        assert_true(a.used_bytes >= sum);
        for (int i = 0; i < 200; i++) { /* nobody wrote over anybody else */
            for (size_t b = 0; b < bytes[i]; b++) {
                assert_int_equal(given[i][b], i);
            }
        }
        arena_reset(&a);
        assert_int_equal(a.used_bytes, 0);
    }
    arena_fini(&a);
}

static void arena_holds_its_limit(void **state) {
    struct arena a;
    (void)state;
    arena_init(&a, 1024);
    assert_non_null(arena_alloc(&a, 1000));
    assert_null(arena_alloc(&a, 100));
    assert_non_null(arena_alloc(&a, 16)); /* the refused one took nothing */
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 8));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_array(&a, SIZE_MAX, SIZE_MAX));
    assert_non_null(arena_array(&a, 0, 8));
    arena_reset(&a);
    assert_non_null(arena_array(&a, 128, 8));
    arena_fini(&a);
    assert_non_null(arena_alloc(&a, 8)); /* usable again, with its limit */
    assert_null(arena_alloc(&a, 2000));
    arena_fini(&a);
    arena_fini(NULL);
}

static void arena_copies(void **state) {
    struct arena a;
    char text[] = "abc";
    (void)state;
    arena_init(&a, 64);
    struct slice copy = arena_copy(&a, slice_of(text, 2));
    text[0] = 'x';
    assert_true(slice_equal(copy, SLICE("ab")));
    assert_int_equal(copy.data[2], '\0');
    assert_string_equal(arena_text(&a, SLICE("yz")), "yz");
    assert_non_null(arena_copy(&a, (struct slice){ 0 }).data);
    assert_null(arena_copy(&a, slice_of(text, SIZE_MAX)).data);
    char large[64] = "";
    assert_null(arena_text(&a, slice_of(large, 64)));
    arena_fini(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_behaves_like_its_twin),
        cmocka_unit_test(buffer_writes_text),
        cmocka_unit_test(buffer_refuses_whole),
        cmocka_unit_test(arena_gives_what_was_asked),
        cmocka_unit_test(arena_holds_its_limit),
        cmocka_unit_test(arena_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
