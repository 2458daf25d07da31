/* test_guarded.c - memory that no heap that is overrun reaches. */
#include <errno.h>
#include <unistd.h>

#include "base/guarded.h"
#include "support/test.h"

/* May the kernel read from there, and write to there? */
static int readable(const void *at)
{
    int ends[2];
    ssize_t got;

    assert_int_equal(pipe(ends), 0);
    got = write(ends[1], at, 1);
    close(ends[0]);
    close(ends[1]);
    return got == 1;
}

static int writable(void *at)
{
    int ends[2];
    ssize_t got;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    got = read(ends[0], at, 1);
    close(ends[0]);
    close(ends[1]);
    return got == 1;
}

static void between_pages_that_nobody_may_touch(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = guarded_alloc(page + 1);

    (void)state;
    assert_non_null(memory);
    assert_int_equal(memory[0] | memory[page], 0);
    memset(memory, 'x', page + 1);
    assert_true(readable(memory) && writable(memory));
    assert_false(readable(memory - 1));
    assert_false(readable(memory + 2 * page));
    guarded_seal(memory, page + 1);
    assert_true(readable(memory + page));
    assert_false(writable(memory));
    guarded_free(memory, page + 1);
    assert_false(readable(memory));
}

static void sizes_that_nobody_has(void **state)
{
    (void)state;
    assert_null(guarded_alloc(0));
    assert_null(guarded_alloc(SIZE_MAX));
    guarded_free(NULL, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_pages_that_nobody_may_touch),
        cmocka_unit_test(sizes_that_nobody_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
