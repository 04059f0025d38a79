/* What is wrong with a configuration: every error and warning at once, a line each, as
 * `shop.yaml:12:5: expected …`. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"

#define CONFIG_REPORT_BYTES_MAX 262144
#define CONFIG_ERRORS_MAX 200 /* further ones are only counted */

struct config_report {
    uint32_t errors, warnings;
    struct buffer text; /* lines, each ended by \n */
};

/* Zeroed is empty too; the buffer gets its limit with the first line. */
void config_report_init(struct config_report *r);
void config_report_fini(struct config_report *r);
void config_report_print(const struct config_report *r, FILE *to);

/* `line` 0: the file as a whole. Both count 1-based. */
struct config_mark {
    const char *file;
    uint32_t line, column;
};

void config_report_error(struct config_report *r, struct config_mark at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_report_warning(struct config_report *r, struct config_mark at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_report_errorv(struct config_report *r, struct config_mark at, const char *format,
                          va_list arguments) __attribute__((format(printf, 3, 0)));
