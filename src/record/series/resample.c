/* A series at a coarser step. */
#include <math.h>

#include "record/series/series.h"

bool series_resample(const struct series *s, const struct series_column *column, int64_t step_ms,
                     enum series_how how, struct arena *arena, double **out, size_t *slots,
                     struct error *err) {
    if (step_ms < s->step_ms || step_ms % s->step_ms != 0) {
        return error_set(err, ERROR_INVALID,
                         "a step of %g s: expected a multiple of the %g s between the rows of %s",
                         (double)step_ms / 1000, (double)s->step_ms / 1000, s->name);
    }
    size_t parts = (size_t)(step_ms / s->step_ms);
    size_t len = s->slots / parts;
    double *values = arena_array(arena, len > 0 ? len : 1, sizeof(double));
    if (values == NULL) {
        return error_set(err, ERROR_LIMIT, "%s: no memory for %zu steps", s->name, len);
    }
    for (size_t i = 0; i < len; i++) {
        double sum = 0;
        for (size_t j = 0; j < parts; j++) {
            sum += column->values[i * parts + j]; /* NaN spreads: a part that is missing is */
        }
        values[i] = how == SERIES_MEAN ? sum / (double)parts : sum;
    }
    *out = values;
    *slots = len;
    return true;
}
