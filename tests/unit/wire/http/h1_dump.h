/* What the HTTP/1 tests compare: a head as one line of text, and a parse of every prefix. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "wire/http/h1.h"

#define DUMP_BYTES 4096

struct dump {
    char text[DUMP_BYTES];
    size_t len;
};

__attribute__((format(printf, 2, 3))) static inline void dump_add(struct dump *d,
                                                                  const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(d->text + d->len, sizeof d->text - d->len, format, arguments);
    va_end(arguments);
    d->len += len > 0 ? (size_t)len : 0;
    assert_true(d->len < sizeof d->text);
}

/* Framing, wishes and the fields that no part of the head says already. */
static inline void dump_rest(struct dump *d, const struct http_head *head) {
    static const char *const framings[] = { "none", "length", "chunked", "until-close" };
    dump_add(d, " %s", framings[head->framing]);
    if (head->has_content_length) {
        dump_add(d, ":%llu", (unsigned long long)head->content_length);
    }
    dump_add(d, head->keep_alive ? " keep" : " close");
    if (head->expect_continue) {
        dump_add(d, " continue");
    }
    if (head->upgrade) {
        dump_add(d, " upgrade=%.*s", SLICE_ARG(head->upgrade_to));
    }
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *f = &head->fields[i];
        if (f->id == HTTP_FIELD_OTHER) {
            dump_add(d, " [%.*s=%.*s]", SLICE_ARG(f->name), SLICE_ARG(f->value));
        }
    }
}

/* "GET shop.test /a?q none keep [x-name=value]", with the version when it is not 1.1. */
static inline void dump_request(struct dump *d, const struct http_head *head) {
    d->len = 0;
    dump_add(d, "%.*s %.*s %.*s%s%.*s", SLICE_ARG(head->method_text), SLICE_ARG(head->authority),
             SLICE_ARG(head->path), head->has_query ? "?" : "", SLICE_ARG(head->query));
    if (head->version != 11) {
        dump_add(d, " 1.%d", head->version - 10);
    }
    dump_rest(d, head);
}

/* "200 length:5 keep". */
static inline void dump_response(struct dump *d, const struct http_head *head) {
    d->len = 0;
    dump_add(d, "%u", head->status);
    if (head->version != 11) {
        dump_add(d, " 1.%d", head->version - 10);
    }
    dump_rest(d, head);
}

/* A copy of exactly these bytes, so that the sanitizer sees a read past them. */
static inline char *exact_copy(struct slice s) {
    char *copy = malloc(s.len > 0 ? s.len : 1);
    assert_non_null(copy);
    if (s.len > 0) {
        memcpy(copy, s.data, s.len);
    }
    return copy;
}
