/* Numbers in order, and the one in the middle. None of them is NaN. */
#pragma once
#include <stddef.h>

void sort_ascending(double *values, size_t len);

/* Of an even number of them, the mean of the two in the middle. Sorts `values`, of which there is
 * one at least. */
double median(double *values, size_t len);
