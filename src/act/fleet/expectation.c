#include "act/fleet/expectation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/pattern.h"

_Static_assert(PROBE_BODY_BYTES_MAX <= PATTERN_SUBJECT_BYTES_MAX, "a pattern sees all of it");

struct statuses {
    uint16_t first, last;
};

struct expectation {
    unsigned holders;
    struct statuses statuses[EXPECT_STATUSES_MAX]; /* none: 200 to 399 */
    size_t status_count;
    char status_text[48];                 /* as configured, for people */
    char body[EXPECT_BODY_BYTES_MAX + 1]; /* empty: none, or a pattern */
    struct pattern *pattern;
};

static const char *const names[PROBE_RESULTS] = {
    [PROBE_MORE] = "none",         [PROBE_WELL] = "well",
    [PROBE_CONNECT] = "connect",   [PROBE_TLS] = "tls",
    [PROBE_TIMEOUT] = "timeout",   [PROBE_CLOSED] = "closed",
    [PROBE_PROTOCOL] = "protocol", [PROBE_STATUS] = "status",
    [PROBE_BODY] = "body",         [PROBE_NOT_SERVING] = "not_serving",
};

const char *probe_result_name(enum probe_result result) {
    return names[result];
}

/* "204", "2xx", "200-399". */
static bool parse_status(struct slice text, struct statuses *out) {
    uint64_t first, last;
    struct slice rest = text, part;
    if (text.len == 3 && text.data[0] >= '1' && text.data[0] <= '5' && text.data[1] == 'x' &&
        text.data[2] == 'x') {
        first = (uint64_t)(text.data[0] - '0') * 100;
        last = first + 99;
    } else {
        (void)slice_cut(&rest, '-', &part);
        bool single = part.len == text.len;
        if (!parse_uint(part, &first) || !(single || parse_uint(rest, &last))) {
            return false;
        }
        last = single ? first : last;
    }
    if (first < 200 || last > 599 || first > last) { /* 1xx comes before the answer */
        return false;
    }
    *out = (struct statuses){ (uint16_t)first, (uint16_t)last };
    return true;
}

static bool take_statuses(struct expectation *e, const struct expect_config *config,
                          struct error *err) {
    if (config->status_len > EXPECT_STATUSES_MAX) {
        return error_set(err, ERROR_INVALID, "status: expected at most %d, found %zu",
                         EXPECT_STATUSES_MAX, config->status_len);
    }
    for (size_t i = 0; i < config->status_len; i++) {
        const char *text = config->status[i] == NULL ? "" : config->status[i];
        size_t len = strlen(e->status_text);
        if (!parse_status(slice_from(text), &e->statuses[i])) {
            return error_set(err, ERROR_INVALID,
                             "status: expected such as 200, 2xx or 200-399, found '%.32s'", text);
        }
        snprintf(e->status_text + len, sizeof e->status_text - len, "%s%s", i > 0 ? ", " : "",
                 text);
    }
    e->status_count = config->status_len;
    return true;
}

/* A pattern of ours matches whole texts only: it is found anywhere with something on both sides. It
 * is tried alone first, so that its error counts its own bytes. */
static bool take_pattern(struct expectation *e, struct slice text, struct error *err) {
    char whole[EXPECT_BODY_BYTES_MAX + 32];
    struct pattern *alone = pattern_new(text, err);
    if (alone == NULL) {
        return error_wrap(err, "body");
    }
    pattern_free(alone);
    int len = snprintf(whole, sizeof whole, "(?s:.*?)(?:%.*s)(?s:.*+)", SLICE_ARG(text));
    e->pattern = pattern_new(slice_of(whole, (size_t)len), err);
    return e->pattern != NULL || error_wrap(err, "body");
}

static bool take_body(struct expectation *e, const char *body, struct error *err) {
    struct slice text = slice_from(body);
    if (body == NULL) {
        return true;
    }
    if (text.len == 0 || text.len > EXPECT_BODY_BYTES_MAX) {
        return error_set(err, ERROR_INVALID, "body: expected 1 to %d bytes, found %zu",
                         EXPECT_BODY_BYTES_MAX, text.len);
    }
    if (text.len > 2 && text.data[0] == '/' && text.data[text.len - 1] == '/') {
        return take_pattern(e, slice_sub(text, 1, text.len - 2), err);
    }
    memcpy(e->body, text.data, text.len + 1);
    return true;
}

struct expectation *expectation_new(const struct expect_config *config, struct error *err) {
    struct expectation *e = calloc(1, sizeof *e);
    if (e == NULL) {
        error_set(err, ERROR_LIMIT, "memory is out");
        return NULL;
    }
    e->holders = 1;
    if (!take_statuses(e, config, err) || !take_body(e, config->body, err)) {
        expectation_free(e);
        return NULL;
    }
    return e;
}

struct expectation *expectation_hold(struct expectation *e) {
    if (e != NULL) {
        e->holders++;
    }
    return e;
}

void expectation_free(struct expectation *e) {
    if (e != NULL && --e->holders == 0) {
        pattern_free(e->pattern);
        free(e);
    }
}

bool expectation_wants_body(const struct expectation *e) {
    return e != NULL && (e->body[0] != '\0' || e->pattern != NULL);
}

static bool status_fits(const struct expectation *e, uint16_t status) {
    if (e == NULL || e->status_count == 0) {
        return status >= 200 && status <= 399;
    }
    for (size_t i = 0; i < e->status_count; i++) {
        if (status >= e->statuses[i].first && status <= e->statuses[i].last) {
            return true;
        }
    }
    return false;
}

enum probe_result expectation_judge(const struct expectation *e, uint16_t status, struct slice body,
                                    bool ended, char why[PROBE_WHY_BYTES]) {
    if (!status_fits(e, status)) {
        bool configured = e != NULL && e->status_count > 0;
        snprintf(why, PROBE_WHY_BYTES,
                 configured ? "it answered %u, expected %s" : "it answered %u", status,
                 configured ? e->status_text : "");
        return PROBE_STATUS;
    }
    if (!expectation_wants_body(e)) {
        return PROBE_WELL;
    }
    ended |= body.len >= PROBE_BODY_BYTES_MAX;
    if (e->pattern == NULL && slice_find_slice(body, slice_from(e->body)) != SLICE_NONE) {
        return PROBE_WELL;
    }
    if (!ended) {
        return PROBE_MORE; /* a pattern may say something about the end */
    }
    enum pattern_result found =
        e->pattern == NULL ? PATTERN_DIFFERS : pattern_match(e->pattern, body, NULL);
    if (found == PATTERN_MATCHES) {
        return PROBE_WELL;
    }
    snprintf(why, PROBE_WHY_BYTES, "%s",
             found == PATTERN_GAVE_UP ? "the pattern of expect.body gave up on its body"
                                      : "its body has not what is expected");
    return PROBE_BODY;
}
