#include "base/pattern.h"

#include <stdlib.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Whole text, bytes only; \C could stand inside of what is one character, so it is refused. */
#define OPTIONS                                                                                    \
    (PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF |                 \
     PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C)

struct pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

static pcre2_code *compile(struct slice text, struct error *err) {
    int problem;
    PCRE2_SIZE at;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context == NULL) {
        error_set(err, ERROR_LIMIT, "no memory for a pattern");
        return NULL;
    }
    pcre2_set_parens_nest_limit(context, PATTERN_NESTING_MAX);
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text.data, text.len, OPTIONS, &problem, &at, context);
    pcre2_compile_context_free(context);
    if (code == NULL) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(problem, why, sizeof why);
        error_set(err, ERROR_INVALID, "%s, at byte %zu of the pattern", (const char *)why,
                  (size_t)at);
    }
    return code;
}

struct pattern *pattern_new(struct slice text, struct error *err) {
    if (text.len == 0 || text.len > PATTERN_TEXT_BYTES_MAX) {
        error_set(err, ERROR_INVALID, "a pattern has 1 to %d bytes", PATTERN_TEXT_BYTES_MAX);
        return NULL;
    }
    pcre2_code *code = compile(text, err);
    if (code == NULL) {
        return NULL;
    }
    struct pattern *p = calloc(1, sizeof *p);
    if (p == NULL) {
        pcre2_code_free(code);
        error_set(err, ERROR_LIMIT, "no memory for a pattern");
        return NULL;
    }
    p->code = code;
    p->data = pcre2_match_data_create(PATTERN_CAPTURES_MAX + 1, NULL);
    p->limits = pcre2_match_context_create(NULL);
    if (p->data == NULL || p->limits == NULL) {
        pattern_free(p);
        error_set(err, ERROR_LIMIT, "no memory for a pattern");
        return NULL;
    }
    pcre2_set_match_limit(p->limits, PATTERN_STEPS_MAX);
    pcre2_set_depth_limit(p->limits, PATTERN_DEPTH_MAX);
    pcre2_set_heap_limit(p->limits, PATTERN_HEAP_KIB_MAX);
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without it, it is interpreted */
    return p;
}

void pattern_free(struct pattern *p) {
    if (p != NULL) {
        pcre2_match_context_free(p->limits);
        pcre2_match_data_free(p->data);
        pcre2_code_free(p->code);
        free(p);
    }
}

enum pattern_result pattern_match(const struct pattern *p, struct slice subject,
                                  struct slice *captures) {
    if (subject.len > PATTERN_SUBJECT_BYTES_MAX) {
        return PATTERN_DIFFERS;
    }
    int found = pcre2_match(p->code, (PCRE2_SPTR)(subject.data != NULL ? subject.data : ""),
                            subject.len, 0, 0, p->data, p->limits);
    if (found < 0) {
        return found == PCRE2_ERROR_NOMATCH ? PATTERN_DIFFERS : PATTERN_GAVE_UP;
    }
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(p->data);
    int pairs = found == 0 ? PATTERN_CAPTURES_MAX + 1 : found; /* 0: more groups than we keep */
    for (size_t i = 0; captures != NULL && i <= PATTERN_CAPTURES_MAX; i++) {
        bool took_part =
            i < (size_t)pairs && ends[2 * i] != PCRE2_UNSET && ends[2 * i + 1] >= ends[2 * i];
        captures[i] = took_part ? slice_sub(subject, ends[2 * i], ends[2 * i + 1] - ends[2 * i])
                                : (struct slice){ 0 };
    }
    return PATTERN_MATCHES;
}

unsigned pattern_groups(const struct pattern *p) {
    uint32_t count = 0;
    pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &count);
    return count;
}

int pattern_first_byte(const struct pattern *p) {
    uint32_t kind = 0, byte = 0;
    pcre2_pattern_info(p->code, PCRE2_INFO_FIRSTCODETYPE, &kind);
    pcre2_pattern_info(p->code, PCRE2_INFO_FIRSTCODEUNIT, &byte);
    return kind == 1 ? (int)byte : -1;
}
