/* test_certificate.c - until when the certificates of a file hold. */
#include "amqp/net/certificate.h"

#include <time.h>
#include <unistd.h>

#include "../tls_identity.h"

#define DAY 86400L

static char path[64];

static int setup(void **state)
{
    int fd;

    (void)state;
    snprintf(path, sizeof path, "/tmp/warren-cert-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

/* A file of these certificates, one after the other. */
static void write_all(const struct identity_options *options, size_t count)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    for (size_t i = 0; i < count; i++) {
        struct identity one = identity_new(&options[i]);

        assert_int_equal(PEM_write_X509(file, one.certificate), 1);
        identity_done(&one);
    }
    fclose(file);
}

static void assert_ends(const struct certificate *certificate, const char *name, long in_s)
{
    assert_string_equal(certificate->name, name);
    assert_in_range(certificate->until_s - time(NULL), in_s - 60, in_s + 60);
}

/* The one that ends first counts where all are needed; of authorities the one that ends last. */
static void the_first_and_the_last(void **state)
{
    static const struct identity_options options[] = {
        {.common_name = "long", .until_s = 100 * DAY},
        {.common_name = "over", .from_s = -10 * DAY, .until_s = -DAY},
        {.common_name = "short", .until_s = 9 * DAY}};
    struct certificate certificate;
    size_t count;

    (void)state;
    write_all(options, 3);
    assert_int_equal(certificate_of_file(path, false, &certificate, &count, NULL), WARREN_OK);
    assert_int_equal(count, 3);
    assert_ends(&certificate, "over", -DAY);
    assert_in_range(certificate.from_s - time(NULL) + 10 * DAY + 60, 0, 120);
    assert_true(certificate.authority);
    assert_int_equal(certificate_of_file(path, true, &certificate, &count, NULL), WARREN_OK);
    assert_ends(&certificate, "long", 100 * DAY);
}

/* What a certificate says of itself goes to no terminal as it is. */
static void a_name_that_rings(void **state)
{
    static const struct identity_options options = {.common_name = "a\a\033[31mb", .until_s = DAY};
    struct certificate certificate;
    size_t count;

    (void)state;
    write_all(&options, 1);
    assert_int_equal(certificate_of_file(path, false, &certificate, &count, NULL), WARREN_OK);
    assert_string_equal(certificate.name, "a??[31mb");
}

/* No file, and one without a certificate, are two errors, and name it. */
static void what_is_no_certificate(void **state)
{
    struct warren_error error = {WARREN_OK, ""};
    struct certificate certificate;
    size_t count;

    (void)state;
    assert_int_equal(certificate_of_file(path, false, &certificate, &count, &error),
                     WARREN_ENOTFOUND);
    assert_non_null(strstr(error.text, path));
    assert_int_equal(certificate_of_file("/nowhere/at.all", false, &certificate, &count, &error),
                     WARREN_EIO);
    assert_non_null(strstr(error.text, "/nowhere/at.all"));
    assert_int_equal(certificate_of_file("/tmp", false, &certificate, &count, &error),
                     WARREN_ENOTFOUND);
}

/* Without TLS there is none. */
static void plain_text(void **state)
{
    struct transport transport = {.fd = -1};
    struct certificate certificate;

    (void)state;
    assert_false(certificate_of_peer(&transport, &certificate));
    assert_string_equal(certificate_protocol(&transport), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_and_the_last, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_that_rings, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_certificate, setup, teardown),
        cmocka_unit_test(plain_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
