#include "worker_harness_listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/net/network.h"

static struct {
    struct tls_pair pairs[8];
    unsigned pair_count;
    struct tls_tickets tickets;
    bool proxy_protocol;
    struct plan_network trusted[8];
    unsigned trusted_count;
} front;

static struct slice read_file(const char *path) {
    static char buffer[TLS_PEM_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        harness_fail(path, strerror(errno));
        return (struct slice){ 0 };
    }
    size_t len = fread(buffer, 1, sizeof buffer, file);
    fclose(file);
    char *copy = malloc(len + 1);
    memcpy(copy, buffer, len);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the harness keeps it to its end */
    return slice_of(copy, len);
}

void harness_add_pair(char *text) {
    char *key = strchr(text, ',');
    if (key == NULL || front.pair_count == 8) {
        harness_fail(text, "expected CHAIN,KEY");
        return;
    }
    *key++ = '\0';
    front.pairs[front.pair_count++] =
        (struct tls_pair){ read_file(text), read_file(key), { "", 0 } };
}

void harness_rotate_tickets(void) {
    memmove(&front.tickets.keys[1], &front.tickets.keys[0],
            (TLS_TICKET_KEYS - 1) * sizeof front.tickets.keys[0]);
    tls_ticket_key_make(&front.tickets.keys[0]);
    front.tickets.count += front.tickets.count < TLS_TICKET_KEYS;
}

void harness_trust(const char *text) {
    struct plan_network *n = &front.trusted[front.trusted_count++ % 8];
    struct network network;
    struct error err;
    if (!network_parse(slice_from(text), &network, &err)) {
        harness_fail(text, err.text);
    }
    n->bits = network.bits;
    memcpy(n->ip, network.ip, sizeof n->ip);
}

void harness_expect_proxy_headers(void) {
    front.proxy_protocol = true;
}

void harness_fill_listeners(struct plan *plan, const int *fds, unsigned count) {
    plan->tickets = front.tickets;
    plan->trusted_count = front.trusted_count;
    memcpy(plan->trusted, front.trusted, sizeof front.trusted);
    for (unsigned i = 0; i < count; i++) {
        struct plan_listener l = { .tls = front.pair_count > 0,
                                   .proxy_protocol = front.proxy_protocol,
                                   .address.len = sizeof l.address.storage };
        getsockname(fds[i], (struct sockaddr *)&l.address.storage, &l.address.len);
        for (unsigned k = 0; k < front.pair_count; k++) {
            plan_add_certificate(plan, &front.pairs[k], 0);
        }
        plan_add_listener(plan, &l);
    }
}
