/* Whether prediction pays on this history: said plainly, with the numbers it came from. */
#include <math.h>
#include <stdio.h>

#include "tool/sim/amount.h"
#include "tool/sim/backtest.h"

#define COST_NOTABLE_RATIO 0.01   /* cheaper or dearer by less is the same */
#define SERVED_NOTABLE_SHARE 1e-5 /* of all requests */

static void compare(const struct backtest_result *p, const struct backtest_result *r, char *out,
                    size_t out_bytes) {
    char left[AMOUNT_BYTES], of[AMOUNT_BYTES], cost[AMOUNT_BYTES];
    char other_left[AMOUNT_BYTES], other_cost[AMOUNT_BYTES];
    snprintf(out, out_bytes,
             "predictive leaves %s of %s requests unserved at a cost of %s, reactive %s at %s",
             amount_text(p->totals.unserved, 0, left), amount_text(p->totals.requests, 0, of),
             amount_text(p->cost, 2, cost), amount_text(r->totals.unserved, 0, other_left),
             amount_text(r->cost, 2, other_cost));
}

struct backtest_verdict backtest_judge(const struct backtest_result *predictive,
                                       const struct backtest_result *reactive,
                                       double margin_per_request) {
    struct backtest_verdict verdict = { 0 };
    char numbers[320];
    double saved = reactive->totals.unserved - predictive->totals.unserved;
    double dearer = predictive->cost - reactive->cost;
    bool notable = fabs(saved) > SERVED_NOTABLE_SHARE * predictive->totals.requests;
    compare(predictive, reactive, numbers, sizeof numbers);
    if (margin_per_request > 0) {
        double gain = saved * margin_per_request - dearer;
        char money[AMOUNT_BYTES];
        verdict.pays = gain > COST_NOTABLE_RATIO * reactive->cost;
        snprintf(verdict.text, sizeof verdict.text,
                 "Prediction %s here: %s. At %g a request that is %s %s.",
                 verdict.pays ? "pays" : "does not pay", numbers, margin_per_request,
                 amount_text(fabs(gain), 2, money), gain >= 0 ? "gained" : "lost");
    } else if (notable && saved > 0 && dearer > 0) {
        verdict.pays = false;
        snprintf(verdict.text, sizeof verdict.text,
                 "Whether prediction pays here depends on what a "
                 "request is worth: %s. It pays above %.4g a request (--margin).",
                 numbers, dearer / saved);
    } else {
        verdict.pays = saved >= 0 && (notable || dearer < -COST_NOTABLE_RATIO * reactive->cost);
        snprintf(verdict.text, sizeof verdict.text, "Prediction %s here: %s.%s",
                 verdict.pays ? "pays" : "does not pay", numbers,
                 verdict.pays ? "" : " A reactive policy does as well.");
    }
    return verdict;
}
