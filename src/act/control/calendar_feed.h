/* A calendar of campaigns that another server keeps (demand.calendar): asked for every now and
 * then, and read, by a thread; what it said last holds while it cannot be had, is broken, or says
 * nothing, also over a restart. Its address may be a secret: only its host is told. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decide/forecast/calendar.h"

#define CALENDAR_FEED_FILE "calendar.json" /* in the state folder */

struct api_calendar;
struct controller;
struct fetch;

struct calendar_feed {
    uint64_t key;                 /* of the address that all this is of; 0: none */
    struct fetch *fetch;          /* under way */
    struct slice text;            /* as it came last and was good; ours */
    char etag[256], modified[64]; /* of it */
    struct calendar calendar;     /* it, not settled */
    int64_t parsed_ms;
    bool reading; /* the thread reads what is known, nothing is asked */
    uint64_t due_us;
    unsigned failures;     /* in a row */
    uint64_t failures_all; /* since the start */
    uint64_t had_us;       /* new or the same; before that: since when it is asked for */
    int64_t had_ms;        /* likewise; 0: not since the start */
};

/* After the configuration was read. */
void calendar_feed_apply(struct controller *c);
/* Each second. */
void calendar_feed_second(struct controller *c);
void calendar_feed_fill_view(const struct controller *c, struct api_calendar *out);
void calendar_feed_fini(struct calendar_feed *f);
