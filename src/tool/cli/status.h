/* What `status` and `top` print of an answer of /api/v1/status. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* One block for each service, a line for each instance. `color`: with terminal colours. */
void status_print(const json_t *status, bool color, FILE *to);
