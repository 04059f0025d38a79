/* tidegate upgrade: the running Tidegate hands over to a newly started binary. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "act/control/state.h"
#include "config/units.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"

#define PATIENCE_DEFAULT_MS 30000
#define ANSWER_MARGIN_MS 15000 /* beyond the patience: it says so itself */

static const char help[] =
    "usage: tidegate upgrade [shop.yaml] [--binary PATH] [--patience 30s]\n\n"
    "The Tidegate of this folder (or of that file) starts the binary anew and hands it the "
    "listening\n"
    "sockets and the running instances. Nothing is refused in between; what older workers carry "
    "they\n"
    "finish, WebSockets up to timeouts.upgrade.\n\n"
    "  --binary PATH      default: where the running one was started from\n"
    "  --patience D       until the new one must serve; else it is given up and the old one "
    "stays\n\n"
    "exit status: 0 the new one serves, 1 the old one stays, and why is said, 3 it broke\n";

struct request {
    const char *config_path; /* NULL: ./var */
    const char *binary;      /* NULL: the same path */
    int64_t patience_ms;
};

static bool take_patience(void *request, const char *value, struct error *err) {
    struct request *r = request;
    return (units_parse_duration_ms(slice_from(value), &r->patience_ms) && r->patience_ms >= 100 &&
            r->patience_ms <= 600000) ||
           error_set(err, ERROR_INVALID, "--patience: expected 100ms to 10m, found '%s'", value);
}

static const struct option_field options[] = {
    { "binary", OPTION_TEXT, .offset = offsetof(struct request, binary) },
    { "patience", OPTION_OWN, .take = take_patience },
};
static const struct options_table table = OPTIONS_TABLE("upgrade", options);

static int connect_to(const char *path, int64_t patience_ms) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval patience = { .tv_sec = (time_t)((patience_ms + ANSWER_MARGIN_MS) / 1000) };
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    return fd;
}

/* The one line of the answer; empty: it was cut off. */
static void ask_upgrade(int fd, const struct request *r, const char *binary, char *answer,
                        size_t bytes) {
    char line[PATH_MAX + 64];
    size_t len = 0;
    ssize_t n;
    int asked = snprintf(line, sizeof line, "upgrade %lld %s\n", (long long)r->patience_ms, binary);
    if (send(fd, line, (size_t)asked, MSG_NOSIGNAL) == asked) {
        while (len < bytes - 1 && ((n = recv(fd, answer + len, bytes - 1 - len, 0)) > 0 ||
                                   (n < 0 && errno == EINTR))) {
            len += n > 0 ? (size_t)n : 0;
        }
    }
    answer[len] = '\0';
    answer[strcspn(answer, "\n")] = '\0';
}

static int tell(const char *answer) {
    if (strncmp(answer, "done ", 5) == 0) {
        printf("upgraded: process %s serves now\n", answer + 5);
        return EXIT_DONE;
    }
    if (strncmp(answer, "no ", 3) == 0) {
        fprintf(stderr, "tidegate upgrade: %s; the old one goes on (its log says more)\n",
                answer + 3);
        return EXIT_NO;
    }
    if (strncmp(answer, "busy ", 5) == 0) {
        fprintf(stderr, "tidegate upgrade: refused: %s\n", answer + 5);
        return EXIT_NO;
    }
    fputs("tidegate upgrade: the supervisor gave no answer: `tidegate status` says who serves\n",
          stderr);
    return EXIT_BROKE;
}

int cli_upgrade(int argc, char **argv) {
    struct request request = { .patience_ms = PATIENCE_DEFAULT_MS };
    struct state_folder state;
    struct error err;
    char binary[PATH_MAX] = "-", answer[512];
    int status;
    if (!options_take(&table, &request, argc, argv, &status)) {
        return status;
    }
    if (argc - optind > 1) {
        return options_misused(&table);
    }
    request.config_path = optind < argc ? argv[optind] : NULL;
    if (request.binary != NULL && realpath(request.binary, binary) == NULL) {
        fprintf(stderr, "tidegate upgrade: %s: %s\n", request.binary, strerror(errno));
        return EXIT_USAGE;
    }
    if (!state_folder_find(request.config_path, &state, &err)) {
        fprintf(stderr, "tidegate upgrade: %s\n", err.text);
        return EXIT_BROKE;
    }
    int fd = connect_to(state.supervisor_socket, request.patience_ms);
    if (fd < 0) {
        fprintf(stderr, "tidegate upgrade: no Tidegate runs here (%s: %s)\n",
                state.supervisor_socket, strerror(errno));
        return EXIT_BROKE;
    }
    ask_upgrade(fd, &request, binary, answer, sizeof answer);
    close(fd);
    return tell(answer);
}
