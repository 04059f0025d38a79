#include "base/median.h"

#include <assert.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort_ascending(double *values, size_t len) {
    qsort(values, len, sizeof *values, ascending);
}

double median(double *values, size_t len) {
    assert(len > 0);
    sort_ascending(values, len);
    return len % 2 == 1 ? values[len / 2] : (values[len / 2 - 1] + values[len / 2]) / 2;
}
