/* The ledger: what some hours cost and dropped, and what they would have with others at the helm;
 * and whether prediction paid. The hours are the store's; nothing is judged here but their sum. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "act/api/api_internal.h"
#include "act/api/query.h"
#include "base/clock.h"
#include "decide/cost/ledger.h"

#define HOURS_MAX 2000 /* of one answer */
#define HOURS_DEFAULT 24L

struct account {
    bool known;
    double instance_hours, cost, unserved;
    uint32_t instances_max;
};

struct hour {
    int64_t start_ms;
    double seconds, requests, refused;
    struct account accounts[LEDGER_POLICIES];
};

struct question {
    struct api_job job; /* first */
    char service[STORE_NAME_BYTES];
    int64_t from_ms, to_ms;
    size_t len, capacity;
    struct hour hours[];
};

/* ---- reading ---- */

static int policy_of(const char *name) {
    for (int i = 0; i < LEDGER_POLICIES; i++) {
        if (strcmp(name, ledger_policy_names[i]) == 0) {
            return i;
        }
    }
    return -1; /* of a newer Tidegate */
}

static bool keep_row(void *self, const struct store_ledger_row *row) {
    struct question *q = self;
    int policy = policy_of(row->policy);
    if (q->len == 0 || q->hours[q->len - 1].start_ms != row->hour_ms) {
        if (q->len == q->capacity) {
            return false;
        }
        q->hours[q->len++] = (struct hour){ .start_ms = row->hour_ms };
    }
    struct hour *hour = &q->hours[q->len - 1];
    hour->seconds = row->seconds;
    hour->requests = row->requests;
    if (policy == LEDGER_TIDEGATE) {
        hour->refused = row->refused;
    }
    if (policy >= 0) {
        hour->accounts[policy] = (struct account){ .known = true,
                                                   .instance_hours = row->instance_hours,
                                                   .cost = row->cost,
                                                   .unserved = row->unserved,
                                                   .instances_max = row->instances_max };
    }
    return true;
}

static void read_hours(struct store_job *job, struct store *store) {
    struct question *q = (struct question *)job;
    q->job.read = store_read_ledger(store, slice_from(q->service), q->from_ms, q->to_ms, keep_row,
                                    q, &q->job.err);
}

/* ---- answering ---- */

/* A sum with one unknown cost is unknown. */
static struct hour sum_up(const struct question *q) {
    struct hour sum = { .start_ms = q->from_ms };
    for (size_t i = 0; i < q->len; i++) {
        const struct hour *hour = &q->hours[i];
        sum.seconds += hour->seconds;
        sum.requests += hour->requests;
        sum.refused += isfinite(hour->refused) ? hour->refused : 0;
        for (int k = 0; k < LEDGER_POLICIES; k++) {
            struct account *to = &sum.accounts[k];
            const struct account *from = &hour->accounts[k];
            if (from->known) {
                to->known = true;
                to->instance_hours += from->instance_hours;
                to->cost += from->cost;
                to->unserved += from->unserved;
                to->instances_max = from->instances_max > to->instances_max ? from->instances_max
                                                                            : to->instances_max;
            }
        }
    }
    return sum;
}

static json_t *policies_json(const struct hour *hour) {
    json_t *policies = json_array();
    for (int i = 0; i < LEDGER_POLICIES; i++) {
        const struct account *account = &hour->accounts[i];
        if (!account->known) {
            continue;
        }
        json_t *json = json_object();
        json_put(json, "policy", json_string(ledger_policy_names[i]));
        json_put(json, "instance_hours", json_known(account->instance_hours));
        json_put(json, "cost", json_known(account->cost));
        json_put(json, "unserved_requests", json_known(account->unserved));
        json_put(json, "instances_max", json_integer(account->instances_max));
        json_array_append_new(policies, json);
    }
    return policies;
}

static void put_hour(json_t *json, const struct hour *hour) {
    json_put(json, "seconds", json_known(hour->seconds));
    json_put(json, "requests", json_known(hour->requests));
    json_put(json, "refused_requests", json_known(hour->refused));
    json_put(json, "policies", policies_json(hour));
}

static json_t *hours_json(const struct question *q) {
    json_t *hours = json_array();
    for (size_t i = 0; i < q->len; i++) {
        json_t *json = json_object();
        json_put(json, "time", json_time(q->hours[i].start_ms));
        put_hour(json, &q->hours[i]);
        json_array_append_new(hours, json);
    }
    return hours;
}

static struct ledger_sum ledger_sum_of(const struct account *account) {
    return (struct ledger_sum){ account->instance_hours, account->cost, account->unserved };
}

static json_t *prediction_json(const struct hour *sum, const struct api_view *view) {
    static const char *const words[] = { [LEDGER_PAID] = "paid",
                                         [LEDGER_NOT_PAID] = "did_not_pay",
                                         [LEDGER_DEPENDS] = "depends",
                                         [LEDGER_TOO_EARLY] = "too_early" };
    struct ledger_question question = {
        .seconds = sum->seconds,
        .requests = sum->requests,
        .tidegate = ledger_sum_of(&sum->accounts[LEDGER_TIDEGATE]),
        .reactive = ledger_sum_of(&sum->accounts[LEDGER_REACTIVE]),
        .margin_per_request = view->margin_per_request,
        .currency = view->currency,
    };
    struct ledger_verdict verdict = ledger_judge(&question);
    json_t *json = json_object();
    json_put(json, "verdict", json_string(words[verdict.paid]));
    json_put(json, "text", json_text(verdict.text));
    return json;
}

static void finish_ledger(struct api_job *job) {
    struct question *q = (struct question *)job;
    if (job->connection == NULL || job_read_failed(job)) {
        return;
    }
    const struct api_view *view = job->api->view;
    struct hour sum = sum_up(q);
    json_t *json = json_object();
    json_put(json, "service", json_text(q->service));
    json_put(json, "from", json_time(q->from_ms));
    json_put(json, "to", json_time(q->to_ms));
    json_put(json, "currency", json_text(view->currency));
    put_hour(json, &sum);
    json_put(json, "prediction", prediction_json(&sum, view));
    json_put(json, "hours", hours_json(q));
    answer_json(job->connection, 200, json);
}

/* ---- the question ---- */

static int64_t hour_of(int64_t ms) {
    return ms - ms % MS_PER_HOUR;
}

/* Whole hours; the one that `to` lies in among them. */
static bool read_range(struct api_connection *c, struct question *q) {
    struct error err = { 0 };
    struct query_parameter p[] = {
        { .name = "service", .type = QUERY_TEXT },
        { .name = "from", .type = QUERY_TIME },
        { .name = "to", .type = QUERY_TIME, .number = c->api->view->now_ms + 1 }
    };
    if (!query_parse(slice_from(c->request.query), p, 3, &err)) {
        answer_error(c, &err);
        return false;
    }
    int64_t last_ms = hour_of(p[2].number - 1), before_ms = (HOURS_DEFAULT - 1) * MS_PER_HOUR;
    int64_t from_ms = p[1].given ? p[1].number : last_ms - before_ms;
    int64_t range_ms = p[2].number - from_ms;
    if (from_ms < 0 || range_ms <= 0 || range_ms > (HOURS_MAX - 1) * MS_PER_HOUR) {
        answer_problem(c, 400, "from must be before to, at most %d hours", HOURS_MAX - 1);
        return false;
    }
    if (!slice_copy_text(slice_from(p[0].text), q->service, sizeof q->service) ||
        (p[0].given && find_service(c->api->view, slice_from(p[0].text)) == NULL)) {
        answer_problem(c, 404, "no service '%s'", p[0].text);
        return false;
    }
    q->from_ms = hour_of(from_ms);
    q->to_ms = p[2].number;
    return true;
}

void handle_ledger(struct api_connection *c) {
    struct question *q = calloc(1, sizeof *q + HOURS_MAX * sizeof q->hours[0]);
    if (q == NULL || c->api->store == NULL) {
        answer_problem(c, 503, q == NULL ? "memory is out" : "the store could not be opened");
        free(q);
        return;
    }
    q->capacity = HOURS_MAX;
    if (!read_range(c, q)) {
        free(q);
        return;
    }
    job_start(c->api, c, &q->job, read_hours, finish_ledger);
}
