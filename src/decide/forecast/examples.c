/* What trees learn from, in little room. */
#include <stdlib.h>
#include <string.h>

#include "decide/forecast/trees.h"

#define ROOM_STEP 256

void examples_init(struct examples *e, size_t capacity) {
    *e = (struct examples){ .capacity = capacity, .width = 1 }; /* a row has an address */
    memset(e->column, FEATURES_NO_COLUMN, sizeof e->column);
    e->column[0] = 0;
}

void examples_fini(struct examples *e) {
    free(e->rows);
    free(e->aims);
    free(e->scores);
    *e = (struct examples){ 0 };
}

/* Room for so many rows of that width; those that are there must fit. False without memory. */
static bool resize(struct examples *e, size_t room, size_t width) {
    uint8_t *rows = realloc(e->rows, room * width);
    if (rows != NULL) {
        e->rows = rows;
    }
    struct example_aim *aims = realloc(e->aims, room * sizeof *aims);
    if (aims != NULL) {
        e->aims = aims;
    }
    bool done = rows != NULL && aims != NULL;
    if (e->scores != NULL) {
        float *scores = realloc(e->scores, room * sizeof *scores);
        if (scores != NULL) {
            e->scores = scores;
        }
        done = done && scores != NULL;
    }
    e->room = done || room < e->room ? room : e->room;
    return done;
}

/* From now on the feature differs: a column for it, of what it always was. */
static bool add_column(struct examples *e, size_t feature) {
    size_t width = e->width;
    if (e->room > 0 && !resize(e, e->room, width + 1)) {
        return false;
    }
    for (size_t i = e->len; i-- > 0;) {
        memmove(e->rows + i * (width + 1), e->rows + i * width, width);
        e->rows[i * (width + 1) + width] = e->usual[feature];
    }
    e->column[feature] = (uint8_t)width;
    e->feature[width] = (uint8_t)feature;
    e->width++;
    return true;
}

static bool add_columns(struct examples *e, const uint8_t *bytes) {
    for (size_t f = 0; f < FEATURES; f++) {
        if (e->len == 0 && e->column[f] == FEATURES_NO_COLUMN) {
            e->usual[f] = bytes[f];
        } else if (e->column[f] == FEATURES_NO_COLUMN && bytes[f] != e->usual[f] &&
                   !add_column(e, f)) {
            return false;
        }
    }
    return true;
}

bool examples_wanted(const struct examples *e, uint32_t hash) {
    return (hash & e->keep_mask) == 0;
}

/* Every other one goes. */
static void thin_out(struct examples *e) {
    size_t kept = 0;
    e->keep_mask = e->keep_mask * 2 + 1;
    for (size_t i = 0; i < e->len; i++) {
        if (examples_wanted(e, e->aims[i].hash)) {
            memmove(e->rows + kept * e->width, e->rows + i * e->width, e->width);
            e->aims[kept] = e->aims[i];
            if (e->scores != NULL) {
                e->scores[kept] = e->scores[i];
            }
            kept++;
        }
    }
    e->len = kept;
    resize(e, kept + ROOM_STEP, e->width);
}

void examples_add(struct examples *e, const struct example *example, float score) {
    while (e->len == e->capacity) {
        thin_out(e);
    }
    size_t room = e->len + ROOM_STEP < e->capacity ? e->len + ROOM_STEP : e->capacity;
    if (!examples_wanted(e, example->hash) || !add_columns(e, example->bytes) ||
        (e->len >= e->room && !resize(e, room, e->width))) {
        return;
    }
    for (size_t c = 0; c < e->width; c++) {
        e->rows[e->len * e->width + c] = example->bytes[e->feature[c]];
    }
    e->aims[e->len] = (struct example_aim){ example->target, example->weight, example->hash };
    if (e->scores != NULL) {
        e->scores[e->len] = score;
    }
    e->len++;
}

struct example examples_get(const struct examples *e, size_t i) {
    struct example out = { { 0 }, e->aims[i].target, e->aims[i].weight, e->aims[i].hash };
    for (size_t f = 0; f < FEATURES; f++) {
        bool kept = e->column[f] != FEATURES_NO_COLUMN;
        out.bytes[f] = kept ? e->rows[i * e->width + e->column[f]] : e->usual[f];
    }
    return out;
}

bool examples_score(struct examples *e) {
    free(e->scores);
    e->scores = calloc(e->room, sizeof *e->scores);
    return e->scores != NULL;
}

void examples_scored(struct examples *e) {
    free(e->scores);
    e->scores = NULL;
}
