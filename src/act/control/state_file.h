/* State files: small books of JSON in the state folder, read at the start and written before what
 * is in them is acknowledged (docs/decisions/0034). */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

#define STATE_FILE_BYTES_MAX (1u << 20)

/* *root NULL without such a file, which is no error; else the caller's. ERROR_INVALID: no JSON, or
 * too much of it. */
bool state_file_read(const char *folder, const char *name, json_t **root, struct error *err);
/* The whole file or nothing; on the disk when it returns. Takes the reference of `root`. */
bool state_file_write(const char *folder, const char *name, json_t *root, struct error *err);

/* A text of an entry; false: there is none, or it does not fit. */
bool state_file_text(const json_t *object, const char *key, char *out, size_t out_bytes);
