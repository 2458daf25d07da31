/* certificate.c - see certificate.h. */
#include "amqp/net/certificate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/input_file.h"

/* A file of more is that of all authorities of the world, twice. */
#define CERTIFICATES_MAX 1000

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* Whoever made the certificate chose these bytes. */
static void copy_plain(char name[CERTIFICATE_NAME_SIZE], const ASN1_STRING *text)
{
    const unsigned char *bytes = ASN1_STRING_get0_data(text);
    int len = ASN1_STRING_length(text);
    int i = 0;

    for (; i < len && i < CERTIFICATE_NAME_SIZE - 1; i++)
        name[i] = bytes[i] >= ' ' && bytes[i] < 0x7f ? (char)bytes[i] : '?';
    name[i] = '\0';
}

static void name_it(X509 *x509, char name[CERTIFICATE_NAME_SIZE])
{
    const X509_NAME *subject = X509_get_subject_name(x509);
    int at = X509_NAME_get_index_by_NID((X509_NAME *)(uintptr_t)subject, NID_commonName, -1);
    GENERAL_NAMES *others;

    snprintf(name, CERTIFICATE_NAME_SIZE, "?");
    if (at >= 0) {
        copy_plain(name, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
        return;
    }
    others = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(others); i++) {
        const GENERAL_NAME *other = sk_GENERAL_NAME_value(others, i);

        if (other->type == GEN_DNS) {
            copy_plain(name, other->d.dNSName);
            break;
        }
    }
    GENERAL_NAMES_free(others);
}

static struct certificate describe(X509 *x509)
{
    struct certificate certificate = {.from_s = seconds_of(X509_get0_notBefore(x509)),
                                      .until_s = seconds_of(X509_get0_notAfter(x509)),
                                      .authority = X509_check_ca(x509) > 0};

    name_it(x509, certificate.name);
    return certificate;
}

static void take(struct certificate *best, size_t *count, X509 *x509, bool last)
{
    struct certificate one = describe(x509);

    if ((*count)++ == 0 || (last ? one.until_s > best->until_s : one.until_s < best->until_s))
        *best = one;
}

enum warren_status certificate_of_file(const char *file, bool last, struct certificate *ret,
                                       size_t *ret_count, struct warren_error *error)
{
    const char *why;
    FILE *stream = input_file_stream(file, &why);
    X509 *x509;

    *ret_count = 0;
    if (!stream)
        return error_set(error, WARREN_EIO, "cannot read \"%s\": %s", file, why);
    while (*ret_count < CERTIFICATES_MAX && (x509 = PEM_read_X509_AUX(stream, NULL, NULL, NULL))) {
        take(ret, ret_count, x509, last);
        X509_free(x509);
    }
    fclose(stream);
    ERR_clear_error(); /* the end of the file is one */
    if (*ret_count == 0)
        return error_set(error, WARREN_ENOTFOUND, "there is no certificate (PEM) in \"%s\"", file);
    return WARREN_OK;
}

bool certificate_of_peer(const struct transport *transport, struct certificate *ret)
{
    const SSL *ssl = transport->tls;
    STACK_OF(X509) *chain = ssl ? SSL_get0_verified_chain(ssl) : NULL;
    size_t count = 0;

    for (int i = 0; i < sk_X509_num(chain); i++)
        take(ret, &count, sk_X509_value(chain, i), false);
    return count > 0;
}

const char *certificate_protocol(const struct transport *transport)
{
    return transport->tls ? SSL_get_version(transport->tls) : "";
}
