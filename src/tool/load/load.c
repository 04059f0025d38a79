#include "tool/load/load.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/parse.h"
#include "tool/load/client.h"
#include "wire/net/loop.h"

#define REQUEST_BYTES_MAX 131072 /* 16 cookies of 4 KiB, and the rest */
#define ARRIVALS_PER_TURN 128    /* then the answers have their turn */
#define TICK_US 100000
#define TICKS_PER_LINE 10
#define DESCRIPTORS_SPARE 64 /* besides the connections */

struct load {
    const struct load_options *options;
    struct arrivals *arrivals;
    struct tally *tally;
    struct loop *loop;
    struct client *client;
    struct arrival next;
    bool all_sent, out_of_memory;
    uint64_t start_us, in_flight;
    struct heap thinking; /* visitors, by due_us */
    uint32_t visitors;    /* in the shop: thinking or in flight */
    struct timer arrival_timer, tick_timer;
    unsigned ticks;
    struct tally_second said; /* totals at the last progress line */
    struct buffer cookies;    /* scratch */
};

/* One request on its way. */
struct exchange {
    struct call call; /* first: callbacks cast */
    struct load *load;
    struct visitor *visitor; /* NULL without sessions */
    uint64_t wanted_us;
    enum stage stage;
    uint16_t status;
    bool retry_after, wants_page;
    uint32_t retry_after_s;
    size_t target_len;
    struct buffer page;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

/* ---- visitors ---- */

static bool due_earlier(const struct heap_node *a, const struct heap_node *b) {
    return HEAP_ITEM_CONST(a, struct visitor, node)->due_us <
           HEAP_ITEM_CONST(b, struct visitor, node)->due_us;
}

static void visitor_leave(struct load *load, struct visitor *v) {
    visitor_fini(v);
    free(v);
    load->visitors--;
}

static struct visitor *visitor_enter(struct load *load) {
    struct visitor *v = malloc(sizeof *v);
    if (v == NULL) {
        return NULL;
    }
    visitor_init(v, &load->options->habits,
                 load->options->seed * 0x9e3779b97f4a7c15u + load->tally->visitors);
    load->visitors++;
    load->tally->visitors++;
    return v;
}

/* Whose turn it is: who has waited for it longest, else somebody new. NULL: memory is out. */
static struct visitor *visitor_take(struct load *load, uint64_t now_us) {
    struct heap_node *node;
    while ((node = heap_first(&load->thinking)) != NULL) {
        struct visitor *v = HEAP_ITEM(node, struct visitor, node);
        bool full = load->visitors >= LOAD_VISITORS_MAX;
        if (v->due_us > now_us && !full) {
            break;
        }
        heap_remove(&load->thinking, node);
        if (v->due_us + LOAD_PATIENCE_US >= now_us) {
            return v;
        }
        visitor_leave(load, v);
    }
    return visitor_enter(load);
}

static void visitor_think(struct load *load, struct visitor *v, uint64_t think_us) {
    v->due_us = loop_now_us(load->loop) + think_us;
    if (!heap_insert(&load->thinking, &v->node)) {
        visitor_leave(load, v);
    }
}

static void tell_visitor(struct exchange *x, const struct tally_entry *entry) {
    struct load *load = x->load;
    struct visitor_answer answer = {
        .answered = entry->end == CALL_ANSWERED,
        .status = x->status,
        .retry_after_s = x->retry_after_s,
        .page = buffer_slice(&x->page),
    };
    uint64_t think_us = 0;
    switch (visitor_answered(x->visitor, &answer, &think_us)) {
    case VISITOR_STAYS:
        visitor_think(load, x->visitor, think_us);
        return;
    case VISITOR_ORDERED:
        load->tally->orders++;
        break;
    case VISITOR_LEAVES:
        break;
    }
    visitor_leave(load, x->visitor);
}

/* ---- the answer ---- */

static void on_head(struct call *call, const struct http_head *head) {
    struct exchange *x = (struct exchange *)call;
    const struct http_field *retry = http_head_find(head, HTTP_FIELD_RETRY_AFTER);
    uint64_t seconds = 0;
    x->status = head->status;
    x->retry_after = retry != NULL;
    if (retry != NULL && parse_uint(retry->value, &seconds)) {
        x->retry_after_s = seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
    }
    for (size_t i = 0; x->visitor != NULL && i < head->field_count; i++) {
        if (head->fields[i].id == HTTP_FIELD_SET_COOKIE) {
            cookie_jar_take(&x->visitor->jar, head->fields[i].value, clock_unix_ms() / 1000);
        }
    }
}

static void on_body(struct call *call, struct slice piece) {
    struct exchange *x = (struct exchange *)call;
    if (x->wants_page) {
        buffer_append(&x->page, piece); /* of a page past the limit only the start is searched */
    }
}

static void exchange_free(struct exchange *x) {
    call_fini(&x->call);
    buffer_fini(&x->page);
    free(x);
}

static struct slice target_of(const struct exchange *x) {
    size_t method_len = strlen(http_method_name(x->call.method));
    return slice_sub(buffer_slice(&x->call.request), method_len + 1, x->target_len);
}

static void stop_when_done(struct load *load) {
    if (load->all_sent && load->in_flight == 0) {
        loop_stop(load->loop);
    }
}

static void on_done(struct call *call, enum call_end end) {
    struct exchange *x = (struct exchange *)call;
    struct load *load = x->load;
    struct tally_entry entry = {
        .wanted_us = x->wanted_us,
        .latency_us = clock_monotonic_us() - load->start_us - x->wanted_us,
        .end = end,
        .status = end == CALL_ANSWERED ? x->status : 0,
        .retry_after = x->retry_after,
        .stage = x->stage,
        .method = call->method,
        .target = target_of(x),
    };
    tally_count(load->tally, &entry);
    if (x->visitor != NULL) {
        tell_visitor(x, &entry);
    }
    exchange_free(x);
    load->in_flight--;
    stop_when_done(load);
}

/* ---- the request ---- */

static bool write_request(struct exchange *x, struct slice target, struct slice form,
                          struct buffer *cookies) {
    struct http_field fields[4];
    struct http_head head;
    http_head_init(&head, fields, 4);
    head.method_text = slice_from(http_method_name(x->call.method));
    head.path = target; /* with its query: it is written as it is */
    head.authority = slice_from(x->load->options->target.authority);
    head.keep_alive = true;
    http_head_add(&head, SLICE("user-agent"), SLICE("tidegate-replay/" TIDEGATE_VERSION));
    http_head_add(&head, SLICE("accept"), SLICE("text/html,*/*"));
    if (x->visitor != NULL && x->visitor->jar.count > 0) {
        buffer_clear(cookies);
        if (!cookie_jar_write(&x->visitor->jar, cookies)) {
            return false;
        }
        http_head_add(&head, SLICE("cookie"), buffer_slice(cookies));
    }
    bool has_body =
        x->call.method == HTTP_POST || x->call.method == HTTP_PUT || x->call.method == HTTP_PATCH;
    if (has_body) {
        head.framing = HTTP_BODY_LENGTH;
        head.content_length = form.len;
        http_head_add(&head, SLICE("content-type"), SLICE("application/x-www-form-urlencoded"));
    }
    x->target_len = target.len;
    return h1_write_request_head(&x->call.request, &head) && buffer_append(&x->call.request, form);
}

static struct exchange *exchange_new(struct load *load, uint64_t wanted_us) {
    struct exchange *x = calloc(1, sizeof *x);
    if (x != NULL) {
        x->load = load;
        x->wanted_us = wanted_us;
        x->call.deadline_us = load->start_us + wanted_us + load->options->timeout_us;
        x->call.on_head = on_head;
        x->call.on_body = on_body;
        x->call.on_done = on_done;
        buffer_init(&x->call.request, REQUEST_BYTES_MAX);
        buffer_init(&x->page, VISITOR_PAGE_BYTES_MAX);
    }
    return x;
}

static bool prepare(struct exchange *x, const struct arrival *arrival, uint64_t now_us) {
    struct load *load = x->load;
    if (!load->options->sessions) {
        struct slice target = arrival->target.len > 0 ? arrival->target : SLICE("/");
        x->call.method = arrival->method;
        x->stage = visitor_stage_of(target);
        return write_request(x, target, SLICE(""), &load->cookies);
    }
    struct visitor_step step;
    x->visitor = visitor_take(load, now_us);
    if (x->visitor == NULL) {
        return false;
    }
    visitor_next(x->visitor, &step);
    x->call.method = step.method;
    x->stage = step.stage;
    x->wants_page = step.wants_page;
    return write_request(x, slice_from(step.target), slice_from(step.form), &load->cookies);
}

static bool take_up(struct load *load, const struct arrival *arrival, uint64_t now_us) {
    struct exchange *x = exchange_new(load, arrival->at_us);
    if (x == NULL) {
        return false;
    }
    if (!prepare(x, arrival, now_us)) {
        if (x->visitor != NULL) {
            visitor_leave(load, x->visitor);
        }
        exchange_free(x);
        return false;
    }
    tally_offer(load->tally, arrival->at_us, now_us - load->start_us - arrival->at_us);
    load->in_flight++;
    client_send(load->client, &x->call);
    return true;
}

/* ---- time ---- */

static void end_sending(struct load *load) {
    load->all_sent = true;
    timer_stop(load->loop, &load->arrival_timer);
    stop_when_done(load);
}

static void on_arrival_due(struct timer *timer) {
    struct load *load = LIST_ITEM(timer, struct load, arrival_timer);
    for (unsigned i = 0; i < ARRIVALS_PER_TURN; i++) {
        uint64_t now_us = clock_monotonic_us();
        if (load->start_us + load->next.at_us > now_us) {
            break;
        }
        if (!take_up(load, &load->next, now_us)) {
            load->out_of_memory = true;
            end_sending(load);
            client_stop(load->client);
            return;
        }
        if (!arrivals_next(load->arrivals, &load->next)) {
            end_sending(load);
            return;
        }
    }
    uint64_t due_us = load->start_us + load->next.at_us, turn_us = loop_now_us(load->loop);
    /* At least 1: a timer of now would run again in this turn. */
    timer_start(load->loop, timer, due_us > turn_us ? due_us - turn_us : 1, on_arrival_due);
}

static void say_progress(struct load *load) {
    const struct tally *t = load->tally;
    unsigned at_s = (unsigned)((clock_monotonic_us() - load->start_us) / 1000000);
    unsigned all_s = (unsigned)(arrivals_duration_us(load->arrivals) / 1000000);
    struct tally_second now = { (uint32_t)t->requests, (uint32_t)t->served, (uint32_t)t->refused,
                                (uint32_t)t->failed };
    fprintf(stderr,
            "\r%u:%02u of %u:%02u  offered %u/s  served %u/s  refused %u/s  failed %u/s"
            "  in flight %llu\033[K",
            at_s / 60, at_s % 60, all_s / 60, all_s % 60, now.offered - load->said.offered,
            now.served - load->said.served, now.refused - load->said.refused,
            now.failed - load->said.failed, (unsigned long long)load->in_flight);
    load->said = now;
}

static void on_tick(struct timer *timer) {
    struct load *load = LIST_ITEM(timer, struct load, tick_timer);
    if (interrupted && !load->tally->interrupted) {
        load->tally->interrupted = true;
        end_sending(load);
        client_stop(load->client);
    }
    if (load->options->progress && ++load->ticks % TICKS_PER_LINE == 0) {
        say_progress(load);
    }
    timer_start(load->loop, timer, TICK_US, on_tick);
}

/* ---- a run ---- */

/* A connection is a descriptor: as many as the system grants. */
static void raise_descriptor_limit(uint32_t connections) {
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + DESCRIPTORS_SPARE;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void watch_signals(struct sigaction before[2]) {
    struct sigaction action = { .sa_handler = on_signal };
    interrupted = 0;
    sigaction(SIGINT, &action, &before[0]);
    sigaction(SIGTERM, &action, &before[1]);
    signal(SIGPIPE, SIG_IGN);
}

static void restore_signals(const struct sigaction before[2]) {
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
}

static bool load_init(struct load *load, const struct load_options *options,
                      struct arrivals *arrivals, struct tally *tally, struct error *err) {
    *load = (struct load){ .options = options, .arrivals = arrivals, .tally = tally };
    heap_init(&load->thinking, due_earlier);
    buffer_init(&load->cookies, REQUEST_BYTES_MAX);
    load->loop = loop_new(err);
    if (load->loop == NULL) {
        return false;
    }
    load->client = client_new(load->loop, &options->target.address, options->connections_max);
    return load->client != NULL || error_set(err, ERROR_LIMIT, "no memory for a client");
}

static void load_fini(struct load *load) {
    struct heap_node *node;
    if (load->client != NULL) {
        load->tally->reconnects = client_stats(load->client)->reconnects;
        client_free(load->client);
    }
    while ((node = heap_first(&load->thinking)) != NULL) {
        heap_remove(&load->thinking, node);
        visitor_leave(load, HEAP_ITEM(node, struct visitor, node));
    }
    heap_fini(&load->thinking);
    buffer_fini(&load->cookies);
    loop_free(load->loop);
}

static bool send_all(struct load *load, struct error *err) {
    struct sigaction before[2];
    load->start_us = clock_monotonic_us();
    if (!arrivals_next(load->arrivals, &load->next)) {
        return true; /* nobody comes in the whole trace */
    }
    watch_signals(before);
    timer_start(load->loop, &load->arrival_timer, 0, on_arrival_due);
    timer_start(load->loop, &load->tick_timer, TICK_US, on_tick);
    bool ok = loop_run(load->loop, err);
    timer_stop(load->loop, &load->arrival_timer);
    timer_stop(load->loop, &load->tick_timer);
    restore_signals(before);
    if (load->options->progress) {
        fputs("\r\033[K", stderr);
    }
    return ok && (!load->out_of_memory || error_set(err, ERROR_LIMIT, "no memory for a request"));
}

bool load_run(const struct load_options *options, struct arrivals *arrivals, struct tally *tally,
              struct error *err) {
    struct load load;
    raise_descriptor_limit(options->connections_max);
    if (!tally_init(tally, arrivals_duration_us(arrivals), clock_unix_ms(), err)) {
        return false;
    }
    bool ok = load_init(&load, options, arrivals, tally, err) && send_all(&load, err);
    load_fini(&load);
    if (!ok) {
        tally_fini(tally);
    }
    return ok;
}
