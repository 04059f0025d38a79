/* Who is at the other end of a connection, and whether he may. Decided anew with each request. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "act/api/api_internal.h"
#include "base/clock.h"
#include "base/log.h"

/* ---- by which way ---- */

void caller_local(struct api_connection *c, int fd) {
    struct ucred peer = { .uid = (uid_t)-1 };
    socklen_t len = sizeof peer;
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0;
    c->local_role = known && (peer.uid == 0 || peer.uid == geteuid()) ? ROLE_ADMIN : ROLE_NONE;
    snprintf(c->from, sizeof c->from, "user %lld over the socket", (long long)peer.uid);
}

void caller_remote(struct api_connection *c, const struct address *peer) {
    char text[ADDRESS_TEXT_BYTES];
    address_ip(peer, c->ip);
    address_format(peer, text);
    snprintf(c->from, sizeof c->from, "%.*s", (int)sizeof c->from - 1, text);
}

/* ---- tokens ---- */

static void refuse(struct api_connection *c, uint16_t status, const char *challenge,
                   const char *detail) {
    const struct api_header headers[] = { { "www-authenticate", challenge }, { NULL, NULL } };
    answer_problem_with(c, status, headers, detail);
}

static void note_use(struct api *api, struct store_token *token, int64_t now_ms) {
    if (now_ms - token->used_ms >= ACCESS_USED_EVERY_MS) {
        token->used_ms = now_ms;
        (void)store_put_token(api->store, token, false);
    }
}

/* False after an answer. */
static bool take_token(struct api_connection *c, const char *secret) {
    struct api *api = c->api;
    struct store_token *token = NULL;
    int64_t now_ms = clock_unix_ms();
    if (!api->access.loaded) {
        answer_problem(c, 503, "the tokens have not been read yet; try again in a second");
        return false;
    }
    enum access_verdict verdict =
        access_find(&api->access, secret, c->ip, now_ms, loop_now_us(api->loop), &token);
    if (verdict != ACCESS_GOOD) {
        log_warn("api_token_refused", "from=\"%s\" reason=%s", c->from,
                 verdict == ACCESS_WRONG ? "wrong_or_expired" : "too_many_wrong_ones");
    }
    if (verdict == ACCESS_TOO_OFTEN) {
        const struct api_header headers[] = { { "retry-after", "2" }, { NULL, NULL } };
        answer_problem_with(c, 429, headers, "too many wrong tokens came from this address");
    } else if (verdict == ACCESS_WRONG) {
        refuse(c, 401, "Bearer error=\"invalid_token\"",
               "this token is not known, has expired or was revoked");
    } else {
        note_use(api, token, now_ms);
        (void)access_role_parse(token->role, &c->caller.role);
        memcpy(c->caller.token, token->id, sizeof c->caller.token);
        snprintf(c->caller.name, sizeof c->caller.name, "%s", token->name);
    }
    return verdict == ACCESS_GOOD;
}

static bool identify(struct api_connection *c) {
    static const char scheme[] = "Bearer ";
    char *authorization = c->request.authorization;
    c->caller = (struct api_caller){ .role = c->local ? c->local_role : c->api->access.anonymous };
    if (c->local || authorization[0] == '\0') {
        return true;
    }
    bool bearer = strncasecmp(authorization, scheme, sizeof scheme - 1) == 0;
    bool good = take_token(c, bearer ? authorization + sizeof scheme - 1 : "");
    OPENSSL_cleanse(authorization, sizeof c->request.authorization);
    return good;
}

/* ---- another site's page ---- */

/* Its own origin: "http://HOST" or https, as behind a proxy that speaks TLS. */
static bool is_own_origin(const char *origin, const char *host) {
    struct slice rest = slice_from(origin);
    if (slice_starts_with(rest, SLICE("http://"))) {
        rest = slice_skip(rest, sizeof "http://" - 1);
    } else if (slice_starts_with(rest, SLICE("https://"))) {
        rest = slice_skip(rest, sizeof "https://" - 1);
    } else {
        return false;
    }
    return slice_equal_fold(rest, slice_from(host));
}

static bool comes_from_elsewhere(const struct api_request *r) {
    bool site = r->fetch_site[0] != '\0' && strcmp(r->fetch_site, "same-origin") != 0 &&
                strcmp(r->fetch_site, "none") != 0;
    return site || (r->origin[0] != '\0' && !is_own_origin(r->origin, r->host));
}

/* ---- may he ---- */

bool caller_may(struct api_connection *c, enum access_role least, bool changes) {
    if (!identify(c)) {
        return false;
    }
    if (changes && !c->local && comes_from_elsewhere(&c->request)) {
        answer_problem(c, 403, "a page of another site asked for a change");
        return false;
    }
    if (c->caller.role >= least) {
        return true;
    }
    if (c->local || c->caller.token[0] != '\0') {
        answer_problem(c, 403, "this needs the role %s; %s has %s", access_role_name(least),
                       c->local ? "your user" : "your token", access_role_name(c->caller.role));
    } else {
        refuse(c, 401, "Bearer",
               "this needs a token: `tidegate token create --role ROLE` makes one");
    }
    return false;
}

const char *caller_name(const struct api_connection *c, char out[ACCESS_WHO_BYTES]) {
    if (c->local || c->caller.token[0] == '\0') {
        snprintf(out, ACCESS_WHO_BYTES, "%s", c->from);
    } else {
        snprintf(out, ACCESS_WHO_BYTES, "token %s%s%s%s (%s) from %s", c->caller.token,
                 c->caller.name[0] == '\0' ? "" : " '", c->caller.name,
                 c->caller.name[0] == '\0' ? "" : "'", access_role_name(c->caller.role), c->from);
    }
    return out;
}

/* Whoever hears events by a token that is gone or over hears no more. */
void callers_check(struct api *api) {
    int64_t now_ms = clock_unix_ms();
    LIST_EACH(&api->connections, item, saved) {
        struct api_connection *c = LIST_ITEM(item, struct api_connection, link);
        if (c->phase != API_HEARING || c->caller.token[0] == '\0') {
            continue;
        }
        const struct store_token *token = access_by_id(&api->access, c->caller.token);
        if (token == NULL || (token->expires_ms != 0 && now_ms >= token->expires_ms)) {
            connection_close(c);
        }
    }
}
