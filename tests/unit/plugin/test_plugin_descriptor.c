/* test_plugin_descriptor.c - descriptors of this, of later, and of no version of warren. */
#include "plugin/descriptor.h"
#include "support/test.h"

static enum warren_outcome handle(struct warren_job *job, void *state)
{
    (void)job;
    (void)state;
    return WARREN_ACK;
}

static const struct warren_handler one[] = {{.name = "h", .handle = handle}, {0}};

static struct warren_plugin descriptor(const struct warren_handler *handlers)
{
    struct warren_plugin plugin = {.abi = WARREN_PLUGIN_ABI,
                                   .size = sizeof(struct warren_plugin),
                                   .handler_size = sizeof(struct warren_handler),
                                   .option_size = sizeof(struct warren_option),
                                   .name = "p",
                                   .version = "1",
                                   .handlers = handlers};

    return plugin;
}

static void refused(const struct warren_plugin *descriptor, const char *why)
{
    struct warren_error error = {WARREN_OK, ""};
    struct plugin *plugin = NULL;

    assert_int_equal(plugin_new(descriptor, "p.so", &plugin, &error), WARREN_EPLUGIN);
    assert_null(plugin);
    if (strncmp(error.text, "p.so: ", 6) != 0 || !strstr(error.text, why))
        fail_msg("\"%s\" does not say \"p.so: ... %s\"", error.text, why);
}

/* Rows of a later warren, with a member more: stepped over by the plugin's size, not by ours. */
static void larger_structs_are_read_by_their_own_size(void **state)
{
    struct later_handler {
        struct warren_handler known;
        void *unknown;
    } handlers[] = {{{.name = "first", .handle = handle}, handlers},
                    {{.name = "second", .handle = handle}, handlers},
                    {{0}, NULL}};
    struct later_option {
        struct warren_option known;
        void *unknown;
    } options[] = {{{.name = "a", .type = WARREN_OPTION_INT, .fallback = "1"}, handlers},
                   {{.name = "b", .type = WARREN_OPTION_BOOL, .fallback = "true"}, handlers},
                   {{0}, NULL}};
    struct {
        struct warren_plugin known;
        void *unknown;
    } later = {descriptor(&handlers[0].known), handlers};
    struct plugin *plugin = NULL;

    (void)state;
    handlers[1].known.options = &options[0].known;
    later.known.size = sizeof later;
    later.known.handler_size = sizeof handlers[0];
    later.known.option_size = sizeof options[0];
    assert_int_equal(plugin_new(&later.known, "p.so", &plugin, NULL), WARREN_OK);
    assert_int_equal(plugin->handler_count, 2);
    assert_string_equal(plugin->handlers[1].name, "second");
    assert_string_equal(plugin->handlers[1].options[1].name, "b");
    assert_null(plugin->handlers[1].options[2].name);
    plugin_free(plugin);
}

/* A struct that lacks members would be read beyond its end. */
static void smaller_structs_are_refused(void **state)
{
    struct warren_plugin d = descriptor(one);

    (void)state;
    d.size = (uint32_t)(offsetof(struct warren_plugin, middlewares));
    refused(&d, "struct warren_plugin has");
    d = descriptor(one);
    d.handler_size = (uint32_t)(offsetof(struct warren_handler, transactional));
    refused(&d, "struct warren_handler has 64 bytes, but ABI 2 has at least 65");
    d = descriptor(one);
    d.option_size = 0;
    refused(&d, "struct warren_option has 0 bytes");
}

/* Numbers that no compiler makes: an uninitialised or foreign descriptor. */
static void absurd_sizes_are_refused(void **state)
{
    struct warren_plugin d = descriptor(one);

    (void)state;
    d.handler_size = 0x7fffffff;
    refused(&d, "struct warren_handler has 2147483647 bytes");
    d = descriptor(one);
    d.handler_size += 1;
    refused(&d, "compile it anew");
}

static void other_abis_are_refused(void **state)
{
    struct warren_plugin d = descriptor(one);

    (void)state;
    d.abi = 3;
    refused(&d,
            "was compiled for ABI 3, this warren has ABI 2: compile it anew with the headers of "
            "this version, or upgrade warren");
    d.abi = 0;
    refused(&d, "was compiled for ABI 0, this warren has ABI 2");
}

/* A dot would make PLUGIN.HANDLER ambiguous; the rest would need quotes somewhere. */
static void names_are_checked(void **state)
{
    static const char *const bad[] = {NULL, "", "a.b", "a b", "a/b", "\xc3\xa4"};
    char longer[PLUGIN_NAME_MAX + 2];
    struct warren_handler handlers[2] = {{.handle = handle}, {0}};
    struct warren_plugin d;

    (void)state;
    memset(longer, 'n', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        d = descriptor(one);
        d.name = bad[i];
        refused(&d, "the plugin's name");
        if (!bad[i])
            continue;
        handlers[0].name = bad[i];
        d = descriptor(handlers);
        refused(&d, "the handler name");
    }
    d = descriptor(one);
    d.name = longer;
    refused(&d, "the plugin's name");
}

static void handlers_are_checked(void **state)
{
    static const struct warren_handler no_handle[] = {{.name = "h"}, {0}};
    static const struct warren_handler twice[] = {{.name = "h", .handle = handle},
                                                  {.name = "g", .handle = handle},
                                                  {.name = "h", .handle = handle},
                                                  {0}};
    static const struct warren_handler none[] = {{0}};
    struct warren_plugin d = descriptor(no_handle);

    (void)state;
    refused(&d, "handler h has neither `handle` nor `handle_batch`");
    d = descriptor(twice);
    refused(&d, "two handlers named h");
    d = descriptor(none);
    refused(&d, "plugin p has no handlers and no middlewares");
    d = descriptor(NULL);
    refused(&d, "plugin p has no handlers and no middlewares");
}

static void options_are_checked(void **state)
{
    static const struct warren_option twice[] = {
        {.name = "a", .type = WARREN_OPTION_BOOL}, {.name = "a", .type = WARREN_OPTION_INT}, {0}};
    static const struct warren_option no_choices[] = {{.name = "a", .type = WARREN_OPTION_ENUM},
                                                      {0}};
    static const struct warren_option unknown[] = {{.name = "a", .type = 99}, {0}};
    static const struct warren_option nameless[] = {{.name = "", .type = WARREN_OPTION_INT}, {0}};
    struct warren_handler handlers[] = {
        {.name = "fine", .handle = handle}, {.name = "h", .handle = handle}, {0}};
    struct warren_plugin d = descriptor(handlers);

    (void)state;
    handlers[1].options = twice;
    refused(&d, "handler h: two options named a");
    handlers[1].options = no_choices;
    refused(&d, "option a is an enum without choices");
    handlers[1].options = unknown;
    refused(&d, "option a has the type 99");
    handlers[1].options = nameless;
    refused(&d, "the option name");
}

/* A table without its empty row at the end is noticed before memory beyond is read for long. */
static void a_table_without_end_is_refused(void **state)
{
    static struct warren_handler handlers[PLUGIN_ROWS_MAX + 2];
    struct warren_plugin d = descriptor(handlers);

    (void)state;
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        handlers[i] = one[0];
    refused(&d, "do not end after 256 rows");
}

static enum warren_outcome call(struct warren_job *job, const struct warren_link *next, void *state)
{
    (void)state;
    return warren_next(job, next);
}

static struct warren_plugin with_middlewares(const struct warren_middleware *middlewares)
{
    struct warren_plugin d = descriptor(NULL);

    d.middlewares = middlewares;
    d.middleware_size = sizeof *middlewares;
    return d;
}

/* A plugin may have middlewares alone; their tables are copied as those of handlers are. */
static void middlewares_are_read(void **state)
{
    static const struct warren_option options[] = {
        {.name = "max", .type = WARREN_OPTION_INT, .fallback = "1"}, {0}};
    struct warren_middleware table[] = {
        {.name = "a", .call = call}, {.name = "b", .options = options}, {0}};
    struct warren_plugin d = with_middlewares(table);
    struct plugin *plugin = NULL;

    (void)state;
    assert_int_equal(plugin_new(&d, "p.so", &plugin, NULL), WARREN_OK);
    assert_int_equal(plugin->handler_count, 0);
    assert_int_equal(plugin->middleware_count, 2);
    assert_ptr_equal(plugin->middlewares[0].call, call);
    assert_string_equal(plugin->middlewares[1].options[0].name, "max");
    plugin_free(plugin);
}

static bool before(struct warren_job *job, struct warren_passage *passage, void *state,
                   void **ret_mark)
{
    (void)job;
    (void)passage;
    (void)state;
    (void)ret_mark;
    return true;
}

static bool after(struct warren_passage *passage, enum warren_outcome outcome, void *mark,
                  void *state)
{
    (void)passage;
    (void)outcome;
    (void)mark;
    (void)state;
    return true;
}

static void middlewares_are_checked(void **state)
{
    static const struct warren_middleware bad_name[] = {{.name = "a.b"}, {0}};
    static const struct warren_middleware twice[] = {{.name = "m"}, {.name = "m"}, {0}};
    static const struct warren_option no_choices[] = {{.name = "a", .type = WARREN_OPTION_ENUM},
                                                      {0}};
    struct warren_middleware bad_options[] = {{.name = "m", .options = no_choices}, {0}};
    struct warren_middleware half[] = {{.name = "m", .before = before}, {0}};
    struct warren_plugin d = with_middlewares(bad_name);

    (void)state;
    refused(&d, "the middleware name \"a.b\"");
    d = with_middlewares(twice);
    refused(&d, "two middlewares named m");
    d = with_middlewares(bad_options);
    refused(&d, "middleware m: option a is an enum without choices");
    d = with_middlewares(half);
    refused(&d, "middleware m has `before` without `after`: define both or neither");
    half[0].before = NULL;
    half[0].after = after;
    refused(&d, "middleware m has `after` without `before`: define both or neither");
    d = with_middlewares(twice);
    d.middleware_size = 0;
    refused(&d, "struct warren_middleware has 0 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(larger_structs_are_read_by_their_own_size),
        cmocka_unit_test(smaller_structs_are_refused),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(other_abis_are_refused),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(handlers_are_checked),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(a_table_without_end_is_refused),
        cmocka_unit_test(middlewares_are_read),
        cmocka_unit_test(middlewares_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
