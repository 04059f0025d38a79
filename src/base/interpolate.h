/* Linear interpolation. */
#pragma once

/* `first` where `part` is 0, near `second` where it is 1, and on the line through both beyond. NaN
 * when any of them is. */
static inline double interpolate(double first, double second, double part) {
    return first + part * (second - first);
}
