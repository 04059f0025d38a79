/* Asking a running Tidegate over the socket in its state folder. */
#pragma once
#include <jansson.h>
#include <stdbool.h>

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
