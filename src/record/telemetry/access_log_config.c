#include "record/telemetry/access_log_config.h"

#include <string.h>

#define LOG(member) offsetof(struct access_log_config, member)
#define ROTATE(member) (LOG(rotate.member) - LOG(rotate))

static const char *const styles[] = { "json", "common", "combined", NULL };

static void check_access_log(const struct config_place *place, void *item) {
    const struct access_log_config *config = item;
    for (size_t i = 0; i < config->field_count; i++) {
        struct slice name = slice_from(config->fields[i]);
        if (access_field_bit(name) == 0) {
            struct config_place at = config_place_item(place, "fields", i);
            const char *near = config_nearest(name, access_field_names, ACCESS_FIELD_COUNT);
            config_place_error(&at, NULL, "fields: there is no '%.*s'%s%s%s", SLICE_ARG(name),
                               near != NULL ? ": did you mean '" : "", near != NULL ? near : "",
                               near != NULL ? "'?" : "");
        }
    }
    if (config->field_count > 0 && config->style != ACCESS_JSON) {
        config_place_error(place, "fields",
                           "fields: expected only with `format: json`; the others "
                           "have fields of their own");
    }
}

static const struct config_field rotate_fields[] = {
    { "size", CONFIG_SIZE, ROTATE(size_bytes), .fallback = "100MiB",
      .help = "the file is put aside when it has so many bytes; 0: never, e.g. beside logrotate" },
    { "age", CONFIG_DURATION, ROTATE(age_ms), .fallback = "0", .help = "or is so old; 0: never" },
    { "keep", CONFIG_COUNT, ROTATE(keep), .fallback = "10", .min = 1, .max = 10000,
      .help = "so many files that were put aside; older ones are deleted" },
    { "compress", CONFIG_BOOL, ROTATE(compress), .fallback = "true", .help = "those with gzip" },
};
static const struct config_table rotate_table =
    CONFIG_TABLE(typeof(((struct access_log_config *)0)->rotate), rotate_fields);

static const struct config_field access_log_fields[] = {
    { "file", CONFIG_PATH, LOG(file), .required = true,
      .help =
          "where to; `-`: standard output. It may be moved away at any time: a new one is begun" },
    { "format", CONFIG_CHOICE, LOG(style), .choices = styles, .fallback = "json",
      .help = "one JSON object a line, or the Common or Combined Log Format" },
    { "query", CONFIG_BOOL, LOG(query), .fallback = "false",
      .help = "queries too, of targets and referers; they often hold personal data and tokens" },
    { "mask_addresses", CONFIG_BOOL, LOG(mask_addresses), .fallback = "false",
      .help = "visitors' addresses only to their network: IPv4 /24, IPv6 /48, no port" },
    { "sample", CONFIG_SHARE, LOG(sample_ratio), .fallback = "100%",
      .help =
          "of the requests that went well, by trace id; what did not go well is always written" },
    { "fields", CONFIG_TEXT, LOG(fields), .many = true, .count_offset = LOG(field_count),
      .help = "of JSON: only these keys; default: all (docs/access-log.md)" },
    { "rotate", CONFIG_BLOCK, LOG(rotate), .table = &rotate_table,
      .help = "when the file is put aside as FILE-20261127T031500Z" },
};
const struct config_table access_log_config_table =
    CONFIG_TABLE_CHECKED(struct access_log_config, access_log_fields, check_access_log);

bool access_log_is_stdout(const struct access_log_config *config) {
    const char *slash = strrchr(config->file, '/');
    return strcmp(slash == NULL ? config->file : slash + 1, "-") == 0;
}

struct access_format access_log_format(const struct access_log_config *config) {
    struct access_format format = { .style = config->style,
                                    .mask_addresses = config->mask_addresses };
    for (size_t i = 0; i < config->field_count; i++) {
        format.fields |= access_field_bit(slice_from(config->fields[i]));
    }
    format.fields = config->field_count == 0 ? ACCESS_FIELDS_ALL : format.fields;
    return format;
}
