/* test_dlq_show.c - what a message looks like on a terminal, whoever wrote it. */
#include <unistd.h>

#include "command/cli/print.h"
#include "command/dlq/dlq_show.h"
#include "support/test.h"

static char out[8192];

/* Show @message, and have it in @out. */
static void show(const struct warren_message *message, size_t body_max)
{
    FILE *file = tmpfile();
    int before = dup(STDOUT_FILENO);

    fflush(stdout);
    dup2(fileno(file), STDOUT_FILENO);
    dlq_show_message(message, NULL, body_max);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    rewind(file);
    out[fread(out, 1, sizeof out - 1, file)] = '\0';
    fclose(file);
}

#define assert_out(part)                                                                           \
    do {                                                                                           \
        if (!strstr(out, part))                                                                    \
            fail_msg("\"%s\" is not in:\n%s", part, out);                                          \
    } while (0)

static void show_header(struct warren_field field)
{
    struct warren_message message = {.properties.headers = {&field, 1}};

    show(&message, 100);
}

/* No byte reaches a terminal that could steer it: neither C1 in one byte or two, nor what is no
 * UTF-8. */
static void nothing_steers_a_terminal(void **state)
{
    static const char *const texts[][2] = {{"a\x9b"
                                            "31mb",
                                            "a?31mb"},
                                           {"a\xc2\x9b"
                                            "31mb",
                                            "a?31mb"},
                                           {"a\xe2\x82", "a??"},
                                           {"a\xc0\x9b", "a??"},
                                           {"a\xe0\x82\x9b", "a???"},
                                           {"a\x1b[2J\r\n\t", "a?[2J???"},
                                           {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        show_header(warren_field_text("h", texts[i][0]));
        assert_out(texts[i][1] ? texts[i][1] : texts[i][0]);
        assert_null(strchr(out, '\x1b'));
        assert_null(strchr(out, '\x9b'));
    }
}

/* A body is text only if it is harmless; else it is shown in hexadecimal. */
static void a_body_is_text_or_hex(void **state)
{
    static const char *const hex[] = {"a\x9b"
                                      "b",
                                      "a\xc2\x9b"
                                      "b",
                                      "good\rbad", "a\xed\xa0\x80", "a\x1b[2J"};
    static const char text[] = "one\r\n\ttwo \xe2\x82\xac\n";
    struct warren_message message = {.body = {text, sizeof text - 1}};

    (void)state;
    show(&message, 1000);
    assert_out("    one\n    \ttwo \xe2\x82\xac\n");
    show(&message, sizeof text - 3); /* the last character is there in part */
    assert_out("    one\n    \ttwo \n");
    for (size_t i = 0; i < sizeof hex / sizeof *hex; i++) {
        message.body = warren_text(hex[i]);
        show(&message, 1000);
        assert_out("    00000000 ");
        show(&message, strlen(hex[i]) - 1);
        assert_null(strchr(out, '\x9b'));
    }
}

/* Arrays and tables have their content, and so have decimals. */
static void values_inside_values(void **state)
{
    struct warren_value numbers[] = {{.type = WARREN_I32, .as.integer = 1},
                                     {.type = WARREN_STRING, .as.bytes = {"two", 3}},
                                     {.type = WARREN_DECIMAL, .as.decimal = {2, 1234}}};
    struct warren_field fields[] = {warren_field_bool("yes", true),
                                    {"list", {.type = WARREN_ARRAY, .as.array = {numbers, 3}}},
                                    {"empty", {.type = WARREN_ARRAY}},
                                    {"nothing", {.type = WARREN_VOID}}};

    (void)state;
    show_header((struct warren_field){"t", {.type = WARREN_TABLE, .as.table = {fields, 4}}});
    assert_out("t (table) {yes: true, list: [1, two, 1234e-2], empty: [], nothing: void}\n");
    show_header((struct warren_field){"t", {.type = WARREN_TABLE}});
    assert_out("t (table) {}\n");
}

/* Priority 0 is one; a time that no calendar has is a number; one to come is told as that. */
static void odd_properties(void **state)
{
    struct warren_message message = {.properties = {.has_priority = true,
                                                    .delivery_mode = 1,
                                                    .has_timestamp = true,
                                                    .timestamp = UINT64_MAX}};

    (void)state;
    show(&message, 100);
    assert_out("  priority     0\n");
    assert_out("  delivery     transient\n");
    assert_out("  timestamp    @18446744073709551615\n");
    message.properties.timestamp = 0;
    show(&message, 100);
    assert_out("  timestamp    @0\n");
    message.properties.timestamp = INT64_MAX;
    show(&message, 100);
    assert_out("  timestamp    @9223372036854775807\n");
    message.properties.timestamp = UINT64_C(4102444800);
    show(&message, 100);
    assert_out("  timestamp    2100-01-01T00:00:00Z (in ");
    message.properties.timestamp = 1;
    show(&message, 100);
    assert_out("  timestamp    1970-01-01T00:00:01Z (");
    assert_null(strstr(out, "- ago"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_steers_a_terminal),
        cmocka_unit_test(a_body_is_text_or_hex),
        cmocka_unit_test(values_inside_values),
        cmocka_unit_test(odd_properties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
