/* Certificates and keys on their way from disk into the plan: read by the controller, so that no
 * worker touches a disk, and looked at once a second. What was replaced is taken up when it has
 * stood still for a second and is good; what is not good is told and the old one goes on: that of
 * the files before, after a restart of the controller that of the plan before. Also the ticket
 * keys.
 *
 * Who may read keys: docs/decisions/0010. */
#pragma once
#include "act/control/secret_file.h"
#include "act/control/shop.h"
#include "act/shm/plan.h"

#define CERTIFICATES_WARN_DAYS 14      /* before the end it is told, and again at 7, 3 and 1 */
#define CERTIFICATES_ROTATE_MS 3600000 /* with TLS_TICKET_KEYS: a ticket opens for two hours */

enum held_file_role { HELD_FIRST, HELD_SECOND, HELD_THIRD, HELD_FILES };

/* Files that are good only together: certificate, key and response; authorities and lists. */
struct held {
    bool is_clients;
    char *paths[HELD_FILES]; /* NULL: none */
    struct slice texts[HELD_FILES];
    struct file_stamp seen[HELD_FILES];
    bool changed; /* since the last look: read with the next one, if it stands still */
    bool usable;
    struct tls_certificate_info info; /* of a usable pair */
    int told_days;                    /* the last warning was for so many; INT_MAX: none yet */
};

struct certificates {
    /* In the order of the listeners: their pairs, then their clients; then in that of the services:
     * their authorities, then what we show them. */
    struct held *held;
    size_t count;
    struct tls_tickets tickets;
    int64_t rotated_ms; /* unix; 0: no keys yet */
};

/* Tells the people: `subject` is a name or a file. `kind`: "replace", "keep" or "warn". */
struct certificates_teller {
    void *self;
    void (*tell)(void *self, const char *action, const char *subject, const char *text);
};

/* What the shop names now. What cannot be read is taken from what was held, then from `plan` (may
 * be NULL). `c` zeroed before the first time. */
void certificates_take(struct certificates *c, const struct shop *shop, const struct plan *plan,
                       const struct certificates_teller *teller);
/* Once a second; true: the plan is out of date. */
bool certificates_look(struct certificates *c, int64_t now_ms,
                       const struct certificates_teller *teller);
/* Listeners, certificates, ticket keys, trusted networks; how services are spoken to:
 * `service_indices` of the shop's services in the plan. False when the plan is full. */
bool certificates_fill(const struct certificates *c, const struct shop *shop,
                       const unsigned *service_indices, struct plan *plan);
/* A client for the health checks of the service: a new one each time, NULL: it speaks no TLS, or
 * cannot. */
struct tls_client *certificates_service_client(const struct certificates *c,
                                               const struct shop *shop, size_t service);
void certificates_fini(struct certificates *c);
