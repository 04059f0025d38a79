/* CSV (RFC 4180) from memory, record by record: quoted cells, CRLF or LF, a byte-order mark.
 * Knows nothing of files or of what the cells mean; every error says `name:line:column: expected
 * …`. Not here: columns of numbers over time (series.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/slice.h"

#define CSV_CELLS_MAX 1024            /* in one record */
#define CSV_LINE_BYTES_MAX (1u << 20) /* of one record */

struct csv_cell {
    struct slice text; /* without quotes; a doubled quote is one */
    uint32_t column;   /* 1-based byte column where the cell starts */
};

struct csv_reader {
    struct slice rest;
    const char *name;    /* of the source, for errors */
    struct arena *arena; /* cells with doubled quotes are rewritten here */
    uint32_t line;       /* of the record last read, 1-based */
    uint32_t lines_read;
    struct csv_cell cells[CSV_CELLS_MAX];
    size_t len; /* cells of the record last read */
};

enum csv_result { CSV_RECORD, CSV_END, CSV_BAD };

/* `text` and `name` stay the caller's and must outlive the reader. */
void csv_init(struct csv_reader *r, struct slice text, const char *name, struct arena *arena);

/* The next record; lines without any byte are skipped. CSV_BAD with `err` set. */
enum csv_result csv_next(struct csv_reader *r, struct error *err);

/* Index of the cell with this text (ASCII case-insensitive), SLICE_NONE if there is none. */
size_t csv_find(const struct csv_reader *r, struct slice name);

/* Sets "name:line:column: " and the message; returns false. `cell` may be past the last one. */
bool csv_error(const struct csv_reader *r, size_t cell, struct error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
