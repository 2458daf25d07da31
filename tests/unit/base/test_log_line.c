/* test_log_line.c - base/log.h: what a line looks like. */
#include "base/log.h"
#include "support/test.h"

#include <sys/mman.h>
#include <unistd.h>

static int sink = -1;
static char written[64 * 1024];

static void begin(enum warren_log_level level, enum log_format format)
{
    log_set(level, format);
    sink = memfd_create("log", MFD_CLOEXEC);
    assert_true(sink >= 0);
    assert_int_equal(log_start(sink), WARREN_OK);
}

/* Everything that was logged since begin(). */
static const char *end(void)
{
    ssize_t len;

    log_stop(5000);
    len = pread(sink, written, sizeof written - 1, 0);
    assert_true(len >= 0);
    written[len] = '\0';
    close(sink);
    return written;
}

/* What follows the time, which is different each time. */
static const char *after_time(const char *line)
{
    const char *level = strstr(line, "level");

    assert_non_null(level);
    return level;
}

/* All kinds of fields as logfmt: plain words bare, others quoted, an absent value left out. */
static void logfmt_quotes_only_where_needed(void **state)
{
    struct log_line line;

    (void)state;
    begin(WARREN_LOG_INFO, LOG_LOGFMT);
    log_begin(&line, WARREN_LOG_WARN, "queue is gone");
    log_text(&line, "queue", "payments");
    log_text(&line, "why", "a=\"b\"\n");
    log_text(&line, "empty", "");
    log_text(&line, "absent", NULL);
    log_int(&line, "attempt", -3);
    log_bool(&line, "redelivered", true);
    log_end(&line);
    assert_string_equal(after_time(end()), "level=warn msg=\"queue is gone\" queue=payments "
                                           "why=\"a=\\\"b\\\"\\n\" empty=\"\" attempt=-3 "
                                           "redelivered=true\n");
}

/* The same as JSON: texts always quoted, numbers and truth values never. */
static void json_keeps_types(void **state)
{
    struct log_line line;
    const char *text;

    (void)state;
    begin(WARREN_LOG_INFO, LOG_JSON);
    log_begin(&line, WARREN_LOG_INFO, "start");
    log_text(&line, "path", "C:\\a \"b\"\t");
    log_int(&line, "big", INT64_MIN);
    log_bool(&line, "yes", false);
    log_end(&line);
    text = end();
    assert_memory_equal(text, "{\"time\":\"20", 11);
    assert_string_equal(after_time(text) - 1,
                        "\"level\":\"info\",\"msg\":\"start\",\"path\":\"C:\\\\a \\\"b\\\"\\t\","
                        "\"big\":-9223372036854775808,\"yes\":false}\n");
}

/* The time is RFC 3339 in UTC with milliseconds. */
static void time_is_rfc3339(void **state)
{
    int year, month, day, hour, minute, second, ms;
    char zone;

    (void)state;
    begin(WARREN_LOG_INFO, LOG_LOGFMT);
    log_info("now");
    assert_int_equal(sscanf(end(), "time=%4d-%2d-%2dT%2d:%2d:%2d.%3d%c ", &year, &month, &day,
                            &hour, &minute, &second, &ms, &zone),
                     8);
    assert_in_range(year, 2020, 2100);
    assert_int_equal(zone, 'Z');
}

/* Control characters, among them those that steer a terminal, never reach the sink raw. */
static void control_characters_are_escaped(void **state)
{
    (void)state;
    begin(WARREN_LOG_INFO, LOG_LOGFMT);
    log_info("\x01 \x1b[2J \x7f \xc2\x9b \r\n");
    assert_string_equal(after_time(end()),
                        "level=info msg=\"\\u0001 \\u001b[2J \\u007f \\u009b \\r\\n\"\n");
}

/* Valid UTF-8 stays; an invalid byte shows as itself in logfmt and as U+FFFD in JSON, which allows
 * no other: overlong forms, surrogates, what is above U+10FFFF, and a cut character at the end. */
static void invalid_utf8_is_replaced(void **state)
{
    static const char text[] = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x87 \xc0\xaf \xed\xa0\x80 "
                               "\xf4\x90\x80\x80 \xff \xe2\x82";
    struct log_line line;

    (void)state;
    begin(WARREN_LOG_INFO, LOG_LOGFMT);
    log_info("%s", text);
    assert_string_equal(after_time(end()),
                        "level=info msg=\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x87 \\xc0\\xaf "
                        "\\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xff \\xe2\\x82\"\n");
    begin(WARREN_LOG_INFO, LOG_JSON);
    log_begin(&line, WARREN_LOG_INFO, "x");
    log_text(&line, "v", "\xc3\xa9\xff");
    log_end(&line);
    assert_non_null(strstr(end(), "\"v\":\"\xc3\xa9\\ufffd\"}\n"));
}

/* One huge value is cut and marked, and the fields behind it still have room. */
static void huge_value_is_cut_first(void **state)
{
    static char huge[100000];
    struct log_line line;
    const char *text;

    (void)state;
    memset(huge, 'x', sizeof huge - 1);
    begin(WARREN_LOG_INFO, LOG_JSON);
    log_begin(&line, WARREN_LOG_INFO, "failed");
    log_text(&line, "error", huge);
    log_text(&line, "queue", "payments");
    log_int(&line, "attempt", 2);
    log_end(&line);
    text = end();
    assert_non_null(strstr(text, "xxx...\",\"queue\":\"payments\",\"attempt\":2}\n"));
    assert_true(strlen(text) <= LOG_LINE_MAX);
}

static int open_quotes(const char *text)
{
    int quotes = 0;

    for (; *text; text++)
        if (*text == '\\')
            text++;
        else
            quotes += *text == '"';
    return quotes % 2;
}

/* However many and long the fields, the line stays within its bound and whole: what has no room is
 * left out, never half written. */
static void full_line_stays_whole(void **state)
{
    static const enum log_format formats[] = {LOG_LOGFMT, LOG_JSON};
    static char huge[4000];

    (void)state;
    memset(huge, '"', sizeof huge - 1);
    for (size_t len = 0; len < 2 * LOG_LINE_MAX; len += 7)
        for (size_t f = 0; f < 2; f++) {
            struct log_line line;
            const char *text;
            size_t text_len;

            begin(WARREN_LOG_INFO, formats[f]);
            log_begin(&line, WARREN_LOG_INFO, "m");
            for (size_t i = 0; i < 3; i++)
                log_text(&line, "k", huge + sizeof huge - 1 - len % (sizeof huge - 1));
            for (size_t i = 0; i < 100; i++) {
                log_int(&line, "n", INT64_MIN);
                log_bool(&line, "b", false);
            }
            log_end(&line);
            text = end();
            text_len = strlen(text);
            assert_in_range(text_len, 40, LOG_LINE_MAX);
            assert_int_equal(text[text_len - 1], '\n');
            assert_int_equal(open_quotes(text), 0);
            if (formats[f] == LOG_JSON)
                assert_memory_equal(text + text_len - 2, "}\n", 2);
        }
}

/* A line below the level is not written; log_enabled() tells so beforehand. */
static void level_filters(void **state)
{
    struct log_line line;

    (void)state;
    begin(WARREN_LOG_WARN, LOG_LOGFMT);
    assert_true(log_enabled(WARREN_LOG_ERROR));
    assert_true(log_enabled(WARREN_LOG_WARN));
    assert_false(log_enabled(WARREN_LOG_INFO));
    log_info("too detailed");
    log_printf(WARREN_LOG_DEBUG, "too detailed");
    log_begin(&line, WARREN_LOG_INFO, "too detailed");
    log_end(&line);
    log_error("seen %d", 1);
    assert_string_equal(after_time(end()), "level=error msg=\"seen 1\"\n");
}

/* A NUL inside is shown, and the end of the bytes is the end, within a character of UTF-8, too. */
static void bytes_are_written_to_their_end(void **state)
{
    struct log_line line;

    (void)state;
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        begin(WARREN_LOG_WARN, (enum log_format)format);
        log_begin(&line, WARREN_LOG_WARN, "m");
        log_bytes(&line, "id", (struct warren_bytes){"dup\0A", 5});
        log_bytes(&line, "cut", (struct warren_bytes){"abc", 2});
        log_bytes(&line, "half", (struct warren_bytes){"\xc3\xa9", 1});
        log_bytes(&line, "absent", (struct warren_bytes){NULL, 0});
        log_end(&line);
        assert_string_equal(
            after_time(end()),
            format == LOG_JSON
                ? "level\":\"warn\",\"msg\":\"m\",\"id\":\"dup\\u0000A\",\"cut\":\"ab\","
                  "\"half\":\"\\ufffd\"}\n"
                : "level=warn msg=m id=\"dup\\u0000A\" cut=ab half=\"\\xc3\"\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt_quotes_only_where_needed),
        cmocka_unit_test(json_keeps_types),
        cmocka_unit_test(time_is_rfc3339),
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(invalid_utf8_is_replaced),
        cmocka_unit_test(huge_value_is_cut_first),
        cmocka_unit_test(full_line_stays_whole),
        cmocka_unit_test(level_filters),
        cmocka_unit_test(bytes_are_written_to_their_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
