#include "config/config.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "config/value.h"

#define KEYS_MAX 64 /* of one block, those of inlined tables included */
#define KNOWN_BYTES 512

static void apply_table(struct config_run *run, const struct config_table *table,
                        const struct config_node *node, void *item);

/* ---- which keys a block has ---- */

static size_t collect_keys(const struct config_table *table, const char **keys, size_t count) {
    for (size_t i = 0; i < table->len; i++) {
        if (table->fields[i].type == CONFIG_INLINE) {
            count = collect_keys(table->fields[i].table, keys, count);
        } else {
            assert(count < KEYS_MAX);
            keys[count++] = table->fields[i].name;
        }
    }
    return count;
}

static void report_unknown(struct config_run *run, const struct config_node *key,
                           const char *const *keys, size_t count) {
    char known[KNOWN_BYTES] = "";
    size_t len = 0;
    const char *near = config_nearest(key->text, keys, count);
    for (size_t i = 0; i < count; i++) {
        int written = snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "", keys[i]);
        len += written > 0 && (size_t)written < sizeof known - len ? (size_t)written : 0;
    }
    if (near != NULL) {
        config_report_error(run->report, key->at, "unknown key '%.*s': did you mean '%s'?",
                            SLICE_ARG(key->text), near);
    } else {
        config_report_error(run->report, key->at, "unknown key '%.*s': expected one of %s",
                            SLICE_ARG(key->text), known);
    }
}

static void check_keys(struct config_run *run, const struct config_table *table,
                       const struct config_node *node) {
    const char *keys[KEYS_MAX];
    size_t count = collect_keys(table, keys, 0);
    for (size_t i = 0; i < node->len; i++) {
        bool known = false;
        for (size_t k = 0; k < count && !known; k++) {
            known = slice_equal(node->keys[i]->text, slice_from(keys[k]));
        }
        if (!known) {
            report_unknown(run, node->keys[i], keys, count);
        }
    }
}

/* ---- values ---- */

static void *at_offset(void *item, size_t offset) {
    return (char *)item + offset;
}

static void apply_list(struct config_run *run, const struct config_field *field,
                       const struct config_node *node, void *item) {
    size_t bytes = config_value_bytes(field->type);
    bool single = node->kind == CONFIG_SCALAR; /* one value may stand without brackets */
    size_t len = single ? 1 : node->len;
    if (node->kind == CONFIG_MAP) {
        config_report_error(run->report, node->at, "%s: expected a list", field->name);
        return;
    }
    if (field->items_max > 0 && len > field->items_max) {
        config_report_error(run->report, node->at, "%s: expected at most %u, found %zu",
                            field->name, field->items_max, len);
        return;
    }
    char *values =
        field->items_max > 0 ? at_offset(item, field->offset) : arena_array(run->arena, len, bytes);
    if (values == NULL && len > 0) {
        config_report_error(run->report, node->at, "%s: the list is too long", field->name);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        config_value_set(run, field, single ? node : node->items[i], values + i * bytes);
    }
    if (field->items_max == 0) {
        *(char **)at_offset(item, field->offset) = values;
    }
    *(size_t *)at_offset(item, field->count_offset) = len;
}

static void apply_pairs(struct config_run *run, const struct config_field *field,
                        const struct config_node *node, void *item) {
    if (node->kind != CONFIG_MAP) {
        config_report_error(run->report, node->at, "%s: expected NAME: value pairs", field->name);
        return;
    }
    struct config_pair *pairs = arena_array(run->arena, node->len, sizeof *pairs);
    for (size_t i = 0; pairs != NULL && i < node->len; i++) {
        if (node->items[i]->kind != CONFIG_SCALAR) {
            config_report_error(run->report, node->items[i]->at, "%s: expected text",
                                node->keys[i]->text.data);
            continue;
        }
        pairs[i] = (struct config_pair){ node->keys[i]->text.data, node->items[i]->text.data };
    }
    if (pairs == NULL && node->len > 0) {
        config_report_error(run->report, node->at, "%s: too many", field->name);
    }
    *(const struct config_pair **)at_offset(item, field->offset) = pairs;
    *(size_t *)at_offset(item, field->count_offset) = pairs == NULL ? 0 : node->len;
}

static void apply_blocks(struct config_run *run, const struct config_field *field,
                         const struct config_node *node, void *item) {
    bool named = field->type == CONFIG_NAMED_BLOCKS;
    enum config_node_kind kind = named ? CONFIG_MAP : CONFIG_LIST;
    struct config_node *only = (struct config_node *)(uintptr_t)node;
    struct config_node single = { .kind = CONFIG_LIST, .at = node->at, .len = 1, .items = &only };
    if (node->kind == CONFIG_SCALAR && field->table->plain) {
        node = &single; /* one value may stand without brackets */
    }
    if (node->kind != kind) {
        config_report_error(run->report, node->at, "%s: expected %s", field->name,
                            named ? "a name and a block for each" : "a list");
        return;
    }
    size_t bytes = field->table->item_bytes;
    char *items = arena_array(run->arena, node->len, bytes);
    if (items == NULL && node->len > 0) {
        config_report_error(run->report, node->at, "%s: too many", field->name);
        return;
    }
    for (size_t i = 0; i < node->len; i++) {
        apply_table(run, field->table, node->items[i], items + i * bytes);
        if (named) {
            *(const char **)(items + i * bytes) = node->keys[i]->text.data;
        }
    }
    *(char **)at_offset(item, field->offset) = items;
    *(size_t *)at_offset(item, field->count_offset) = node->len;
}

/* `file` is that of the block: a default path is relative to it, like one that is written. */
static void apply_default(struct config_run *run, const struct config_field *field,
                          const char *file, void *item) {
    if (field->type == CONFIG_BLOCK && field->allocated) {
        *(void **)at_offset(item, field->offset) = NULL;
        return;
    }
    if (field->type == CONFIG_BLOCK) {
        apply_table(run, field->table, NULL, at_offset(item, field->offset));
        return;
    }
    if (!field->many) { /* lists: the item is zeroed, which is none */
        config_value_clear(field, at_offset(item, field->offset));
    }
    if (field->fallback == NULL) {
        return;
    }
    struct config_node node = {
        .kind = CONFIG_SCALAR,
        .at = { file, 0, 0 },
        .text = slice_from(field->fallback),
    };
    if (field->many) { /* "1d, 7d" */
        struct config_node parts[8], *items[8];
        struct config_node list = { .kind = CONFIG_LIST, .at = node.at, .items = items };
        struct slice rest = node.text, part;
        while (list.len < 8 && slice_cut(&rest, ',', &part)) {
            parts[list.len] = node;
            parts[list.len].text = arena_copy(run->arena, slice_trim(part));
            items[list.len] = &parts[list.len];
            list.len++;
        }
        apply_list(run, field, &list, item);
    } else {
        config_value_set(run, field, &node, at_offset(item, field->offset));
    }
}

static void apply_allocated(struct config_run *run, const struct config_field *field,
                            const struct config_node *node, void *item) {
    void *block = arena_alloc(run->arena, field->table->item_bytes);
    if (block == NULL) {
        config_report_error(run->report, node->at, "the configuration is too large");
        return;
    }
    apply_table(run, field->table, node, block);
    *(void **)at_offset(item, field->offset) = block;
}

static void apply_field(struct config_run *run, const struct config_field *field,
                        const struct config_node *node, void *item) {
    switch (field->type) {
    case CONFIG_BLOCK:
        if (field->allocated) {
            apply_allocated(run, field, node, item);
        } else {
            apply_table(run, field->table, node, at_offset(item, field->offset));
        }
        break;
    case CONFIG_BLOCKS:
    case CONFIG_NAMED_BLOCKS:
        apply_blocks(run, field, node, item);
        break;
    case CONFIG_PAIRS:
        apply_pairs(run, field, node, item);
        break;
    default:
        if (field->many) {
            apply_list(run, field, node, item);
        } else {
            config_value_set(run, field, node, at_offset(item, field->offset));
        }
    }
}

static void apply_fields(struct config_run *run, const struct config_table *table,
                         const struct config_node *node, void *item) {
    for (size_t i = 0; i < table->len; i++) {
        const struct config_field *field = &table->fields[i];
        if (field->type == CONFIG_INLINE) {
            apply_fields(run, field->table, node, at_offset(item, field->offset));
            continue;
        }
        const struct config_node *written = config_node_find(node, field->name);
        apply_default(run, field, node != NULL ? node->at.file : run->file, item);
        if (!config_node_is_null(written)) {
            apply_field(run, field, written, item);
        } else if (field->required && node != NULL) {
            config_report_error(run->report, node->at, "expected the key '%s': %s", field->name,
                                field->help);
        }
    }
    if (table->check != NULL && node != NULL) {
        struct config_place place = { node, run->report, run };
        table->check(&place, item);
    }
}

/* A value that stands for a block, as its first field. */
static void apply_plain(struct config_run *run, const struct config_table *table,
                        const struct config_node *node, void *item) {
    struct config_node key = { .at = node->at, .text = slice_from(table->fields[0].name) };
    struct config_node *keys[] = { &key }, *values[] = { (struct config_node *)(uintptr_t)node };
    const struct config_node map = {
        .kind = CONFIG_MAP, .at = node->at, .len = 1, .items = values, .keys = keys
    };
    apply_fields(run, table, &map, item);
}

/* `node` NULL: nothing is written, all defaults. */
static void apply_table(struct config_run *run, const struct config_table *table,
                        const struct config_node *node, void *item) {
    static const struct config_node nothing = { .kind = CONFIG_MAP };
    if (config_node_is_null(node)) {
        struct config_node empty = nothing;
        if (node != NULL) {
            empty.at = node->at;
        }
        apply_fields(run, table, node == NULL ? NULL : &empty, item);
    } else if (node->kind == CONFIG_SCALAR && table->plain) {
        apply_plain(run, table, node, item);
    } else if (node->kind != CONFIG_MAP) {
        config_report_error(run->report, node->at, "expected a block of keys, found %s",
                            node->kind == CONFIG_LIST ? "a list" : "a value");
    } else {
        check_keys(run, table, node);
        apply_fields(run, table, node, item);
    }
}

bool config_apply(const struct config_table *table, const struct config_node *root, void *out,
                  struct arena *arena, char currency[UNITS_CURRENCY_BYTES],
                  struct config_report *report) {
    struct config_run run = { .arena = arena, .report = report, .currency = currency };
    run.file = root != NULL ? root->at.file : "";
    memset(out, 0, table->item_bytes);
    memset(currency, 0, UNITS_CURRENCY_BYTES);
    apply_table(&run, table, root, out);
    return report->errors == 0;
}

bool config_load(const struct config_table *table, const char *path, void *out, struct arena *arena,
                 char currency[UNITS_CURRENCY_BYTES], struct config_report *report) {
    const struct config_node *root = config_read_file(path, arena, report);
    return root != NULL && config_apply(table, root, out, arena, currency, report);
}

/* ---- places ---- */

static struct config_mark mark_of(const struct config_place *place, const char *key) {
    const struct config_node *node = key == NULL ? NULL : config_node_find(place->node, key);
    return node != NULL ? node->at : place->node->at;
}

void config_place_error(const struct config_place *place, const char *key, const char *format,
                        ...) {
    va_list arguments;
    va_start(arguments, format);
    config_report_errorv(place->report, mark_of(place, key), format, arguments);
    va_end(arguments);
}

void config_place_warning(const struct config_place *place, const char *key, const char *format,
                          ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    config_report_warning(place->report, mark_of(place, key), "%s", text);
}

struct config_place config_place_block(const struct config_place *place, const char *key) {
    const struct config_node *node = config_node_find(place->node, key);
    return (struct config_place){ node != NULL ? node : place->node, place->report, place->run };
}

struct config_place config_place_item(const struct config_place *place, const char *key,
                                      size_t index) {
    const struct config_node *list = config_node_find(place->node, key);
    bool there = list != NULL && list->kind != CONFIG_SCALAR && index < list->len;
    return (struct config_place){ there ? list->items[index] : place->node, place->report,
                                  place->run };
}

bool config_place_has(const struct config_place *place, const char *key) {
    return !config_node_is_null(config_node_find(place->node, key));
}
