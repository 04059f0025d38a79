/* The files that are part of the binary: the dashboard and openapi.json (scripts/embed.py). */
#include <stdio.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "act/api/embedded.h"

/* Scripts, styles and data from here only; nothing inline. */
static const char policy_page[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const struct embedded_file *find_file(const char *path) {
    for (size_t i = 0; i < embedded_file_count; i++) {
        if (strcmp(path, embedded_files[i].path) == 0) {
            return &embedded_files[i];
        }
    }
    return NULL;
}

static void answer_file(struct api_connection *c, const struct embedded_file *file) {
    bool zipped = c->request.accepts_gzip && file->gzip.len > 0;
    char etag[API_ETAG_BYTES];
    snprintf(etag, sizeof etag, "\"%s%s\"", file->etag, zipped ? "-gz" : "");
    const struct api_header headers[] = {
        { "etag", etag },
        { "cache-control", "no-cache" }, /* ask each time, get 304 */
        { "vary", "accept-encoding" },
        { zipped ? "content-encoding" : NULL, "gzip" },
        { NULL, NULL },
    };
    struct api_answer answer = { .status = 200,
                                 .type = file->type,
                                 .body = zipped ? file->gzip : file->data,
                                 .headers = headers,
                                 .policy = policy_page };
    if (c->request.if_none_match[0] != '\0' && strcmp(c->request.if_none_match, etag) == 0) {
        answer.status = 304;
        answer.body = (struct slice){ "", 0 };
    }
    answer_send(c, &answer);
}

void handle_dashboard(struct api_connection *c) {
    const char *path = c->request.path;
    const struct embedded_file *file = find_file(strcmp(path, "/") == 0 ? "/index.html" : path);
    if (file == NULL) {
        answer_problem(c, 404, "nothing is at '%s'", path);
        return;
    }
    answer_file(c, file);
}

void handle_openapi(struct api_connection *c) {
    answer_file(c, find_file("/api/v1/openapi.json"));
}
