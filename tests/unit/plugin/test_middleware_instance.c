/* test_middleware_instance.c - opening, reloading and closing a middleware. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/instance.h"
#include "support/test.h"

static const struct warren_subscription_info info = {.queue = "q", .handler = "p.h"};

static int opened, closed;
static const struct warren_options *reloaded;

static enum warren_status open_state(const struct warren_subscription_info *about, void **state,
                                     struct warren_error *error)
{
    (void)about;
    (void)error;
    opened++;
    *state = &opened;
    return WARREN_OK;
}

static enum warren_status open_fails(const struct warren_subscription_info *about, void **state,
                                     struct warren_error *error)
{
    (void)about;
    (void)state;
    snprintf(error->text, sizeof error->text, "m: base is above max");
    return WARREN_ECONFIG;
}

static enum warren_status check_fails(const struct warren_options *options,
                                      struct warren_error *error)
{
    (void)options;
    snprintf(error->text, sizeof error->text, "m: base is above max");
    return WARREN_ECONFIG;
}

static void reload_state(void *state, const struct warren_options *options)
{
    assert_ptr_equal(state, &opened);
    reloaded = options;
}

static void close_state(void *state)
{
    assert_ptr_equal(state, &opened);
    closed++;
}

/* The state that `open` gave goes to the other functions; a second close does nothing. */
static void a_life(void **state)
{
    static const struct warren_middleware middleware = {
        .name = "m", .open = open_state, .reload = reload_state, .close = close_state};
    const struct warren_options *options = (const void *)&info;
    struct middleware_instance instance;

    (void)state;
    assert_int_equal(middleware_open(&instance, &middleware, "p.m", &info, NULL), WARREN_OK);
    instance.middleware->reload(instance.state, options);
    assert_ptr_equal(reloaded, options);
    middleware_close(&instance);
    middleware_close(&instance);
    assert_int_equal(closed, 1);
}

static enum warren_status open_aborts(const struct warren_subscription_info *about, void **state,
                                      struct warren_error *error)
{
    (void)about;
    (void)state;
    (void)error;
    abort();
}

static enum warren_status open_segv(const struct warren_subscription_info *about, void **state,
                                    struct warren_error *error)
{
    (void)about;
    (void)state;
    (void)error;
    raise(SIGSEGV);
    return WARREN_OK;
}

/* Run @open in a child; @said is what that wrote to standard error. @return the signal */
static int crash(const struct warren_middleware *middleware, const struct warren_handler *handler,
                 char said[512])
{
    struct middleware_instance middleware_instance;
    struct instance instance;
    FILE *err = tmpfile();
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_DUMPABLE, 0); /* no core file */
        dup2(fileno(err), STDERR_FILENO);
        for (int number = 1; number < NSIG; number++)
            signal(number, SIG_DFL);
        if (middleware)
            middleware_open(&middleware_instance, middleware, "p.m", &info, NULL);
        else
            instance_open(&instance, handler, &info, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    rewind(err);
    said[fread(said, 1, 511, err)] = '\0';
    fclose(err);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Who crashes in `open`, such as by an exception of C++, is named, and ends the process as before.
 */
static void a_crash_in_open_has_a_name(void **state)
{
    static const struct warren_middleware middleware = {.name = "m", .open = open_aborts};
    static const struct warren_handler handler = {.name = "h", .open = open_segv};
    char said[512];

    (void)state;
    assert_int_equal(crash(&middleware, NULL, said), SIGABRT);
    assert_non_null(strstr(said, "queue q: middleware p.m crashed in its open\n"));
    assert_int_equal(crash(NULL, &handler, said), SIGSEGV);
    assert_non_null(strstr(said, "queue q: handler p.h crashed in its open\n"));
}

static void all_functions_may_be_missing(void **state)
{
    static const struct warren_middleware middleware = {.name = "m"};
    struct middleware_instance instance;

    (void)state;
    assert_int_equal(middleware_open(&instance, &middleware, "p.m", &info, NULL), WARREN_OK);
    assert_null(instance.state);
    middleware_close(&instance);
}

/* What `open` said is told with queue and middleware, and there is nothing to close. */
static void a_failure_is_told(void **state)
{
    static const struct warren_middleware middleware = {
        .name = "m", .open = open_fails, .close = close_state};
    struct middleware_instance instance;
    struct warren_error error = {WARREN_OK, ""};
    int before = closed;

    (void)state;
    assert_int_equal(middleware_open(&instance, &middleware, "p.m", &info, &error), WARREN_ECONFIG);
    assert_string_equal(error.text, "queue q: middleware p.m: base is above max");
    middleware_close(&instance);
    assert_int_equal(closed, before);
}

/* Options that do not go together are told alike, and `open` is not asked. */
static void a_failed_check_is_told(void **state)
{
    static const struct warren_middleware middleware = {
        .name = "m", .open = open_state, .check = check_fails, .close = close_state};
    struct middleware_instance instance;
    struct warren_error error = {WARREN_OK, ""};
    int before = opened;

    (void)state;
    assert_int_equal(middleware_open(&instance, &middleware, "p.m", &info, &error), WARREN_ECONFIG);
    assert_string_equal(error.text, "queue q: middleware p.m: base is above max");
    assert_false(instance.is_open);
    assert_int_equal(opened, before);
}

/* Whole names count; without `reload` every option is fixed. */
static void fixed_options_are_known(void **state)
{
    static const struct warren_middleware some = {
        .name = "m", .reload = reload_state, .fixed = "name|path"};
    static const struct warren_middleware none = {.name = "m", .reload = reload_state};
    static const struct warren_middleware all = {.name = "m"};

    (void)state;
    assert_true(middleware_is_fixed(&some, "name"));
    assert_true(middleware_is_fixed(&some, "path"));
    assert_false(middleware_is_fixed(&some, "nam"));
    assert_false(middleware_is_fixed(&some, "names"));
    assert_false(middleware_is_fixed(&some, "ath"));
    assert_false(middleware_is_fixed(&none, "name"));
    assert_true(middleware_is_fixed(&all, "name"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life),
        cmocka_unit_test(a_crash_in_open_has_a_name),
        cmocka_unit_test(all_functions_may_be_missing),
        cmocka_unit_test(a_failure_is_told),
        cmocka_unit_test(a_failed_check_is_told),
        cmocka_unit_test(fixed_options_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
