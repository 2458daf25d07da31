/* test_choices.c - base/choices.h */
#include "base/suggest.h"

#include "support/test.h"

static void each_word_has_its_place(void **state)
{
    (void)state;
    assert_int_equal(choices_find("pause|retry|dead-letter", "pause"), 0);
    assert_int_equal(choices_find("pause|retry|dead-letter", "retry"), 1);
    assert_int_equal(choices_find("pause|retry|dead-letter", "dead-letter"), 2);
    assert_int_equal(choices_find("one", "one"), 0);
}

/* A part of a word, or a word and more, is none. */
static void other_words_are_none(void **state)
{
    (void)state;
    assert_int_equal(choices_find("pause|retry|dead-letter", "dead"), -1);
    assert_int_equal(choices_find("pause|retry|dead-letter", "pauses"), -1);
    assert_int_equal(choices_find("pause|retry|dead-letter", "pause|retry"), -1);
    assert_int_equal(choices_find("pause|retry|dead-letter", ""), -1);
    assert_int_equal(choices_find("", "pause"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_has_its_place),
        cmocka_unit_test(other_words_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
