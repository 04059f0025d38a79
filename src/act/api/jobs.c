/* Questions to the store: asked here, run in the store's thread, finished here. The connection may
 * be gone by then, the API too. */
#include <stdlib.h>

#include "act/api/api_internal.h"

static void on_done(struct store_job *base) {
    struct api_job *job = (struct api_job *)base;
    if (job->api != NULL) {
        list_remove(&job->link);
        if (job->connection != NULL) {
            job->connection->job = NULL;
        }
        job->finish(job);
    }
    free(job);
}

/* Takes over `job`, also when it fails. The connection (NULL: none) is answered then. */
bool job_start(struct api *api, struct api_connection *c, struct api_job *job,
               void (*run)(struct store_job *, struct store *), void (*finish)(struct api_job *)) {
    job->base = (struct store_job){ .run = run, .done = on_done };
    job->api = api;
    job->connection = c;
    job->finish = finish;
    if (!store_ask(api->store, &job->base)) {
        free(job);
        if (c != NULL) {
            answer_problem(c, 503, "%d questions to the store wait already; try again later",
                           STORE_JOBS_MAX);
        }
        return false;
    }
    list_append(&api->jobs, &job->link);
    if (c != NULL) {
        c->job = job;
    }
    return true;
}

bool job_read_failed(struct api_job *job) {
    if (job->read || job->err.kind == ERROR_NOT_FOUND) {
        return false; /* nothing was written yet: an empty past */
    }
    job->err.kind = job->err.kind == ERROR_NONE ? ERROR_UNAVAILABLE : job->err.kind;
    answer_error(job->connection, &job->err);
    return true;
}
