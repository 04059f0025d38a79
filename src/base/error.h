/* Errors that can happen: a kind for the program, a sentence for the person.
 * Functions that can fail return bool and take `struct error *err` last; NULL is allowed when the
 * caller does not want to know why. Expected outcomes are enums, programmer errors are assert(). */
#pragma once
#include <stdbool.h>

#define ERROR_TEXT_BYTES 512

enum error_kind {
    ERROR_NONE,
    ERROR_INVALID, /* the input is wrong: exit status 2 */
    ERROR_NOT_FOUND,
    ERROR_BUSY,        /* held by somebody else */
    ERROR_LIMIT,       /* a named limit was reached */
    ERROR_UNAVAILABLE, /* the other side is not there or not now */
    ERROR_SYSTEM,      /* a system call failed; errno is in system_errno */
};

struct error {
    enum error_kind kind;
    int system_errno;
    char text[ERROR_TEXT_BYTES];
};

/* Each returns false, so that a function can `return error_set(err, …)`. */
bool error_set(struct error *err, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set with ERROR_SYSTEM, and appends strerror(errno). */
bool error_system(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prefixes "<where>: " to what is already there; the kind stays. */
bool error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
