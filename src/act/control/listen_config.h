/* `listen:` of shop.yaml: addresses, certificates, whom they let in. The files that it names are
 * read and checked with it, so that `tidegate check` and a reload say what is wrong with them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "wire/net/address.h"
#include "wire/net/tls.h"

struct certificate_config {
    const char *certificate, *key, *ocsp; /* paths; ocsp NULL: none */
};

enum listen_min_version { LISTEN_TLS_1_2, LISTEN_TLS_1_3 };
enum listen_verify { LISTEN_VERIFY_REQUIRED, LISTEN_VERIFY_OPTIONAL };

struct listen_tls_config {
    struct certificate_config one; /* the short form */
    struct certificate_config *certificates;
    size_t certificate_count;
    int min_version;                    /* enum listen_min_version */
    const char *ciphers;                /* NULL: the default */
    const char *client_ca, *client_crl; /* NULL: clients show no certificate */
    int client_verify;                  /* enum listen_verify */
};

struct listen_config {
    const char *text;
    struct address address; /* of text */
    struct listen_tls_config tls;
    bool proxy_protocol;
};

extern const struct config_table listen_config_table;

bool listen_is_tls(const struct listen_config *listen);
size_t listen_certificate_count(const struct listen_config *listen);
/* The short form first, then the list. */
const struct certificate_config *listen_certificate(const struct listen_config *listen,
                                                    size_t index);
