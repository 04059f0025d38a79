/* Whether prediction paid: what Tidegate was against what it would have been without forecast, said
 * plainly, with the numbers it came from. The rules are those of `backtest`'s verdict. */
#include <math.h>
#include <stdio.h>

#include "decide/cost/ledger.h"

#define COST_NOTABLE_RATIO 0.01   /* cheaper or dearer by less is the same */
#define SERVED_NOTABLE_SHARE 1e-5 /* of all requests */
#define SECONDS_LEAST 3600

/* In money where an instance has a price; otherwise in hours of it. */
static bool has_price(const struct ledger_question *q) {
    return isfinite(q->tidegate.cost) && isfinite(q->reactive.cost);
}

static double price_of(const struct ledger_question *q, const struct ledger_sum *sum) {
    return has_price(q) ? sum->cost : sum->instance_hours;
}

static void compare(const struct ledger_question *q, char *out, size_t out_bytes) {
    const char *unit = !has_price(q) ? "instance-hours" : q->currency;
    snprintf(out, out_bytes,
             "Tidegate left %.0f of %.0f requests beyond its capacity for %.2f %s, without "
             "forecast it would have been %.0f for %.2f",
             q->tidegate.unserved, q->requests, price_of(q, &q->tidegate), unit,
             q->reactive.unserved, price_of(q, &q->reactive));
}

struct ledger_verdict ledger_judge(const struct ledger_question *q) {
    struct ledger_verdict v = { LEDGER_TOO_EARLY, "" };
    char numbers[256];
    double reactive = price_of(q, &q->reactive), dearer = price_of(q, &q->tidegate) - reactive;
    double saved = q->reactive.unserved - q->tidegate.unserved;
    bool notable = fabs(saved) > fmax(SERVED_NOTABLE_SHARE * q->requests, 0.5);
    compare(q, numbers, sizeof numbers);
    if (q->seconds < SECONDS_LEAST) {
        snprintf(v.text, sizeof v.text,
                 "Too early to say whether prediction pays: %.0f minutes are judged so far.",
                 q->seconds / 60);
    } else if (q->margin_per_request > 0 && has_price(q)) {
        double gain = saved * q->margin_per_request - dearer;
        v.paid = gain > COST_NOTABLE_RATIO * reactive ? LEDGER_PAID : LEDGER_NOT_PAID;
        snprintf(v.text, sizeof v.text, "Prediction %s: %s. At %g %s a request that is %.2f %s %s.",
                 v.paid == LEDGER_PAID ? "paid" : "did not pay", numbers, q->margin_per_request,
                 q->currency, fabs(gain), q->currency, gain >= 0 ? "gained" : "lost");
    } else if (notable && saved > 0 && dearer > COST_NOTABLE_RATIO * reactive) {
        v.paid = LEDGER_DEPENDS;
        snprintf(v.text, sizeof v.text,
                 "Whether prediction paid depends on what a request is worth: %s. It paid above "
                 "%.4g %s a request.",
                 numbers, dearer / saved, has_price(q) ? q->currency : "instance-hours");
    } else {
        bool cheaper = dearer < -COST_NOTABLE_RATIO * reactive;
        bool paid = notable ? saved > 0 : cheaper;
        v.paid = paid ? LEDGER_PAID : LEDGER_NOT_PAID;
        snprintf(v.text, sizeof v.text, "Prediction %s: %s.", paid ? "paid" : "did not pay",
                 numbers);
    }
    return v;
}
