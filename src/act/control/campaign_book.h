/* The campaign book: what people have announced by API, command line and dashboard, or taken back
 * of what a calendar file announces. A file in the state folder, written before it is acknowledged
 * (docs/decisions/0042); past ones stay for a while, for what they teach. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "act/api/api.h"
#include "base/clock.h"
#include "base/error.h"
#include "decide/forecast/calendar.h"

#define CAMPAIGN_FILE "campaigns.json"
#define CAMPAIGN_BOOK_MAX 512
#define CAMPAIGN_KEEP_MS (400 * MS_PER_DAY) /* after the end */

struct campaign_entry {
    char id[API_CAMPAIGN_ID_BYTES]; /* empty: free */
    char name[API_CAMPAIGN_NAME_BYTES], kind[PLAN_NAME_BYTES];
    char channel[PLAN_NAME_BYTES], audience[PLAN_NAME_BYTES], by[PLAN_NAME_BYTES];
    int64_t start_ms, end_ms;
    double multiplier; /* NaN: not given */
    uint32_t sequence;
    bool cancelled;
};

struct campaign_book {
    struct campaign_entry entries[CAMPAIGN_BOOK_MAX];
    size_t len; /* in the order in which they came */
};

/* As maintenance_book_read: a missing file is an empty book. */
bool campaign_book_read(struct campaign_book *book, const char *folder, struct error *err);
bool campaign_book_write(const struct campaign_book *book, const char *folder, struct error *err);

struct campaign_entry *campaign_book_find(struct campaign_book *book, struct slice id);
/* A new entry at the end; makes room by forgetting the one that ended longest ago. NULL: all are
 * still to come. */
struct campaign_entry *campaign_book_add(struct campaign_book *book, int64_t now_ms);
void campaign_book_drop(struct campaign_book *book, struct campaign_entry *entry);

/* Adds all entries to a calendar that is settled afterwards. */
bool campaign_book_announce(const struct campaign_book *book, struct calendar *c,
                            struct error *err);
