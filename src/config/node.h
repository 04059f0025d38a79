/* YAML as a tree that remembers where everything stood. libyaml reads; we keep file, line and
 * column, refuse duplicate keys and bound size, depth and the growth of aliases.
 * Not here: what keys mean (config.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"
#include "config/report.h"

#define CONFIG_FILE_BYTES_MAX (1u << 20)
#define CONFIG_DEPTH_MAX 32
#define CONFIG_NODES_MAX 100000 /* after aliases are followed */
#define CONFIG_INCLUDES_MAX 32  /* files of one configuration */

enum config_node_kind { CONFIG_SCALAR, CONFIG_LIST, CONFIG_MAP };

struct config_node {
    enum config_node_kind kind;
    struct config_mark at;
    struct slice text; /* of a scalar; NUL-terminated in the arena */
    bool plain;        /* scalar without quotes */
    size_t len;        /* of a list or map */
    struct config_node **items;
    struct config_node **keys; /* of a map; scalars */
};

/* The tree of a file and of those it includes (`include:` at the top: a path or a list of them,
 * relative to the file that names them). NULL when something is wrong: `report` says what. All is
 * in `arena`. */
struct config_node *config_read_file(const char *path, struct arena *arena,
                                     struct config_report *report);
/* From memory: `name` is for errors. `include:` is an ordinary key here. */
struct config_node *config_read_text(struct slice text, const char *name, struct arena *arena,
                                     struct config_report *report);

/* The value of a key; NULL when it is not there. */
struct config_node *config_node_find(const struct config_node *map, const char *key);
/* An empty plain scalar, `~` or `null`: as if nothing was written. NULL is null. */
bool config_node_is_null(const struct config_node *node);
