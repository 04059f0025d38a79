/* Any bytes as shop.yaml: refused with an error, or a shop one can run. The first byte bounds the
 * memory, so that what happens when it is out is seen, too. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "act/control/shop.h"
#include "base/buffer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_shop(const struct shop *shop) {
    assert(shop->listen_count > 0 && shop->service_count > 0 && shop->route_count > 0);
    for (size_t i = 0; i < shop->listen_count; i++) {
        assert(shop->listen[i].text != NULL && shop->listen[i].address.len > 0);
    }
    for (size_t i = 0; i < shop->service_count; i++) {
        const struct service_config *s = &shop->services[i];
        assert(s->name != NULL && s->name[0] != '\0' && s->fleet.folder != NULL);
        assert(s->instances.min <= s->instances.max && s->objective.latency_ms > 0);
        assert(s->fleet.kind == FLEET_PROCESS ? s->fleet.command_len > 0
                                              : s->fleet.endpoint_len > 0);
        assert(s->fleet.health.interval_ms > 0 && s->fleet.health.rise > 0 &&
               s->fleet.health.fall > 0);
    }
    for (size_t i = 0; i < shop->route_count; i++) {
        const struct route_config *r = &shop->routes[i];
        assert(r->service != NULL ? shop_service(shop, slice_from(r->service)) != NULL
                                  : r->rule.split_count > 0 || r->rule.redirect != NULL ||
                                        r->rule.respond != NULL);
        assert(r->path.len > 0 && r->stage < STAGE_COUNT);
        assert(r->match == PLAN_MATCH_PATTERN || r->path.data[0] == '/');
    }
    assert(shop->demand.season_count > 0 && shop->demand.step_ms >= 1000);
    assert(shop->value.floor_ratio >= 0 && shop->value.floor_ratio <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct shop shop;
    struct arena arena;
    struct config_report report = { 0 };
    char currency[UNITS_CURRENCY_BYTES];
    if (size == 0 || size > CONFIG_FILE_BYTES_MAX) {
        return 0;
    }
    arena_init(&arena, data[0] == '#' ? 64u << 20 : (size_t)data[0] * 64);
    const struct config_node *root =
        config_read_text(slice_of(data + 1, size - 1), "fuzz/shop.yaml", &arena, &report);
    if (root != NULL && config_apply(&shop_table, root, &shop, &arena, currency, &report)) {
        assert(report.errors == 0);
        check_shop(&shop);
    } else {
        assert(report.errors > 0); /* never refused without a reason */
    }
    size_t lines = 0;
    struct slice text = buffer_slice(&report.text);
    for (size_t i = 0; i < text.len; i++) {
        lines += text.data[i] == '\n';
    }
    assert(lines <= (size_t)report.errors + report.warnings); /* each in its own line */
    config_report_fini(&report);
    arena_fini(&arena);
    return 0;
}
