/* test_field_type.c - base/field_type.h */
#include "base/field_type.h"
#include "support/test.h"

/* Each row is found by its type and by its letter, and has a name of its own. */
static void each_type_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < FIELD_TYPE_COUNT; i++) {
        const struct field_type *type = &field_types[i];

        assert_ptr_equal(field_type_of(type->type), type);
        assert_ptr_equal(field_type_of_letter((uint8_t)type->type), type);
        assert_string_equal(warren_type_name(type->type), type->name);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(field_types[j].name, type->name);
    }
}

/* What is no type has none, whatever number it is; the wire has one letter more. */
static void other_letters_are_no_types(void **state)
{
    size_t known = 0;

    (void)state;
    for (int letter = 0; letter <= UINT8_MAX; letter++)
        known += field_type_of((enum warren_type)letter) != NULL;
    assert_int_equal(known, FIELD_TYPE_COUNT);
    assert_null(field_type_of((enum warren_type)256));
    assert_null(field_type_of((enum warren_type) - 1));
    assert_null(field_type_of((enum warren_type)'L'));
    assert_int_equal(field_type_of_letter('L')->type, WARREN_I64);
    assert_string_equal(warren_type_name((enum warren_type)'?'), "unknown");
}

/* The range of an integer is what its bytes hold. */
static void ranges_are_those_of_the_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < FIELD_TYPE_COUNT; i++) {
        const struct field_type *type = &field_types[i];
        unsigned bits = type->size * 8u;

        if (type->form != FIELD_INTEGER)
            continue;
        if (type->min < 0)
            bits--;
        assert_true((uint64_t)type->max == UINT64_MAX >> (64 - bits));
        assert_true(type->min == 0 || type->min == -type->max - 1);
    }
}

/* People read numbers, texts and truth; what has parts has no text. */
static void values_have_texts(void **state)
{
    static const struct {
        struct warren_value value;
        const char *text;
    } cases[] = {
        {{WARREN_I8, {.integer = -5}}, "-5"},
        {{WARREN_I64, {.integer = INT64_MIN}}, "-9223372036854775808"},
        {{WARREN_TIMESTAMP, {.timestamp = UINT64_MAX}}, "18446744073709551615"},
        {{WARREN_F64, {.real = 0.5}}, "0.5"},
        {{WARREN_BOOL, {.boolean = true}}, "true"},
        {{WARREN_BOOL, {.boolean = false}}, "false"},
        {{WARREN_STRING, {.bytes = {"text", 4}}}, "text"},
        {{WARREN_STRING, {.bytes = {"", 0}}}, ""},
        {{WARREN_VOID, {.integer = 0}}, NULL},
        {{WARREN_DECIMAL, {.integer = 0}}, NULL},
        {{WARREN_TABLE, {.table = {NULL, 0}}}, NULL},
        {{(enum warren_type)'?', {.integer = 0}}, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char room[FIELD_TEXT_SIZE];
        struct warren_bytes text = field_text(&cases[i].value, room);

        assert_true(!text.data == !cases[i].text);
        if (!text.data)
            continue;
        assert_int_equal(text.len, strlen(cases[i].text));
        assert_memory_equal(text.data, cases[i].text, text.len);
    }
    assert_true(field_is_integer(&cases[0].value));
    assert_false(field_is_integer(&cases[2].value));
    assert_false(field_is_integer(&cases[11].value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_found),
        cmocka_unit_test(other_letters_are_no_types),
        cmocka_unit_test(ranges_are_those_of_the_sizes),
        cmocka_unit_test(values_have_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
