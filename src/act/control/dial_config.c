#include "act/control/dial_config.h"

#include "act/control/secret_file.h"
#include "wire/net/tls.h"

#define DIAL(member) offsetof(struct dial_config, member)
#define TLS(member) offsetof(struct dial_tls_config, member)

static bool read_file(const struct config_place *place, const char *key, const char *path,
                      struct slice *text) {
    struct error err;
    if (secret_file_read(path, text, &err)) {
        return true;
    }
    config_place_error(place, key, "%s: %s", key, err.text);
    return false;
}

static void check_own(const struct config_place *place, const struct dial_tls_config *tls) {
    struct tls_pair own = { 0 };
    struct error err;
    if (tls->certificate == NULL && tls->key == NULL) {
        return;
    }
    if (tls->certificate == NULL || tls->key == NULL) {
        config_place_error(place, NULL, "expected both 'certificate' and 'key'");
        return;
    }
    if (read_file(place, "certificate", tls->certificate, &own.chain) &&
        read_file(place, "key", tls->key, &own.key) && !tls_pair_check(&own, NULL, &err)) {
        config_place_error(place, "certificate", "certificate: %s", err.text);
    }
    secret_file_free(&own.chain);
    secret_file_free(&own.key);
}

static void check_tls(const struct config_place *place, void *item) {
    struct dial_tls_config *tls = item;
    struct slice text = { 0 };
    struct error err;
    tls->on = true;
    if (tls->verify && (tls->ca == NULL || tls->name == NULL)) {
        config_place_error(place, NULL,
                           "expected 'ca' and 'name': who signs the service's certificate and the "
                           "name in it; or verify: false");
    } else if (tls->ca != NULL && read_file(place, "ca", tls->ca, &text) &&
               !tls_authorities_check(text, &err)) {
        config_place_error(place, "ca", "ca: %s", err.text);
    }
    secret_file_free(&text);
    check_own(place, tls);
}

static const struct config_field tls_fields[] = {
    { "ca", CONFIG_PATH, TLS(ca),
      .help = "PEM file of the authorities that sign the certificates" },
    { "name", CONFIG_TEXT, TLS(name),
      .help = "host name or IP address that the certificates are for; also asked for by SNI" },
    { "verify", CONFIG_BOOL, TLS(verify), .fallback = "true",
      .help = "false: anybody may answer; for trying out only" },
    { "certificate", CONFIG_PATH, TLS(certificate),
      .help = "PEM file of what we show to a service that asks who we are" },
    { "key", CONFIG_PATH, TLS(key), .help = "PEM file of its private key" },
};
static const struct config_table tls_table =
    CONFIG_TABLE_CHECKED(struct dial_tls_config, tls_fields, check_tls);

static const char *const headers[] = { "none", "v1", "v2", NULL };

static const struct config_field dial_fields[] = {
    { "tls", CONFIG_BLOCK, DIAL(tls), .table = &tls_table,
      .help = "its instances speak TLS; so do their health checks" },
    { "proxy_protocol", CONFIG_CHOICE, DIAL(proxy_protocol), .choices = headers, .fallback = "none",
      .help = "the PROXY header with which each connection begins; it is then used again only for "
              "the same visitor's connection" },
};
const struct config_table dial_config_table = CONFIG_TABLE(struct dial_config, dial_fields);
