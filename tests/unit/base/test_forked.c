/* test_forked.c - base/forked.h */
#include "base/forked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int exit_code_of(pid_t child)
{
    int status = 0;

    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What is made before a fork is inherited by the child, and by a child of that; what a child makes
 * is its own. */
static void each_child_knows_what_it_inherited(void **state)
{
    uint32_t before = forked_begin();
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        uint32_t own = forked_begin();
        pid_t grandchild = fork();

        if (grandchild == 0)
            _exit(forked_since(before) && forked_since(own) ? 0 : 1);
        _exit(exit_code_of(grandchild) == 0 && forked_since(before) && !forked_since(own) ? 0 : 1);
    }
    assert_int_equal(exit_code_of(child), 0);
    assert_false(forked_since(before));
    assert_int_equal(forked_begin(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_child_knows_what_it_inherited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
