/* test_middleware_instance.c - opening, reloading and closing a middleware. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "plugin/middleware_instance.h"

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
    assert_true(middleware_reload(&instance, options));
    assert_ptr_equal(reloaded, options);
    middleware_close(&instance);
    middleware_close(&instance);
    assert_int_equal(closed, 1);
    assert_false(middleware_reload(&instance, options));
}

static void all_functions_may_be_missing(void **state)
{
    static const struct warren_middleware middleware = {.name = "m"};
    struct middleware_instance instance;

    (void)state;
    assert_int_equal(middleware_open(&instance, &middleware, "p.m", &info, NULL), WARREN_OK);
    assert_null(instance.state);
    assert_false(middleware_reload(&instance, NULL));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life),
        cmocka_unit_test(all_functions_may_be_missing),
        cmocka_unit_test(a_failure_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
