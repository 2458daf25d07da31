/* test_argument_same.c - which arguments RabbitMQ takes for the same. */
#include "amqp/topology/argument_same.h"
#include "support/test.h"

static struct warren_value integer(enum warren_type type, int64_t number)
{
    return (struct warren_value){.type = type, .as.integer = number};
}

static struct warren_value real(double number)
{
    return (struct warren_value){.type = WARREN_F64, .as.real = number};
}

static struct warren_value text(const char *text)
{
    return (struct warren_value){.type = WARREN_STRING, .as.bytes = warren_text(text)};
}

static struct warren_value boolean(bool value)
{
    return (struct warren_value){.type = WARREN_BOOL, .as.boolean = value};
}

static struct warren_value list(const struct warren_value *values, size_t count)
{
    return (struct warren_value){.type = WARREN_ARRAY, .as.array = {values, count}};
}

static struct warren_value table(const struct warren_field *fields, size_t count)
{
    return (struct warren_value){.type = WARREN_TABLE, .as.table = {fields, count}};
}

static void expect(bool same, struct warren_value a, struct warren_value b)
{
    assert_int_equal(argument_same(&a, &b), same);
    assert_int_equal(argument_same(&b, &a), same);
}

static void single_values(void **state)
{
    const struct warren_value none = {0};
    const struct warren_value void_value = {.type = WARREN_VOID};

    (void)state;
    expect(true, integer(WARREN_I64, 5), integer(WARREN_U8, 5));
    expect(false, integer(WARREN_I64, 5), integer(WARREN_I64, 6));
    expect(false, integer(WARREN_I64, 5), real(5));
    expect(false, integer(WARREN_I64, 5), text("5"));
    expect(false, integer(WARREN_I64, 1), boolean(true));
    expect(true, real(0.5), real(0.5));
    expect(true, text(""), text(""));
    expect(false, text("a"), text("ab"));
    expect(true, boolean(false), boolean(false));
    expect(false, boolean(false), boolean(true));
    expect(true, none, none);
    expect(true, void_value, void_value);
    expect(false, none, void_value);
    expect(true, void_value, text("undefined"));
    expect(false, void_value, text(""));
    expect(false, none, text("undefined"));
    expect(false, none, integer(WARREN_I64, 0));
}

/* A list has an order, a table has none. */
static void nested_values(void **state)
{
    const struct warren_value ab[] = {text("a"), text("b")};
    const struct warren_value ba[] = {text("b"), text("a")};
    const struct warren_field xy[] = {warren_field_i64("x", 1), warren_field_text("y", "2")};
    const struct warren_field yx[] = {warren_field_text("y", "2"), warren_field_i64("x", 1)};
    const struct warren_field xz[] = {warren_field_i64("x", 1), warren_field_text("z", "2")};

    (void)state;
    expect(true, list(ab, 2), list(ab, 2));
    expect(false, list(ab, 2), list(ba, 2));
    expect(false, list(ab, 2), list(ab, 1));
    expect(true, table(xy, 2), table(yx, 2));
    expect(false, table(xy, 2), table(xz, 2));
    expect(false, table(xy, 2), table(xy, 1));
    expect(true, table(xy, 0), table(xz, 0));
    expect(false, table(xy, 0), list(ab, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_values),
        cmocka_unit_test(nested_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
