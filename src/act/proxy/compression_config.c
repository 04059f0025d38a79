#include "act/proxy/compression_config.h"

#include "wire/http/encoder.h"

#define COMPRESSION(member) offsetof(struct compression_config, member)
#define LEVEL(member) (COMPRESSION(level.member) - COMPRESSION(level))

const char *const compression_switches[] = { "default", "on", "off", NULL };

static const char *const algorithms[] = { "gzip", "br", "zstd", NULL };
static const enum http_coding codings[] = { HTTP_CODING_GZIP, HTTP_CODING_BROTLI,
                                            HTTP_CODING_ZSTD };

static bool is_type(struct slice text) {
    size_t slash = slice_find(text, '/'), star = slice_find(text, '*');
    if (slash == SLICE_NONE || slash == 0 || slash + 1 == text.len) {
        return false;
    }
    return (star == SLICE_NONE || slice_find(slice_skip(text, star + 1), '*') == SLICE_NONE) &&
           http_is_token(slice_sub(text, 0, slash)) && http_is_token(slice_skip(text, slash + 1));
}

static void check_compression(const struct config_place *place, void *item) {
    const struct compression_config *c = item;
    if (c->algorithm_count == 0 && config_place_has(place, "algorithms")) {
        config_place_error(place, "algorithms",
                           "algorithms: expected at least one of gzip, br, zstd");
    }
    for (size_t i = 0; i < c->algorithm_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (c->algorithms[i] == c->algorithms[k]) {
                config_place_error(place, "algorithms", "algorithms: %s is there twice",
                                   algorithms[c->algorithms[i]]);
            }
        }
    }
    if (c->type_count > PLAN_COMPRESSION_TYPES_MAX) {
        config_place_error(place, "types", "types: expected at most %d, found %zu",
                           PLAN_COMPRESSION_TYPES_MAX, c->type_count);
    }
    for (size_t i = 0; i < c->type_count; i++) {
        if (!is_type(c->types[i])) {
            config_place_error(place, "types",
                               "types: expected a media type such as text/html, text/* or "
                               "application/*+json, found '%.*s'",
                               SLICE_ARG(c->types[i]));
        }
    }
}

static const struct config_field level_fields[] = {
    { "gzip", CONFIG_COUNT, LEVEL(gzip), .fallback = "4", .min = 1, .max = ENCODER_GZIP_LEVEL_MAX,
      .help = "of gzip; about 94 MB a second and CPU at 4, half of it at 6" },
    { "br", CONFIG_COUNT, LEVEL(brotli), .fallback = "3", .min = 1, .max = ENCODER_BROTLI_LEVEL_MAX,
      .help = "of brotli; about 130 MB a second at 3, 59 at 5" },
    { "zstd", CONFIG_COUNT, LEVEL(zstd), .fallback = "3", .min = 1, .max = ENCODER_ZSTD_LEVEL_MAX,
      .help = "of zstd; about 290 MB a second at 3, 109 at 6" },
};
static const struct config_table level_table =
    CONFIG_TABLE(typeof(((struct compression_config *)0)->level), level_fields);

static const struct config_field compression_fields[] = {
    { "enabled", CONFIG_BOOL, COMPRESSION(enabled), .fallback = "false",
      .help = "answers of all services are compressed, unless service or route say `off`" },
    { "algorithms", CONFIG_CHOICE, COMPRESSION(algorithms), .many = true,
      .items_max = HTTP_CODINGS - 1, .count_offset = COMPRESSION(algorithm_count),
      .choices = algorithms, .fallback = "zstd, br, gzip",
      .help = "those used, the favourite first; the visitor's own weights go before" },
    { "level", CONFIG_BLOCK, COMPRESSION(level), .table = &level_table,
      .help = "effort: more CPU, fewer bytes" },
    { "min", CONFIG_SIZE, COMPRESSION(min_bytes), .fallback = "1KiB", .max = 1073741824,
      .help = "answers known to be smaller stay as they are" },
    { "types", CONFIG_SLICE, COMPRESSION(types), .many = true,
      .count_offset = COMPRESSION(type_count),
      .fallback = "text/*, application/json, application/*+json, application/javascript, "
                  "application/xml, application/*+xml, application/wasm, image/svg+xml",
      .help = "media types that are compressed; one `*` stands for anything; event streams and "
              "gRPC never are" },
    { "encoders", CONFIG_COUNT, COMPRESSION(encoders), .fallback = "64", .max = 65536,
      .help = "answers that one worker compresses at once, 1.3 MiB each at most with the default "
              "levels; beyond it they stay as they are" },
    { "offer_to_services", CONFIG_BOOL, COMPRESSION(services_may), .fallback = "true",
      .help = "a service is told what the visitor accepts and may compress by itself; `false`: it "
              "is told `identity`" },
};
const struct config_table compression_config_table =
    CONFIG_TABLE_CHECKED(struct compression_config, compression_fields, check_compression);

bool compression_plan(const struct compression_config *config, struct plan *plan) {
    struct plan_compression *to = &plan->compression;
    *to = (struct plan_compression){
        .levels = { [HTTP_CODING_GZIP] = (uint8_t)config->level.gzip,
                    [HTTP_CODING_BROTLI] = (uint8_t)config->level.brotli,
                    [HTTP_CODING_ZSTD] = (uint8_t)config->level.zstd },
        .services_may = config->services_may,
        .min_bytes = (uint32_t)config->min_bytes,
        .encoders_max = config->encoders,
    };
    for (size_t i = 0; i < config->algorithm_count; i++) {
        to->order[to->order_count++] = (uint8_t)codings[config->algorithms[i]];
    }
    for (size_t i = 0; i < config->type_count; i++) {
        if (!plan_add_text(plan, config->types[i], &to->types[to->type_count++])) {
            return false;
        }
    }
    return true;
}

bool compression_plan_service(const struct compression_config *config, int service_switch) {
    return service_switch == PLAN_DEFAULT ? config->enabled : service_switch == PLAN_ON;
}
