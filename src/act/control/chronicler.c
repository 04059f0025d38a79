#include "act/control/chronicler.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "act/control/access_writer.h"
#include "base/log.h"

#define LOOK_US 200000
#define END_MS 2000

static bool somebody_works(const struct vitals *vitals) {
    for (unsigned i = 0; i < vitals->worker_count; i++) {
        pid_t pid = (pid_t)atomic_load(&vitals->workers[i].pid);
        if (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM)) {
            return true;
        }
    }
    return false;
}

static void tell_services(struct access_writer *writer, const struct plan_segment *plans) {
    static char names[PLAN_SERVICES_MAX][PLAN_NAME_BYTES];
    const struct plan *plan = plan_current(plans);
    for (unsigned i = 0; plan != NULL && i < PLAN_SERVICES_MAX; i++) {
        memcpy(names[i], plan->services[i].name, sizeof names[i]);
    }
    access_writer_set_services(writer, names);
}

void chronicler_run(const struct access_log_config *config, const struct plan_segment *plans,
                    struct vitals *vitals) {
    struct access_log_config own = *config;
    struct error err;
    signal(SIGTERM, SIG_IGN); /* it ends with the workers */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    own.rotate.size_bytes = 0; /* that is the new one's */
    own.rotate.age_ms = 0;
    struct access_writer *writer = access_writer_new(&own, vitals, &err);
    if (writer == NULL) {
        log_error("access_log_not_started", "error=\"%s\" action=go_on_without", err.text);
        return;
    }
    tell_services(writer, plans);
    while (somebody_works(vitals)) {
        usleep(LOOK_US);
    }
    access_writer_free(writer, END_MS);
}
