/* Inside of the API: one connection, its request, and how it is answered. A handler reads the
 * request and the view and answers exactly once, at once (answer_*) or from a job of the store. */
#pragma once
#include <jansson.h>

#include "act/api/access.h"
#include "act/api/api.h"
#include "act/api/history.h"
#include "base/list.h"
#include "wire/http/h1.h"
#include "wire/net/listener.h"
#include "wire/net/socket.h"

#define API_PATH_BYTES 512
#define API_QUERY_BYTES 1024
#define API_HOST_BYTES 264 /* the longest name of DNS, and a port */
#define API_ETAG_BYTES 64
#define API_AUTHORIZATION_BYTES 128
#define API_FROM_BYTES 64

/* Of a request what handlers need, copied: the socket's bytes are gone by then. */
struct api_request {
    enum http_method method;
    char path[API_PATH_BYTES], query[API_QUERY_BYTES], host[API_HOST_BYTES];
    char if_none_match[API_ETAG_BYTES];
    char authorization[API_AUTHORIZATION_BYTES]; /* wiped once it was looked at */
    char origin[API_HOST_BYTES + 8], fetch_site[16];
    bool accepts_gzip, accepts_openmetrics;
    struct slice rest, more; /* the parts of the path that stand for each "*" in its route */
};

struct api_caller { /* of this request */
    enum access_role role;
    char token[STORE_TOKEN_ID_BYTES]; /* its id; empty: none was shown */
    char name[STORE_NAME_BYTES];
};

/* head -> body -> answering -> head …, or answering -> hearing (events), or -> ending */
enum api_phase { API_HEAD, API_BODY, API_ANSWERING, API_HEARING, API_ENDING };

struct api_connection {
    struct socket socket;
    struct list link; /* in api->connections */
    struct api *api;  /* NULL: the API is gone, only on_closed is to come */
    bool local;       /* came over the Unix socket */
    enum access_role local_role;
    char from[API_FROM_BYTES]; /* for people */
    uint8_t ip[16];
    struct api_caller caller;
    uint16_t status; /* of the last answer */
    enum api_phase phase;
    bool keep_alive, head_only, peer_ended;
    struct h1_scan scan;
    struct h1_body body;
    uint32_t body_bytes;
    struct api_request request;
    struct api_job *job; /* that will answer; NULL: none */
};

/* A question to the store on behalf of a connection (NULL: of nobody any more). */
struct api_job {
    struct store_job base; /* first */
    struct list link;      /* in api->jobs */
    struct api *api;       /* NULL: the API is gone */
    struct api_connection *connection;
    struct error err;
    bool read;                           /* the store answered */
    void (*finish)(struct api_job *job); /* in the loop's thread; only while the API is there */
};

struct api_counters {
    uint64_t requests, connections_refused, event_clients_dropped;
};

struct api {
    struct loop *loop;
    struct api_source source;
    struct store *store;
    const struct vitals *vitals;
    const struct api_view *view; /* NULL before the first tick */
    char hosts[16][API_HOST_BYTES];
    size_t host_count;
    struct listener tcp, local;
    int tcp_fd, local_fd;
    struct list connections; /* oldest first */
    unsigned connection_count, local_count, event_count;
    struct list jobs;
    struct watch jobs_done;
    struct history *histories[PLAN_SERVICES_MAX]; /* by name, in no order */
    size_t history_count;
    struct decision_ring decisions;
    bool decisions_loaded;  /* what the store had is in the ring */
    bool decisions_partial; /* the store has older ones */
    struct api_counters counters;
    struct access access;
    bool tokens_asked; /* the store is reading them */
};

/* server.c */
bool server_start(struct api *api, const struct api_options *options, struct error *err);
void server_stop(struct api *api);
void connection_close(struct api_connection *c);

/* answer.c: sends head and body. `headers` are extra ones, NULL or ended by an empty name. */
struct api_header {
    const char *name, *value;
};
struct api_answer {
    uint16_t status;
    const char *type; /* NULL: no body */
    struct slice body;
    const struct api_header *headers;
    const char *policy; /* Content-Security-Policy; NULL: the strictest */
    bool stream;        /* what follows is sent by others, until the end of the connection */
};
void answer_send(struct api_connection *c, const struct api_answer *answer);
/* Takes the reference. */
void answer_json(struct api_connection *c, uint16_t status, json_t *json);
/* RFC 9457. */
void answer_problem(struct api_connection *c, uint16_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* With further headers, ended by an empty name. */
void answer_problem_with(struct api_connection *c, uint16_t status,
                         const struct api_header *headers, const char *detail);
void answer_error(struct api_connection *c, const struct error *err);
/* Of a change that is not to be: likewise, but busy is a conflict that somebody may resolve. */
void answer_refusal(struct api_connection *c, const struct error *err);
/* With "errors": a list of lines, e.g. of a configuration. */
void answer_problem_lines(struct api_connection *c, uint16_t status, const char *detail,
                          struct slice lines);
bool json_to_buffer(const json_t *json, struct buffer *out);

/* routes.c */
void route_request(struct api_connection *c);

/* json.c: what is not known is null. */
json_t *json_known(double value);
json_t *json_time(int64_t unix_ms);                            /* ISO 8601; null of 0 */
json_t *json_lines(struct slice text);                         /* a list of its lines */
json_t *json_text(const char *text);                           /* null of an empty one */
void json_put(json_t *object, const char *key, json_t *value); /* takes the reference */

/* views.c */
json_t *view_status(struct api *api);
json_t *view_service(const struct api_view *view, const struct api_service *service);
json_t *view_instance(const struct api_view *view, const struct api_instance *instance);
/* NULL when there is no such one. */
const struct api_service *find_service(const struct api_view *view, struct slice name);
const struct api_instance *find_instance(const struct api_view *view, struct slice id);

/* Who is at the other end, for evidence: of letters, digits and blanks. */
void name_asker(const struct api_connection *c, char out[PLAN_NAME_BYTES]);

/* maintenance.c */
json_t *maintenance_json(const struct api_maintenance *maintenance); /* null of NULL */

/* campaigns.c */
json_t *view_campaigns(const struct api_view *view);

/* verdict.c: the one line that says whether all is well. */
json_t *verdict_json(struct api *api);

/* decisions.c */
json_t *decision_json(const struct decision *d);
void decisions_load(struct api *api);

/* callers.c */
void caller_local(struct api_connection *c, int fd);
void caller_remote(struct api_connection *c, const struct address *peer);
/* Whether who asks has at least that role; `changes`: and asks by himself. False after an answer.
 */
bool caller_may(struct api_connection *c, enum access_role least, bool changes);
/* "token 1a2b3c4d 'ci' (operator) from 10.0.0.7:4711". */
const char *caller_name(const struct api_connection *c, char out[ACCESS_WHO_BYTES]);
void callers_check(struct api *api);

/* tokens.c */
void tokens_load(struct api *api);

/* jobs.c */
bool job_start(struct api *api, struct api_connection *c, struct api_job *job,
               void (*run)(struct store_job *, struct store *), void (*finish)(struct api_job *));
/* Whether the store was in trouble; the connection is answered then. */
bool job_read_failed(struct api_job *job);

/* demand.c */
struct history *history_of(struct api *api, struct slice service); /* NULL: never seen */
void histories_note(struct api *api);

/* events.c */
void events_tick(struct api *api);
void events_decision(struct api *api, const struct decision *d);

/* The handlers, one a row of the table in routes.c. */
typedef void api_handler(struct api_connection *c);
api_handler handle_status, handle_services, handle_service, handle_instances, handle_instance,
    handle_demand, handle_latency, handle_forecast, handle_ledger, handle_decisions,
    handle_campaigns, handle_events, handle_openapi, handle_metrics, handle_health,
    handle_dashboard, handle_reload, handle_drain, handle_instance_drain, handle_maintenance_list,
    handle_maintenance_start, handle_maintenance_end, handle_campaign_put, handle_campaign_remove,
    handle_session, handle_tokens, handle_token_create, handle_token_revoke;
