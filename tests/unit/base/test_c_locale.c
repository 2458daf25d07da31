/* test_c_locale.c - numbers and letters where a plugin has called setlocale(3). */
#include "../comma_locale.h"
#include "base/ascii.h"
#include "base/c_locale.h"
#include "base/error.h"
#include "support/test.h"

static int back_to_c(void **state)
{
    (void)state;
    return setlocale(LC_ALL, "C") ? 0 : -1;
}

/* A point stays one, in texts, files and errors, and is read as one; the locale stays set. */
static void a_number_has_a_point(void **state)
{
    struct warren_error error;
    char text[64];
    char *end;
    FILE *file = tmpfile();

    (void)state;
    TAKE_COMMA_LOCALE();
    snprintf(text, sizeof text, "%.1f", 1.5);
    assert_string_equal(text, "1,5");
    assert_int_equal(c_snprintf(text, sizeof text, "%.1f of %g", 1.5, 1234567.0), 18);
    assert_string_equal(text, "1.5 of 1.23457e+06");
    assert_true(c_strtod("2.25", &end) == 2.25);
    assert_string_equal(end, "");
    assert_int_equal(c_fprintf(file, "%.3f", 0.5), 5);
    rewind(file);
    assert_string_equal(fgets(text, sizeof text, file), "0.500");
    fclose(file);
    error_set(&error, WARREN_EINVAL, "%g", 0.25);
    assert_string_equal(error.text, "0.25");
    snprintf(text, sizeof text, "%.1f", 1.5);
    assert_string_equal(text, "1,5");
}

/* Letters are those of ASCII, without regard to case where it is of no matter. */
static void letters_are_of_ascii(void **state)
{
    (void)state;
    assert_true(ascii_same("MIDDLEWARE", "middleware"));
    assert_false(ascii_same("middleware", "middlewares"));
    assert_false(ascii_same("middlewares", "middleware"));
    assert_true(ascii_same_n("middlewares", "MIDDLEWARE", 10));
    assert_true(ascii_same_n("a", "A", 10));
    assert_false(ascii_same_n("", "A", 10));
    assert_true(ascii_has("x-PassWord-y", "password"));
    assert_true(ascii_has("aab", "ab"));
    assert_false(ascii_has("passwor", "password"));
    assert_false(ascii_has("", "a"));
    assert_false(ascii_is_alnum('\xe9'));
    assert_int_equal(ascii_upper('i'), 'I');
    assert_int_equal(ascii_lower('I'), 'i');
    assert_int_equal(ascii_upper('\xe9'), '\xe9');
    assert_true(ascii_is_space('\v') && !ascii_is_space('\xa0'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_number_has_a_point, back_to_c),
        cmocka_unit_test(letters_are_of_ascii),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
