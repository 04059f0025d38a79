#include "config/value.h"

#include <math.h>
#include <string.h>

#include "base/parse.h"

static const struct {
    size_t bytes;
    const char *expected;
} types[] = {
    [CONFIG_BOOL] = { sizeof(bool), "true or false" },
    [CONFIG_COUNT] = { sizeof(uint32_t), "a whole number" },
    [CONFIG_NUMBER] = { sizeof(double), "a number" },
    [CONFIG_DURATION] = { sizeof(int64_t), "a duration such as 250ms, 10s, 5m or 24h" },
    [CONFIG_SIZE] = { sizeof(uint64_t), "a size such as 64KiB or 512MiB" },
    [CONFIG_RATE] = { sizeof(double), "a rate such as 100/s" },
    [CONFIG_SHARE] = { sizeof(double), "a share such as 99%" },
    [CONFIG_MONEY] = { sizeof(double), "money such as 0.096 EUR" },
    [CONFIG_TEXT] = { sizeof(const char *), "text" },
    [CONFIG_SLICE] = { sizeof(struct slice), "text" },
    [CONFIG_PATH] = { sizeof(const char *), "a path" },
    [CONFIG_CHOICE] = { sizeof(int), "one of the choices" },
    [CONFIG_PAIRS] = { sizeof(const struct config_pair *), "NAME: value pairs" },
    [CONFIG_BLOCK] = { 0, "a block of keys" },
    [CONFIG_BLOCKS] = { sizeof(void *), "a list of blocks" },
    [CONFIG_NAMED_BLOCKS] = { sizeof(void *), "blocks by name" },
    [CONFIG_INLINE] = { 0, "keys" },
};

size_t config_value_bytes(enum config_type type) {
    return types[type].bytes;
}

const char *config_type_expected(enum config_type type) {
    return types[type].expected;
}

void config_value_clear(const struct config_field *field, void *to) {
    switch (field->type) {
    case CONFIG_NUMBER:
    case CONFIG_RATE:
    case CONFIG_SHARE:
    case CONFIG_MONEY:
        *(double *)to = NAN;
        break;
    default:
        memset(to, 0, config_value_bytes(field->type));
    }
}

static void expect(struct config_run *run, const struct config_field *field,
                   const struct config_node *node) {
    config_report_error(run->report, node->at, "%s: expected %s, found '%.*s'", field->name,
                        config_type_expected(field->type), SLICE_ARG(node->text));
}

static bool in_bounds(struct config_run *run, const struct config_field *field,
                      const struct config_node *node, double value) {
    if (field->max <= field->min || (value >= field->min && value <= field->max)) {
        return true;
    }
    double shown = field->type == CONFIG_DURATION ? 0.001 : field->type == CONFIG_SHARE ? 100 : 1;
    const char *unit = field->type == CONFIG_DURATION ? " s"
                       : field->type == CONFIG_SHARE  ? " %"
                       : field->type == CONFIG_SIZE   ? " bytes"
                                                      : "";
    config_report_error(run->report, node->at, "%s: expected %g to %g%s, found '%.*s'", field->name,
                        field->min * shown, field->max * shown, unit, SLICE_ARG(node->text));
    return false;
}

static bool parse_bool(struct slice text, bool *value) {
    *value = slice_equal(text, SLICE("true")) || slice_equal(text, SLICE("yes")) ||
             slice_equal(text, SLICE("on"));
    return *value || slice_equal(text, SLICE("false")) || slice_equal(text, SLICE("no")) ||
           slice_equal(text, SLICE("off"));
}

static void set_choice(struct config_run *run, const struct config_field *field,
                       const struct config_node *node, int *to) {
    char known[256] = "";
    size_t len = 0;
    for (int i = 0; field->choices[i] != NULL; i++) {
        if (slice_equal(node->text, slice_from(field->choices[i]))) {
            *to = i;
            return;
        }
        int written =
            snprintf(known + len, sizeof known - len, "%s%s", i > 0 ? ", " : "", field->choices[i]);
        len += written > 0 && (size_t)written < sizeof known - len ? (size_t)written : 0;
    }
    config_report_error(run->report, node->at, "%s: expected one of %s, found '%.*s'", field->name,
                        known, SLICE_ARG(node->text));
}

static void set_money(struct config_run *run, const struct config_field *field,
                      const struct config_node *node, double *to) {
    char currency[UNITS_CURRENCY_BYTES];
    double amount;
    if (!units_parse_money(node->text, &amount, currency)) {
        expect(run, field, node);
        return;
    }
    if (run->currency[0] == '\0') {
        memcpy(run->currency, currency, sizeof currency);
        run->currency_at = node->at;
    } else if (strcmp(run->currency, currency) != 0) {
        config_report_error(run->report, node->at, "%s: expected %s as in %s:%u:%u, found '%s'",
                            field->name, run->currency, run->currency_at.file,
                            run->currency_at.line, run->currency_at.column, currency);
        return;
    }
    if (in_bounds(run, field, node, amount)) {
        *to = amount;
    }
}

/* Relative to the folder of the file in which it is written. */
static const char *resolve_path(struct config_run *run, const struct config_node *node) {
    const char *slash = strrchr(node->at.file, '/');
    if (node->text.len > 0 && node->text.data[0] == '/') {
        return node->text.data;
    }
    size_t folder_len = slash == NULL ? 0 : (size_t)(slash - node->at.file) + 1;
    char *path = arena_alloc(run->arena, folder_len + node->text.len + 1);
    if (path != NULL) {
        memcpy(path, node->at.file, folder_len);
        memcpy(path + folder_len, node->text.data, node->text.len);
    } else {
        config_report_error(run->report, node->at, "the configuration is too large");
    }
    return path;
}

static void set_whole(struct config_run *run, const struct config_field *field,
                      const struct config_node *node, void *to) {
    uint64_t whole = 0;
    int64_t ms = 0;
    if (field->type == CONFIG_COUNT) {
        if (!parse_uint(node->text, &whole) || whole > UINT32_MAX) {
            expect(run, field, node);
        } else if (in_bounds(run, field, node, (double)whole)) {
            *(uint32_t *)to = (uint32_t)whole;
        }
    } else if (field->type == CONFIG_SIZE) {
        if (!units_parse_size_bytes(node->text, &whole)) {
            expect(run, field, node);
        } else if (in_bounds(run, field, node, (double)whole)) {
            *(uint64_t *)to = whole;
        }
    } else if (!units_parse_duration_ms(node->text, &ms)) {
        expect(run, field, node);
    } else if (in_bounds(run, field, node, (double)ms)) {
        *(int64_t *)to = ms;
    }
}

static void set_real(struct config_run *run, const struct config_field *field,
                     const struct config_node *node, double *to) {
    double value;
    bool good = field->type == CONFIG_NUMBER ? parse_double(node->text, &value)
                : field->type == CONFIG_RATE ? units_parse_rate_rps(node->text, &value)
                                             : units_parse_share(node->text, &value);
    if (!good) {
        expect(run, field, node);
    } else if (in_bounds(run, field, node, value)) {
        *to = value;
    }
}

void config_value_set(struct config_run *run, const struct config_field *field,
                      const struct config_node *node, void *to) {
    if (node->kind != CONFIG_SCALAR) {
        config_report_error(run->report, node->at, "%s: expected %s, found a %s", field->name,
                            config_type_expected(field->type),
                            node->kind == CONFIG_LIST ? "list" : "block");
        return;
    }
    switch (field->type) {
    case CONFIG_BOOL:
        if (!parse_bool(node->text, to)) {
            expect(run, field, node);
        }
        break;
    case CONFIG_COUNT:
    case CONFIG_SIZE:
    case CONFIG_DURATION:
        set_whole(run, field, node, to);
        break;
    case CONFIG_NUMBER:
    case CONFIG_RATE:
    case CONFIG_SHARE:
        set_real(run, field, node, to);
        break;
    case CONFIG_MONEY:
        set_money(run, field, node, to);
        break;
    case CONFIG_CHOICE:
        set_choice(run, field, node, to);
        break;
    case CONFIG_SLICE:
        *(struct slice *)to = node->text;
        break;
    case CONFIG_PATH:
        *(const char **)to = resolve_path(run, node);
        break;
    default:
        *(const char **)to = node->text.data;
    }
}
