/* Adoption: the process table knows which instances of this state folder run. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "act/fleet/provider.h"
#include "base/log.h"
#include "base/parse.h"

#define ENVIRONMENT_BYTES 262144

struct mark { /* "<state folder>:<service>:<id>:<port>:<version>" */
    struct slice service, id, version;
    uint16_t port;
};

/* The part after the last ':' of `rest`, which loses it. */
static bool cut_last(struct slice *rest, struct slice *part) {
    for (size_t i = rest->len; i > 0; i--) {
        if (rest->data[i - 1] == ':') {
            *part = slice_skip(*rest, i);
            rest->len = i - 1;
            return true;
        }
    }
    return false;
}

static bool parse_mark(struct slice text, const char *state_folder, struct mark *mark) {
    struct slice port;
    uint64_t number;
    if (!cut_last(&text, &mark->version) || !cut_last(&text, &port) ||
        !cut_last(&text, &mark->id) || !cut_last(&text, &mark->service) ||
        !slice_equal(text, slice_from(state_folder)) || !parse_uint(port, &number) || number == 0 ||
        number > UINT16_MAX) {
        return false;
    }
    mark->port = (uint16_t)number;
    return true;
}

/* The mark in the process's environment. */
static bool find_mark(pid_t pid, char *room, struct slice *mark) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    size_t len = 0;
    ssize_t part;
    while (len < ENVIRONMENT_BYTES && (part = read(fd, room + len, ENVIRONMENT_BYTES - len)) > 0) {
        len += (size_t)part;
    }
    close(fd);
    struct slice rest = slice_of(room, len), entry;
    while (slice_cut(&rest, '\0', &entry)) {
        if (slice_starts_with(entry, SLICE("TIDEGATE_INSTANCE="))) {
            *mark = slice_skip(entry, sizeof "TIDEGATE_INSTANCE=" - 1);
            return true;
        }
    }
    return false;
}

/* Of whichever kind it is now: where addresses were configured meanwhile, processes serve until
 * those do. */
static unsigned find_service(const struct fleet *fleet, struct slice name) {
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        const struct fleet_service *s = &fleet->services[i];
        if (s->config != NULL && slice_equal(slice_from(s->name), name)) {
            return i;
        }
    }
    return PLAN_SERVICES_MAX;
}

/* Ids go on after the highest that was ever seen. */
static void count_on(struct fleet_service *s, struct slice id) {
    struct slice rest = id, part, number = { "", 0 };
    uint64_t value;
    while (slice_cut(&rest, '-', &part)) {
        number = part;
    }
    if (parse_uint(number, &value) && value > s->next_number && value < UINT32_MAX) {
        s->next_number = value;
    }
}

static bool adopt_one(struct fleet *fleet, unsigned service, pid_t pid, const struct mark *mark) {
    struct error err;
    char text[32];
    struct instance *instance = instance_new(fleet, service, &process_provider);
    if (instance == NULL) {
        return false;
    }
    struct instance_internal *in = instance->internal;
    slice_copy_text(mark->id, instance->id, sizeof instance->id);
    slice_copy_text(mark->version, instance->version, sizeof instance->version);
    snprintf(text, sizeof text, "127.0.0.1:%u", mark->port);
    instance->pid = pid;
    instance->adopted = true;
    instance->started_ms = sample_started_ms(pid);
    output_adopt(&in->output, pid);
    if (!address_parse(slice_from(text), 0, &instance->address, &err) ||
        !process_attach(fleet, instance, &err)) {
        log_warn("adoption_failed", "instance=%s pid=%d error=\"%s\"", instance->id, (int)pid,
                 err.text);
        instance_ended(instance, -1);
        return false;
    }
    count_on(&fleet->services[service], mark->id);
    instance_watch_health(instance);
    return true;
}

static bool consider(struct fleet *fleet, pid_t pid, char *room) {
    struct slice text;
    struct mark mark;
    /* What an instance started has its mark too, but is not the leader of the session. */
    if (getsid(pid) != pid || !find_mark(pid, room, &text) ||
        !parse_mark(text, fleet->state_folder, &mark)) {
        return false;
    }
    unsigned service = find_service(fleet, mark.service);
    if (service == PLAN_SERVICES_MAX) {
        log_warn("orphan_stopped", "pid=%d service=%.*s reason=\"no such service any more\"",
                 (int)pid, SLICE_ARG(mark.service));
        kill(pid, SIGTERM);
        return false;
    }
    return adopt_one(fleet, service, pid, &mark);
}

unsigned fleet_adopt(struct fleet *fleet) {
    unsigned adopted = 0;
    char *room = malloc(ENVIRONMENT_BYTES);
    DIR *processes = opendir("/proc");
    const struct dirent *entry;
    /* cppcheck-suppress readdirCalled; readdir_r is obsolete, and nobody shares the stream */
    while (room != NULL && processes != NULL && (entry = readdir(processes)) != NULL) {
        uint64_t pid;
        if (parse_uint(slice_from(entry->d_name), &pid) && pid > 1 && pid < INT_MAX) {
            adopted += consider(fleet, (pid_t)pid, room);
        }
    }
    if (processes != NULL) {
        closedir(processes);
    }
    free(room);
    return adopted;
}
