/* test_names.c - base/error.h and the small public functions: names, version, table look-up. */
#include <warren/handler.h>
#include <warren/message.h>
#include <warren/publisher.h>

#include "base/error.h"
#include "support/test.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Each status, outcome, result and type has a name of its own, as promised in the headers. */
static void known_values_have_names(void **state)
{
    (void)state;
    assert_string_equal(warren_status_name(WARREN_OK), "ok");
    assert_string_equal(warren_status_name(WARREN_ETIMEOUT), "timeout");
    assert_string_equal(warren_outcome_name(WARREN_ACK), "ack");
    assert_string_equal(warren_outcome_name(WARREN_REQUEUE), "requeue");
    assert_string_equal(warren_result_name(WARREN_CONFIRMED), "confirmed");
    assert_string_equal(warren_result_name(WARREN_EXPIRED), "expired");
    assert_string_equal(warren_type_name(WARREN_I64), "i64");
    assert_string_equal(warren_type_name(WARREN_TABLE), "table");
    for (int status = WARREN_ENOTFOUND; status <= WARREN_OK; status++)
        assert_string_not_equal(warren_status_name((enum warren_status)status), "unknown");
}

/* Every letter that message.h lists as a type has a name, and no two share one. */
static void type_names_differ(void **state)
{
    static const char letters[] = "VtbBsuIilfdDSxTAF";

    (void)state;
    for (size_t i = 0; letters[i]; i++) {
        const char *name = warren_type_name((enum warren_type)letters[i]);

        assert_string_not_equal(name, "unknown");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(name, warren_type_name((enum warren_type)letters[j]));
    }
}

/* A number that means nothing is "unknown", never a crash. */
static void other_values_are_unknown(void **state)
{
    volatile int other = 99;

    (void)state;
    assert_string_equal(warren_status_name((enum warren_status)(0 - other)), "unknown");
    assert_string_equal(warren_outcome_name((enum warren_outcome)other), "unknown");
    assert_string_equal(warren_result_name((enum warren_result)other), "unknown");
    assert_string_equal(warren_type_name((enum warren_type)(other + 1000)), "unknown");
}

/* The version as text is the version as numbers. */
static void version_agrees_with_its_numbers(void **state)
{
    char text[32];

    (void)state;
    snprintf(text, sizeof text, "%d.%d.%d", WARREN_VERSION_MAJOR, WARREN_VERSION_MINOR,
             WARREN_VERSION_PATCH);
    assert_string_equal(warren_version(), text);
}

/* Of two fields with one name the first counts; names are compared whole and by case. */
static void first_field_of_a_name_counts(void **state)
{
    const struct warren_field fields[] = {
        warren_field_i64("retries", 1),
        warren_field_i64("retry", 2),
        warren_field_i64("retry", 3),
    };
    const struct warren_table table = {fields, COUNT(fields)};
    const struct warren_table empty = {NULL, 0};

    (void)state;
    assert_int_equal(warren_table_get(&table, "retry")->as.integer, 2);
    assert_null(warren_table_get(&table, "Retry"));
    assert_null(warren_table_get(&table, "ret"));
    assert_null(warren_table_get(&empty, "retry"));
    assert_null(warren_table_get(NULL, "retry"));
}

/* error_set writes status and text, and returns the status for a short `return`. */
static void error_carries_status_and_text(void **state)
{
    struct warren_error error;

    (void)state;
    assert_int_equal(error_set(&error, WARREN_EIO, "cannot open %s", "a.yaml"), WARREN_EIO);
    assert_int_equal(error.status, WARREN_EIO);
    assert_string_equal(error.text, "cannot open a.yaml");
    assert_int_equal(error_set(NULL, WARREN_EFULL, "%s", "nobody listens"), WARREN_EFULL);
}

/* A text that is too long is cut, and ends. */
static void long_error_is_cut(void **state)
{
    struct warren_error error;

    (void)state;
    error_set(&error, WARREN_EIO, "%*s", 2 * WARREN_ERROR_TEXT_MAX, "x");
    assert_int_equal(strlen(error.text), WARREN_ERROR_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values_have_names),
        cmocka_unit_test(type_names_differ),
        cmocka_unit_test(other_values_are_unknown),
        cmocka_unit_test(version_agrees_with_its_numbers),
        cmocka_unit_test(first_field_of_a_name_counts),
        cmocka_unit_test(error_carries_status_and_text),
        cmocka_unit_test(long_error_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
