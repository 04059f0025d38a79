/* The supervisor: opens the listening sockets, maps the segments, starts workers and controller,
 * watches them by pidfd and restarts them. It carries no request and decides nothing else, so that
 * it is the process that does not fail.
 *
 *   SIGHUP          the configuration is read again; good: the controller makes a new plan of it
 *   SIGTERM SIGINT  workers finish what they carry, then the controller stops the instances, then
 *                   we end; a second one does not wait for the workers
 *   SIGUSR2         the binary is started anew and handed everything (upgrade.c, docs/upgrade.md)
 *
 * When it is killed, workers drain and end, the controller ends, the instances go on: the next
 * supervisor in the folder adopts them. */
#pragma once
#include <stdbool.h>

#include "act/control/shop.h"
#include "base/error.h"

/* Runs in the foreground until it is told to end. `shop` is taken over (the caller finishes it
 * afterwards); config_path is NULL when there is no file; `arguments` are those of the command
 * line, "run" first, ended by NULL. False when it could not start, or when what it handed over to
 * broke. */
bool supervisor_run(struct shop *shop, const char *config_path, char **arguments,
                    struct error *err);
