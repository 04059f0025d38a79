#include "act/fleet/launch.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OWN_VARIABLES 5 /* PORT, TIDEGATE_INSTANCE; of another user HOME, USER, LOGNAME */

/* Whether the variable stands here, and not one that begins like it ("$PORT_NAME"). */
static bool is_port_variable(const char *text) {
    return strncmp(text, "$PORT", 5) == 0 && !isalnum((unsigned char)text[5]) && text[5] != '_';
}

/* `name` and '=' (unless it is NULL), then the text with the port in it. NULL: it does not fit. */
static char *with_port(struct arena *arena, const char *name, const char *text, const char *port) {
    size_t bytes = strlen(text) + 1 + (name == NULL ? 0 : strlen(name) + 1);
    for (const char *at = text; (at = strstr(at, "$PORT")) != NULL; at += 5) {
        bytes += strlen(port);
    }
    char *out = arena_alloc(arena, bytes), *to = out;
    if (out == NULL) {
        return NULL;
    }
    if (name != NULL) {
        to = stpcpy(stpcpy(to, name), "=");
    }
    while (*text != '\0') {
        if (is_port_variable(text)) {
            to = stpcpy(to, port);
            text += 5;
        } else {
            *to++ = *text++;
        }
    }
    *to = '\0';
    return out;
}

static char *copy(struct arena *arena, const char *text) {
    size_t bytes = strlen(text) + 1;
    char *out = arena_alloc(arena, bytes);
    return out == NULL ? NULL : memcpy(out, text, bytes);
}

static bool fill_arguments(struct launch *l, const struct fleet_config *config, const char *port) {
    l->arguments = arena_array(&l->arena, config->command_len + 1, sizeof *l->arguments);
    for (size_t i = 0; l->arguments != NULL && i < config->command_len; i++) {
        l->arguments[i] = with_port(&l->arena, NULL, config->command[i], port);
        if (l->arguments[i] == NULL) {
            return false;
        }
    }
    return l->arguments != NULL;
}

/* "NAME=value" takes the place of an entry with its name, or comes last. */
static void put_variable(struct launch *l, size_t *count, char *entry) {
    size_t name_len = (size_t)(strchr(entry, '=') - entry) + 1;
    size_t i = 0;
    while (i < *count && strncmp(l->environment[i], entry, name_len) != 0) {
        i++;
    }
    *count += i == *count;
    l->environment[i] = entry;
}

static bool fill_environment(struct launch *l, const struct fleet_config *config, const char *port,
                             const char *const *own) {
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    size_t room = count + config->environment_len + OWN_VARIABLES + 1;
    l->environment = arena_array(&l->arena, room, sizeof *l->environment);
    if (l->environment == NULL) {
        return false;
    }
    memcpy(l->environment, environ, count * sizeof *environ);
    for (size_t i = 0; i < config->environment_len || own[i - config->environment_len] != NULL;
         i++) {
        char *entry = i < config->environment_len
                          ? with_port(&l->arena, config->environment[i].name,
                                      config->environment[i].value, port)
                          : copy(&l->arena, own[i - config->environment_len]);
        if (entry == NULL) {
            return false;
        }
        put_variable(l, &count, entry);
    }
    return true;
}

bool launch_init(struct launch *l, const struct fleet *fleet, const struct instance *instance,
                 struct error *err) {
    const struct fleet_service *service = &fleet->services[instance->service];
    char number[8], port[16], mark[PATH_MAX];
    char home[GUARD_HOME_BYTES + 8] = "", user[GUARD_NAME_BYTES + 8], logname[sizeof user];
    const char *own[OWN_VARIABLES + 1] = { port, mark };
    *l = (struct launch){ .as_user = service->config->user != NULL };
    if (l->as_user) {
        if (!guard_look_up_user(service->config->user, &l->user, err)) {
            return false;
        }
        snprintf(home, sizeof home, "HOME=%s", l->user.home);
        snprintf(user, sizeof user, "USER=%s", l->user.name);
        snprintf(logname, sizeof logname, "LOGNAME=%s", l->user.name);
        own[2] = home;
        own[3] = user;
        own[4] = logname;
    }
    arena_init(&l->arena, LAUNCH_BYTES_MAX);
    snprintf(number, sizeof number, "%u", address_port(&instance->address));
    snprintf(port, sizeof port, "PORT=%s", number);
    snprintf(mark, sizeof mark, "TIDEGATE_INSTANCE=%.3800s:%s:%s:%s:%s", fleet->state_folder,
             service->name, instance->id, number, instance->version);
    if (!fill_arguments(l, service->config, number) ||
        !fill_environment(l, service->config, number, own)) {
        launch_fini(l);
        return error_set(err, ERROR_LIMIT, "command and environment do not fit into %d bytes",
                         LAUNCH_BYTES_MAX);
    }
    return true;
}

void launch_fini(struct launch *l) {
    arena_fini(&l->arena);
}
