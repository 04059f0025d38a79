/* What the parts of one worker share. */
#pragma once
#include "act/proxy/clients.h"
#include "act/proxy/compression_flow.h"
#include "act/proxy/crowd.h"
#include "act/proxy/dial.h"
#include "act/proxy/front.h"
#include "act/proxy/route_table.h"
#include "act/proxy/service.h"
#include "act/proxy/tarpit.h"
#include "act/proxy/worker.h"
#include "act/proxy/worth.h"
#include "base/buffer.h"
#include "base/rand.h"
#include "wire/http/h1.h"
#include "wire/http/message.h"
#include "wire/net/listener.h"
#include "wire/net/loop.h"

#define WORKER_LISTENERS_MAX 64
#define WORKER_SPARES_MAX 1024  /* exchanges, sessions, upstream connections kept, each */
#define WORKER_SWEEP_US 1000000 /* idle upstream connections are looked through this often */

struct exchange;
struct verifier;
struct spare_connection;
struct upstream;

struct worker {
    const struct worker_config *config;
    struct loop *loop;
    struct vitals *vitals;
    struct vitals_worker *own; /* our block of the vitals */
    const struct plan *plan;   /* NULL before the first; changes only in worker_take_plan */
    struct plan_limits limits; /* of the plan */
    struct h1_limits h1_limits;
    struct route_table *routes;
    struct verifier *verifier; /* NULL until a password is to be checked */
    struct worth worth;
    struct compressor compressor;
    struct service services[PLAN_SERVICES_MAX];
    struct endpoint endpoints[PLAN_ENDPOINTS_MAX];
    struct dial dials[PLAN_SERVICES_MAX];               /* of the services */
    uint16_t slots_of_services[2 * PLAN_ENDPOINTS_MAX]; /* serving and warm ones, by service */
    struct rand rand;
    int64_t unix_ms; /* of this turn, read when first asked for */
    uint64_t unix_read_us;

    struct listener listeners[WORKER_LISTENERS_MAX];
    int listen_fds[WORKER_LISTENERS_MAX];      /* by slot; -1: none */
    bool listen_guarded[WORKER_LISTENERS_MAX]; /* not before a plan has named it */
    struct front fronts[WORKER_LISTENERS_MAX]; /* by slot, too */
    struct tls_tickets tickets;                /* of the plan; looked at in each handshake */
    struct clients clients;                    /* who has sessions open, and these */
    struct list entrances;                     /* connections that are on the way to be one */
    struct tarpit tarpit;                      /* before that: there is no room for them */
    struct crowd crowd;
    bool draining, retiring;
    bool tells_addresses; /* some service gets PROXY headers */
    struct watch wake, signals, supervisor, control;
    int signal_fd;
    struct timer heartbeat, sweep, drain_over, retire_look;
    struct timer look; /* evidence: runs while requests are on their way */
    uint64_t look_us;
    bool watching, begun; /* it runs; something was sent since it last did */

    struct exchange *spare_exchanges;
    struct spare_connection *spare_connections;
    struct upstream *spare_upstreams;
    struct list upstreams_h2; /* all that are open */
    uint32_t spare_exchange_count, spare_connection_count, spare_upstream_count;
    struct buffer scratch; /* for heads on their way out; empty between calls */
    struct buffer frames;  /* of HTTP/2 on their way to a socket; empty between turns */
    bool more_follows;     /* what is being read holds more, behind the data that is passed on */
    struct buffer page;    /* for the body of an answer of our own */
    struct http_field scratch_fields[HTTP_FIELDS_MAX]; /* for a head on its way through */
};

/* worker_listen.c: listening sockets, from the start and by order. */
bool worker_listen_start(struct worker *worker, struct error *err);
void worker_listen_stop(struct worker *worker);
/* Leaves them to the workers that follow; worker_listener_retired once for each. */
void worker_listen_retire(struct worker *worker);
bool worker_listens(const struct worker *worker);
/* A plan was taken up: those that waited to be named by one are started. */
void worker_listen_named(struct worker *worker);
void worker_listen_fini(struct worker *worker);
/* worker.c */
void worker_on_accept(struct listener *listener, int fd, const struct address *peer);

/* worker_io.c: as the configuration says, epoll where that is refused. */
bool worker_open_loop(struct worker *worker, struct error *err);
int64_t worker_unix_ms(struct worker *worker);
/* A connection ended: the drain may be over. */
void worker_session_ended(struct worker *worker);
void worker_listener_retired(struct worker *worker);
