/* test_json_writer.c - base/json_writer.h */
#include "base/json_writer.h"
#include "support/test.h"

#include <math.h>

#include "../comma_locale.h"

#define ALL 1000

static struct buffer buffer;
static struct json_writer json;

static int setup(void **state)
{
    (void)state;
    buffer_init(&buffer, ALL);
    json_writer_init(&json, &buffer);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buffer_done(&buffer);
    return 0;
}

static void expect(const char *text)
{
    assert_int_equal(json.status, WARREN_OK);
    assert_int_equal(buffer_len(&buffer), strlen(text));
    assert_memory_equal(buffer_front(&buffer), text, strlen(text));
}

/* Members, lists and commas are where they belong. */
static void values_are_nested(void **state)
{
    (void)state;
    json_writer_begin(&json, NULL, '{');
    json_writer_int(&json, "a", -5);
    json_writer_begin(&json, "list", '[');
    json_writer_text(&json, NULL, "x");
    json_writer_begin(&json, NULL, '{');
    json_writer_end(&json, '}');
    json_writer_bool(&json, NULL, true);
    json_writer_end(&json, ']');
    json_writer_text(&json, "none", NULL);
    json_writer_bool(&json, "no", false);
    json_writer_raw(&json, "raw", "[1]", 3);
    json_writer_end(&json, '}');
    expect("{\"a\":-5,\"list\":[\"x\",{},true],\"none\":null,\"no\":false,\"raw\":[1]}");
}

/* Whatever a text holds, it stays between its quotes, and in a page no tag. */
static void texts_are_escaped(void **state)
{
    (void)state;
    json_writer_text(&json, "<k\"", "\"\\\n</script>&\x7f\xc3\xa4\xff\xed\xa0\x80z");
    expect("\"\\u003ck\\\"\":\"\\\"\\\\\\u000a\\u003c/script\\u003e\\u0026\\u007f\xc3\xa4"
           "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
}

/* Numbers have a point in every locale; what is none is null. */
static void numbers_are_of_json(void **state)
{
    (void)state;
    TAKE_COMMA_LOCALE();
    json_writer_begin(&json, NULL, '[');
    json_writer_real(&json, NULL, 1.25);
    json_writer_real(&json, NULL, -0.0005);
    json_writer_real(&json, NULL, NAN);
    json_writer_real(&json, NULL, INFINITY);
    json_writer_real(&json, NULL, 1e20);
    json_writer_end(&json, ']');
    setlocale(LC_ALL, "C");
    expect("[1.250,-0.001,null,null,100000000000000000000.000]");
}

/* Above the bound of the buffer it says so, and adds nothing any more. */
static void the_bound_is_told(void **state)
{
    char text[ALL];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    json_writer_text(&json, NULL, text);
    assert_int_equal(json.status, WARREN_EFULL);
    json_writer_int(&json, NULL, 1);
    assert_int_equal(json.status, WARREN_EFULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(values_are_nested),
        TEST(texts_are_escaped),
        TEST(numbers_are_of_json),
        TEST(the_bound_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
