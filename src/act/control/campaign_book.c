#include "act/control/campaign_book.h"

#include <math.h>
#include <string.h>

#include "act/control/state_file.h"

#define VERSION 1

struct campaign_entry *campaign_book_find(struct campaign_book *book, struct slice id) {
    for (size_t i = 0; i < book->len; i++) {
        if (slice_equal(slice_from(book->entries[i].id), id)) {
            return &book->entries[i];
        }
    }
    return NULL;
}

void campaign_book_drop(struct campaign_book *book, struct campaign_entry *entry) {
    size_t at = (size_t)(entry - book->entries);
    memmove(entry, entry + 1, (book->len - at - 1) * sizeof *entry);
    book->len--;
}

struct campaign_entry *campaign_book_add(struct campaign_book *book, int64_t now_ms) {
    struct campaign_entry *oldest = NULL;
    for (size_t i = 0; i < book->len; i++) {
        struct campaign_entry *e = &book->entries[i];
        oldest = oldest == NULL || e->end_ms < oldest->end_ms ? e : oldest;
    }
    bool aged = oldest != NULL && oldest->end_ms + CAMPAIGN_KEEP_MS < now_ms;
    bool full = book->len == CAMPAIGN_BOOK_MAX;
    if (full && oldest->end_ms > now_ms) {
        return NULL;
    }
    if (aged || full) {
        campaign_book_drop(book, oldest);
    }
    struct campaign_entry *fresh = &book->entries[book->len++];
    *fresh = (struct campaign_entry){ .multiplier = NAN };
    return fresh;
}

bool campaign_book_announce(const struct campaign_book *book, struct calendar *c,
                            struct error *err) {
    for (size_t i = 0; i < book->len; i++) {
        const struct campaign_entry *e = &book->entries[i];
        struct calendar_event event = { .start_ms = e->start_ms,
                                        .end_ms = e->end_ms,
                                        .name = slice_from(e->name),
                                        .kind = slice_from(e->kind),
                                        .channel = slice_from(e->channel),
                                        .audience = slice_from(e->audience),
                                        .uid = slice_from(e->id),
                                        .multiplier = e->multiplier,
                                        .sequence = e->sequence,
                                        .cancelled = e->cancelled };
        if (!calendar_add(c, &event, err)) {
            return false;
        }
    }
    return true;
}

/* ---- reading and writing ---- */

static bool take_entry(const json_t *object, struct campaign_entry *e) {
    const json_t *multiplier = json_object_get(object, "multiplier");
    e->start_ms = json_integer_value(json_object_get(object, "start_ms"));
    e->end_ms = json_integer_value(json_object_get(object, "end_ms"));
    e->multiplier = json_is_number(multiplier) ? json_number_value(multiplier) : (double)NAN;
    e->sequence = (uint32_t)json_integer_value(json_object_get(object, "sequence"));
    e->cancelled = json_is_true(json_object_get(object, "cancelled"));
    return state_file_text(object, "id", e->id, sizeof e->id) && e->id[0] != '\0' &&
           state_file_text(object, "name", e->name, sizeof e->name) &&
           state_file_text(object, "kind", e->kind, sizeof e->kind) &&
           state_file_text(object, "channel", e->channel, sizeof e->channel) &&
           state_file_text(object, "audience", e->audience, sizeof e->audience) &&
           state_file_text(object, "by", e->by, sizeof e->by) && e->end_ms > e->start_ms &&
           !(e->multiplier <= 0) && !(e->multiplier > CALENDAR_MULTIPLIER_MAX);
}

static bool take_book(const json_t *root, struct campaign_book *book) {
    const json_t *list = json_object_get(root, "campaigns"), *item;
    size_t i;
    if (json_integer_value(json_object_get(root, "version")) != VERSION || !json_is_array(list) ||
        json_array_size(list) > CAMPAIGN_BOOK_MAX) {
        return false;
    }
    json_array_foreach (list, i, item) {
        if (!take_entry(item, &book->entries[i])) {
            return false;
        }
        book->len = i + 1;
    }
    return true;
}

bool campaign_book_read(struct campaign_book *book, const char *folder, struct error *err) {
    json_t *root;
    book->len = 0;
    if (!state_file_read(folder, CAMPAIGN_FILE, &root, err)) {
        return false;
    }
    bool good = root == NULL || take_book(root, book);
    json_decref(root);
    if (!good) {
        book->len = 0;
        return error_set(err, ERROR_INVALID, "%s/" CAMPAIGN_FILE " is no book of campaigns",
                         folder);
    }
    return true;
}

bool campaign_book_write(const struct campaign_book *book, const char *folder, struct error *err) {
    json_t *list = json_array();
    for (size_t i = 0; i < book->len; i++) {
        const struct campaign_entry *e = &book->entries[i];
        json_t *entry = json_pack(
            "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:b}", "id", e->id, "name", e->name,
            "kind", e->kind, "channel", e->channel, "audience", e->audience, "by", e->by,
            "start_ms", (json_int_t)e->start_ms, "end_ms", (json_int_t)e->end_ms, "sequence",
            (json_int_t)e->sequence, "cancelled", (int)e->cancelled);
        if (!isnan(e->multiplier)) {
            json_object_set_new(entry, "multiplier", json_real(e->multiplier));
        }
        json_array_append_new(list, entry);
    }
    return state_file_write(folder, CAMPAIGN_FILE,
                            json_pack("{s:i, s:o}", "version", VERSION, "campaigns", list), err);
}
