/* Which I/O backend a worker's loop has. */
#include <stdlib.h>

#include "act/proxy/worker_internal.h"
#include "base/log.h"

/* For tests and for trying out: wins over the configuration. */
#define IO_VARIABLE "TIDEGATE_IO"

static enum loop_io wanted_io(const struct worker_config *config) {
    enum loop_io io = config->io;
    const char *variable = getenv(IO_VARIABLE);
    if (variable != NULL && !loop_io_parse(slice_from(variable), &io)) {
        log_warn("io_unknown", IO_VARIABLE "=\"%s\" expected=auto|epoll|io_uring action=use_%s",
                 variable, loop_io_name(io));
    }
    return io;
}

bool worker_open_loop(struct worker *w, struct error *err) {
    struct error why = { 0 };
    enum loop_io wanted = wanted_io(w->config);
    w->loop = loop_new_io(wanted, &why);
    if (w->loop == NULL && wanted == LOOP_IO_URING) {
        log_warn("io_uring_refused", "reason=\"%s\" action=use_epoll", why.text);
        w->loop = loop_new_io(LOOP_IO_EPOLL, &why);
    } else if (w->loop != NULL && wanted == LOOP_IO_AUTO && loop_io(w->loop) == LOOP_IO_EPOLL) {
        log_info("io_uring_not_available", "reason=\"%s\" action=use_epoll", why.text);
    }
    if (w->loop == NULL && err != NULL) {
        *err = why;
    }
    return w->loop != NULL;
}
