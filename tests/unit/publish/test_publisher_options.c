/* test_publisher_options.c - a publisher's options: defaults, ranges, URIs, the password file. */
#include <unistd.h>

#include "publish/message/options.h"
#include "support/test.h"

static const char *const good_uris[] = {"amqp://u:secret@one:1/v", "amqps://two"};

static struct warren_publisher_options good(void)
{
    struct warren_publisher_options options;

    warren_publisher_options_init(&options);
    options.uris = good_uris;
    options.uri_count = 2;
    return options;
}

static enum warren_status check(const struct warren_publisher_options *options,
                                struct warren_error *error)
{
    struct publisher_settings settings;
    enum warren_status status = publisher_settings_init(options, &settings, error);

    if (status == WARREN_OK)
        publisher_settings_done(&settings);
    return status;
}

/* The defaults pass, and reach the connection. */
static void defaults_pass(void **state)
{
    struct warren_publisher_options options = good();
    struct publisher_settings settings;

    (void)state;
    assert_int_equal(publisher_settings_init(&options, &settings, NULL), WARREN_OK);
    assert_int_equal(settings.connection.uri_count, 2);
    assert_string_equal(settings.connection.uris[0].password, "secret");
    assert_string_equal(settings.connection.uris[1].host, "two");
    assert_true(settings.connection.uris[1].tls);
    assert_int_equal(settings.connection.heartbeat_s, 30);
    assert_string_equal(settings.connection.name, "warren");
    publisher_settings_done(&settings);
}

/* A shorter struct of an older header is taken, the rest is default; a longer one is refused. */
static void sizes(void **state)
{
    struct warren_publisher_options options = good();
    struct publisher_settings settings;

    (void)state;
    options.size = offsetof(struct warren_publisher_options, heartbeat_s);
    options.heartbeat_s = 7;
    assert_int_equal(publisher_settings_init(&options, &settings, NULL), WARREN_OK);
    assert_int_equal(settings.connection.heartbeat_s, 30);
    publisher_settings_done(&settings);
    options = good();
    options.size = offsetof(struct warren_publisher_options, delay_longest_ms);
    options.delay_longest_ms = 7;
    assert_int_equal(publisher_settings_init(&options, &settings, NULL), WARREN_OK);
    assert_int_equal(settings.options.delay_longest_ms, UINT64_C(30) * 86400000);
    publisher_settings_done(&settings);
    options.size = sizeof options + 1;
    assert_int_equal(check(&options, NULL), WARREN_EINVAL);
    options.size = 0;
    assert_int_equal(check(&options, NULL), WARREN_EINVAL);
    assert_int_equal(check(NULL, NULL), WARREN_EINVAL);
}

/* Each number out of its range is named. */
static void ranges(void **state)
{
    struct warren_publisher_options o[11];
    static const char *const names[] = {
        "window_messages", "window_messages",     "window_bytes",    "heartbeat_s",
        "when_full",       "reconnect_delay_min", "connect_timeout", "rate",
        "burst",           "delay_longest_ms",    "delay_longest_ms"};

    (void)state;
    for (size_t i = 0; i < 11; i++)
        o[i] = good();
    o[0].window_messages = 0;
    o[1].window_messages = 1000001;
    o[2].window_bytes = 0;
    o[3].heartbeat_s = 65536;
    o[4].when_full = (enum warren_when_full)2;
    o[5].reconnect_delay_min_ms = 10001;
    o[6].connect_timeout_ms = 0;
    o[7].rate = 0.0001;
    o[8].rate = 1;
    o[8].burst = 1000001;
    o[9].delay_longest_ms = 0;
    o[10].delay_longest_ms = UINT64_C(1) << 40;
    for (size_t i = 0; i < 11; i++) {
        struct warren_error error = {0};

        assert_int_equal(check(&o[i], &error), WARREN_EINVAL);
        assert_non_null(strstr(error.text, names[i]));
    }
}

/* A bad URI is a configuration error that does not show the password. */
static void bad_uris(void **state)
{
    static const char *const uris[] = {"amqp://one", "amqp://u:secret@host:99999/"};
    struct warren_publisher_options options = good();
    struct warren_error error = {0};

    (void)state;
    options.uris = uris;
    assert_int_equal(check(&options, &error), WARREN_ECONFIG);
    assert_int_equal(error.status, WARREN_ECONFIG);
    assert_null(strstr(error.text, "secret"));
    options.uri_count = 0;
    assert_int_equal(check(&options, &error), WARREN_EINVAL);
}

static void write_file(char *path, const char *text, size_t len)
{
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
}

/* The first line of the password file replaces every password, whatever ends the line. */
static void password_file(void **state)
{
    static const char *const texts[] = {"pass word\n", "pass word", "pass word\r\nsecond\n"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char path[] = "/tmp/warren-test-XXXXXX";
        struct warren_publisher_options options = good();
        struct publisher_settings settings;

        write_file(path, texts[i], strlen(texts[i]));
        options.password_file = path;
        assert_int_equal(publisher_settings_init(&options, &settings, NULL), WARREN_OK);
        assert_string_equal(settings.connection.uris[0].password, "pass word");
        assert_string_equal(settings.connection.uris[1].password, "pass word");
        publisher_settings_done(&settings);
        unlink(path);
    }
}

/* A password file that is missing, empty, blank or too long is an error that names the file. */
static void bad_password_files(void **state)
{
    char long_line[400];
    const char *const texts[] = {"", "\nsecret\n", long_line, "se\0xxxx\n"};
    const size_t lens[] = {0, 8, sizeof long_line - 1, 8};
    struct warren_publisher_options options = good();
    struct warren_error error = {0};

    (void)state;
    memset(long_line, 'x', sizeof long_line);
    long_line[sizeof long_line - 1] = '\0';
    options.password_file = "/nonexistent/password";
    assert_int_equal(check(&options, &error), WARREN_ECONFIG);
    assert_non_null(strstr(error.text, "/nonexistent/password"));
    for (size_t i = 0; i < 4; i++) {
        char path[] = "/tmp/warren-test-XXXXXX";

        write_file(path, texts[i], lens[i]);
        options.password_file = path;
        error.text[0] = '\0';
        assert_int_equal(check(&options, &error), WARREN_ECONFIG);
        assert_non_null(strstr(error.text, path));
        assert_null(strstr(error.text, "xxxx"));
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_pass), cmocka_unit_test(sizes),
        cmocka_unit_test(ranges),        cmocka_unit_test(bad_uris),
        cmocka_unit_test(password_file), cmocka_unit_test(bad_password_files),
    };

    return cmocka_run_group_tests_name("publisher_options", tests, NULL, NULL);
}
