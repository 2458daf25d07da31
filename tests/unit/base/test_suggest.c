/* test_suggest.c - base/suggest.h */
#include "base/suggest.h"
#include "support/test.h"

static const char *const words[] = {"prefetch", "concurrency", "queue", "handler", "options"};

static const char *nearest(const char *word)
{
    return suggest(word, words, sizeof words / sizeof words[0]);
}

/* One slip of each kind is seen through: missing, doubled, wrong and swapped letters. */
static void slips_are_seen_through(void **state)
{
    (void)state;
    assert_string_equal(nearest("prefech"), "prefetch");
    assert_string_equal(nearest("concurrrency"), "concurrency");
    assert_string_equal(nearest("hendler"), "handler");
    assert_string_equal(nearest("qeuue"), "queue");
    assert_string_equal(nearest("queue"), "queue");
}

/* A swap counts once: with a distance of two the word would be too short to be near. */
static void swap_counts_once(void **state)
{
    static const char *const ports[] = {"port"};

    (void)state;
    assert_string_equal(suggest("prot", ports, 1), "port");
}

/* What resembles nothing gets no suggestion; neither does an empty or a huge word. */
static void far_words_get_none(void **state)
{
    char huge[1000];

    (void)state;
    memset(huge, 'q', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    assert_null(nearest("broker"));
    assert_null(nearest(""));
    assert_null(nearest(huge));
    assert_null(suggest("queue", NULL, 0));
}

/* More than a third of the letters wrong is too far, exactly a third is not. */
static void a_third_is_the_limit(void **state)
{
    static const char *const abc[] = {"abcdef"};

    (void)state;
    assert_string_equal(suggest("xxcdef", abc, 1), "abcdef");
    assert_null(suggest("xxxdef", abc, 1));
}

/* Of several near words the nearest wins. */
static void nearest_wins(void **state)
{
    static const char *const near[] = {"timeouts_max", "timeout_ms", "timeouts"};

    (void)state;
    assert_string_equal(suggest("timeout_m", near, 3), "timeout_ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_are_seen_through), cmocka_unit_test(swap_counts_once),
        cmocka_unit_test(far_words_get_none),     cmocka_unit_test(a_third_is_the_limit),
        cmocka_unit_test(nearest_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
