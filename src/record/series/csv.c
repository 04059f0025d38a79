#include "record/series/csv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void csv_init(struct csv_reader *r, struct slice text, const char *name, struct arena *arena) {
    if (slice_starts_with(text, SLICE("\xef\xbb\xbf"))) {
        text = slice_skip(text, 3);
    }
    r->rest = text;
    r->name = name;
    r->arena = arena;
    r->line = r->lines_read = 0;
    r->len = 0;
}

bool csv_error(const struct csv_reader *r, size_t cell, struct error *err, const char *format,
               ...) {
    char message[ERROR_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    uint32_t column = 1;
    if (cell < r->len) {
        column = r->cells[cell].column;
    } else if (r->len > 0) {
        const struct csv_cell *last = &r->cells[r->len - 1];
        column = last->column + (uint32_t)last->text.len;
    }
    return error_set(err, ERROR_INVALID, "%s:%u:%u: %s", r->name, r->line, column, message);
}

static bool place_error(const struct csv_reader *r, size_t column, struct error *err,
                        const char *message) {
    return error_set(err, ERROR_INVALID, "%s:%u:%zu: %s", r->name, r->line, column + 1, message);
}

/* `body` is what stood between the quotes; doubled quotes become one in the arena. */
static bool unquote(struct csv_reader *r, struct slice body, struct slice *out) {
    if (slice_find_slice(body, SLICE("\"\"")) == SLICE_NONE) {
        *out = body;
        return true;
    }
    char *text = arena_alloc(r->arena, body.len);
    if (text == NULL) {
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < body.len; i++) {
        text[len++] = body.data[i];
        if (body.data[i] == '"') {
            i++; /* the second of a pair: the scanner has checked that it is there */
        }
    }
    *out = slice_of(text, len);
    return true;
}

/* A quoted cell from `start` (the opening quote) on: sets `end` after the closing one. */
static bool take_quoted(struct csv_reader *r, size_t start, size_t *end, struct slice *text,
                        struct error *err) {
    size_t at = start + 1;
    while (at < r->rest.len) {
        if (r->rest.data[at] == '\n') {
            r->lines_read++;
        } else if (r->rest.data[at] == '"') {
            if (at + 1 >= r->rest.len || r->rest.data[at + 1] != '"') {
                break;
            }
            at++;
        }
        at++;
    }
    if (at >= r->rest.len) {
        return place_error(r, start, err, "expected a closing quote, found the end of the file");
    }
    if (!unquote(r, slice_sub(r->rest, start + 1, at - start - 1), text)) {
        return error_set(err, ERROR_LIMIT, "%s:%u: too much quoted text", r->name, r->line);
    }
    *end = at + 1;
    return true;
}

static size_t cell_end(struct slice s, size_t at) {
    while (at < s.len && s.data[at] != ',' && s.data[at] != '\n') {
        at++;
    }
    return at;
}

/* One cell from `at` on; `*end` is at the comma, the newline or the end of the text. */
static bool take_cell(struct csv_reader *r, size_t at, size_t *end, struct error *err) {
    if (r->len == CSV_CELLS_MAX) {
        return error_set(err, ERROR_LIMIT, "%s:%u:%zu: expected at most %d cells in a line",
                         r->name, r->line, at + 1, CSV_CELLS_MAX);
    }
    struct csv_cell *cell = &r->cells[r->len];
    cell->column = (uint32_t)at + 1;
    if (at < r->rest.len && r->rest.data[at] == '"') {
        if (!take_quoted(r, at, end, &cell->text, err)) {
            return false;
        }
        if (*end < r->rest.len && r->rest.data[*end] == '\r') {
            (*end)++;
        }
        if (*end < r->rest.len && r->rest.data[*end] != ',' && r->rest.data[*end] != '\n') {
            return place_error(r, *end, err, "expected a comma after the closing quote");
        }
    } else {
        *end = cell_end(r->rest, at);
        struct slice text = slice_sub(r->rest, at, *end - at);
        if (slice_ends_with(text, SLICE("\r"))) {
            text.len--;
        }
        cell->text = slice_trim(text);
    }
    r->len++;
    return true;
}

static bool take_record(struct csv_reader *r, struct error *err) {
    size_t at = 0;
    for (;;) {
        size_t end = at;
        if (!take_cell(r, at, &end, err)) {
            return false;
        }
        if (end > CSV_LINE_BYTES_MAX) {
            return error_set(err, ERROR_LIMIT, "%s:%u: expected at most %u bytes in a record",
                             r->name, r->line, CSV_LINE_BYTES_MAX);
        }
        if (end >= r->rest.len || r->rest.data[end] == '\n') {
            r->rest = slice_skip(r->rest, end < r->rest.len ? end + 1 : r->rest.len);
            return true;
        }
        at = end + 1;
    }
}

static bool record_empty(const struct csv_reader *r) {
    return r->len == 1 && r->cells[0].text.len == 0;
}

enum csv_result csv_next(struct csv_reader *r, struct error *err) {
    do {
        if (r->rest.len == 0) {
            r->len = 0;
            return CSV_END;
        }
        r->line = ++r->lines_read;
        r->len = 0;
        if (!take_record(r, err)) {
            return CSV_BAD;
        }
    } while (record_empty(r));
    return CSV_RECORD;
}

size_t csv_find(const struct csv_reader *r, struct slice name) {
    for (size_t i = 0; i < r->len; i++) {
        if (slice_equal_fold(r->cells[i].text, name)) {
            return i;
        }
    }
    return SLICE_NONE;
}
