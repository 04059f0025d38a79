/* Zones: requests stay in the node's own as long as its endpoints can carry them, and overflow to
 * the others in proportion to what is missing.
 *
 *     share that stays = min(1, LOCALITY_OVERPROVISIONING × available ÷ all of the own zone)
 *
 * Available is who is not ejected and not full. So up to 28 % of the own zone may be out before
 * anything leaves it; with half of it out 70 % stay.
 * After: Envoy's priority levels and their overprovisioning factor. */
#pragma once
#include <stdint.h>

#define LOCALITY_OVERPROVISIONING 1.4F

float locality_share(uint32_t available, uint32_t total);
