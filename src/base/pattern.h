/* Patterns: Perl-compatible regular expressions (PCRE2) that strangers' text may be held against. A
 * pattern must match the whole text; it looks at bytes; it is compiled to machine code where that
 * is allowed. Each match has a limit on its steps: a pattern that runs wild gives up, it never
 * holds up the process. One thread at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

#define PATTERN_TEXT_BYTES_MAX 1024
#define PATTERN_SUBJECT_BYTES_MAX 16384 /* longer texts do not match */
#define PATTERN_CAPTURES_MAX 9          /* \1 to \9; 0 is the whole */
#define PATTERN_NESTING_MAX 32
#define PATTERN_STEPS_MAX 20000
#define PATTERN_DEPTH_MAX 500
#define PATTERN_HEAP_KIB_MAX 512

struct pattern;

enum pattern_result { PATTERN_MATCHES, PATTERN_DIFFERS, PATTERN_GAVE_UP };

/* NULL with *err set: what is wrong and at which byte. */
struct pattern *pattern_new(struct slice text, struct error *err);
void pattern_free(struct pattern *pattern);

/* `captures` NULL: they are not wanted; else PATTERN_CAPTURES_MAX + 1, pointing into `subject`,
 * empty where a group took no part. */
enum pattern_result pattern_match(const struct pattern *pattern, struct slice subject,
                                  struct slice *captures);

/* How many groups it captures. */
unsigned pattern_groups(const struct pattern *pattern);
/* The byte with which every match must begin, a letter in either case; -1: there is no single one.
 */
int pattern_first_byte(const struct pattern *pattern);
