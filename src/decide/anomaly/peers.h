/* Peers: instances of one service do the same work, so that one which is far from the others is
 * ill, whatever the load is. Robust z-score by median and median absolute deviation (Iglewicz and
 * Hoaglin, 1993), and a ratio and a distance below which nobody would care. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define PEERS_SCORE_LIMIT 3.5 /* of the modified z-score, as its authors recommend */
#define PEERS_LEAST 2         /* others that are needed to compare with */

struct peers_tolerance {
    double ratio;    /* up to so many times the others' median is usual */
    double distance; /* so much above it is nothing, whatever the ratio */
};

struct peers_verdict {
    bool outlier;  /* far above the others */
    double median; /* of the others; NaN: too few */
    double score;  /* modified z-score against the others; NaN: too few */
};

/* Whether values[index] is far above the others. NaN values are not compared. `room` holds `len`
 * doubles for the call. */
struct peers_verdict peers_compare(const double *values, size_t len, size_t index,
                                   struct peers_tolerance tolerance, double *room);
