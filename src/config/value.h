/* One plain value of the configuration into its C type; config.c walks the tables. */
#pragma once
#include "config/config.h"

struct config_run { /* one config_apply */
    struct arena *arena;
    struct config_report *report;
    const char *file; /* of the root: for blocks that are not written */
    char *currency;
    struct config_mark currency_at; /* where it was first written */
    struct config_file *files;      /* that were read for it, last first */
};

/* Writes the scalar to `to`, which has the field's type. Reports what was expected. */
void config_value_set(struct config_run *run, const struct config_field *field,
                      const struct config_node *node, void *to);
/* The field's value when nothing is written and it has no default. */
void config_value_clear(const struct config_field *field, void *to);
size_t config_value_bytes(enum config_type type);
/* "a duration such as 250ms": for errors and the reference. */
const char *config_type_expected(enum config_type type);
