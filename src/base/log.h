/* Our own log, to stderr: one line an event, key=value pairs, for a person at 3 a.m.
 *   2026-11-27T03:00:01.123Z WARN controller endpoint_ejected endpoint=… action=…
 * ERROR: someone must act. WARN: we coped, and say how. INFO: state changed. Never one a request.
 * A call site that repeats more than LOG_BURST times in a second is held back and counted. */
#pragma once
#include <stdint.h>

#define LOG_BURST 20

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_site {
    int64_t second;
    unsigned in_second, suppressed;
};

void log_set_process(const char *name); /* "worker-0"; a static string */
void log_set_level(enum log_level least);
void log_write(struct log_site *site, enum log_level level, const char *event, const char *format,
               ...) __attribute__((format(printf, 4, 5)));

#define LOG_AT(level, event, ...)                                                                  \
    do {                                                                                           \
        static struct log_site log_site_here;                                                      \
        log_write(&log_site_here, level, event, __VA_ARGS__);                                      \
    } while (0)
#define log_debug(event, ...) LOG_AT(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) LOG_AT(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) LOG_AT(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_ERROR, event, __VA_ARGS__)
