/* What a request is worth to the shop: the profit that its visitor is expected to bring if it is
 * served now.
 *
 *     value = chance that the visit ends in an order × what this customer's orders bring
 *
 * The chance comes from how far the visit has come, now or earlier in its session; the customer's
 * worth from the table of expected values that the plan carries. Pure, some ten instructions: it
 * runs for every request.
 * Not here: whose value it is (act/proxy finds cookie and customer), what is done with it
 * (decide/admission). */
#pragma once
#include <stdbool.h>

#include "decide/value/stage.h"

/* Shares of visits that have reached a stage and end in an order: the middle of what shops publish.
 * A shop with a record of its own replaces them. */
#define VALUE_CONVERSION_OTHER 0.002
#define VALUE_CONVERSION_BROWSE 0.02
#define VALUE_CONVERSION_SEARCH 0.04
#define VALUE_CONVERSION_PRODUCT 0.07
#define VALUE_CONVERSION_CART 0.3
#define VALUE_CONVERSION_CHECKOUT 0.65

/* Who has been in the checkout and asks for something else keeps this share of its chance. */
#define VALUE_SESSION_RATIO 0.7

#define VALUE_UNKNOWN_DEFAULT 1.0 /* currency units, where no table says what the mean is */
#define VALUE_CUSTOMER_MAX 1e9    /* more is an error in the table, and counts as this */

struct value_policy {
    double conversion_ratio[STAGE_COUNT];
    double session_ratio;
    double unknown_value; /* of a visitor whom the table does not know: its mean */
};

struct visit {
    enum stage stage;    /* of this request */
    enum stage furthest; /* that the session has reached; STAGE_OTHER when it is not known */
    bool customer_known;
    double expected_value; /* of the known customer, currency units */
};

/* `customer_mean`: of the table, 0 without one. */
struct value_policy value_policy_default(double customer_mean);

/* Expected profit in currency units, never negative. */
double value_of_visit(const struct value_policy *policy, const struct visit *visit);

/* Whether the visit is an order in the making: those go before all others, whatever their value. */
bool value_goes_first(const struct visit *visit);
