/* tidegate token create|list|revoke: who may ask the admin API what over TCP. Asks the running
 * Tidegate over its socket. */
#include <stdio.h>
#include <string.h>

#include "config/units.h"
#include "tool/cli/ask.h"
#include "tool/cli/options.h"
#include "tool/cli/verbs.h"

static const char help[] =
    "usage: tidegate token create --role ROLE [--name NAME] [--expires 90d] [OPTION…]\n"
    "       tidegate token list [OPTION…]\n"
    "       tidegate token revoke ID [OPTION…]\n\n"
    "Tokens let somebody into the API and the dashboard at the admin address. The command line "
    "itself\n"
    "needs none: it uses the socket in the state folder.\n\n"
    "  --role ROLE      viewer: reads · operator: reloads, drains instances · admin: everything\n"
    "  --name NAME      for whom or what it is; it is written beside each change\n"
    "  --expires TIME   90d, 12h …; never without it\n"
    "  --config FILE    the Tidegate of that file, not of this folder\n"
    "  --json           for programs\n\n"
    "create prints the token, once: only its hash is kept.\n";

struct request {
    const char *role, *name, *config_path;
    int64_t lifetime_ms;
    bool json;
};

static bool take_expires(void *request, const char *value, struct error *err) {
    struct request *r = request;
    return (units_parse_duration_ms(slice_from(value), &r->lifetime_ms) &&
            r->lifetime_ms >= 1000) ||
           error_set(err, ERROR_INVALID, "--expires: expected a time such as 90d, found '%s'",
                     value);
}

static const struct option_field options[] = {
    { "role", OPTION_TEXT, .offset = offsetof(struct request, role) },
    { "name", OPTION_TEXT, .offset = offsetof(struct request, name) },
    { "expires", OPTION_OWN, .take = take_expires },
    { "config", OPTION_TEXT, .offset = offsetof(struct request, config_path) },
    { "json", OPTION_FLAG, .offset = offsetof(struct request, json) },
};
static const struct options_table table = OPTIONS_TABLE("token", options);

/* ---- what is printed ---- */

static void print_created(const json_t *token) {
    fprintf(stderr, "token %s, %s, expires %s; this is the only time that it is shown:\n",
            ask_text(token, "id", "?"), ask_text(token, "role", "?"),
            ask_text(token, "expires", "never"));
    puts(ask_text(token, "secret", "?"));
}

static void print_list(const json_t *body) {
    const json_t *token;
    size_t i;
    printf("%-9s %-9s %-20s %-24s %-24s %s\n", "id", "role", "name", "created", "last used",
           "expires");
    json_array_foreach (json_object_get(body, "tokens"), i, token) {
        printf("%-9s %-9s %-20s %-24s %-24s %s%s\n", ask_text(token, "id", "?"),
               ask_text(token, "role", "?"), ask_text(token, "name", "-"),
               ask_text(token, "created", "?"), ask_text(token, "used", "never"),
               ask_text(token, "expires", "never"),
               json_is_true(json_object_get(token, "expired")) ? " (expired)" : "");
    }
}

static void print_revoked(const json_t *body) {
    printf("%s is revoked\n", ask_text(body, "revoked", "?"));
    if (!json_is_true(json_object_get(body, "written"))) {
        fputs("tidegate token: the store is not being written: until it is, a restart would bring "
              "it back\n",
              stderr);
    }
}

/* ---- asking ---- */

static int ask_for(const struct request *r, const char *method, const char *path,
                   void (*print)(const json_t *body)) {
    struct answer answer;
    struct error err;
    if (!ask(r->config_path, method, path, &answer, &err)) {
        fprintf(stderr, "tidegate token: %s\n", err.text);
        return EXIT_BROKE;
    }
    int status = ask_judge("token", &answer);
    if (status == EXIT_DONE && r->json) {
        ask_print_json(answer.body);
    } else if (status == EXIT_DONE) {
        print(answer.body);
    }
    answer_fini(&answer);
    return status;
}

/* As part of a path or a query: what would end it has no place in an id or a name. */
static bool is_plain(const char *word) {
    return word[strcspn(word, "%&+#?/ \t\r\n")] == '\0' && strlen(word) < 256;
}

static int create(const struct request *r) {
    char path[768];
    if (r->role == NULL || !is_plain(r->role) || (r->name != NULL && !is_plain(r->name))) {
        fprintf(stderr, "tidegate token create: expected --role viewer, operator or admin, and a "
                        "--name of letters, digits, - _ . @\n");
        return EXIT_USAGE;
    }
    snprintf(path, sizeof path, "/api/v1/tokens?role=%s&name=%s&expires_s=%lld", r->role,
             r->name == NULL ? "" : r->name, (long long)(r->lifetime_ms / 1000));
    return ask_for(r, "POST", path, print_created);
}

static int revoke(const struct request *r, const char *id) {
    char path[320];
    if (!is_plain(id) || *id == '\0') {
        fprintf(stderr, "tidegate token revoke: '%s' is no id; `tidegate token list` has them\n",
                id);
        return EXIT_USAGE;
    }
    snprintf(path, sizeof path, "/api/v1/tokens/%s", id);
    return ask_for(r, "DELETE", path, print_revoked);
}

int cli_token(int argc, char **argv) {
    struct request r = { 0 };
    int status;
    if (!options_take(&table, &r, argc, argv, &status)) {
        return status;
    }
    int words = argc - optind;
    const char *verb = words > 0 ? argv[optind] : "";
    if (words == 1 && strcmp(verb, "create") == 0) {
        return create(&r);
    }
    if (words == 1 && strcmp(verb, "list") == 0) {
        return ask_for(&r, "GET", "/api/v1/tokens", print_list);
    }
    if (words == 2 && strcmp(verb, "revoke") == 0) {
        return revoke(&r, argv[optind + 1]);
    }
    return options_misused(&table);
}
