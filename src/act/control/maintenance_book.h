/* The maintenance book: which instances a person has taken out of rotation, until when and why. A
 * file in the state folder, written before it is acknowledged (docs/decisions/0034); a controller
 * that starts reads it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "act/api/api.h"

#define MAINTENANCE_FILE "maintenance.json"

struct maintenance_book {
    struct api_maintenance entries[API_MAINTENANCE_MAX]; /* free: no service */
};

/* What the file holds. A missing file is an empty book; one that cannot be understood is an error,
 * and the book is empty. */
bool maintenance_book_read(struct maintenance_book *book, const char *folder, struct error *err);
/* The whole book or nothing; on the disk when it returns. */
bool maintenance_book_write(const struct maintenance_book *book, const char *folder,
                            struct error *err);
/* NULL: it is not in the book. */
struct api_maintenance *maintenance_book_find(struct maintenance_book *book, struct slice service,
                                              struct slice instance);
/* A free entry; NULL: the book is full. */
struct api_maintenance *maintenance_book_take(struct maintenance_book *book);
