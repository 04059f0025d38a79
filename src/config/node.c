#include "config/node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

struct reading {
    const char *name;
    yaml_document_t *document;
    struct arena *arena;
    struct config_report *report;
    size_t nodes;
};

struct config_node *config_node_find(const struct config_node *map, const char *key) {
    for (size_t i = 0; map != NULL && map->kind == CONFIG_MAP && i < map->len; i++) {
        if (slice_equal(map->keys[i]->text, slice_from(key))) {
            return map->items[i];
        }
    }
    return NULL;
}

bool config_node_is_null(const struct config_node *node) {
    return node == NULL || (node->kind == CONFIG_SCALAR && node->plain &&
                            (node->text.len == 0 || slice_equal(node->text, SLICE("~")) ||
                             slice_equal(node->text, SLICE("null"))));
}

/* ---- libyaml's document to our tree ---- */

static struct config_mark mark_of(const struct reading *r, const yaml_mark_t *mark) {
    return (struct config_mark){ r->name, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1 };
}

static struct config_node *convert(struct reading *r, int id, unsigned depth);

static bool has_key(const struct config_node *map, struct slice key) {
    for (size_t i = 0; i < map->len; i++) {
        if (slice_equal(map->keys[i]->text, key)) {
            return true;
        }
    }
    return false;
}

static bool convert_list(struct reading *r, const yaml_node_t *from, struct config_node *to,
                         unsigned depth) {
    size_t count = (size_t)(from->data.sequence.items.top - from->data.sequence.items.start);
    to->items = arena_array(r->arena, count, sizeof to->items[0]);
    for (size_t i = 0; to->items != NULL && i < count; i++) {
        to->items[i] = convert(r, from->data.sequence.items.start[i], depth + 1);
        if (to->items[i] == NULL) {
            return false;
        }
        to->len++;
    }
    return to->items != NULL || count == 0;
}

static bool convert_map(struct reading *r, const yaml_node_t *from, struct config_node *to,
                        unsigned depth) {
    size_t count = (size_t)(from->data.mapping.pairs.top - from->data.mapping.pairs.start);
    to->items = arena_array(r->arena, count, sizeof to->items[0]);
    to->keys = arena_array(r->arena, count, sizeof to->keys[0]);
    if (count > 0 && (to->items == NULL || to->keys == NULL)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const yaml_node_pair_t *pair = &from->data.mapping.pairs.start[i];
        struct config_node *key = convert(r, pair->key, depth + 1);
        struct config_node *item = key == NULL ? NULL : convert(r, pair->value, depth + 1);
        if (item == NULL) {
            return false;
        }
        if (key->kind != CONFIG_SCALAR) {
            config_report_error(r->report, key->at, "expected a name before ':'");
        } else if (has_key(to, key->text)) {
            config_report_error(r->report, key->at, "'%.*s' is there twice", SLICE_ARG(key->text));
        } else {
            to->keys[to->len] = key;
            to->items[to->len++] = item;
        }
    }
    return true;
}

static void report_too_much(struct config_mark at, struct config_report *report) {
    config_report_error(report, at, "expected at most %d levels and %d values", CONFIG_DEPTH_MAX,
                        CONFIG_NODES_MAX);
}

static struct config_node *convert(struct reading *r, int id, unsigned depth) {
    const yaml_node_t *from = yaml_document_get_node(r->document, id);
    struct config_mark at = mark_of(r, &from->start_mark);
    if (depth > CONFIG_DEPTH_MAX || r->nodes++ > CONFIG_NODES_MAX) {
        report_too_much(at, r->report);
        return NULL;
    }
    struct config_node *to = arena_alloc(r->arena, sizeof *to);
    bool done = to != NULL;
    if (done) {
        to->at = at;
        switch (from->type) {
        case YAML_SEQUENCE_NODE:
            to->kind = CONFIG_LIST;
            done = convert_list(r, from, to, depth);
            break;
        case YAML_MAPPING_NODE:
            to->kind = CONFIG_MAP;
            done = convert_map(r, from, to, depth);
            break;
        default:
            to->kind = CONFIG_SCALAR;
            to->plain = from->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
            to->text =
                arena_copy(r->arena, slice_of(from->data.scalar.value, from->data.scalar.length));
            done = to->text.data != NULL;
            if (done && memchr(to->text.data, '\0', to->text.len) != NULL) {
                config_report_error(r->report, at, "expected text without a NUL");
            }
        }
    }
    if (!done && r->report->errors == 0) {
        config_report_error(r->report, at, "the configuration is too large");
    }
    return done ? to : NULL;
}

static struct config_node *empty_map(const char *name, struct arena *arena) {
    struct config_node *node = arena_alloc(arena, sizeof *node);
    if (node != NULL) {
        node->kind = CONFIG_MAP;
        node->at = (struct config_mark){ name, 1, 1 };
    }
    return node;
}

static void report_yaml(const yaml_parser_t *parser, const char *name,
                        struct config_report *report) {
    const yaml_mark_t *mark = &parser->problem_mark;
    struct config_mark at = { name, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1 };
    if (parser->error == YAML_READER_ERROR) { /* it knows the byte, not the line */
        config_report_error(report, (struct config_mark){ name, 0, 0 },
                            "expected text in UTF-8: %s at byte %zu", parser->problem,
                            parser->problem_offset);
        return;
    }
    const char *problem = parser->problem != NULL ? parser->problem : "it cannot be read";
    config_report_error(report, at, "this is not YAML: %s%s%s", problem,
                        parser->context != NULL ? ", " : "",
                        parser->context != NULL ? parser->context : "");
}

/* libyaml's time grows with the square of the depth: what is too deep is refused while it is read,
 * event by event, before a tree is made of it. */
static bool check_depth(struct slice text, const char *name, struct config_report *report) {
    yaml_parser_t parser;
    yaml_event_t event;
    unsigned depth = 0;
    bool more = true, good = true;
    if (!yaml_parser_initialize(&parser)) {
        return true; /* whoever loads it will say so */
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.len);
    while (more && good && yaml_parser_parse(&parser, &event)) {
        bool begins =
            event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
        bool ends = event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        depth = depth + begins - ends;
        more = event.type != YAML_STREAM_END_EVENT;
        if (depth > CONFIG_DEPTH_MAX + 1) { /* the top is level 0 */
            struct config_mark at = { name, (uint32_t)event.start_mark.line + 1,
                                      (uint32_t)event.start_mark.column + 1 };
            report_too_much(at, report);
            good = false;
        }
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return good;
}

/* What comes after a second "---" would be lost in silence. */
static void refuse_more(yaml_parser_t *parser, const char *name, struct config_report *report) {
    yaml_document_t more;
    if (!yaml_parser_load(parser, &more)) {
        report_yaml(parser, name, report);
        return;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&more);
    if (root != NULL) {
        struct config_mark at = { name, (uint32_t)root->start_mark.line + 1,
                                  (uint32_t)root->start_mark.column + 1 };
        config_report_error(report, at, "expected one document, not a second one after '---'");
    }
    yaml_document_delete(&more);
}

struct config_node *config_read_text(struct slice text, const char *name, struct arena *arena,
                                     struct config_report *report) {
    yaml_parser_t parser;
    yaml_document_t document;
    struct config_node *root = NULL;
    if (!check_depth(text, name, report)) {
        return NULL;
    }
    if (!yaml_parser_initialize(&parser)) {
        config_report_error(report, (struct config_mark){ name, 0, 0 }, "memory is out");
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.len);
    if (!yaml_parser_load(&parser, &document)) {
        report_yaml(&parser, name, report);
        yaml_parser_delete(&parser);
        return NULL;
    }
    struct reading reading = { name, &document, arena, report, 0 };
    root = yaml_document_get_root_node(&document) == NULL ? empty_map(name, arena)
                                                          : convert(&reading, 1, 0);
    yaml_document_delete(&document);
    refuse_more(&parser, name, report);
    if (root != NULL && config_node_is_null(root)) {
        root = empty_map(name, arena);
    }
    if (root == NULL && report->errors == 0) {
        config_report_error(report, (struct config_mark){ name, 0, 0 }, "memory is out");
    }
    if (root != NULL && root->kind != CONFIG_MAP) {
        config_report_error(report, root->at, "expected keys such as 'services:' at the top");
        root = NULL;
    }
    yaml_parser_delete(&parser);
    return root;
}

/* ---- files ---- */

static bool load(const char *path, struct arena *arena, struct slice *text,
                 struct config_report *report) {
    struct config_mark at = { path, 0, 0 };
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0) {
        config_report_error(report, at, "%s", strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    bool done = false;
    if (!S_ISREG(info.st_mode)) {
        config_report_error(report, at, "expected a file");
    } else if (info.st_size > CONFIG_FILE_BYTES_MAX) {
        config_report_error(report, at, "expected at most %u bytes, found %lld",
                            CONFIG_FILE_BYTES_MAX, (long long)info.st_size);
    } else {
        char *data = arena_alloc(arena, (size_t)info.st_size + 1);
        ssize_t len = data == NULL ? -1 : pread(fd, data, (size_t)info.st_size, 0);
        done = len >= 0;
        *text = slice_of(data, done ? (size_t)len : 0);
        if (!done) {
            config_report_error(report, at, "it cannot be read: %s", strerror(errno));
        }
    }
    close(fd);
    return done;
}

struct including {
    struct arena *arena;
    struct config_report *report;
    struct config_node *root; /* everything ends up here */
    unsigned files;
};

/* A path as written in `file`, relative to its folder; in the arena. */
static const char *beside(struct arena *arena, const char *file, struct slice path) {
    const char *slash = strrchr(file, '/');
    if (path.len > 0 && path.data[0] == '/') {
        return arena_text(arena, path);
    }
    size_t folder_len = slash == NULL ? 0 : (size_t)(slash - file) + 1;
    char *joined = arena_alloc(arena, folder_len + path.len + 1);
    if (joined != NULL) {
        memcpy(joined, file, folder_len);
        memcpy(joined + folder_len, path.data, path.len);
    }
    return joined;
}

static void include_file(struct including *in, const char *path, struct config_mark from);

static void follow(struct including *in, const struct config_node *what, const char *file) {
    if (config_node_is_null(what)) {
        return;
    }
    if (what->kind == CONFIG_SCALAR) {
        const char *path = beside(in->arena, file, what->text);
        if (path == NULL) {
            config_report_error(in->report, what->at, "the configuration is too large");
        } else {
            include_file(in, path, what->at);
        }
        return;
    }
    for (size_t i = 0; i < what->len; i++) {
        if (what->kind != CONFIG_LIST || what->items[i]->kind != CONFIG_SCALAR) {
            config_report_error(in->report, what->at, "expected a file, or a list of files");
            return;
        }
        follow(in, what->items[i], file);
    }
}

/* Services and jobs may be spread over files: maps are joined, other keys come once. */
static void merge(struct including *in, struct config_node *to, const struct config_node *from,
                  unsigned depth) {
    size_t room = to->len + from->len;
    struct config_node **items = arena_array(in->arena, room, sizeof *items);
    struct config_node **keys = arena_array(in->arena, room, sizeof *keys);
    if (room > 0 && (items == NULL || keys == NULL)) {
        config_report_error(in->report, from->at, "the configuration is too large");
        return;
    }
    for (size_t i = 0; i < to->len; i++) {
        items[i] = to->items[i];
        keys[i] = to->keys[i];
    }
    to->items = items;
    to->keys = keys;
    for (size_t i = 0; i < from->len; i++) {
        if (slice_equal(from->keys[i]->text, SLICE("include")) && depth == 0) {
            continue;
        }
        struct config_node *there = config_node_find(to, from->keys[i]->text.data);
        if (there == NULL) {
            keys[to->len] = from->keys[i];
            items[to->len++] = from->items[i];
        } else if (depth == 0 && there->kind == CONFIG_MAP && from->items[i]->kind == CONFIG_MAP) {
            merge(in, there, from->items[i], depth + 1);
        } else {
            config_report_error(in->report, from->keys[i]->at, "'%s' is already in %s:%u:%u",
                                from->keys[i]->text.data, there->at.file, there->at.line,
                                there->at.column);
        }
    }
}

static void include_file(struct including *in, const char *path, struct config_mark from) {
    struct slice text;
    if (in->files++ >= CONFIG_INCLUDES_MAX) {
        config_report_error(in->report, from, "expected at most %d files; does one include itself?",
                            CONFIG_INCLUDES_MAX);
        return;
    }
    if (!load(path, in->arena, &text, in->report)) {
        return;
    }
    struct config_node *root = config_read_text(text, path, in->arena, in->report);
    if (root == NULL) {
        return;
    }
    merge(in, in->root, root, 0);
    follow(in, config_node_find(root, "include"), path);
}

struct config_node *config_read_file(const char *path, struct arena *arena,
                                     struct config_report *report) {
    const char *name = arena_text(arena, slice_from(path));
    struct including in = { arena, report, empty_map(name, arena), 0 };
    if (name == NULL || in.root == NULL) {
        config_report_error(report, (struct config_mark){ path, 0, 0 }, "memory is out");
        return NULL;
    }
    include_file(&in, name, (struct config_mark){ name, 0, 0 });
    return report->errors == 0 ? in.root : NULL;
}
