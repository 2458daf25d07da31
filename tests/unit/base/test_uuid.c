/* test_uuid.c - base/random.h */
#include "base/random.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/test.h"

static int64_t time_of(const char *text)
{
    char hex[13];

    memcpy(hex, text, 8);
    memcpy(hex + 8, text + 9, 4);
    hex[12] = '\0';
    return strtoll(hex, NULL, 16);
}

/* The form of RFC 9562: 8-4-4-4-12 lower-case hex digits, version 7, variant 10. */
static void form_is_version_7(void **state)
{
    char text[UUID_TEXT_SIZE];

    (void)state;
    for (int round = 0; round < 100; round++) {
        uuid_v7(text);
        assert_int_equal(strlen(text), UUID_TEXT_SIZE - 1);
        for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++)
            if (i == 8 || i == 13 || i == 18 || i == 23)
                assert_int_equal(text[i], '-');
            else
                assert_non_null(strchr("0123456789abcdef", text[i]));
        assert_int_equal(text[14], '7');
        assert_non_null(strchr("89ab", text[19]));
    }
}

/* The first 48 bits are the wall clock's milliseconds. */
static void time_comes_first(void **state)
{
    char text[UUID_TEXT_SIZE];
    int64_t before_ms = clock_wall_ms();

    (void)state;
    uuid_v7(text);
    assert_in_range(time_of(text), before_ms, clock_wall_ms());
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Many ids in a row, over several fillings of the pool, are all different. */
static void ids_are_unique(void **state)
{
    static char texts[5000][UUID_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < 5000; i++)
        uuid_v7(texts[i]);
    qsort(texts, 5000, sizeof texts[0], compare);
    for (size_t i = 1; i < 5000; i++)
        assert_string_not_equal(texts[i - 1], texts[i]);
}

/* A forked child does not use the random bytes that its parent still has. */
static void child_gives_other_ids(void **state)
{
    char mine[UUID_TEXT_SIZE];
    char theirs[UUID_TEXT_SIZE] = "";
    int ends[2];
    pid_t child;

    (void)state;
    uuid_v7(mine);
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        uuid_v7(theirs);
        _exit(write(ends[1], theirs, sizeof theirs) == (ssize_t)sizeof theirs ? 0 : 1);
    }
    uuid_v7(mine);
    assert_int_equal(read(ends[0], theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(waitpid(child, NULL, 0), child);
    /* The time may differ, so only the random part tells. */
    assert_string_not_equal(mine + 14, theirs + 14);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form_is_version_7),
        cmocka_unit_test(time_comes_first),
        cmocka_unit_test(ids_are_unique),
        cmocka_unit_test(child_gives_other_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
