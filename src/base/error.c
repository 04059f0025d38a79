#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Adds ": tail" at err->text[len], cut where the text ends. */
static void append(struct error *err, size_t len, const char *tail) {
    size_t room = sizeof err->text - len;
    int written = snprintf(err->text + len, room, ": %s", tail);
    if (written < 0) {
        err->text[len] = '\0';
    }
}

bool error_set(struct error *err, enum error_kind kind, const char *format, ...) {
    if (err == NULL) {
        return false;
    }
    err->kind = kind;
    err->system_errno = 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    return false;
}

bool error_system(struct error *err, const char *format, ...) {
    int saved_errno = errno;
    if (err == NULL) {
        return false;
    }
    err->kind = ERROR_SYSTEM;
    err->system_errno = saved_errno;
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    if (len >= 0 && (size_t)len < sizeof err->text) {
        append(err, (size_t)len, strerror(saved_errno));
    }
    return false;
}

bool error_wrap(struct error *err, const char *format, ...) {
    if (err == NULL) {
        return false;
    }
    char inner[ERROR_TEXT_BYTES];
    memcpy(inner, err->text, sizeof inner);
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    if (len >= 0 && (size_t)len < sizeof err->text) {
        append(err, (size_t)len, inner);
    }
    return false;
}
