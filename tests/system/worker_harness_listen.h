/* What the harness's listeners speak, and whom they trust. */
#pragma once
#include "act/shm/plan.h"

void harness_fail(const char *what, const char *why); /* ends the harness */

void harness_add_pair(char *text); /* "CHAIN,KEY": all listeners speak TLS from the first one on */
void harness_rotate_tickets(void);
void harness_trust(const char *network);
void harness_expect_proxy_headers(void);
void harness_fill_listeners(struct plan *plan, const int *fds, unsigned count);
