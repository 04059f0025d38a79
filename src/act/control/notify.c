#include "act/control/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_BYTES 256

bool notify_is_wanted(void) {
    const char *path = getenv("NOTIFY_SOCKET");
    return path != NULL && (path[0] == '/' || path[0] == '@') && path[1] != '\0';
}

void notify_send(const char *format, ...) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char message[MESSAGE_BYTES];
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || !notify_is_wanted() || strlen(path) >= sizeof address.sun_path) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* of the abstract name space */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && len > 0 && len < MESSAGE_BYTES) {
        (void)!sendto(fd, message, (size_t)len, MSG_NOSIGNAL, (struct sockaddr *)&address,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
    }
    if (fd >= 0) {
        close(fd);
    }
}
