/* test_name_list.c - names for one line of a log. */
#include "base/name_list.h"
#include "support/test.h"

static void names_are_separated_by_commas(void **state)
{
    struct name_list list = {0};

    (void)state;
    assert_string_equal(list.text, "");
    name_list_add(&list, "%s", "a");
    assert_string_equal(list.text, "a");
    name_list_add(&list, "%s of %s", "b", "c");
    assert_string_equal(list.text, "a, b of c");
    assert_int_equal(list.count, 2);
}

/* No name is cut: those without room are told by their number. */
static void what_does_not_fit_is_counted(void **state)
{
    struct name_list list = {0};
    char before[NAME_LIST_SIZE];
    char tail[32];

    (void)state;
    while (!strstr(list.text, " and 1 more")) {
        assert_true(list.count < NAME_LIST_SIZE);
        memcpy(before, list.text, sizeof before);
        name_list_add(&list, "name%04zu", list.count);
    }
    assert_memory_equal(list.text, before, strlen(before));
    name_list_add(&list, "x");
    snprintf(tail, sizeof tail, "name%04zu and 2 more", list.count - 3);
    assert_string_equal(list.text + strlen(list.text) - strlen(tail), tail);
    assert_true(strlen(list.text) > NAME_LIST_SIZE * 9 / 10);
}

/* One that is longer than everything is not shown at all. */
static void a_name_may_be_longer_than_the_list(void **state)
{
    struct name_list list = {0};

    (void)state;
    name_list_add(&list, "%*s", 2 * NAME_LIST_SIZE, "x");
    assert_string_equal(list.text, " and 1 more");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_separated_by_commas),
        cmocka_unit_test(what_does_not_fit_is_counted),
        cmocka_unit_test(a_name_may_be_longer_than_the_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
