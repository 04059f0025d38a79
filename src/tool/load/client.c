/* One connection:  CONNECTING ──▶ HEAD ──▶ BODY ──▶ IDLE ──▶ HEAD …, or closed from anywhere. */
#include "tool/load/client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "wire/net/socket.h"

enum connection_state { STATE_CONNECTING, STATE_IDLE, STATE_HEAD, STATE_BODY };

struct connection {
    struct socket socket; /* first: handlers cast */
    struct client *client;
    struct list link; /* in client->connections */
    struct list idle; /* in client->idle */
    struct call *call;
    enum connection_state state;
    bool reused, begun, keep_alive; /* begun: a byte of the answer has come */
    uint64_t idle_since_us;
    struct h1_scan scan;
    struct h1_body body;
};

struct client {
    struct loop *loop;
    struct address address;
    uint32_t connections_max, queued;
    struct list connections, idle;
    struct list queue;    /* calls that wait for a connection */
    struct list hopeless; /* calls that end with call->end when the task runs */
    struct task hopeless_task, pump_task;
    struct timer queue_timer;
    struct client_stats stats;
    struct http_field fields[HTTP_FIELDS_MAX];
};

const char *call_end_name(enum call_end end) {
    static const char *const names[CALL_ENDS] = {
        [CALL_ANSWERED] = "answered",
        [CALL_CONNECT_REFUSED] = "connect_refused",
        [CALL_CONNECT_TIMEOUT] = "connect_timeout",
        [CALL_CONNECT_FAILED] = "connect_failed",
        [CALL_CLOSED] = "closed",
        [CALL_RESET] = "reset",
        [CALL_CUT] = "cut",
        [CALL_BAD_ANSWER] = "bad_answer",
        [CALL_TIMEOUT] = "timeout",
        [CALL_QUEUE_FULL] = "queue_full",
        [CALL_INTERRUPTED] = "interrupted",
    };
    return end < CALL_ENDS ? names[end] : "unknown";
}

void call_fini(struct call *call) {
    buffer_fini(&call->request);
}

static enum call_end end_of_connect(int system_errno) {
    switch (system_errno) {
    case ECONNREFUSED:
        return CALL_CONNECT_REFUSED;
    case ETIMEDOUT:
        return CALL_CONNECT_TIMEOUT;
    default:
        return CALL_CONNECT_FAILED;
    }
}

/* ---- the queue ---- */

static void end_hopeless(struct task *task) {
    struct client *c = LIST_ITEM(task, struct client, hopeless_task);
    struct list *link;
    while ((link = list_first(&c->hopeless)) != NULL) {
        struct call *call = LIST_ITEM(link, struct call, link);
        list_remove(link);
        call->on_done(call, call->end);
    }
}

static void end_soon(struct client *c, struct call *call, enum call_end end) {
    call->end = end;
    list_append(&c->hopeless, &call->link);
    loop_defer(c->loop, &c->hopeless_task, end_hopeless);
}

static struct call *first_queued(const struct client *c) {
    struct list *link = list_first(&c->queue);
    return link == NULL ? NULL : LIST_ITEM(link, struct call, link);
}

static struct call *leave_queue(struct client *c, struct call *call) {
    list_remove(&call->link);
    c->queued--;
    return call;
}

/* All calls have the same patience, so the first in the queue is the first to lose it. */
static void expire_queued(struct timer *timer) {
    struct client *c = LIST_ITEM(timer, struct client, queue_timer);
    struct call *call;
    while ((call = first_queued(c)) != NULL) {
        uint64_t now_us = loop_now_us(c->loop);
        if (call->deadline_us > now_us) {
            timer_start(c->loop, timer, call->deadline_us - now_us, expire_queued);
            return;
        }
        end_soon(c, leave_queue(c, call), CALL_TIMEOUT);
    }
}

static void enqueue(struct client *c, struct call *call) {
    if (c->queued == CLIENT_QUEUE_MAX) {
        end_soon(c, call, CALL_QUEUE_FULL);
        return;
    }
    if (call->fresh) {
        list_prepend(&c->queue, &call->link); /* it has waited before */
    } else {
        list_append(&c->queue, &call->link);
    }
    c->queued++;
    c->stats.queued_max = c->queued > c->stats.queued_max ? c->queued : c->stats.queued_max;
    if (!timer_running(&c->queue_timer)) {
        timer_start(c->loop, &c->queue_timer, 1, expire_queued);
    }
}

/* ---- a call on its connection ---- */

static uint64_t time_left_us(const struct client *c, const struct call *call) {
    uint64_t now_us = loop_now_us(c->loop);
    return call->deadline_us > now_us ? call->deadline_us - now_us : 1;
}

static void send_call(struct connection *n) {
    n->state = STATE_HEAD;
    n->begun = false;
    n->scan = (struct h1_scan){ 0 };
    socket_set_timeout(&n->socket, time_left_us(n->client, n->call));
    socket_send_slice(&n->socket, buffer_slice(&n->call->request));
}

static void pump(struct task *task);

/* Not at once: inside on_data a connection still holds what it has just read. */
static void pump_soon(struct client *c) {
    if (c->queued > 0) {
        loop_defer(c->loop, &c->pump_task, pump);
    }
}

/* Lets go of the call before its owner hears of the end: it may be freed then. */
static struct call *detach(struct connection *n) {
    struct call *call = n->call;
    n->call = NULL;
    return call;
}

static void fail(struct connection *n, enum call_end end) {
    struct call *call = detach(n);
    socket_close(&n->socket);
    if (call != NULL) {
        call->on_done(call, end);
    }
}

/* The connection broke before the answer began. */
static void break_unanswered(struct connection *n, enum call_end end) {
    struct client *c = n->client;
    const struct call *call = n->call;
    /* The kernel has not taken the end of the request: the server cannot act on it. */
    bool unread = n->socket.write_errno != 0 || socket_pending(&n->socket) > 0;
    bool again = n->reused && !call->fresh && (http_method_is_idempotent(call->method) || unread);
    if (!again) {
        fail(n, end);
        return;
    }
    struct call *repeated = detach(n);
    socket_close(&n->socket);
    c->stats.reconnects++;
    repeated->fresh = true;
    enqueue(c, repeated); /* on_closed makes room for it and pumps, at the end of this turn */
}

static void finish(struct connection *n, bool nothing_follows) {
    struct client *c = n->client;
    struct call *call = detach(n);
    if (n->keep_alive && nothing_follows) {
        n->state = STATE_IDLE;
        n->idle_since_us = loop_now_us(c->loop);
        socket_set_timeout(&n->socket, 0);
        list_prepend(&c->idle, &n->idle); /* the one used last is the least likely to be closed */
    } else {
        socket_close(&n->socket);
    }
    call->on_done(call, CALL_ANSWERED);
    pump_soon(c);
}

/* ---- what the socket says ---- */

/* How much it took of an answer's head; 0 when more is needed. */
static size_t read_head(struct connection *n, struct slice data) {
    struct http_head head;
    struct h1_problem problem;
    size_t consumed = 0;
    http_head_init(&head, n->client->fields, HTTP_FIELDS_MAX);
    switch (h1_parse_response(data, &h1_limits_default, &n->scan, n->call->method, &head, &consumed,
                              &problem)) {
    case H1_MORE:
        return 0;
    case H1_BAD:
        fail(n, CALL_BAD_ANSWER);
        return data.len;
    case H1_DONE:
        break;
    }
    n->scan = (struct h1_scan){ 0 };
    if (head.status == 101) { /* we did not ask for it */
        fail(n, CALL_BAD_ANSWER);
    } else if (head.status >= 200) {
        n->state = STATE_BODY;
        n->keep_alive = head.keep_alive;
        h1_body_init(&n->body, &head, &h1_limits_default);
        n->call->on_head(n->call, &head);
    }
    return consumed;
}

static size_t read_body(struct connection *n, struct slice data) {
    size_t used = 0;
    for (;;) {
        struct h1_body_event event = h1_body_next(&n->body, slice_skip(data, used), NULL);
        used += event.consumed;
        switch (event.kind) {
        case H1_BODY_MORE:
            return used;
        case H1_BODY_DATA:
            if (n->call->on_body != NULL) {
                n->call->on_body(n->call, event.data);
            }
            break;
        case H1_BODY_TRAILERS:
            break;
        case H1_BODY_END:
            finish(n, used == data.len);
            return data.len;
        case H1_BODY_BAD:
            fail(n, CALL_BAD_ANSWER);
            return data.len;
        }
    }
}

static size_t on_data(struct socket *socket, struct slice data) {
    struct connection *n = (struct connection *)socket;
    size_t used = 0;
    if (n->state == STATE_IDLE) {
        socket_close(socket); /* nobody has asked */
        return data.len;
    }
    n->begun = true;
    while (n->state == STATE_HEAD && n->call != NULL) {
        size_t taken = read_head(n, slice_skip(data, used));
        if (taken == 0) {
            return used;
        }
        used += taken;
    }
    return n->call == NULL ? data.len : used + read_body(n, slice_skip(data, used));
}

static void on_end(struct socket *socket) {
    struct connection *n = (struct connection *)socket;
    if (n->state == STATE_IDLE || n->call == NULL) {
        socket_close(socket);
    } else if (n->state == STATE_BODY && n->body.framing == HTTP_BODY_UNTIL_CLOSE) {
        n->keep_alive = false;
        finish(n, true);
    } else if (n->begun) {
        fail(n, CALL_CUT);
    } else {
        break_unanswered(n, CALL_CLOSED);
    }
}

static void on_connected(struct socket *socket) {
    send_call((struct connection *)socket);
}

static void on_failed(struct socket *socket, int system_errno) {
    struct connection *n = (struct connection *)socket;
    if (n->state == STATE_IDLE || n->call == NULL) {
        socket_close(socket);
    } else if (n->state == STATE_CONNECTING) {
        fail(n, end_of_connect(system_errno));
    } else if (n->begun) {
        fail(n, CALL_CUT);
    } else {
        break_unanswered(n, CALL_RESET);
    }
}

static void on_timeout(struct socket *socket) {
    fail((struct connection *)socket, CALL_TIMEOUT);
}

static void on_closed(struct socket *socket) {
    struct connection *n = (struct connection *)socket;
    struct client *c = n->client;
    list_remove(&n->link);
    list_remove(&n->idle);
    c->stats.open--;
    free(n);
    pump_soon(c);
}

static const struct socket_handler handler = {
    .on_data = on_data,
    .on_end = on_end,
    .on_connected = on_connected,
    .on_failed = on_failed,
    .on_timeout = on_timeout,
    .on_closed = on_closed,
};

/* ---- the pool ---- */

static struct connection *take_idle(struct client *c) {
    struct list *link;
    while ((link = list_first(&c->idle)) != NULL) {
        struct connection *n = LIST_ITEM(link, struct connection, idle);
        list_remove(link);
        if (socket_is_quiet(&n->socket)) {
            n->reused = true;
            return n;
        }
        socket_close(&n->socket);
    }
    return NULL;
}

/* What must not be sent twice goes to a connection that has just worked, or a new one: a server
 * closes those that have been idle for long. Where no new one is allowed any will do. */
static bool may_take_idle(const struct client *c, const struct call *call) {
    struct list *link = list_first(&c->idle);
    if (link == NULL || call->fresh) {
        return false;
    }
    uint64_t since_us = LIST_ITEM(link, const struct connection, idle)->idle_since_us;
    return http_method_is_idempotent(call->method) || c->stats.open == c->connections_max ||
           loop_now_us(c->loop) - since_us < CLIENT_FRESH_US;
}

/* Takes the call in any case: where no connection can be opened it ends soon. */
static void open_connection(struct client *c, struct call *call) {
    struct error err = { 0 };
    struct connection *n = calloc(1, sizeof *n);
    if (n == NULL || !socket_connect(&n->socket, c->loop, (struct sockaddr *)&c->address.storage,
                                     c->address.len, time_left_us(c, call), &handler, &err)) {
        free(n);
        end_soon(c, call, end_of_connect(err.system_errno));
        return;
    }
    n->client = c;
    n->state = STATE_CONNECTING;
    n->call = call;
    list_append(&c->connections, &n->link);
    c->stats.opened++;
    c->stats.open++;
    c->stats.open_max = c->stats.open > c->stats.open_max ? c->stats.open : c->stats.open_max;
}

/* Gives connections to those who wait, as far as there are any. */
static void serve_queue(struct client *c) {
    struct call *call;
    while ((call = first_queued(c)) != NULL) {
        struct connection *n = may_take_idle(c, call) ? take_idle(c) : NULL;
        if (n != NULL) {
            n->call = leave_queue(c, call);
            send_call(n);
        } else if (c->stats.open < c->connections_max) {
            open_connection(c, leave_queue(c, call));
        } else {
            return;
        }
    }
}

static void pump(struct task *task) {
    serve_queue(LIST_ITEM(task, struct client, pump_task));
}

void client_send(struct client *c, struct call *call) {
    call->fresh = false;
    enqueue(c, call);
    serve_queue(c);
}

/* ---- life ---- */

struct client *client_new(struct loop *loop, const struct address *address,
                          uint32_t connections_max) {
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->loop = loop;
    c->address = *address;
    c->connections_max = connections_max;
    list_init(&c->connections);
    list_init(&c->idle);
    list_init(&c->queue);
    list_init(&c->hopeless);
    return c;
}

void client_stop(struct client *c) {
    struct call *call;
    while ((call = first_queued(c)) != NULL) {
        end_soon(c, leave_queue(c, call), CALL_INTERRUPTED);
    }
    LIST_EACH(&c->connections, link, saved) {
        struct connection *n = LIST_ITEM(link, struct connection, link);
        call = detach(n);
        socket_close(&n->socket);
        if (call != NULL) {
            end_soon(c, call, CALL_INTERRUPTED);
        }
    }
}

void client_free(struct client *c) {
    if (c == NULL) {
        return;
    }
    client_stop(c);
    timer_stop(c->loop, &c->queue_timer);
    loop_turn(c->loop, 0, NULL); /* on_closed of all, and the last ends */
    loop_cancel(c->loop, &c->pump_task);
    assert(list_empty(&c->connections) && list_empty(&c->hopeless));
    free(c);
}

const struct client_stats *client_stats(const struct client *c) {
    return &c->stats;
}
