#include "tool/cli/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "act/control/state.h"
#include "base/buffer.h"
#include "base/parse.h"
#include "tool/cli/verbs.h"

static int connect_to(const char *socket_path, struct error *err) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval patience = { .tv_sec = ASK_PATIENCE_S };
    if (strlen(socket_path) >= sizeof address.sun_path) {
        error_set(err, ERROR_LIMIT, "the path %s is too long for a socket", socket_path);
        return -1;
    }
    memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int number = errno;
        if (number == ENOENT || number == ECONNREFUSED) {
            error_set(err, ERROR_UNAVAILABLE, "no Tidegate runs here (%s)", socket_path);
        } else {
            error_system(err, "connect to %s", socket_path);
        }
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

static bool exchange(int fd, const char *method, const char *path, struct buffer *in,
                     struct error *err) {
    char request[2048];
    int len = snprintf(request, sizeof request,
                       "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                       "Connection: close\r\n\r\n",
                       method, path);
    if (len < 0 || (size_t)len >= sizeof request) {
        return error_set(err, ERROR_LIMIT, "the question is too long");
    }
    if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        return error_system(err, "ask");
    }
    for (;;) {
        char *room = buffer_reserve(in, 65536);
        if (room == NULL) {
            return error_set(err, ERROR_LIMIT, "the answer is longer than %u bytes",
                             ASK_ANSWER_BYTES_MAX);
        }
        ssize_t part = recv(fd, room, 65536, 0);
        if (part < 0 && errno == EINTR) {
            continue; /* a stop and its end do that to a wait that has a time limit */
        }
        if (part < 0) {
            return error_system(err, "its answer");
        }
        if (part == 0) {
            return true;
        }
        buffer_commit(in, (size_t)part);
    }
}

static bool parse(struct slice text, struct answer *answer, struct error *err) {
    size_t end = slice_find_slice(text, SLICE("\r\n\r\n"));
    uint64_t status;
    if (end == SLICE_NONE || !slice_starts_with(text, SLICE("HTTP/1.1 ")) ||
        !parse_uint(slice_sub(text, 9, 3), &status)) {
        return error_set(err, ERROR_UNAVAILABLE, "its answer was cut off");
    }
    answer->status = (int)status;
    struct slice body = slice_skip(text, end + 4);
    answer->body = json_loadb(body.data, body.len, 0, NULL);
    return true;
}

bool ask(const char *config_path, const char *method, const char *path, struct answer *answer,
         struct error *err) {
    struct state_folder state;
    struct buffer in;
    *answer = (struct answer){ 0 };
    if (!state_folder_find(config_path, &state, err)) {
        return false;
    }
    int fd = connect_to(state.socket, err);
    if (fd < 0) {
        return false;
    }
    buffer_init(&in, ASK_ANSWER_BYTES_MAX);
    bool done = exchange(fd, method, path, &in, err) && parse(buffer_slice(&in), answer, err);
    close(fd);
    buffer_fini(&in);
    return done;
}

void answer_fini(struct answer *answer) {
    json_decref(answer->body);
    answer->body = NULL;
}

bool ask_append_encoded(struct buffer *out, struct slice text) {
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    bool fits = true;
    for (size_t i = 0; i < text.len && fits; i++) {
        bool is_plain = text.data[i] != '\0' && strchr(plain, text.data[i]) != NULL;
        fits = is_plain ? buffer_append_byte(out, text.data[i])
                        : buffer_printf(out, "%%%02X", (unsigned char)text.data[i]);
    }
    return fits;
}

bool ask_append_parameter(struct buffer *out, char *separator, const char *name,
                          const char *value) {
    if (value == NULL) {
        return true;
    }
    bool fits = buffer_append_byte(out, *separator) && buffer_append_text(out, name) &&
                buffer_append_byte(out, '=') && ask_append_encoded(out, slice_from(value));
    *separator = '&';
    return fits;
}

void ask_print_json(const json_t *json) {
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
}

const char *ask_text(const json_t *object, const char *key, const char *otherwise) {
    const char *value = json_string_value(json_object_get(object, key));
    return value == NULL ? otherwise : value;
}

int ask_judge(const char *verb, const struct answer *answer) {
    if (answer->status >= 200 && answer->status < 300) {
        return EXIT_DONE;
    }
    fprintf(stderr, "tidegate %s: %s\n", verb,
            ask_text(answer->body, "detail", "it cannot be understood"));
    bool is_no = answer->status == 404 || answer->status == 409;
    return is_no ? EXIT_NO : answer->status == 400 ? EXIT_USAGE : EXIT_BROKE;
}
