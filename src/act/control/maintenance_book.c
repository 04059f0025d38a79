#include "act/control/maintenance_book.h"

#include <string.h>

#include "act/control/state_file.h"

#define VERSION 1

struct api_maintenance *maintenance_book_find(struct maintenance_book *book, struct slice service,
                                              struct slice instance) {
    for (size_t i = 0; i < API_MAINTENANCE_MAX; i++) {
        struct api_maintenance *e = &book->entries[i];
        if (e->service[0] != '\0' && slice_equal(slice_from(e->service), service) &&
            slice_equal(slice_from(e->instance), instance)) {
            return e;
        }
    }
    return NULL;
}

struct api_maintenance *maintenance_book_take(struct maintenance_book *book) {
    for (size_t i = 0; i < API_MAINTENANCE_MAX; i++) {
        if (book->entries[i].service[0] == '\0') {
            return &book->entries[i];
        }
    }
    return NULL;
}

/* ---- reading ---- */

static bool take_number(const json_t *object, const char *key, int64_t *out) {
    const json_t *number = json_object_get(object, key);
    *out = json_integer_value(number);
    return json_is_integer(number) && *out >= 0;
}

static bool take_entry(const json_t *object, struct api_maintenance *e) {
    return state_file_text(object, "service", e->service, sizeof e->service) &&
           e->service[0] != '\0' &&
           state_file_text(object, "instance", e->instance, sizeof e->instance) &&
           state_file_text(object, "reason", e->reason, sizeof e->reason) &&
           state_file_text(object, "by", e->by, sizeof e->by) &&
           take_number(object, "since_ms", &e->since_ms) &&
           take_number(object, "until_ms", &e->until_ms);
}

static bool take_book(const json_t *root, struct maintenance_book *book) {
    const json_t *list = json_object_get(root, "maintenance"), *item;
    size_t i;
    if (json_integer_value(json_object_get(root, "version")) != VERSION || !json_is_array(list) ||
        json_array_size(list) > API_MAINTENANCE_MAX) {
        return false;
    }
    json_array_foreach (list, i, item) {
        if (!take_entry(item, &book->entries[i])) {
            return false;
        }
    }
    return true;
}

bool maintenance_book_read(struct maintenance_book *book, const char *folder, struct error *err) {
    json_t *root;
    memset(book, 0, sizeof *book);
    if (!state_file_read(folder, MAINTENANCE_FILE, &root, err)) {
        return false;
    }
    bool good = root == NULL || take_book(root, book);
    json_decref(root);
    if (!good) {
        memset(book, 0, sizeof *book);
        return error_set(err, ERROR_INVALID, "%s/" MAINTENANCE_FILE " is no book of maintenance",
                         folder);
    }
    return true;
}

/* ---- writing ---- */

static json_t *to_json(const struct maintenance_book *book) {
    json_t *list = json_array();
    for (size_t i = 0; i < API_MAINTENANCE_MAX; i++) {
        const struct api_maintenance *e = &book->entries[i];
        if (e->service[0] != '\0') {
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "service", e->service, "instance",
                                e->instance, "reason", e->reason, "by", e->by, "since_ms",
                                (json_int_t)e->since_ms, "until_ms", (json_int_t)e->until_ms));
        }
    }
    return json_pack("{s:i, s:o}", "version", VERSION, "maintenance", list);
}

bool maintenance_book_write(const struct maintenance_book *book, const char *folder,
                            struct error *err) {
    return state_file_write(folder, MAINTENANCE_FILE, to_json(book), err);
}
