#include <string.h>

#include "config/config.h"
#include "config/value.h"

#define PATH_BYTES 128

static void write_type(const struct config_field *field, FILE *to) {
    if (field->type == CONFIG_CHOICE) {
        for (size_t i = 0; field->choices[i] != NULL; i++) {
            fprintf(to, "%s`%s`", i > 0 ? ", " : "", field->choices[i]);
        }
    } else {
        fprintf(to, "%s%s", field->many ? "list of: " : "", config_type_expected(field->type));
        if (field->table != NULL && field->table->plain) {
            fprintf(to, ", or `%s` alone", field->table->fields[0].name);
        }
    }
}

static void write_row(const struct config_field *field, FILE *to) {
    fprintf(to, "| `%s` | ", field->name);
    write_type(field, to);
    if (field->required) {
        fputs(" | required | ", to);
    } else if (field->fallback != NULL) {
        fprintf(to, " | `%s` | ", field->fallback);
    } else {
        fputs(" | | ", to);
    }
    fprintf(to, "%s |\n", field->help);
}

static void write_rows(const struct config_table *table, FILE *to) {
    for (size_t i = 0; i < table->len; i++) {
        const struct config_field *field = &table->fields[i];
        if (field->type == CONFIG_INLINE) {
            write_rows(field->table, to);
        } else {
            write_row(field, to);
        }
    }
}

static void write_sections(const struct config_table *table, const char *path, FILE *to);

static void write_block(const struct config_table *table, const char *path, FILE *to) {
    fprintf(to,
            "\n## %s\n\n| key | written as | default | what it is |\n| --- | --- | --- | --- |\n",
            path);
    write_rows(table, to);
    write_sections(table, path, to);
}

static void write_sections(const struct config_table *table, const char *path, FILE *to) {
    for (size_t i = 0; i < table->len; i++) {
        const struct config_field *field = &table->fields[i];
        char inner[PATH_BYTES];
        if (field->table == NULL) {
            continue;
        }
        if (field->type == CONFIG_INLINE) {
            write_sections(field->table, path, to);
            continue;
        }
        snprintf(inner, sizeof inner, "%s%s%s%s", path, path[0] != '\0' ? "." : "", field->name,
                 field->type == CONFIG_BLOCKS         ? "[]"
                 : field->type == CONFIG_NAMED_BLOCKS ? ".NAME"
                                                      : "");
        write_block(field->table, inner, to);
    }
}

void config_reference(const struct config_table *table, FILE *to) {
    fputs("| key | written as | default | what it is |\n| --- | --- | --- | --- |\n", to);
    write_rows(table, to);
    write_sections(table, "", to);
}
