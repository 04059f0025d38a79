/* Tokens of the API: made, listed and revoked by an admin; read from the store at the start. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "act/api/query.h"
#include "base/clock.h"
#include "base/log.h"

#define SECONDS_MAX (10LL * 365 * 86400)

/* ---- from the store ---- */

struct loaded {
    struct api_job job; /* first */
    struct store_token tokens[ACCESS_TOKENS_MAX];
    size_t count;
};

static bool take(void *self, const struct store_token *token) {
    struct loaded *loaded = self;
    loaded->tokens[loaded->count++] = *token;
    return loaded->count < ACCESS_TOKENS_MAX;
}

static void read_tokens(struct store_job *base, struct store *store) {
    struct loaded *loaded = (struct loaded *)base;
    loaded->job.read = store_read_tokens(store, take, loaded, &loaded->job.err);
}

/* Without them nobody is let in by one; it is tried again with the next tick. */
static void finish_load(struct api_job *job) {
    struct loaded *loaded = (struct loaded *)job;
    struct access *access = &job->api->access;
    job->api->tokens_asked = false;
    if (job->read || job->err.kind == ERROR_NOT_FOUND) {
        memcpy(access->tokens, loaded->tokens, loaded->count * sizeof access->tokens[0]);
        access->count = loaded->count;
        access->loaded = true;
    }
}

void tokens_load(struct api *api) {
    if (api->access.loaded || api->tokens_asked) {
        return;
    }
    struct loaded *loaded = api->store == NULL ? NULL : calloc(1, sizeof *loaded);
    if (loaded != NULL) {
        api->tokens_asked = job_start(api, NULL, &loaded->job, read_tokens, finish_load);
    } else if (api->store == NULL) {
        api->access.loaded = true; /* there are none */
    }
}

/* ---- JSON ---- */

static json_t *token_json(const struct store_token *token, int64_t now_ms) {
    json_t *json = json_object();
    json_put(json, "id", json_string(token->id));
    json_put(json, "name", json_text(token->name));
    json_put(json, "role", json_string(token->role));
    json_put(json, "created", json_time(token->created_ms));
    json_put(json, "expires", json_time(token->expires_ms));
    json_put(json, "used", json_time(token->used_ms));
    json_put(json, "expired", json_boolean(token->expires_ms != 0 && now_ms >= token->expires_ms));
    return json;
}

/* Who is asking, as he is seen: for the dashboard. */
void handle_session(struct api_connection *c) {
    json_t *json = json_object();
    json_put(json, "role", json_string(access_role_name(c->caller.role)));
    json_put(json, "anonymous", json_string(access_role_name(c->api->access.anonymous)));
    json_put(json, "token",
             c->caller.token[0] == '\0' ? json_null() : json_string(c->caller.token));
    answer_json(c, 200, json);
}

void handle_tokens(struct api_connection *c) {
    const struct access *access = &c->api->access;
    json_t *list = json_array(), *json = json_object();
    for (size_t i = 0; i < access->count; i++) {
        json_array_append_new(list, token_json(&access->tokens[i], clock_unix_ms()));
    }
    json_put(json, "tokens", list);
    answer_json(c, 200, json);
}

/* ---- changes ---- */

/* Nothing that a terminal, a log or a page would take for something else. */
static bool name_is_good(const char *name) {
    return strlen(name) <= 40 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789-_.@") == strlen(name);
}

static bool can_change(struct api_connection *c) {
    if (c->api->store == NULL || !c->api->access.loaded) {
        answer_problem(c, 503,
                       c->api->store == NULL ? "there is no store to keep tokens in"
                                             : "the tokens have not been read yet");
        return false;
    }
    return true;
}

static void create(struct api_connection *c, const char *name, enum access_role role,
                   int64_t lifetime_s) {
    struct access *access = &c->api->access;
    int64_t now_ms = clock_unix_ms();
    char secret[ACCESS_TOKEN_BYTES];
    struct store_token *token = access_create(
        access, name, role, now_ms, lifetime_s == 0 ? 0 : now_ms + lifetime_s * 1000, secret);
    if (token == NULL) {
        answer_problem(c, 503, "there are %d tokens already: revoke one", ACCESS_TOKENS_MAX);
        return;
    }
    if (!store_put_token(c->api->store, token, false)) {
        access_remove(access, token);
        OPENSSL_cleanse(secret, sizeof secret);
        answer_problem(c, 503, "the store is too far behind to keep it");
        return;
    }
    c->request.rest = slice_from(token->id); /* what the audit record is about */
    json_t *json = token_json(token, now_ms);
    json_put(json, "secret", json_string(secret));
    OPENSSL_cleanse(secret, sizeof secret);
    answer_json(c, 201, json);
}

void handle_token_create(struct api_connection *c) {
    struct error err = { 0 };
    enum access_role role;
    struct query_parameter p[] = {
        { .name = "role", .type = QUERY_TEXT },
        { .name = "name", .type = QUERY_TEXT },
        { .name = "expires_s", .type = QUERY_UINT },
    };
    if (!can_change(c)) {
        return;
    }
    if (!query_parse(slice_from(c->request.query), p, 3, &err)) {
        answer_error(c, &err);
    } else if (!access_role_parse(p[0].text, &role)) {
        answer_problem(c, 400, "role: expected viewer, operator or admin");
    } else if (!name_is_good(p[1].text)) {
        answer_problem(c, 400, "name: expected at most 40 letters, digits, - _ . @");
    } else if (p[2].number > SECONDS_MAX) {
        answer_problem(c, 400, "expires_s: expected at most %lld seconds", SECONDS_MAX);
    } else {
        create(c, p[1].text, role, p[2].number);
    }
}

void handle_token_revoke(struct api_connection *c) {
    char id[STORE_TOKEN_ID_BYTES];
    struct access *access = &c->api->access;
    if (!can_change(c)) {
        return;
    }
    struct store_token *token =
        slice_copy_text(c->request.rest, id, sizeof id) ? access_by_id(access, id) : NULL;
    if (token == NULL) {
        answer_problem(c, 404, "no token '%.*s'", SLICE_ARG(c->request.rest));
        return;
    }
    if (!store_put_token(c->api->store, token, true)) {
        answer_problem(c, 503, "the store is too far behind to forget it; nothing was changed");
        return;
    }
    json_t *json = json_object();
    json_put(json, "revoked", json_string(token->id));
    /* Gone from here at once; if the store can't be written, it would be back after a restart. */
    json_put(json, "written", json_boolean(store_health(c->api->store).writing));
    access_remove(access, token);
    callers_check(c->api);
    answer_json(c, 200, json);
}
