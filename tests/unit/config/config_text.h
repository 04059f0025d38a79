/* For tests of what a table of configuration takes: a text, what it became, and what was said. */
#pragma once
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "config/config.h"

struct config_text {
    const char *file; /* as it is called in the report */
    struct arena arena;
    struct config_report report; /* of the last text */
    char currency[UNITS_CURRENCY_BYTES];
};

static inline void config_text_init(struct config_text *t, const char *file) {
    *t = (struct config_text){ .file = file };
    arena_init(&t->arena, 16u << 20);
    config_report_init(&t->report);
}

static inline void config_text_fini(struct config_text *t) {
    arena_fini(&t->arena);
    config_report_fini(&t->report);
}

/* False: it is refused. What `out` points into lives until config_text_fini. */
static inline bool config_text_apply(struct config_text *t, const struct config_table *table,
                                     const char *text, void *out) {
    config_report_fini(&t->report);
    const struct config_node *root =
        config_read_text(slice_from(text), t->file, &t->arena, &t->report);
    return root != NULL && config_apply(table, root, out, &t->arena, t->currency, &t->report);
}

/* All that was said of the last text, a line each. */
static inline const char *config_text_said(struct config_text *t) {
    (void)buffer_append_byte(&t->report.text, '\0');
    return buffer_slice(&t->report.text).data;
}

/* `report`: the one line that is said of `text`, from the line's number on. */
static inline void config_text_refuses(struct config_text *t, const struct config_table *table,
                                       const char *text, void *out, const char *report) {
    char wanted[400];
    bool good = config_text_apply(t, table, text, out);
    const char *said = config_text_said(t);
    snprintf(wanted, sizeof wanted, "%s:%s\n", t->file, report);
    if (good || strcmp(said, wanted) != 0) {
        fail_msg("'%s': %s: %s", text, good ? "taken" : "refused", said);
    }
}
