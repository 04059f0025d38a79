/* Campaigns: what the calendar file and the campaign book announce, as one calendar for the
 * forecasts. The file is read again when it changes; one that is broken then is told, and what it
 * said before goes on holding. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "act/control/controller_internal.h"
#include "base/clock.h"

#define LOOK_SECONDS 5

/* ---- identity ---- */

/* An event of a file that gives it no uid is known by what it says. */
static void identify(struct calendar_event *e, char out[API_CAMPAIGN_ID_BYTES]) {
    char text[512];
    int len = snprintf(text, sizeof text, "%.*s\n%.*s\n%lld", SLICE_ARG(slice_sub(e->name, 0, 255)),
                       SLICE_ARG(slice_sub(e->kind, 0, 127)), (long long)e->start_ms);
    snprintf(out, API_CAMPAIGN_ID_BYTES, "%016llx",
             (unsigned long long)XXH64(text, (size_t)len, 0));
    e->uid = slice_from(out);
}

/* The uids of calendars may be long; ids are short. */
static void shorten(struct calendar_event *e, char out[API_CAMPAIGN_ID_BYTES]) {
    if (e->uid.len == 0 || e->uid.len >= API_CAMPAIGN_ID_BYTES) {
        identify(e, out);
    }
}

/* ---- the merged calendar ---- */

static bool merge(const struct controller *c, struct calendar *out, struct error *err) {
    const struct calendar *file = &c->inputs.calendar;
    for (size_t i = 0; i < file->len; i++) {
        struct calendar_event event = file->events[i];
        char id[API_CAMPAIGN_ID_BYTES];
        if (!calendar_is_ordinary(&event)) {
            shorten(&event, id);
        }
        if (!calendar_add(out, &event, err)) {
            return false;
        }
    }
    return campaign_book_announce(&c->campaign_book, out, err);
}

/* Everything that refers to the calendar is told of the new one before the old one goes. */
void campaigns_change(struct controller *c) {
    struct calendar old = c->calendar, next;
    struct error err;
    calendar_init(&next);
    if (!merge(c, &next, &err)) {
        log_error("campaigns_not_merged", "error=\"%s\" action=keep_the_old_ones", err.text);
        calendar_fini(&next);
        return;
    }
    calendar_settle(&next);
    c->calendar = next;
    for (unsigned i = 0; i < PLAN_SERVICES_MAX; i++) {
        struct controlled *s = &c->services[i];
        if (s->used) {
            foresee_change(&s->foresee, &s->foresee.policy, &c->calendar);
        }
    }
    calendar_fini(&old);
}

/* Whether the calendar file is another one than at the last look. */
static bool has_changed(struct controller *c) {
    struct stat status;
    if (c->shop.demand.campaigns == NULL || stat(c->shop.demand.campaigns, &status) < 0) {
        return false;
    }
    bool same = status.st_size == c->campaigns_bytes &&
                status.st_mtim.tv_sec == c->campaigns_seen.tv_sec &&
                status.st_mtim.tv_nsec == c->campaigns_seen.tv_nsec;
    c->campaigns_seen = status.st_mtim;
    c->campaigns_bytes = status.st_size;
    return !same;
}

void campaigns_open(struct controller *c) {
    struct error err;
    if (!campaign_book_read(&c->campaign_book, c->config.state->path, &err)) {
        log_error("campaigns_not_read", "error=\"%s\" action=go_on_without", err.text);
    }
    (void)has_changed(c);
    campaigns_change(c);
}

static void tell_campaign(struct controller *c, const char *action,
                          const struct campaign_entry *e) {
    char evidence[256], start[CLOCK_ISO8601_BYTES], end[CLOCK_ISO8601_BYTES], multiplier[32];
    clock_format_iso8601(e->start_ms, start);
    clock_format_iso8601(e->end_ms, end);
    snprintf(multiplier, sizeof multiplier, isnan(e->multiplier) ? "null" : "%g", e->multiplier);
    snprintf(evidence, sizeof evidence,
             "{\"by\":\"%s\",\"start\":\"%s\",\"end\":\"%s\",\"multiplier\":%s}", e->by, start, end,
             multiplier);
    const struct told told = { .kind = "campaign",
                               .action = action,
                               .subject = e->id,
                               .service = -1,
                               .noticed_ms = NAN,
                               .evidence = evidence };
    tell(c, &told, "campaign '%s' (%s), %s to %s: %s", e->name, e->kind, start, end, action);
}

/* ---- the file ---- */

void campaigns_second(struct controller *c) {
    int64_t now_ms = clock_unix_ms();
    struct calendar_window window = { now_ms - INPUTS_CALENDAR_BACK_MS,
                                      now_ms + INPUTS_CALENDAR_AHEAD_MS };
    struct calendar fresh;
    struct error err;
    if (++c->campaigns_age_s % LOOK_SECONDS != 0 || !has_changed(c)) {
        return;
    }
    const struct told told = { .kind = "campaign",
                               .action = "read",
                               .subject = "calendar",
                               .service = -1,
                               .noticed_ms = NAN };
    calendar_init(&fresh);
    fresh.raw = true;
    if (!demand_config_calendar(&c->shop.demand, window, &fresh, &err)) {
        calendar_fini(&fresh);
        log_warn("campaigns_refused", "error=\"%s\" action=keep_the_old_ones", err.text);
        tell(c, &told, "the calendar has changed and is refused, the old one holds: %s", err.text);
        return;
    }
    calendar_fini(&c->inputs.calendar);
    c->inputs.calendar = fresh;
    campaigns_change(c);
    tell(c, &told, "the calendar has changed: %zu events", fresh.len);
}

/* ---- what people say ---- */

static const struct calendar_event *find_id(const struct controller *c, struct slice id) {
    for (size_t i = 0; i < c->calendar.len; i++) {
        if (slice_equal(c->calendar.events[i].uid, id)) {
            return &c->calendar.events[i];
        }
    }
    return NULL;
}

/* The same announced again. */
static const struct calendar_event *find_same(const struct controller *c,
                                              const struct api_campaign_order *o) {
    struct slice kind = o->kind.len > 0 ? o->kind : SLICE("campaign");
    for (size_t i = 0; i < c->calendar.len; i++) {
        const struct calendar_event *e = &c->calendar.events[i];
        if (slice_equal_fold(e->name, o->name) && slice_equal_fold(e->kind, kind) &&
            e->start_ms < o->end_ms && e->end_ms > o->start_ms) {
            return e;
        }
    }
    return NULL;
}

static void take(struct slice text, struct slice otherwise, char *out, size_t out_bytes) {
    slice_copy_text(slice_sub(text.len > 0 ? text : otherwise, 0, out_bytes - 1), out, out_bytes);
}

/* `known`: the event as it is announced now; NULL: it is new. */
static void fill(struct campaign_entry *e, const struct api_campaign_order *o,
                 const struct calendar_event *known) {
    static const struct calendar_event nothing = { .multiplier = NAN };
    const struct calendar_event *k = known != NULL ? known : &nothing;
    struct calendar_event event = { .name = o->name, .kind = o->kind, .start_ms = o->start_ms };
    uint32_t sequence = o->sequence > k->sequence ? o->sequence : k->sequence;
    char id[API_CAMPAIGN_ID_BYTES];
    identify(&event, id);
    struct campaign_entry fresh = {
        .start_ms = o->start_ms != 0 ? o->start_ms : k->start_ms,
        .end_ms = o->end_ms != 0 ? o->end_ms : k->end_ms,
        .multiplier = isnan(o->multiplier) ? k->multiplier : o->multiplier,
        .sequence = sequence,
        .cancelled = o->cancelled,
    };
    take(o->id, known != NULL ? known->uid : slice_from(id), fresh.id, sizeof fresh.id);
    take(o->name, k->name, fresh.name, sizeof fresh.name);
    take(o->kind, k->kind.len > 0 ? k->kind : SLICE("campaign"), fresh.kind, sizeof fresh.kind);
    take(o->channel, k->channel, fresh.channel, sizeof fresh.channel);
    take(o->audience, k->audience, fresh.audience, sizeof fresh.audience);
    take(o->by, SLICE(""), fresh.by, sizeof fresh.by);
    *e = fresh;
}

static bool is_complete(const struct campaign_entry *e, struct error *err) {
    if (e->name[0] == '\0' || e->start_ms == 0 || e->end_ms == 0) {
        return error_set(err, ERROR_INVALID, "expected name, start and end of a new campaign");
    }
    return e->end_ms > e->start_ms ||
           error_set(err, ERROR_INVALID, "expected an end after the start");
}

/* Into the book, and from there into the calendar. */
static bool enter(struct controller *c, const struct campaign_entry *fresh, struct error *err) {
    static struct campaign_book before; /* large */
    before = c->campaign_book;
    struct campaign_entry *old = campaign_book_find(&c->campaign_book, slice_from(fresh->id));
    if (old != NULL) {
        campaign_book_drop(&c->campaign_book, old);
    }
    struct campaign_entry *place = campaign_book_add(&c->campaign_book, clock_unix_ms());
    if (place == NULL) {
        c->campaign_book = before;
        return error_set(err, ERROR_LIMIT, "expected at most %d campaigns", CAMPAIGN_BOOK_MAX);
    }
    *place = *fresh;
    if (!campaign_book_write(&c->campaign_book, c->config.state->path, err)) {
        c->campaign_book = before;
        return false;
    }
    campaigns_change(c);
    return true;
}

bool campaigns_put(void *self, const struct api_campaign_order *o, struct error *err) {
    struct controller *c = self;
    const struct calendar_event *known = o->id.len > 0 ? find_id(c, o->id) : NULL;
    struct campaign_entry fresh;
    if (known == NULL && o->name.len > 0 && o->start_ms != 0) {
        known = find_same(c, o);
    }
    bool outdated = known != NULL && o->sequence > 0 && o->sequence < known->sequence;
    bool is_new = known == NULL;
    fill(&fresh, o, known);
    if (!is_complete(&fresh, err)) {
        return false;
    }
    if (known != NULL) { /* it keeps its id: one that calendars give may differ from ours */
        take(known->uid, SLICE(""), fresh.id, sizeof fresh.id);
    }
    slice_copy_text(slice_from(fresh.id), o->id_out, API_CAMPAIGN_ID_BYTES);
    if (outdated) {
        return true; /* a later version is known already */
    }
    if (!enter(c, &fresh, err)) {
        return false;
    }
    tell_campaign(c, is_new ? "add" : "change", &fresh);
    view_fill(c, clock_unix_ms());
    return true;
}

/* By its id, or by a name that only one that is not over has. */
static const struct calendar_event *find_any(const struct controller *c, struct slice name,
                                             struct error *err) {
    const struct calendar_event *found = find_id(c, name);
    int64_t now_ms = clock_unix_ms();
    for (size_t i = 0; found == NULL && i < c->calendar.len; i++) {
        const struct calendar_event *e = &c->calendar.events[i];
        if (e->end_ms > now_ms && slice_equal_fold(e->name, name)) {
            found = e;
            for (size_t j = i + 1; j < c->calendar.len; j++) {
                if (slice_equal_fold(c->calendar.events[j].name, name)) {
                    error_set(err, ERROR_BUSY, "several are called '%.*s': name one by its id",
                              SLICE_ARG(name));
                    return NULL;
                }
            }
        }
    }
    if (found == NULL || found->uid.len == 0) {
        error_set(err, ERROR_NOT_FOUND, "no campaign '%.*s'", SLICE_ARG(name));
        return NULL;
    }
    return found;
}

/* What a file announces is taken back by an entry that cancels it. */
bool campaigns_remove(void *self, const struct api_campaign_order *o, struct error *err) {
    struct controller *c = self;
    const struct calendar_event *event = find_any(c, o->id, err);
    struct campaign_entry gone;
    if (event == NULL) {
        return false;
    }
    struct api_campaign_order order = { .by = o->by, .multiplier = NAN, .cancelled = true };
    fill(&gone, &order, event);
    take(event->uid, SLICE(""), gone.id, sizeof gone.id);
    slice_copy_text(slice_from(gone.id), o->id_out, API_CAMPAIGN_ID_BYTES);
    if (!enter(c, &gone, err)) {
        return false;
    }
    tell_campaign(c, "remove", &gone);
    view_fill(c, clock_unix_ms());
    return true;
}
