/* The middle of a few numbers. */
#pragma once
#include <stddef.h>

/* Of an even number of them, the mean of the two in the middle. Sorts `values`, of which there is
 * one at least and none NaN. */
double median(double *values, size_t len);
