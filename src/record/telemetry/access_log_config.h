/* `access_log:` of shop.yaml. Off when it is not written: a file that nobody asked for fills a disk
 * that nobody watches, and visitors' addresses are personal data. */
#pragma once
#include "config/config.h"
#include "record/telemetry/access_log.h"

struct access_log_config {
    const char *file; /* NULL: no access log; ends in "-": stdout */
    enum access_style style;
    bool query, mask_addresses;
    double sample_ratio;
    const char **fields;
    size_t field_count;
    struct {
        uint64_t size_bytes; /* 0: never by size */
        int64_t age_ms;      /* 0: never by age */
        uint32_t keep;
        bool compress;
    } rotate;
};

extern const struct config_table access_log_config_table;

bool access_log_is_stdout(const struct access_log_config *config);
struct access_format access_log_format(const struct access_log_config *config);
