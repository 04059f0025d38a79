#include "act/control/listen_config.h"

#include <sys/stat.h>

#include "act/control/secret_file.h"

#define LISTEN(member) offsetof(struct listen_config, member)
#define TLS(member) offsetof(struct listen_tls_config, member)
#define CERTIFICATE(member) offsetof(struct certificate_config, member)

bool listen_is_tls(const struct listen_config *listen) {
    return listen_certificate_count(listen) > 0;
}

static bool has_short_form(const struct listen_config *listen) {
    return listen->tls.one.certificate != NULL || listen->tls.one.key != NULL;
}

size_t listen_certificate_count(const struct listen_config *listen) {
    return listen->tls.certificate_count + has_short_form(listen);
}

const struct certificate_config *listen_certificate(const struct listen_config *listen,
                                                    size_t index) {
    if (has_short_form(listen)) {
        return index == 0 ? &listen->tls.one : &listen->tls.certificates[index - 1];
    }
    return &listen->tls.certificates[index];
}

/* ---- certificates ---- */

/* False when there is nothing to check: told already, or nothing is written. */
static bool read_file(const struct config_place *place, const char *key, const char *path,
                      struct slice *text) {
    struct error err;
    if (path == NULL) {
        return false;
    }
    if (!secret_file_read(path, text, &err)) {
        config_place_error(place, key, "%s: %s", key, err.text);
        return false;
    }
    return true;
}

static void check_staple(const struct config_place *place, const char *path,
                         struct tls_pair *pair) {
    struct error err;
    if (read_file(place, "ocsp", path, &pair->ocsp) && !tls_pair_check(pair, NULL, &err)) {
        config_place_warning(place, "ocsp", "ocsp: %s: it is not stapled", err.text);
    }
}

static void check_mode(const struct config_place *place, const char *path) {
    struct stat info;
    if (stat(path, &info) == 0 && (info.st_mode & S_IRWXO) != 0) {
        config_place_warning(place, "key", "key: everybody on this machine may read %s (mode %03o)",
                             path, (unsigned)info.st_mode & 0777);
    }
}

static void check_pair(const struct config_place *place, const struct certificate_config *c) {
    struct tls_pair pair = { 0 };
    struct error err;
    if (c->certificate == NULL || c->key == NULL) {
        config_place_error(place, NULL, "expected both 'certificate' and 'key'");
        return;
    }
    bool chain = read_file(place, "certificate", c->certificate, &pair.chain);
    bool key = read_file(place, "key", c->key, &pair.key);
    if (key) {
        check_mode(place, c->key);
    }
    if (chain && key) {
        if (!tls_pair_check(&pair, NULL, &err)) {
            config_place_error(place, "certificate", "certificate: %s", err.text);
        } else {
            check_staple(place, c->ocsp, &pair);
        }
    }
    secret_file_free(&pair.chain);
    secret_file_free(&pair.key);
    secret_file_free(&pair.ocsp);
}

static void check_certificate(const struct config_place *place, void *item) {
    check_pair(place, item);
}

/* ---- tls ---- */

static void check_clients(const struct config_place *place, const struct listen_tls_config *tls) {
    struct slice text = { 0 };
    struct error err;
    if (tls->client_ca == NULL) {
        if (config_place_has(place, "client_crl") || config_place_has(place, "client_verify")) {
            config_place_error(place, NULL,
                               "expected 'client_ca' beside 'client_crl' and "
                               "'client_verify'");
        }
        return;
    }
    if (read_file(place, "client_ca", tls->client_ca, &text) &&
        !tls_authorities_check(text, &err)) {
        config_place_error(place, "client_ca", "client_ca: %s", err.text);
    }
    secret_file_free(&text);
    if (read_file(place, "client_crl", tls->client_crl, &text) &&
        !tls_revocations_check(text, &err)) {
        config_place_error(place, "client_crl", "client_crl: %s", err.text);
    }
    secret_file_free(&text);
}

static void check_tls(const struct config_place *place, void *item) {
    struct listen_tls_config *tls = item;
    struct error err;
    bool short_form = tls->one.certificate != NULL || tls->one.key != NULL;
    if (short_form) {
        check_pair(place, &tls->one);
    } else if (tls->certificate_count == 0) {
        config_place_error(place, NULL, "expected 'certificate' and 'key', or 'certificates'");
    }
    if (tls->certificate_count + short_form > TLS_CERTIFICATES_MAX) {
        config_place_error(place, "certificates", "certificates: expected at most %d, found %zu",
                           TLS_CERTIFICATES_MAX, tls->certificate_count);
    }
    if (tls->ciphers != NULL && !tls_ciphers_check(tls->ciphers, &err)) {
        config_place_error(place, "ciphers", "ciphers: %s", err.text);
    }
    check_clients(place, tls);
}

#define CERTIFICATE_FIELDS(base)                                                                   \
    { "certificate", CONFIG_PATH, (base) + CERTIFICATE(certificate),                               \
      .help = "PEM file: the certificate, then those between it and the root" },                   \
        { "key", CONFIG_PATH, (base) + CERTIFICATE(key),                                           \
          .help = "PEM file of its private key, RSA, ECDSA or Ed25519, without a password" },      \
    {                                                                                              \
        "ocsp", CONFIG_PATH, (base) + CERTIFICATE(ocsp),                                           \
            .help = "DER file of an OCSP response to staple, renewed by somebody else"             \
    }

static const struct config_field certificate_fields[] = { CERTIFICATE_FIELDS(0) };
static const struct config_table certificate_table =
    CONFIG_TABLE_CHECKED(struct certificate_config, certificate_fields, check_certificate);

static const char *const versions[] = { "1.2", "1.3", NULL };
static const char *const verifies[] = { "required", "optional", NULL };

static const struct config_field tls_fields[] = {
    CERTIFICATE_FIELDS(TLS(one)),
    { "certificates", CONFIG_BLOCKS, TLS(certificates), .table = &certificate_table,
      .count_offset = TLS(certificate_count),
      .help = "further ones: the client's name (SNI) chooses, RSA and ECDSA may stand side by side "
              "for one name; the first is for clients that name none" },
    { "min_version", CONFIG_CHOICE, TLS(min_version), .choices = versions, .fallback = "1.2",
      .help = "older ones are refused" },
    { "ciphers", CONFIG_TEXT, TLS(ciphers),
      .help = "of TLS 1.2, as OpenSSL names them; default: Mozilla's intermediate, ECDHE with AEAD "
              "only" },
    { "client_ca", CONFIG_PATH, TLS(client_ca),
      .help = "PEM file of authorities: clients must show a certificate of one of them" },
    { "client_crl", CONFIG_PATH, TLS(client_crl),
      .help = "PEM file of their revocation lists; one that has expired refuses everybody" },
    { "client_verify", CONFIG_CHOICE, TLS(client_verify), .choices = verifies,
      .fallback = "required",
      .help = "`optional`: a client may come without a certificate, but not with a wrong one" },
};
static const struct config_table tls_table =
    CONFIG_TABLE_CHECKED(struct listen_tls_config, tls_fields, check_tls);

/* ---- listen ---- */

static void check_listen(const struct config_place *place, void *item) {
    struct listen_config *listen = item;
    struct error err;
    if (listen->text != NULL &&
        !address_parse(slice_from(listen->text), 0, &listen->address, &err)) {
        config_place_error(place, "address", "address: %s", err.text);
    }
}

static const struct config_field listen_fields[] = {
    { "address", CONFIG_TEXT, LISTEN(text), .required = true,
      .help = "`:8080`, `192.0.2.1:80`, `[::1]:8080` or `unix:/run/shop.sock`" },
    { "tls", CONFIG_BLOCK, LISTEN(tls), .table = &tls_table,
      .help = "certificates; replaced files are taken up within two seconds" },
    { "proxy_protocol", CONFIG_BOOL, LISTEN(proxy_protocol), .fallback = "false",
      .help =
          "connections of `trusted_proxies` (and all of a Unix socket) begin with a PROXY header, "
          "version 1 or 2; those of others do not" },
};
const struct config_table listen_config_table =
    CONFIG_TABLE_CHECKED(struct listen_config, listen_fields, check_listen);
