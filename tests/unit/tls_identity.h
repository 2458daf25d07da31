/* tls_identity.h - certificates and keys, made on the spot. Header-only, for a unit test is one
 * source file.
 */
#ifndef WARREN_TESTS_TLS_IDENTITY_H
#define WARREN_TESTS_TLS_IDENTITY_H

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "support/test.h"

struct identity {
    X509 *certificate;
    EVP_PKEY *key;
};

/* From @from_s to @until_s, in seconds from now. */
struct identity_options {
    const char *common_name;
    const char *san; /* "DNS:a,IP:127.0.0.1"; NULL: none */
    long from_s;
    long until_s;
    const struct identity *issuer; /* NULL: a self-signed CA */
};

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static struct identity identity_new(const struct identity_options *options)
{
    static long serial = 1;
    struct identity made = {X509_new(), EVP_EC_gen("P-256")};
    X509_NAME *name = X509_NAME_new();
    const struct identity *issuer = options->issuer ? options->issuer : &made;

    assert_non_null(made.certificate);
    assert_non_null(made.key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)options->common_name, -1, -1, 0);
    X509_set_version(made.certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), options->from_s);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), options->until_s);
    X509_set_subject_name(made.certificate, name);
    X509_set_issuer_name(made.certificate,
                         options->issuer ? X509_get_subject_name(issuer->certificate) : name);
    X509_set_pubkey(made.certificate, made.key);
    if (options->san)
        add_extension(made.certificate, NID_subject_alt_name, options->san);
    if (!options->issuer)
        add_extension(made.certificate, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(made.certificate, issuer->key, EVP_sha256()) > 0);
    X509_NAME_free(name);
    return made;
}

static void identity_done(struct identity *identity)
{
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
}

static inline void write_certificate(const char *path, const struct identity *identity)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, identity->certificate), 1);
    fclose(file);
}

/* @passphrase NULL: not encrypted */
static inline void write_key(const char *path, const struct identity *identity,
                             const char *passphrase)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(
        PEM_write_PKCS8PrivateKey(file, identity->key, passphrase ? EVP_aes_128_cbc() : NULL,
                                  passphrase, passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
        1);
    fclose(file);
}

#endif
