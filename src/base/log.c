#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define LOG_LINE_BYTES 2048

static const char *process_name = "tidegate";
static enum log_level level_min = LOG_INFO;

void log_set_process(const char *name) {
    process_name = name;
}

void log_set_level(enum log_level least) {
    level_min = least;
}

/* Whether this site may speak now; says in *held how many lines it held back before. */
static bool site_allows(struct log_site *site, int64_t second, unsigned *held) {
    *held = 0;
    if (site->second != second) {
        *held = site->suppressed;
        *site = (struct log_site){ .second = second };
    }
    if (site->in_second >= LOG_BURST) {
        site->suppressed++;
        return false;
    }
    site->in_second++;
    return true;
}

void log_write(struct log_site *site, enum log_level level, const char *event, const char *format,
               ...) {
    static const char *const names[] = { "DEBUG", "INFO", "WARN", "ERROR" };
    int64_t now_ms = clock_unix_ms();
    unsigned held;
    if (level < level_min || !site_allows(site, now_ms / 1000, &held)) {
        return;
    }
    char line[LOG_LINE_BYTES], time[CLOCK_ISO8601_BYTES];
    clock_format_iso8601(now_ms, time);
    size_t room = sizeof line - 1; /* for the newline */
    size_t len =
        (size_t)snprintf(line, room, "%s %s %s %s ", time, names[level], process_name, event);
    if (held > 0) {
        len += (size_t)snprintf(line + len, room - len, "suppressed=%u ", held);
    }
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(line + len, room - len, format, arguments);
    va_end(arguments);
    len += more < 0 ? 0 : (size_t)more;
    len = len >= room ? room - 1 : len;
    line[len++] = '\n';
    /* One write, so that lines of several processes do not mix; there is nobody to tell if it
     * fails. */
    ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
}
