/* test_plugin_registry.c - handlers by name, and near misses. */
#include "plugin/registry.h"
#include "support/test.h"

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_ACK;
}

static const struct warren_handler handlers[] = {
    {.name = "charge", .handle = handle}, {.name = "refund", .handle = handle}, {0}};

static const struct warren_middleware middlewares[] = {{.name = "limit"}, {.name = "retry"}, {0}};

static const struct warren_middleware own_retry = {.name = "retry"};
static const struct warren_middleware *const builtin[] = {&own_retry, NULL};

static struct plugin *plugin(const char *name, const char *where)
{
    struct warren_plugin descriptor = {.abi = WARREN_PLUGIN_ABI,
                                       .size = sizeof(struct warren_plugin),
                                       .handler_size = sizeof(struct warren_handler),
                                       .option_size = sizeof(struct warren_option),
                                       .name = name,
                                       .handlers = handlers,
                                       WARREN_MIDDLEWARES(middlewares)};
    struct plugin *made = NULL;

    assert_int_equal(plugin_new(&descriptor, where, &made, NULL), WARREN_OK);
    return made;
}

static int setup(void **state)
{
    struct registry *registry = registry_new(builtin);

    assert_int_equal(registry_add(registry, plugin("payments", "a.so"), NULL), WARREN_OK);
    assert_int_equal(registry_add(registry, plugin("pay", "b.so"), NULL), WARREN_OK);
    *state = registry;
    return 0;
}

static int teardown(void **state)
{
    registry_free(*state);
    return 0;
}

static void not_found(const struct registry *registry, const char *name, const char *text)
{
    const struct warren_handler *handler = handlers;
    struct warren_error error = {WARREN_OK, ""};

    assert_int_equal(registry_find(registry, name, &handler, &error), WARREN_ENOTFOUND);
    assert_null(handler);
    assert_string_equal(error.text, text);
}

/* Each handler is found under its plugin's name, also if one name begins with another. */
static void handlers_are_found_by_full_name(void **state)
{
    const struct registry *registry = *state;
    const struct warren_handler *of_payments, *of_pay;

    assert_int_equal(registry_find(registry, "payments.refund", &of_payments, NULL), WARREN_OK);
    assert_string_equal(of_payments->name, "refund");
    assert_int_equal(registry_find(registry, "pay.refund", &of_pay, NULL), WARREN_OK);
    assert_string_equal(of_pay->name, "refund");
    assert_ptr_not_equal(of_payments, of_pay);
    assert_int_equal(registry_count(registry), 2);
    assert_string_equal(registry_plugin(registry, 1)->where, "b.so");
}

static void a_near_miss_gets_a_hint(void **state)
{
    not_found(*state, "payments.chrage",
              "there is no handler payments.chrage; did you mean payments.charge?");
}

static void a_far_miss_gets_the_list(void **state)
{
    not_found(*state, "x",
              "there is no handler x; there are: payments.charge, payments.refund, pay.charge, "
              "pay.refund");
}

static void without_plugins_the_hint_is_to_load_one(void **state)
{
    struct registry *empty = registry_new(NULL);

    (void)state;
    not_found(empty, "a.b",
              "there is no handler a.b: no plugin is loaded; name one under `plugins:`");
    registry_free(empty);
}

/* A bare name is warren's own; a plugin's middleware of the same name has the plugin's before it.
 */
static void middlewares_are_found_by_name(void **state)
{
    const struct registry *registry = *state;
    const struct warren_middleware *found;

    assert_int_equal(registry_find_middleware(registry, "retry", &found, NULL), WARREN_OK);
    assert_ptr_equal(found, &own_retry);
    assert_int_equal(registry_find_middleware(registry, "pay.retry", &found, NULL), WARREN_OK);
    assert_ptr_equal(found, &registry_plugin(registry, 1)->middlewares[1]);
}

static void a_missed_middleware_gets_a_hint(void **state)
{
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"rety", "there is no middleware rety; did you mean retry?"},
        {"pay.limt", "there is no middleware pay.limt; did you mean pay.limit?"},
        {"charge", "there is no middleware charge; there are: retry, payments.limit, "
                   "payments.retry, pay.limit, pay.retry"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct warren_middleware *found;
        struct warren_error error = {WARREN_OK, ""};

        assert_int_equal(registry_find_middleware(*state, cases[i].name, &found, &error),
                         WARREN_ENOTFOUND);
        assert_null(found);
        assert_string_equal(error.text, cases[i].text);
    }
}

/* Two plugins of one name: both files are named, and the first one stays. */
static void a_second_plugin_of_a_name_is_refused(void **state)
{
    struct registry *registry = *state;
    struct warren_error error = {WARREN_OK, ""};

    assert_int_equal(registry_add(registry, plugin("pay", "c.so"), &error), WARREN_EPLUGIN);
    assert_string_equal(error.text, "c.so: a plugin named pay is already loaded from b.so");
    assert_int_equal(registry_count(registry), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(handlers_are_found_by_full_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_near_miss_gets_a_hint, setup, teardown),
        cmocka_unit_test_setup_teardown(a_far_miss_gets_the_list, setup, teardown),
        cmocka_unit_test_setup_teardown(without_plugins_the_hint_is_to_load_one, setup, teardown),
        cmocka_unit_test_setup_teardown(middlewares_are_found_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missed_middleware_gets_a_hint, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_plugin_of_a_name_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
