/* Amounts as people read them: 1,512,183 and 84.21. */
#pragma once

#define AMOUNT_BYTES 48

/* `decimals` <= 6; anything that is not finite is a dash. Returns `out`. */
const char *amount_text(double value, unsigned decimals, char out[AMOUNT_BYTES]);
