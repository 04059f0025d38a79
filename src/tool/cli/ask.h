/* Asking a running Tidegate over the socket in its state folder. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

#define ASK_ANSWER_BYTES_MAX (16u << 20)
#define ASK_PATIENCE_S 15

struct answer {
    int status;   /* of HTTP */
    json_t *body; /* NULL: not JSON; owned */
};

/* `config_path` NULL: the Tidegate whose state is in ./var. ERROR_UNAVAILABLE when none runs. */
bool ask(const char *config_path, const char *method, const char *path, struct answer *answer,
         struct error *err);
void answer_fini(struct answer *answer);

/* ---- parts of questions and answers ---- */

/* Percent-encoded. False: too long. */
bool ask_append_encoded(struct buffer *out, struct slice text);
/* "?name=value", the next one with "&"; nothing when `value` is NULL. *separator is '?' at first.
 */
bool ask_append_parameter(struct buffer *out, char *separator, const char *name, const char *value);
/* A member of an answer as text; `otherwise` when there is none. */
const char *ask_text(const json_t *object, const char *key, const char *otherwise);
void ask_print_json(const json_t *json);
/* EXIT_DONE, or what the answer's problem is worth; that is said. */
int ask_judge(const char *verb, const struct answer *answer);
