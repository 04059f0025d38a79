/* Who asks: a name and a password, or a signed token. What the service is told of it replaces what
 * the visitor says of himself. */
#include <string.h>

#include "act/proxy/exchange_internal.h"
#include "act/proxy/route_table_internal.h"
#include "act/proxy/rule.h"
#include "act/proxy/verifier.h"
#include "wire/auth/jwt.h"
#include "wire/http/cookie.h"

#define CLAIM_BYTES_MAX 1024
#define GUESS_AGAIN_S 5

static struct slice join(struct arena *arena, struct slice a, struct slice b, struct slice c) {
    char *text = arena_alloc(arena, a.len + b.len + c.len + 1);
    if (text == NULL) {
        return (struct slice){ 0 };
    }
    memcpy(text, a.data, a.len);
    if (b.len > 0) {
        memcpy(text + a.len, b.data, b.len);
    }
    memcpy(text + a.len + b.len, c.data, c.len);
    return slice_of(text, a.len + b.len + c.len);
}

static void refuse(struct exchange *x, const char *why) {
    x->record.flags |= RECORD_BAD_REQUEST;
    exchange_answer(x, 401, REASON_UNAUTHORISED, why);
}

/* The value goes to the service in that field. */
static bool grant(struct exchange *x, struct slice field, struct slice value) {
    if (x->granted == NULL) {
        x->granted = arena_array(&x->arena, EXCHANGE_GRANTED_MAX, sizeof *x->granted);
    }
    struct slice copy = arena_copy(&x->arena, value);
    if (x->granted == NULL || copy.data == NULL || x->granted_count == EXCHANGE_GRANTED_MAX) {
        return false;
    }
    x->granted[x->granted_count++] = (struct http_field){ .name = field, .value = copy };
    return true;
}

/* ---- tokens ---- */

static struct slice token_of(const struct exchange *x, const struct plan_jwt *jwt) {
    struct slice value = { 0 }, cookie = rule_text(x->table, jwt->cookie);
    const struct http_field *field = http_head_find(&x->request, HTTP_FIELD_AUTHORIZATION);
    if (cookie.len > 0) {
        (void)cookie_find(&x->request, cookie, &value);
        return value;
    }
    if (field != NULL && slice_equal_fold(slice_sub(field->value, 0, 7), SLICE("bearer "))) {
        value = slice_trim(slice_skip(field->value, 7));
    }
    return value;
}

static bool grant_claims(struct exchange *x, const struct plan_jwt *jwt, const struct jwt *token) {
    char text[CLAIM_BYTES_MAX];
    size_t len;
    for (uint32_t i = 0; i < jwt->claim_count; i++) {
        const struct plan_change *claim = &x->table->changes[jwt->claim_first + i];
        if (jwt_claim(token, rule_text(x->table, claim->name), text, sizeof text, &len) &&
            !grant(x, rule_text(x->table, claim->value), slice_of(text, len))) {
            return false;
        }
    }
    return true;
}

static bool check_token(struct exchange *x, const struct plan_jwt *jwt) {
    struct slice token = token_of(x, jwt), realm = rule_text(x->table, jwt->realm);
    struct jwt_policy policy = {
        .keys = x->table->jwt_keys[x->rule->jwt - 1],
        .algorithms = jwt->algorithms,
        .issuer = rule_text(x->table, jwt->issuer),
        .audience = rule_text(x->table, jwt->audience),
        .leeway_s = jwt->leeway_s,
    };
    struct jwt claims;
    if (token.len == 0) {
        x->challenge = join(&x->arena, SLICE("Bearer realm=\""), realm, SLICE("\""));
        refuse(x, "A token is needed.");
        return false;
    }
    enum jwt_result result =
        policy.keys == NULL ? JWT_UNKNOWN_KEY
                            : jwt_verify(token, &policy, worker_unix_ms(x->worker) / 1000, &claims);
    if (result != JWT_GOOD) {
        x->challenge =
            join(&x->arena, SLICE("Bearer realm=\""), realm, SLICE("\", error=\"invalid_token\""));
        refuse(x, jwt_result_text(result));
        return false;
    }
    bool good = grant_claims(x, jwt, &claims);
    jwt_fini(&claims);
    if (!good) {
        exchange_refuse_head(x);
    }
    return good;
}

/* ---- passwords ---- */

static void ask_for_password(struct exchange *x, const char *why) {
    x->challenge = join(&x->arena, SLICE("Basic realm=\""), rule_text(x->table, x->rule->realm),
                        SLICE("\", charset=\"UTF-8\""));
    refuse(x, why);
}

static bool grant_user(struct exchange *x) {
    struct slice field = rule_text(x->table, x->rule->user_field);
    if (field.len > 0 && !grant(x, field, x->user)) {
        exchange_refuse_head(x);
        return false;
    }
    return true;
}

static void on_verdict(void *owner, bool good) {
    struct exchange *x = owner;
    if (!good) {
        ask_for_password(x, "The name or the password is wrong.");
    } else if (grant_user(x)) {
        exchange_proceed(x);
    }
}

static struct verifier *verifier_of(struct worker *w) {
    if (w->verifier == NULL) {
        w->verifier = verifier_new(w->loop, &w->vitals->rate_table, on_verdict, NULL);
    }
    return w->verifier;
}

/* Of the user; of anybody when there is none, so that it takes as long. */
static bool find_hash(struct slice users, struct slice user, struct slice *hash) {
    if (basic_find_user(users, user, hash)) {
        return true;
    }
    *hash = basic_any_hash(users);
    return false;
}

static bool settle(struct exchange *x, enum verdict verdict) {
    switch (verdict) {
    case VERDICT_GOOD:
        return grant_user(x);
    case VERDICT_BAD:
        ask_for_password(x, "The name or the password is wrong.");
        break;
    case VERDICT_LATER:
        vitals_add(&x->worker->own->password_checks, 1);
        exchange_move(x, EXCHANGE_VERIFYING);
        exchange_arm(x);
        break;
    case VERDICT_TOO_OFTEN:
        x->retry_after_s = GUESS_AGAIN_S;
        x->record.flags |= RECORD_BAD_REQUEST;
        exchange_answer(x, 429, REASON_GUESSING, "Too many wrong passwords came from here.");
        break;
    case VERDICT_BUSY:
        exchange_answer(x, 503, REASON_OVERLOAD, "More visitors are here than can be served.");
        break;
    }
    return false;
}

static bool check_password(struct exchange *x) {
    char room[BASIC_CREDENTIALS_BYTES_MAX];
    const struct http_field *field = http_head_find(&x->request, HTTP_FIELD_AUTHORIZATION);
    struct verifier_question question = { .ip = x->who->ip };
    struct verifier *verifier = verifier_of(x->worker);
    if (field == NULL || !basic_parse(field->value, room, &question.credentials)) {
        ask_for_password(x, "A name and a password are needed.");
        return false;
    }
    x->user = arena_copy(&x->arena, question.credentials.user);
    if (verifier == NULL || x->user.data == NULL) {
        return settle(x, VERDICT_BUSY);
    }
    x->verifying.owner = x;
    question.user_is_known =
        find_hash(rule_text(x->table, x->rule->users), question.credentials.user, &question.hash);
    return settle(x, verifier_ask(verifier, &question, &x->verifying));
}

/* ---- both ---- */

bool exchange_is_authenticated(struct exchange *x) {
    if (x->rule->users.len > 0) {
        return check_password(x);
    }
    return x->rule->jwt == 0 || check_token(x, &x->table->jwts[x->rule->jwt - 1]);
}

/* The fields in which the service is told of the visitor, for each of them: `visit`. */
static void each_own_field(const struct exchange *x, struct http_head *head,
                           void (*visit)(struct http_head *head, struct slice name)) {
    struct slice user = rule_text(x->table, x->rule->user_field);
    if (user.len > 0) {
        visit(head, user);
    }
    if (x->rule->jwt == 0) {
        return;
    }
    const struct plan_jwt *jwt = &x->table->jwts[x->rule->jwt - 1];
    for (uint32_t i = 0; i < jwt->claim_count; i++) {
        visit(head, rule_text(x->table, x->table->changes[jwt->claim_first + i].value));
    }
}

bool exchange_tell_who(const struct exchange *x, struct http_head *head) {
    each_own_field(x, head, rule_remove_field);
    for (size_t i = 0; i < x->granted_count; i++) {
        if (!http_head_add(head, x->granted[i].name, x->granted[i].value)) {
            return false;
        }
    }
    return true;
}

void exchange_clean_trailers(const struct exchange *x, struct http_head *trailers) {
    if (x->rule == NULL) {
        return;
    }
    each_own_field(x, trailers, rule_remove_field);
    for (uint32_t i = 0; i < x->rule->request_changes; i++) {
        const struct plan_change *c = &x->table->changes[x->rule->change_first + i];
        if (c->kind != PLAN_CHANGE_ADD) {
            rule_remove_field(trailers, rule_text(x->table, c->name));
        }
    }
}
