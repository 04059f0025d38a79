/* Certificates, keys, revocation lists and OCSP responses from texts; what is wrong with them. */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "wire/net/tls_internal.h"

bool tls_error(struct error *err, const char *what) {
    const char *text = NULL;
    unsigned long code = ERR_peek_last_error();
    if (code != 0) {
        text = ERR_reason_error_string(code);
    }
    ERR_clear_error();
    return error_set(err, ERROR_INVALID, "%s%s%s", what, text != NULL ? ": " : "",
                     text != NULL ? text : "");
}

static BIO *open_text(struct slice text) {
    return text.len == 0 || text.len > TLS_PEM_BYTES_MAX
               ? NULL
               : BIO_new_mem_buf(text.data, (int)text.len);
}

/* The end of a PEM text is an error to OpenSSL like any other. */
static bool at_end(void) {
    unsigned long code = ERR_peek_last_error();
    bool end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    if (end) {
        ERR_clear_error();
    }
    return end;
}

STACK_OF(X509) * tls_read_certificates(struct slice pem, unsigned most, struct error *err) {
    STACK_OF(X509) *list = sk_X509_new_null();
    BIO *bio = open_text(pem);
    ERR_clear_error();
    for (X509 *one;
         list != NULL && bio != NULL && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;) {
        if ((unsigned)sk_X509_num(list) >= most || sk_X509_push(list, one) <= 0) {
            X509_free(one);
            break;
        }
    }
    BIO_free(bio);
    if (list != NULL && sk_X509_num(list) > 0 && at_end()) {
        return list;
    }
    sk_X509_pop_free(list, X509_free);
    tls_error(err, "not PEM certificates");
    return NULL;
}

STACK_OF(X509_CRL) * tls_read_revocations(struct slice pem, struct error *err) {
    STACK_OF(X509_CRL) *list = sk_X509_CRL_new_null();
    BIO *bio = open_text(pem);
    ERR_clear_error();
    for (X509_CRL *one; list != NULL && bio != NULL &&
                        (one = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL;) {
        if (sk_X509_CRL_num(list) >= TLS_AUTHORITIES_MAX || sk_X509_CRL_push(list, one) <= 0) {
            X509_CRL_free(one);
            break;
        }
    }
    BIO_free(bio);
    if (list != NULL && sk_X509_CRL_num(list) > 0 && at_end()) {
        return list;
    }
    sk_X509_CRL_pop_free(list, X509_CRL_free);
    tls_error(err, "not PEM revocation lists (X509 CRL)");
    return NULL;
}

/* A key with a password would have to ask somebody. */
/* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL says the signature */
static int no_password(char *buffer, int size, int writing, void *self) {
    (void)buffer, (void)size, (void)writing, (void)self;
    return 0;
}

static EVP_PKEY *read_key(struct slice pem, struct error *err) {
    BIO *bio = open_text(pem);
    ERR_clear_error();
    tls_wipe_freed(true);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    tls_wipe_freed(false);
    if (key == NULL) {
        tls_error(err, "the key is not a PEM private key without password");
    }
    return key;
}

/* ---- names ---- */

bool tls_name_lower(const char *name, size_t len, char out[TLS_NAME_BYTES]) {
    if (len > 0 && name[len - 1] == '.') {
        len--; /* the root */
    }
    if (len == 0 || len >= TLS_NAME_BYTES) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (c <= ' ' || c > '~') {
            return false;
        }
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    out[len] = '\0';
    return true;
}

static void add_name(struct tls_parsed *p, const unsigned char *name, int len) {
    char lower[TLS_NAME_BYTES];
    if (p->name_count < TLS_NAMES_MAX && len > 0 &&
        tls_name_lower((const char *)name, (size_t)len, lower)) {
        p->names[p->name_count] = strdup(lower);
        p->name_count += p->names[p->name_count] != NULL;
    }
}

/* Subject alternative names; the common name only of those who have none (RFC 6125 6.4.4). */
static void add_names(struct tls_parsed *p) {
    GENERAL_NAMES *names = X509_get_ext_d2i(p->leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS) {
            add_name(p, ASN1_STRING_get0_data(name->d.dNSName),
                     ASN1_STRING_length(name->d.dNSName));
        }
    }
    GENERAL_NAMES_free(names);
    X509_NAME *subject = X509_get_subject_name(p->leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (p->name_count == 0 && at >= 0) {
        const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
        add_name(p, ASN1_STRING_get0_data(text), ASN1_STRING_length(text));
    }
}

/* ---- pairs ---- */

static unsigned kind_of(const EVP_PKEY *key) {
    int id = EVP_PKEY_get_base_id(key);
    return id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS ? 0
           : id == EVP_PKEY_EC                          ? 1
           : id == EVP_PKEY_ED25519                     ? 2
                                                        : TLS_KINDS;
}

static bool check_ocsp(const struct tls_parsed *p, int64_t *until_ms, struct error *err);

/* In one go each: a hash that is fed in pieces keeps the last of them, a key, in memory. */
uint64_t tls_pair_digest(const struct tls_pair *pair) {
    const struct slice *parts[] = { &pair->chain, &pair->key, &pair->ocsp };
    uint64_t digest = 0;
    for (unsigned i = 0; i < 3; i++) {
        digest = XXH3_64bits_withSeed(parts[i]->data, parts[i]->len, digest + parts[i]->len);
    }
    return digest;
}

static bool parse(struct tls_parsed *p, const struct tls_pair *pair, struct error *err) {
    struct error why;
    p->chain = tls_read_certificates(pair->chain, TLS_CHAIN_MAX, &why);
    if (p->chain == NULL) {
        return error_set(err, ERROR_INVALID, "the certificate is unusable: %s", why.text);
    }
    p->leaf = sk_X509_shift(p->chain);
    p->key = read_key(pair->key, err);
    if (p->key == NULL) {
        return false;
    }
    p->kind = kind_of(p->key);
    if (p->kind == TLS_KINDS) {
        return error_set(err, ERROR_INVALID, "the key is neither RSA nor ECDSA nor Ed25519");
    }
    if (X509_check_private_key(p->leaf, p->key) != 1) {
        ERR_clear_error();
        return error_set(err, ERROR_INVALID, "the key does not belong to the certificate");
    }
    add_names(p);
    if (pair->ocsp.len > 0) {
        p->ocsp = OPENSSL_memdup(pair->ocsp.data, pair->ocsp.len);
        p->ocsp_len = pair->ocsp.len;
    }
    return pair->ocsp.len == 0 || check_ocsp(p, NULL, err);
}

struct tls_parsed *tls_parsed_new(const struct tls_pair *pair, struct error *err) {
    struct tls_parsed *p = calloc(1, sizeof *p);
    if (p != NULL) {
        p->names = calloc(TLS_NAMES_MAX, sizeof *p->names);
    }
    if (p == NULL || p->names == NULL) {
        free(p);
        error_set(err, ERROR_LIMIT, "no memory for a certificate");
        return NULL;
    }
    p->references = 1;
    p->digest = tls_pair_digest(pair);
    if (!parse(p, pair, err)) {
        tls_parsed_free(p);
        return NULL;
    }
    char **fitting = realloc(p->names, (p->name_count + 1) * sizeof *p->names);
    if (fitting != NULL) {
        p->names = fitting;
    }
    return p;
}

void tls_parsed_free(struct tls_parsed *p) {
    if (p == NULL || --p->references > 0) {
        return;
    }
    X509_free(p->leaf);
    sk_X509_pop_free(p->chain, X509_free);
    EVP_PKEY_free(p->key);
    OPENSSL_free(p->ocsp);
    for (unsigned i = 0; i < p->name_count; i++) {
        free(p->names[i]);
    }
    free(p->names);
    free(p);
}

/* ---- looking ---- */

static int64_t time_ms(const ASN1_TIME *time) {
    struct tm tm;
    return time != NULL && ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

/* The one answer of the response that is about this certificate's serial number. */
static bool find_answer(OCSP_BASICRESP *basic, const X509 *leaf, int64_t *until_ms) {
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        ASN1_INTEGER *serial = NULL;
        ASN1_GENERALIZEDTIME *next = NULL;
        OCSP_id_get0_info(NULL, NULL, NULL, &serial,
                          (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single));
        if (serial != NULL && ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0) {
            OCSP_single_get0_status(single, NULL, NULL, NULL, &next);
            *until_ms = time_ms(next);
            return true;
        }
    }
    return false;
}

static bool check_ocsp(const struct tls_parsed *p, int64_t *until_ms, struct error *err) {
    const unsigned char *at = p->ocsp;
    int64_t until = 0;
    OCSP_RESPONSE *response = at == NULL ? NULL : d2i_OCSP_RESPONSE(NULL, &at, (long)p->ocsp_len);
    OCSP_BASICRESP *basic =
        response != NULL && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL
            ? OCSP_response_get1_basic(response)
            : NULL;
    bool good = basic != NULL && find_answer(basic, p->leaf, &until);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    if (good && until_ms != NULL) {
        *until_ms = until;
    }
    return good || error_set(err, ERROR_INVALID,
                             "the OCSP response is not DER of a good one for this certificate");
}

bool tls_pair_check(const struct tls_pair *pair, struct tls_certificate_info *info,
                    struct error *err) {
    static const char *const kinds[TLS_KINDS] = { "rsa", "ecdsa", "ed25519" };
    struct tls_parsed *p = tls_parsed_new(pair, err);
    if (p == NULL) {
        return false;
    }
    SSL_CTX *context = SSL_CTX_new(TLS_server_method()); /* too small a key, too weak a signature */
    bool good = context != NULL && SSL_CTX_use_cert_and_key(context, p->leaf, p->key, p->chain, 1);
    SSL_CTX_free(context);
    if (!good) {
        tls_error(err, "the certificate is unusable");
    } else if (info != NULL) {
        *info = (struct tls_certificate_info){
            .kind = kinds[p->kind],
            .not_before_ms = time_ms(X509_get0_notBefore(p->leaf)),
            .not_after_ms = time_ms(X509_get0_notAfter(p->leaf)),
        };
        if (p->name_count > 0) {
            slice_copy_text(slice_from(p->names[0]), info->name, sizeof info->name);
        }
        if (p->ocsp != NULL) {
            (void)check_ocsp(p, &info->ocsp_until_ms, NULL);
        }
    }
    tls_parsed_free(p);
    return good;
}

bool tls_authorities_check(struct slice pem, struct error *err) {
    STACK_OF(X509) *list = tls_read_certificates(pem, TLS_AUTHORITIES_MAX, err);
    sk_X509_pop_free(list, X509_free);
    return list != NULL;
}

bool tls_revocations_check(struct slice pem, struct error *err) {
    STACK_OF(X509_CRL) *list = tls_read_revocations(pem, err);
    sk_X509_CRL_pop_free(list, X509_CRL_free);
    return list != NULL;
}

bool tls_ciphers_check(const char *ciphers, struct error *err) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    bool good = context != NULL && SSL_CTX_set_cipher_list(context, ciphers) == 1;
    SSL_CTX_free(context);
    return good || tls_error(err, "not a list of OpenSSL's cipher names");
}

bool tls_ticket_key_make(struct tls_ticket_key *key) {
    return RAND_bytes((unsigned char *)key, sizeof *key) == 1;
}

const char *tls_failure_name(enum tls_failure failure) {
    static const char *const names[TLS_FAILURE_COUNT] = {
#define TLS_FAILURE_NAME(name, text) [TLS_FAILURE_##name] = text,
        TLS_FAILURES(TLS_FAILURE_NAME)
#undef TLS_FAILURE_NAME
    };
    return failure < TLS_FAILURE_COUNT ? names[failure] : "other";
}
