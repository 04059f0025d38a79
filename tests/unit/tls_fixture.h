/* Self-signed pairs for tests, made on the spot: no private key lies in the repository. */
#pragma once
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pem_pair {
    char chain[8192], key[8192];
};

static void pem_text(BIO *bio, char *out, size_t out_bytes) {
    char *data;
    long len = BIO_get_mem_data(bio, &data);
    assert_true(len > 0 && (size_t)len < out_bytes);
    memcpy(out, data, (size_t)len);
    out[len] = '\0';
    BIO_free(bio);
}

/* `names`: "DNS:shop.test,DNS:*.shop.test"; NULL: only the common name "common.test". */
static inline long next_serial(void) {
    static long serial = 1000;
    return ++serial;
}

static inline void make_pair(struct pem_pair *out, bool rsa, const char *names) {
    EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    X509 *x = X509_new();
    assert_true(key != NULL && x != NULL);
    ASN1_INTEGER_set(X509_get_serialNumber(x), next_serial());
    X509_set_version(x, 2);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME *subject = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"common.test",
                               -1, -1, 0);
    X509_set_issuer_name(x, subject);
    if (names != NULL) {
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
        assert_non_null(e);
        X509_add_ext(x, e, -1);
        X509_EXTENSION_free(e);
    }
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    BIO *chain = BIO_new(BIO_s_mem()), *private_key = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(chain, x);
    PEM_write_bio_PrivateKey(private_key, key, NULL, NULL, 0, NULL, NULL);
    pem_text(chain, out->chain, sizeof out->chain);
    pem_text(private_key, out->key, sizeof out->key);
    X509_free(x);
    EVP_PKEY_free(key);
}
