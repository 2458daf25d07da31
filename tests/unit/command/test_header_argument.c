/* test_header_argument.c - --header NAME[:TYPE]=VALUE. */
#include "command/cli/message_options.h"
#include "support/test.h"

static struct arena arena;
static struct warren_field field;
static struct warren_error error;

static enum warren_status parse(const char *text)
{
    return header_argument_parse(&arena, text, &field, &error);
}

/* Without a type it is a text, and only the first = is special. */
static void a_plain_header_is_text(void **state)
{
    (void)state;
    assert_int_equal(parse("tenant=a=b"), WARREN_OK);
    assert_string_equal(field.name, "tenant");
    assert_int_equal(field.value.type, WARREN_STRING);
    assert_int_equal(field.value.as.bytes.len, 3);
    assert_memory_equal(field.value.as.bytes.data, "a=b", 3);
}

static void types_are_parsed(void **state)
{
    (void)state;
    assert_int_equal(parse("n:i64=-5"), WARREN_OK);
    assert_int_equal(field.value.type, WARREN_I64);
    assert_int_equal(field.value.as.integer, -5);
    assert_int_equal(parse("b:bool=true"), WARREN_OK);
    assert_true(field.value.as.boolean);
    assert_int_equal(parse("d:f64=1.5"), WARREN_OK);
    assert_true(field.value.as.real == 1.5);
    assert_int_equal(parse("at:timestamp=1700000000"), WARREN_OK);
    assert_int_equal(field.value.as.timestamp, 1700000000);
    assert_int_equal(parse("v:void="), WARREN_OK);
    assert_int_equal(field.value.type, WARREN_VOID);
}

/* A name with a colon says its type. */
static void the_last_colon_counts(void **state)
{
    (void)state;
    assert_int_equal(parse("x:y:string=z"), WARREN_OK);
    assert_string_equal(field.name, "x:y");
    assert_int_equal(parse("x:y=z"), WARREN_EINVAL);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    assert_int_equal(parse("tenant"), WARREN_EINVAL);
    assert_int_equal(parse("=x"), WARREN_EINVAL);
    assert_int_equal(parse("n:u8=256"), WARREN_EINVAL);
    assert_non_null(strstr(error.text, "0 to 255"));
    assert_int_equal(parse("n:i8=1x"), WARREN_EINVAL);
    assert_int_equal(parse("n:f64=nan"), WARREN_EINVAL);
    assert_string_equal(error.text, "\"nan\" is no f64, a finite number");
    assert_int_equal(parse("n:f64=-inf"), WARREN_EINVAL);
    assert_int_equal(parse("n:f64=1e400"), WARREN_EINVAL);
    assert_int_equal(parse("n:f32=1e39"), WARREN_EINVAL);
    assert_int_equal(parse("n:f32=1e38"), WARREN_OK);
    assert_int_equal(parse("b:bool=yes"), WARREN_EINVAL);
    assert_int_equal(parse("v:void=x"), WARREN_EINVAL);
    assert_int_equal(parse("n:tiemstamp=1"), WARREN_EINVAL);
    assert_non_null(strstr(error.text, "did you mean \"timestamp\""));
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plain_header_is_text, setup, teardown),
        cmocka_unit_test_setup_teardown(types_are_parsed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_colon_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(mistakes_are_named, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
