/* The faults of a scenario. Inside tool/sim only. */
#pragma once
#include "tool/sim/scenario.h"

bool scenario_read_faults(struct scenario *s, const char *path, struct error *err);
bool scenario_seed_faults(struct scenario *s, struct rand *r, struct error *err);

/* From memory; `name` is for errors. */
bool scenario_parse_faults(struct scenario *s, struct slice text, const char *name,
                           struct error *err);
