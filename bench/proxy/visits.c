/* Visitors who ask once: each opens a connection, sends one GET, reads the whole answer and closes.
 *
 * visits PORT PATH REQUESTS CONNECTIONS, on 127.0.0.1, one thread. Prints "requests=N bad=N"; bad is
 * what did not begin with "HTTP/1.1 200" or ended before its Content-Length. wrk can open a
 * connection a request only by sending Connection: close, which the bare relays would pass on to
 * the backend: here the visitor closes, and every proxy may keep its connections to the backend. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES_MAX 16384u
#define VISITORS_MAX 1024u
#define WAIT_MS_MAX 5000 /* a proxy that says nothing for so long has failed */

struct visitor {
    int fd;
    size_t answer_bytes;
    char answer[ANSWER_BYTES_MAX];
};

static struct visitor visitors[VISITORS_MAX];
static struct sockaddr_in address;
static char request[512];
static size_t request_bytes;
static int epoll_fd;
static size_t begun, wanted, done, bad;

static void fail(const char *what) {
    perror(what);
    exit(3);
}

static void visit(struct visitor *v) {
    v->fd = -1;
    if (begun == wanted) {
        return;
    }
    begun++;
    v->answer_bytes = 0;
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (v->fd < 0 || connect(v->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        fail("connect"); /* on loopback the handshake is done by the kernel, at once */
    }
    setsockopt(v->fd, SOL_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = v };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, v->fd, &event) < 0 ||
        send(v->fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes) {
        fail("send");
    }
}

/* Whole: the head and as many bytes after it as its Content-Length says. */
static bool answer_is_whole(const struct visitor *v) {
    static const char length[] = "\r\nContent-Length:";
    const char *end = memmem(v->answer, v->answer_bytes, "\r\n\r\n", 4);
    if (end == NULL) {
        return false;
    }
    const char *field = strcasestr(v->answer, length);
    if (field == NULL || field > end) {
        return false;
    }
    size_t body_bytes = strtoul(field + sizeof length - 1, NULL, 10);
    return v->answer_bytes >= (size_t)(end + 4 - v->answer) + body_bytes;
}

static void hear(struct visitor *v) {
    ssize_t n = recv(v->fd, v->answer + v->answer_bytes, ANSWER_BYTES_MAX - 1 - v->answer_bytes, 0);
    if (n > 0) {
        v->answer_bytes += (size_t)n;
        v->answer[v->answer_bytes] = '\0';
        if (!answer_is_whole(v)) {
            return;
        }
    }
    done++;
    bad += n <= 0 || strncmp(v->answer, "HTTP/1.1 200", 12) != 0;
    close(v->fd);
    visit(v);
}

static void read_arguments(char **argv) {
    address = (struct sockaddr_in){ .sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)atoi(argv[1])),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int bytes = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: shop.example\r\n\r\n",
                         argv[2]);
    if (bytes < 0 || (size_t)bytes >= sizeof request) {
        fprintf(stderr, "visits: the path is too long\n");
        exit(2);
    }
    request_bytes = (size_t)bytes;
    wanted = strtoul(argv[3], NULL, 10);
}

int main(int argc, char **argv) {
    size_t count = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
    if (count == 0 || count > VISITORS_MAX) {
        fprintf(stderr, "usage: visits PORT PATH REQUESTS CONNECTIONS(1..%u)\n", VISITORS_MAX);
        return 2;
    }
    read_arguments(argv);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < count; i++) {
        visit(&visitors[i]);
    }
    while (done < wanted) {
        struct epoll_event events[VISITORS_MAX];
        int n = epoll_wait(epoll_fd, events, VISITORS_MAX, WAIT_MS_MAX);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            bad += wanted - done; /* silence */
            break;
        }
        for (int i = 0; i < n; i++) {
            hear(events[i].data.ptr);
        }
    }
    printf("requests=%zu bad=%zu\n", done, bad);
    return 0;
}
