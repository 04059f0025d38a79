/* Report of a backtest: one HTML file that needs nothing else, for somebody who decides about
 * money: whether prediction pays, what each policy cost and dropped, the hardest hours, and the
 * numbers of every chart as a table. Light and dark, on paper, and for those who hear it. */
#pragma once
#include "tool/sim/backtest.h"

struct report {
    const struct backtest_input *in;
    const struct backtest_result *results;
    size_t len;
    const char *source;                     /* of the demand, for the title */
    const struct backtest_verdict *verdict; /* NULL: none (predictive or reactive was not among the
                                               policies) */
};

bool report_write(const struct report *r, const char *path, struct error *err);
