/* test_builtin.c - the table of warren's own middlewares, and orders that make no sense. */
#include "middleware/builtin.h"
#include "support/test.h"

#define NAMES_MAX 8

static size_t split(char *text, const char *names[NAMES_MAX])
{
    size_t count = 0;

    for (char *name = strtok(text, " "); name && count < NAMES_MAX; name = strtok(NULL, " "))
        names[count++] = name;
    return count;
}

static bool in_order(const char *chain, size_t *culprit, char *why, size_t size)
{
    const char *names[NAMES_MAX];
    char text[200];

    strcpy(text, chain);
    return builtin_in_order(names, split(text, names), culprit, why, size);
}

/* Every row can be documented, and the order of the table is one that is allowed. */
static void the_table_is_the_standard_order(void **state)
{
    const char *names[BUILTIN_COUNT];
    size_t culprit;
    char why[200];

    (void)state;
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        names[i] = builtin_middlewares[i]->name;
        assert_non_null(builtin_middlewares[i]->help);
        for (const struct warren_option *o = builtin_middlewares[i]->options; o && o->name; o++)
            assert_non_null(o->help);
    }
    assert_null(builtin_middlewares[BUILTIN_COUNT]);
    assert_true(builtin_in_order(names, BUILTIN_COUNT, &culprit, why, sizeof why));
}

/* What is in every chain must do without options. */
static void the_standard_ones_need_no_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        if (!builtin_is_standard(builtin_middlewares[i]->name))
            continue;
        for (const struct warren_option *o = builtin_middlewares[i]->options; o && o->name; o++)
            assert_non_null(o->fallback);
    }
    assert_false(builtin_is_standard("deadline"));
}

static void orders_that_make_sense(void **state)
{
    static const char *const chains[] = {
        "",
        "recover",
        "log mine.a recover",
        "trace retry mine.a recover mine.b",
        "rate_limit retry recover",
        "log retry deadline breaker recover",
    };
    size_t culprit;
    char why[200];

    (void)state;
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++)
        if (!in_order(chains[i], &culprit, why, sizeof why))
            fail_msg("%s: %s", chains[i], why);
}

static void orders_that_make_no_sense(void **state)
{
    static const struct {
        const char *chain;
        size_t culprit;
        const char *why;
    } cases[] = {
        {"recover retry", 0,
         "recover turns a panic into a failed attempt, which retry must see: put recover after "
         "retry"},
        {"trace log retry", 1, "put log first, before trace"},
        {"mine.a log", 1, "put log first, before mine.a"},
        {"log breaker retry recover", 1, "put breaker after retry"},
        {"log deadline trace retry recover", 1, "put deadline after retry"},
        {"retry recover breaker", 1, "put recover after breaker"},
        {"retry recover deadline", 1, "put recover after deadline"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t culprit = 99;
        char why[200] = "";

        assert_false(in_order(cases[i].chain, &culprit, why, sizeof why));
        assert_int_equal(culprit, cases[i].culprit);
        if (!strstr(why, cases[i].why))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].chain, why, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_the_standard_order),
        cmocka_unit_test(the_standard_ones_need_no_options),
        cmocka_unit_test(orders_that_make_sense),
        cmocka_unit_test(orders_that_make_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
