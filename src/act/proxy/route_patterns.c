/* The patterns of the routes: each text is compiled once, however often it stands there. */
#include <stdlib.h>
#include <xxhash.h>

#include "act/proxy/route_table_internal.h"
#include "base/log.h"

static const struct pattern *compile(struct route_table *t, struct plan_text text) {
    struct slice source = route_text(t, text);
    uint64_t hash = XXH3_64bits(source.data, source.len);
    for (uint32_t i = 0; i < t->pattern_count; i++) {
        if (t->patterns[i].hash == hash &&
            slice_equal(route_text(t, t->patterns[i].text), source)) {
            return t->patterns[i].pattern;
        }
    }
    struct error err;
    struct pattern *pattern = pattern_new(source, &err);
    if (pattern == NULL) {
        log_error("pattern_not_compiled", "pattern=\"%.*s\" error=\"%s\" action=never_matches",
                  SLICE_ARG(source), err.text);
    }
    t->patterns[t->pattern_count++] = (struct route_pattern){ hash, text, pattern };
    return pattern;
}

static uint32_t count_patterns(const struct route_table *t) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < t->route_count; i++) {
        count += t->routes[i].match == PLAN_MATCH_PATTERN;
    }
    for (uint32_t i = 0; i < t->condition_count; i++) {
        count += t->conditions[i].match == PLAN_MATCH_PATTERN;
    }
    for (uint32_t i = 0; i < t->rule_count; i++) {
        count += t->rules[i].pattern.len > 0;
    }
    return count;
}

bool route_patterns_compile(struct route_table *t) {
    uint32_t count = count_patterns(t);
    if (count == 0) {
        return true;
    }
    t->patterns = calloc(count, sizeof *t->patterns);
    t->condition_patterns = calloc(t->condition_count + 1, sizeof *t->condition_patterns);
    t->path_patterns = calloc(t->route_count + 1, sizeof *t->path_patterns);
    t->rule_patterns = calloc(t->rule_count + 1, sizeof *t->rule_patterns);
    if (t->patterns == NULL || t->condition_patterns == NULL || t->path_patterns == NULL ||
        t->rule_patterns == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < t->rule_count; i++) {
        if (t->rules[i].pattern.len > 0) {
            t->rule_patterns[i] = compile(t, t->rules[i].pattern);
        }
    }
    for (uint32_t i = 0; i < t->route_count; i++) {
        if (t->routes[i].match == PLAN_MATCH_PATTERN) {
            t->path_patterns[i] = compile(t, t->routes[i].prefix);
        }
    }
    for (uint32_t i = 0; i < t->condition_count; i++) {
        if (t->conditions[i].match == PLAN_MATCH_PATTERN) {
            t->condition_patterns[i] = compile(t, t->conditions[i].value);
        }
    }
    return true;
}

void route_patterns_free(struct route_table *t) {
    for (uint32_t i = 0; i < t->pattern_count; i++) {
        pattern_free(t->patterns[i].pattern);
    }
    free(t->patterns);
    free(t->condition_patterns);
    free(t->path_patterns);
    free(t->rule_patterns);
}
