/* Bytes that are lent to a socket until on_data returns, to go with the next ones. */
#include <string.h>

#include "wire/net/loop_internal.h"

void loop_drop_lent(struct socket *socket) {
    if (socket->loop->lent.to == socket) {
        socket->loop->lent.to = NULL;
    }
}

void loop_send_lent(struct loop *loop) {
    struct loop_lent *lent = &loop->lent;
    if (lent->to != NULL) {
        struct socket *to = lent->to;
        lent->to = NULL;
        loop_socket_send(to, lent->parts, lent->count);
    }
}

void loop_send_lent_to(struct socket *socket) {
    if (socket->loop->lent.to == socket) {
        loop_send_lent(socket->loop);
    }
}

static bool has_room(const struct loop_lent *lent, size_t count) {
    return lent->count + count <= LOOP_LENT_MAX;
}

static void lend(struct loop_lent *lent, struct slice part) {
    if (part.len <= LOOP_LENT_TEXT_BYTES) {
        char *copy = lent->texts + lent->texts_len;
        memcpy(copy, part.data, part.len);
        lent->texts_len += part.len;
        part.data = copy;
    }
    lent->parts[lent->count++] = part;
}

/* What the socket would only keep pending is not worth it. */
static bool is_worth_it(const struct socket *socket, const struct slice *parts, size_t count) {
    bool large = false;
    for (size_t i = 0; i < count; i++) {
        large = large || parts[i].len >= LOOP_DIRECT_SEND_BYTES;
    }
    return large && socket->loop->within_data && socket->tls == NULL && socket->writable &&
           !socket->closing && !socket->failed && socket->write_errno == 0;
}

bool socket_send_with_next(struct socket *socket, const struct slice *parts, size_t count) {
    struct loop_lent *lent = &socket->loop->lent;
    if (!is_worth_it(socket, parts, count)) {
        return socket_send(socket, parts, count);
    }
    if (lent->to != socket || !has_room(lent, count)) {
        loop_send_lent(socket->loop);
        lent->to = socket;
        lent->count = lent->texts_len = 0;
    }
    for (size_t i = 0; i < count; i++) {
        lend(lent, parts[i]);
    }
    return true;
}

bool socket_send(struct socket *socket, const struct slice *parts, size_t count) {
    struct loop_lent *lent = socket->loop == NULL ? NULL : &socket->loop->lent;
    if (lent == NULL || lent->to != socket) {
        return loop_socket_send(socket, parts, count);
    }
    if (!has_room(lent, count)) {
        loop_send_lent(socket->loop);
        return loop_socket_send(socket, parts, count);
    }
    for (size_t i = 0; i < count; i++) {
        lend(lent, parts[i]);
    }
    loop_send_lent(socket->loop);
    return true;
}
