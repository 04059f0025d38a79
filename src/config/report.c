#include "config/report.h"

#include <string.h>

#define LINE_BYTES 1024

void config_report_init(struct config_report *r) {
    memset(r, 0, sizeof *r);
    buffer_init(&r->text, CONFIG_REPORT_BYTES_MAX);
}

void config_report_fini(struct config_report *r) {
    buffer_fini(&r->text);
    r->errors = r->warnings = 0;
}

void config_report_print(const struct config_report *r, FILE *to) {
    struct slice text = buffer_slice(&r->text);
    fwrite(text.data, 1, text.len, to);
    if (r->errors > CONFIG_ERRORS_MAX) {
        fprintf(to, "… and %u more\n", r->errors - CONFIG_ERRORS_MAX);
    }
}

static void add_line(struct config_report *r, struct config_mark at, const char *kind,
                     const char *format, va_list arguments) {
    char line[LINE_BYTES];
    if (r->text.limit_bytes == 0) {
        buffer_init(&r->text, CONFIG_REPORT_BYTES_MAX);
    }
    vsnprintf(line, sizeof line, format, arguments);
    for (char *c = line; *c != '\0'; c++) { /* what comes from the file stays in its line */
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = '?';
        }
    }
    /* A report that does not fit is cut: the counts stay right. */
    if (at.line == 0) {
        (void)buffer_printf(&r->text, "%s: %s%s\n", at.file, kind, line);
    } else {
        (void)buffer_printf(&r->text, "%s:%u:%u: %s%s\n", at.file, at.line, at.column, kind, line);
    }
}

void config_report_errorv(struct config_report *r, struct config_mark at, const char *format,
                          va_list arguments) {
    if (r->errors++ < CONFIG_ERRORS_MAX) {
        add_line(r, at, "", format, arguments);
    }
}

void config_report_error(struct config_report *r, struct config_mark at, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    config_report_errorv(r, at, format, arguments);
    va_end(arguments);
}

void config_report_warning(struct config_report *r, struct config_mark at, const char *format,
                           ...) {
    va_list arguments;
    va_start(arguments, format);
    if (r->warnings++ < CONFIG_ERRORS_MAX) {
        add_line(r, at, "warning: ", format, arguments);
    }
    va_end(arguments);
}
