/* What was decided, in the words it was decided with: log, store (audit chain) and API. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"

static void copy(char *to, size_t bytes, const char *from) {
    snprintf(to, bytes, "%s", from == NULL ? "" : from);
}

int64_t tell(struct controller *c, const struct told *told, const char *format, ...) {
    static int64_t without_store;
    struct decision d;
    va_list arguments;
    decision_init(&d, clock_unix_ms());
    copy(d.kind, sizeof d.kind, told->kind);
    copy(d.action, sizeof d.action, told->action);
    copy(d.subject, sizeof d.subject, told->subject);
    if (told->service >= 0) {
        copy(d.service, sizeof d.service, c->services[told->service].name);
    }
    copy(d.evidence, sizeof d.evidence, told->evidence);
    d.noticed_ms = told->noticed_ms;
    va_start(arguments, format);
    vsnprintf(d.reason, sizeof d.reason, format, arguments);
    va_end(arguments);
    d.id = c->store != NULL ? store_append_decision(c->store, &d) : --without_store;
    log_info("decision", "id=%lld kind=%s service=%s action=%s subject=%s reason=\"%s\"",
             (long long)d.id, d.kind, d.service, d.action, d.subject, d.reason);
    if (c->api != NULL) {
        api_decided(c->api, &d);
    }
    return d.id;
}

static void tell_certificate(void *self, const char *action, const char *subject,
                             const char *text) {
    const struct told told = {
        .kind = "tls", .action = action, .subject = subject, .service = -1, .noticed_ms = NAN
    };
    bool keeps = strcmp(action, "keep") == 0;
    if (strcmp(action, "replace") != 0) {
        log_warn("certificate", "subject=\"%s\" problem=\"%s\" action=%s", subject, text,
                 keeps ? "keep_the_old_one" : "warn");
    }
    tell(self, &told, "%s%s", text, keeps ? ": what was before is kept" : "");
}

struct certificates_teller tell_certificates(struct controller *c) {
    return (struct certificates_teller){ c, tell_certificate };
}

void tell_change(void *self, const char *action, struct slice subject, const char *who) {
    char name[DECISION_NAME_BYTES] = "tidegate";
    if (subject.len > 0) {
        snprintf(name, sizeof name, "%.*s",
                 (int)sizeof name - 1 < (int)subject.len ? (int)sizeof name - 1 : (int)subject.len,
                 subject.data);
    }
    const struct told told = {
        .kind = "admin", .action = action, .subject = name, .service = -1, .noticed_ms = NAN
    };
    tell(self, &told, "%s asked for it", who);
}
