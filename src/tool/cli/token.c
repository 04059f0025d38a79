/* tidegate token create|list|revoke: who may ask the admin API what over TCP. Asks the running
 * Tidegate over its socket. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "config/units.h"
#include "tool/cli/ask.h"
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

struct token_request {
    const char *role, *name, *config_path;
    int64_t lifetime_ms;
    bool json;
};

enum choice { ROLE, NAME, EXPIRES, CONFIG, JSON, HELP };

static const struct option options[] = {
    { "role", required_argument, NULL, ROLE },
    { "name", required_argument, NULL, NAME },
    { "expires", required_argument, NULL, EXPIRES },
    { "config", required_argument, NULL, CONFIG },
    { "json", no_argument, NULL, JSON },
    { "help", no_argument, NULL, HELP },
    { 0 },
};

static const char *text(const json_t *object, const char *key, const char *otherwise) {
    const char *value = json_string_value(json_object_get(object, key));
    return value == NULL ? otherwise : value;
}

/* ---- what is printed ---- */

static void print_created(const json_t *token) {
    fprintf(stderr, "token %s, %s, expires %s; this is the only time that it is shown:\n",
            text(token, "id", "?"), text(token, "role", "?"), text(token, "expires", "never"));
    puts(text(token, "secret", "?"));
}

static void print_list(const json_t *body) {
    const json_t *token;
    size_t i;
    printf("%-9s %-9s %-20s %-24s %-24s %s\n", "id", "role", "name", "created", "last used",
           "expires");
    json_array_foreach (json_object_get(body, "tokens"), i, token) {
        printf("%-9s %-9s %-20s %-24s %-24s %s%s\n", text(token, "id", "?"),
               text(token, "role", "?"), text(token, "name", "-"), text(token, "created", "?"),
               text(token, "used", "never"), text(token, "expires", "never"),
               json_is_true(json_object_get(token, "expired")) ? " (expired)" : "");
    }
}

static void print_revoked(const json_t *body) {
    printf("%s is revoked\n", text(body, "revoked", "?"));
    if (!json_is_true(json_object_get(body, "written"))) {
        fputs("tidegate token: the store is not being written: until it is, a restart would bring "
              "it back\n",
              stderr);
    }
}

/* ---- asking ---- */

static int answer_status(const struct answer *answer) {
    if (answer->status >= 200 && answer->status < 300) {
        return EXIT_DONE;
    }
    fprintf(stderr, "tidegate token: %s\n", text(answer->body, "detail", "it did not answer"));
    return answer->status == 400 ? EXIT_USAGE : answer->status == 404 ? EXIT_NO : EXIT_BROKE;
}

static int ask_for(const struct token_request *r, const char *method, const char *path,
                   void (*print)(const json_t *body)) {
    struct answer answer;
    struct error err;
    if (!ask(r->config_path, method, path, &answer, &err)) {
        fprintf(stderr, "tidegate token: %s\n", err.text);
        return EXIT_BROKE;
    }
    int status = answer_status(&answer);
    if (status == EXIT_DONE && r->json) {
        json_dumpf(answer.body, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
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

static int create(const struct token_request *r) {
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

static int revoke(const struct token_request *r, const char *id) {
    char path[320];
    if (!is_plain(id) || *id == '\0') {
        fprintf(stderr, "tidegate token revoke: '%s' is no id; `tidegate token list` has them\n",
                id);
        return EXIT_USAGE;
    }
    snprintf(path, sizeof path, "/api/v1/tokens/%s", id);
    return ask_for(r, "DELETE", path, print_revoked);
}

/* ---- arguments ---- */

/* -1: go on. */
static int take_option(struct token_request *r, int option, const char *value) {
    switch (option) {
    case ROLE:
        r->role = value;
        return -1;
    case NAME:
        r->name = value;
        return -1;
    case EXPIRES:
        if (!units_parse_duration_ms(slice_from(value), &r->lifetime_ms) || r->lifetime_ms < 1000) {
            fprintf(stderr, "tidegate token: --expires: expected a time such as 90d, found '%s'\n",
                    value);
            return EXIT_USAGE;
        }
        return -1;
    case CONFIG:
        r->config_path = value;
        return -1;
    case JSON:
        r->json = true;
        return -1;
    case HELP:
        fputs(help, stdout);
        return EXIT_DONE;
    default:
        fputs(help, stderr);
        return EXIT_USAGE;
    }
}

int cli_token(int argc, char **argv) {
    struct token_request r = { 0 };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int status = take_option(&r, option, optarg);
        if (status >= 0) {
            return status;
        }
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
    fputs(help, stderr);
    return EXIT_USAGE;
}
