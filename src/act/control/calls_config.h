/* `calls:` of a service in shop.yaml: which services it calls, and how often for each request. */
#pragma once
#include <stdbool.h>

#include "config/config.h"

#define CALLS_RATIO_MAX 1000.0

struct shop;

/* Calls for each request: a number above 0. */
bool calls_ratio(const char *text, double *ratio);
/* Names that are not there, ratios that are none, cycles. */
void calls_config_check(const struct config_place *place, const struct shop *shop);
