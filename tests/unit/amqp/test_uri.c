/* test_uri.c - broker addresses. */
#include "amqp/net/uri.h"
#include "support/test.h"

static const struct good {
    const char *text;
    struct uri uri;
    const char *described;
} good[] = {
    {"amqp://", {false, "localhost", 5672, "guest", "guest", "/"}, "amqp://localhost:5672/"},
    {"amqps://", {true, "localhost", 5671, "guest", "guest", "/"}, "amqps://localhost:5671/"},
    {"AMQP://h", {false, "h", 5672, "guest", "guest", "/"}, "amqp://h:5672/"},
    {"amqp://h/", {false, "h", 5672, "guest", "guest", "/"}, "amqp://h:5672/"},
    {"amqp://h/%2f", {false, "h", 5672, "guest", "guest", "/"}, "amqp://h:5672/"},
    {"amqp://h//", {false, "h", 5672, "guest", "guest", "/"}, "amqp://h:5672/"},
    {"amqp://h/v", {false, "h", 5672, "guest", "guest", "v"}, "amqp://h:5672/v"},
    {"amqp://h/a%2Fb", {false, "h", 5672, "guest", "guest", "a/b"}, "amqp://h:5672/a/b"},
    {"amqp://h/v%20%c3%bc%25",
     {false, "h", 5672, "guest", "guest", "v \xc3\xbc%"},
     "amqp://h:5672/v%20%C3%BC%25"},
    {"amqp:///v", {false, "localhost", 5672, "guest", "guest", "v"}, "amqp://localhost:5672/v"},
    {"amqp://:1/v", {false, "localhost", 1, "guest", "guest", "v"}, "amqp://localhost:1/v"},
    {"amqp://h:65535", {false, "h", 65535, "guest", "guest", "/"}, "amqp://h:65535/"},
    {"amqps://h:5672", {true, "h", 5672, "guest", "guest", "/"}, "amqps://h:5672/"},
    {"amqp://u@h", {false, "h", 5672, "u", "", "/"}, "amqp://h:5672/"},
    {"amqp://u:@h", {false, "h", 5672, "u", "", "/"}, "amqp://h:5672/"},
    {"amqp://:@h", {false, "h", 5672, "", "", "/"}, "amqp://h:5672/"},
    {"amqp://u:p@h:1/v", {false, "h", 1, "u", "p", "v"}, "amqp://h:1/v"},
    {"amqp://u:p:q@h", {false, "h", 5672, "u", "p:q", "/"}, "amqp://h:5672/"},
    {"amqp://%75%40:%2F%3a%40%25%3F@h", {false, "h", 5672, "u@", "/:@%?", "/"}, "amqp://h:5672/"},
    {"amqp://10.0.0.1:1", {false, "10.0.0.1", 1, "guest", "guest", "/"}, "amqp://10.0.0.1:1/"},
    {"amqp://[::1]", {false, "::1", 5672, "guest", "guest", "/"}, "amqp://[::1]:5672/"},
    {"amqps://u:p@[2001:db8::1]:443/v",
     {true, "2001:db8::1", 443, "u", "p", "v"},
     "amqps://[2001:db8::1]:443/v"},
    {"amqp://[fe80::1%25eth0]:1",
     {false, "fe80::1%eth0", 1, "guest", "guest", "/"},
     "amqp://[fe80::1%eth0]:1/"},
};

/* Each URI of the table gives its parts, percent-decoded, with the defaults filled in. */
static void good_uris_give_their_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct warren_error error = {0};
        struct uri uri;

        if (uri_parse(good[i].text, &uri, &error) != WARREN_OK)
            fail_msg("%s: %s", good[i].text, error.text);
        assert_int_equal(uri.tls, good[i].uri.tls);
        assert_string_equal(uri.host, good[i].uri.host);
        assert_int_equal(uri.port, good[i].uri.port);
        assert_string_equal(uri.user, good[i].uri.user);
        assert_string_equal(uri.password, good[i].uri.password);
        assert_string_equal(uri.vhost, good[i].uri.vhost);
    }
}

/* The text for people has neither user nor password. */
static void a_description_has_no_login(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[128];

        uri_describe(&good[i].uri, text, sizeof text);
        assert_string_equal(text, good[i].described);
    }
}

/* A description is cut to the space there is. */
static void a_description_is_cut_to_fit(void **state)
{
    struct uri uri = {false, "host", 1, "", "", "vvvv"};
    char text[16];

    (void)state;
    for (size_t size = 1; size <= sizeof text; size++) {
        memset(text, 'x', sizeof text);
        uri_describe(&uri, text, size);
        assert_true(strlen(text) < size);
    }
    assert_string_equal(text, "amqp://host:1/v");
}

/* On request a lone slash is the virtual host whose name is empty, and nothing else is. */
static void an_empty_path_names_a_vhost_on_request(void **state)
{
    static const char *const others[] = {"amqp://h", "amqp://h//", "amqp://h/%2F", "amqp://u:p@h"};
    struct uri uri;

    (void)state;
    assert_int_equal(uri_parse("amqp://u:p@h:1/", &uri, NULL), WARREN_OK);
    assert_string_equal(uri.vhost, "/");
    uri_use_empty_path("amqp://u:p@h:1/", &uri);
    assert_string_equal(uri.vhost, "");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(uri_parse(others[i], &uri, NULL), WARREN_OK);
        uri_use_empty_path(others[i], &uri);
        assert_string_equal(uri.vhost, "/");
    }
}

static const struct bad {
    const char *text;
    const char *hint; /* stands in the error */
} bad[] = {
    {"", "amqp://"},
    {"localhost", "amqp://"},
    {"guest:guest@h", "amqp://"},
    {"http://h", "amqp://"},
    {"amqp:h", "amqp://"},
    {" amqp://h", "amqp://"},
    {"amqp://h:", "port"},
    {"amqp://h:0", "port"},
    {"amqp://h:65536", "port"},
    {"amqp://h:99999999999999999999999", "port"},
    {"amqp://h:-1", "port"},
    {"amqp://h:+1", "port"},
    {"amqp://h:56x", "port"},
    {"amqp://h:5672 ", "port"},
    {"amqp://::1:5672", "[ ]"},
    {"amqp://[::1", "]"},
    {"amqp://[::1]5672", "]"},
    {"amqp://[::1]:", "port"},
    {"amqp://[nonsense]", "IPv6"},
    {"amqp://[]", "IPv6"},
    {"amqp://h o", "space"},
    {"amqp://h\n", "space"},
    {"amqp://h/%", "two hex digits"},
    {"amqp://h/%4", "two hex digits"},
    {"amqp://h/%zz", "two hex digits"},
    {"amqp://h/%00", "%00"},
    {"amqp://h/v?heartbeat=1", "options"},
    {"amqp://h/v#x", "options"},
    {"amqp://a@b@h", "%40"},
    /* with several mistakes, one of them is told */
    {"amqp://u:%zz@[::1:99999/%", "two hex digits"},
};

/* Each bad URI of the table is ECONFIG, with a hint at what is wrong. */
static void bad_uris_are_refused_with_a_hint(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct warren_error error = {0};
        struct uri uri;

        assert_int_equal(uri_parse(bad[i].text, &uri, &error), WARREN_ECONFIG);
        assert_int_equal(error.status, WARREN_ECONFIG);
        if (!strstr(error.text, bad[i].hint))
            fail_msg("\"%s\": no \"%s\" in: %s", bad[i].text, bad[i].hint, error.text);
        assert_int_equal(uri_parse(bad[i].text, &uri, NULL), WARREN_ECONFIG);
    }
}

/* Wherever the password breaks the URI, no piece of it shows in the error. */
static void the_password_is_never_in_an_error(void **state)
{
    static const char *const texts[] = {
        "XsecretX://h",
        "user:XsecretX@h",
        "amqp://user:XsecretX@h:port",
        "amqp://user:XsecretX%@h",
        "amqp://user:XsecretX/more@h",
        "amqp://user:more/XsecretX@h:99999",
        "amqp://user:XsecretX@XsecretX@h",
        "amqp://user:XsecretX#@h",
        "amqp://user:XsecretX?@h",
        "amqp://user:XsecretX @h",
        "amqp://user:more:XsecretX@h:0",
        "amqp://user:[XsecretX@[h",
        "amqp://[user:XsecretX/@h",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct warren_error error = {0};
        struct uri uri;

        if (uri_parse(texts[i], &uri, &error) == WARREN_OK)
            fail_msg("accepted: %s", texts[i]);
        assert_null(strstr(error.text, "secret"));
        assert_null(strstr(error.text, "more@"));
    }
}

/* 255 bytes of each part are possible, 256 are refused. */
static void parts_have_at_most_255_bytes(void **state)
{
    static const char *const formats[] = {"amqp://%s", "amqp://%s@h", "amqp://u:%s@h",
                                          "amqp://h/%s"};
    char part[257], text[600];
    struct uri uri;

    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        memset(part, 'a', 256);
        part[256] = '\0';
        snprintf(text, sizeof text, formats[i], part);
        assert_int_equal(uri_parse(text, &uri, NULL), WARREN_ECONFIG);
        part[255] = '\0';
        snprintf(text, sizeof text, formats[i], part);
        assert_int_equal(uri_parse(text, &uri, NULL), WARREN_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_uris_give_their_parts),
        cmocka_unit_test(an_empty_path_names_a_vhost_on_request),
        cmocka_unit_test(a_description_has_no_login),
        cmocka_unit_test(a_description_is_cut_to_fit),
        cmocka_unit_test(bad_uris_are_refused_with_a_hint),
        cmocka_unit_test(the_password_is_never_in_an_error),
        cmocka_unit_test(parts_have_at_most_255_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
