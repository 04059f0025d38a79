/* Sessions: clients' connections. One protocol a file (session_h1.c); each gives requests to
 * exchanges and writes their responses. */
#pragma once
#include <stdbool.h>

#include "base/list.h"
#include "wire/net/address.h"

struct worker;

/* Serves an accepted descriptor as HTTP/1; closes it when it cannot. */
void session_h1_accept(struct worker *worker, int fd, const struct address *peer);

/* The worker drains (`link` of worker->sessions): closes the connection if it carries nothing,
 * else after the present answer. `now`: whatever it carries. */
void session_drain(struct list *link, bool now);

/* The worker retires; called every second: closes the connection if it has carried nothing for so
 * long. */
void session_retire(struct list *link, uint64_t idle_us);

void session_free_spares(struct worker *worker);
