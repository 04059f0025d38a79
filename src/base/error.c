#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
        snprintf(err->text + len, sizeof err->text - (size_t)len, ": %s", strerror(saved_errno));
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
        snprintf(err->text + len, sizeof err->text - (size_t)len, ": %s", inner);
    }
    return false;
}
