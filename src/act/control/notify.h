/* What a service manager is told (sd_notify's protocol: a datagram to $NOTIFY_SOCKET), without
 * libsystemd. Does nothing when nobody asked for it. */
#pragma once
#include <stdbool.h>

/* "READY=1", "STOPPING=1", "MAINPID=42\nREADY=1" … */
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool notify_is_wanted(void);
