/* What an answer to a probe must be to be health: its status, and what stands in its body. Compiled
 * once from the configuration, shared by the probes under way, which outlive a reload. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "act/fleet/fleet_config.h"
#include "base/error.h"
#include "base/slice.h"

#define PROBE_BODY_BYTES_MAX 16384 /* of a body that is looked at; what comes after is not read */
#define PROBE_WHY_BYTES 96

/* How a probe ended; names in /metrics. */
enum probe_result {
    PROBE_MORE, /* it has not yet */
    PROBE_WELL,
    PROBE_CONNECT, /* no connection */
    PROBE_TLS,
    PROBE_TIMEOUT,
    PROBE_CLOSED,   /* without a whole answer */
    PROBE_PROTOCOL, /* its answer is none */
    PROBE_STATUS,
    PROBE_BODY,
    PROBE_NOT_SERVING, /* says grpc.health.v1 */
    PROBE_RESULTS,
};
const char *probe_result_name(enum probe_result result);

struct expectation;

/* One holder. ERROR_INVALID: what is wrong with status or body. */
struct expectation *expectation_new(const struct expect_config *config, struct error *err);
struct expectation *expectation_hold(struct expectation *e);
void expectation_free(struct expectation *e); /* lets go; NULL is fine */

/* Whether what came is known to be enough. `body`: its first bytes, at most PROBE_BODY_BYTES_MAX;
 * `ended`: there are no more. Anything but PROBE_MORE and PROBE_WELL says why. NULL: 200 to 399,
 * whatever the body. */
enum probe_result expectation_judge(const struct expectation *e, uint16_t status, struct slice body,
                                    bool ended, char why[PROBE_WHY_BYTES]);
bool expectation_wants_body(const struct expectation *e);
