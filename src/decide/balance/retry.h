/* Whether a request may be sent once more, after an attempt that brought no (good) answer.
 *
 * Nothing that an endpoint may have begun is sent again unless doing it twice does no more than
 * doing it once: by its method (RFC 9110 9.2.2), because its route promises it, or because it
 * carries an Idempotency-Key that the service honours (draft-ietf-httpapi-idempotency-key-header).
 * What was certainly not begun may go again whatever it is: no connection was made, or the service
 * said so (HTTP/2: REFUSED_STREAM, a stream above GOAWAY's last one, RFC 9113 8.7).
 * Pure. Not here: the budget (budget.h), who gets it next (balance.h). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Why the attempt is over; in the order of retry_cause_name. */
enum retry_cause {
    RETRY_CONNECT, /* no connection: nothing was sent */
    RETRY_REFUSED, /* the service says that it has not begun */
    RETRY_RESET,   /* the connection broke, or what came is not HTTP */
    RETRY_TIMEOUT, /* no answer in time */
    RETRY_EJECTED, /* no answer yet, and the endpoint was found to hang */
    RETRY_STATUS,  /* an answer that may be another one elsewhere */
    RETRY_CAUSES,
};

/* What is retried at all: bits of retry_policy.on. */
enum {
    RETRY_ON_CONNECT = 1 << 0, /* and what was refused */
    RETRY_ON_RESET = 1 << 1,
    RETRY_ON_TIMEOUT = 1 << 2, /* and what hangs */
    RETRY_ON_500 = 1 << 3,
    RETRY_ON_502 = 1 << 4,
    RETRY_ON_503 = 1 << 5,
    RETRY_ON_504 = 1 << 6,
    RETRY_ON_OUTLIER = 1 << 7, /* a 500 that the endpoint's peers do not give: once */
};

struct retry_policy {
    uint32_t on;
    uint32_t attempts; /* sendings of one request, the first included */
};

struct retry_facts {
    enum retry_cause cause;
    uint16_t status;      /* of RETRY_STATUS; gRPC's UNAVAILABLE without a message is 503 */
    bool repeatable;      /* doing it twice does no more than doing it once */
    bool lost;            /* we do not have all that was sent of it any more */
    bool answer_begun;    /* the client has the final head; 100 and 103 are no answer */
    bool says_when;       /* the answer has Retry-After: the whole service asks for a pause */
    bool outlier;         /* the endpoint's peers answer well: it is probably its own failure */
    uint32_t attempts;    /* so far */
    uint64_t left_us;     /* until the request's deadline; UINT64_MAX: it has none */
    uint64_t expected_us; /* of an answer; 0: not known */
};

enum retry_verdict {
    RETRY_FREE,    /* again; it costs the service nothing, so it is not charged to the budget */
    RETRY_CHARGED, /* again, if the budget allows it */
    RETRY_UNSAFE,
    RETRY_NOT_WANTED, /* not what the policy retries, or the service asks for a pause */
    RETRY_ENOUGH,     /* it was tried often enough */
    RETRY_LATE,       /* an answer would come after the deadline */
};

enum retry_verdict retry_decide(const struct retry_policy *policy, const struct retry_facts *facts);

/* Whether the policy retries what ended so; the rest of the facts aside. */
bool retry_is_wanted(const struct retry_policy *policy, const struct retry_facts *facts);
const char *retry_cause_name(enum retry_cause cause);
