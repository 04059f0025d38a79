#include "decide/value/value.h"

#include <assert.h>

struct value_policy value_policy_default(double customer_mean) {
    return (struct value_policy){
        .conversion_ratio = {
            [STAGE_OTHER] = VALUE_CONVERSION_OTHER,
            [STAGE_BROWSE] = VALUE_CONVERSION_BROWSE,
            [STAGE_SEARCH] = VALUE_CONVERSION_SEARCH,
            [STAGE_PRODUCT] = VALUE_CONVERSION_PRODUCT,
            [STAGE_CART] = VALUE_CONVERSION_CART,
            [STAGE_CHECKOUT] = VALUE_CONVERSION_CHECKOUT,
        },
        .session_ratio = VALUE_SESSION_RATIO,
        .unknown_value = customer_mean > 0 ? customer_mean : VALUE_UNKNOWN_DEFAULT,
    };
}

static double customer_value(const struct value_policy *policy, const struct visit *visit) {
    double value = visit->customer_known ? visit->expected_value : policy->unknown_value;
    if (!(value >= 0)) { /* NaN too: a customer who costs money is not served for money */
        return 0;
    }
    return value < VALUE_CUSTOMER_MAX ? value : VALUE_CUSTOMER_MAX;
}

double value_of_visit(const struct value_policy *policy, const struct visit *visit) {
    assert(visit->stage < STAGE_COUNT && visit->furthest < STAGE_COUNT);
    double here = policy->conversion_ratio[visit->stage];
    double before = policy->session_ratio * policy->conversion_ratio[visit->furthest];
    return (here > before ? here : before) * customer_value(policy, visit);
}

bool value_goes_first(const struct visit *visit) {
    return visit->stage == STAGE_CHECKOUT;
}
