#include "decide/balance/locality.h"

float locality_share(uint32_t available, uint32_t total) {
    if (total == 0) {
        return 0;
    }
    float share = LOCALITY_OVERPROVISIONING * (float)available / (float)total;
    return share < 1 ? share : 1;
}
