/* test_http_login.c - addresses with a login in them, and the header that they become. */
#include "http/login.h"
#include "support/test.h"

static void taken_apart(void **state)
{
    static const struct {
        const char *url, *base, *user, *password;
    } cases[] = {
        {"http://h:15672", "http://h:15672", "", ""},
        {"http://h:15672/", "http://h:15672", "", ""},
        {"https://h", "https://h", "", ""},
        {"HTTP://h:1/a/b//", "HTTP://h:1/a/b", "", ""},
        {"http://u:p@h:1/", "http://h:1", "u", "p"},
        {"http://u@h:1", "http://h:1", "u", ""},
        {"http://u:a%40b%3ac%2f@[::1]:15672", "http://[::1]:15672", "u", "a@b:c/"},
        {"http://u:a@b@h:1", "http://h:1", "u", "a@b"},
        {"http://h:65535", "http://h:65535", "", ""},
        {"http://[::1]", "http://[::1]", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct warren_error error = {WARREN_OK, ""};
        struct http_login login;

        assert_int_equal(http_login_parse(cases[i].url, &login, &error), WARREN_OK);
        assert_string_equal(login.base, cases[i].base);
        assert_string_equal(login.user, cases[i].user);
        assert_string_equal(login.password, cases[i].password);
        assert_int_equal(login.has_user, *cases[i].user != '\0');
        assert_int_equal(login.has_password, *cases[i].password != '\0');
    }
}

/* Nothing of it is said, for it may be the password. */
static void refused(void **state)
{
    static const char *const urls[] = {
        "",
        "h:15672",
        "amqp://h",
        "http://",
        "http:///api",
        "http://u:Hors3@/",
        "http://u:Hors3%4@h",
        "http://u:Hors3%00@h",
        "http://u:Hors3/Staple@h:1",
        "http://u:12/Hors3@h:1",
        "http://u:Hors3?Staple@h:1",
        "http://u:Hors3\n@h:1",
        "http://Hors3 :1",
        "http://u:Hors3@[::1",
        "http://u:Hors3@h:0",
        "http://u:Hors3@h:65536",
        "http://u:Hors3@h:99999999999999999999999",
        "http://u:Hors3@[::1]:70000",
        "http://u:Hors3@h:",
    };
    char longest[1024];

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct warren_error error = {WARREN_OK, ""};
        struct http_login login;

        assert_int_equal(http_login_parse(urls[i], &login, &error), WARREN_ECONFIG);
        assert_non_null(strstr(error.text, "http://HOST:PORT"));
        assert_null(strstr(error.text, "Hors3"));
    }
    memset(longest, 'a', sizeof longest - 1);
    memcpy(longest, "http://", 7);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(http_login_parse(longest, &(struct http_login){.base = ""}, NULL),
                     WARREN_ECONFIG);
    memcpy(longest + 500, "@h", 3);
    assert_int_equal(http_login_parse(longest, &(struct http_login){.base = ""}, NULL),
                     WARREN_ECONFIG);
}

/* The example of RFC 7617, and the longest there is. */
static void header(void **state)
{
    char text[HTTP_LOGIN_HEADER_SIZE];
    char longest[HTTP_LOGIN_PART_SIZE];

    (void)state;
    http_login_header("Aladdin", "open sesame", text);
    assert_string_equal(text, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    http_login_header(longest, longest, text);
    assert_int_equal(strlen(text), 21 + (511 + 2) / 3 * 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_apart),
        cmocka_unit_test(refused),
        cmocka_unit_test(header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
