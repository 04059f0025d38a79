/* Three lines: a pattern, a template and a subject. What does not compile is refused with a reason;
 * a match is of the whole, within the pattern's limits, and a template's groups are those the
 * pattern has. Line four and five: an origin that is allowed and one that asks. */
#include <assert.h>
#include <ctype.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "act/proxy/cors.h"
#include "act/proxy/template.h"
#include "base/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(struct slice part, struct slice whole) {
    return part.len == 0 ||
           (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

static void expand(struct slice template, const struct slice *captures) {
    struct arena arena;
    arena_init(&arena, 1u << 20);
    size_t most = template.len;
    for (unsigned i = 0; i <= PATTERN_CAPTURES_MAX; i++) { /* \\0: the whole */
        most += captures[i].len * (template.len / 2);
    }
    struct slice out = template_expand(template, captures, &arena);
    assert(out.data == NULL || out.len <= most);
    arena_fini(&arena);
}

static void try_pattern(struct slice text, struct slice template, struct slice subject) {
    struct error err = { 0 };
    struct slice captures[PATTERN_CAPTURES_MAX + 1];
    struct pattern *pattern = pattern_new(text, &err);
    if (pattern == NULL) {
        assert(err.text[0] != '\0');
        return;
    }
    assert(text.len <= PATTERN_TEXT_BYTES_MAX && pattern_first_byte(pattern) < 256);
    enum pattern_result result = pattern_match(pattern, subject, captures);
    if (result == PATTERN_MATCHES) {
        assert(pattern_match(pattern, subject, NULL) == PATTERN_MATCHES);
        assert(slice_equal(captures[0], subject) && subject.len <= PATTERN_SUBJECT_BYTES_MAX);
        int first = pattern_first_byte(pattern);
        assert(first < 0 ||
               (subject.len > 0 && tolower((uint8_t)subject.data[0]) == tolower(first)));
        for (unsigned i = 0; i <= PATTERN_CAPTURES_MAX; i++) {
            assert(is_within(captures[i], subject));
        }
        int highest = template_highest(template);
        if (highest != TEMPLATE_BAD && highest <= (int)pattern_groups(pattern)) {
            expand(template, captures);
        }
    }
    pattern_free(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct slice rest = slice_of(data, size), line[5] = { 0 };
    for (unsigned i = 0; i < 5; i++) {
        slice_cut(&rest, '\n', &line[i]);
    }
    try_pattern(line[0], line[1], line[2]);
    if (cors_is_pattern(line[3]) && cors_origin_matches(line[3], line[4])) {
        size_t star = slice_find(line[3], '*');
        assert(star == SLICE_NONE ? slice_equal_fold(line[3], line[4])
                                  : line[4].len + 1 > line[3].len || line[3].len == 1);
    }
    return 0;
}
