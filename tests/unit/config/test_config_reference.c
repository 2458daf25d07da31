/* The generated page and help text. */
#include "config_helper.h"

#include "config/options.h"

#define TEXT_SIZE (256 * 1024)

static char *page(void (*write)(FILE *out))
{
    char *text = calloc(1, TEXT_SIZE);
    FILE *out = fmemopen(text, TEXT_SIZE, "w");

    assert_non_null(text);
    assert_non_null(out);
    write(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void write_reference(FILE *out)
{
    static const struct warren_option options[] = {
        {"limit", WARREN_OPTION_DURATION, NULL, 1, 60000, NULL, "How long."}, {0}};
    static const struct config_middleware_help middlewares[] = {
        {"slow", "Takes its time.", options},
        {"plain", "Does it plainly.", NULL},
        {NULL, NULL, NULL}};

    config_write_reference(out, middlewares);
}

/* Every option with its variable stands in both texts. */
static void every_option_is_there(void **state)
{
    char *reference = page(write_reference);
    char *help = page(config_write_help);

    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        char variable[CONFIG_VARIABLE_SIZE];

        if (config_option_has(&config_options[i], CONFIG_OPTION_FILE))
            continue; /* it has no variable, and a chapter of its own */
        config_option_variable(&config_options[i], variable);
        assert_non_null(strstr(reference, config_options[i].name));
        assert_non_null(strstr(reference, variable));
        assert_non_null(strstr(reference, config_options[i].help));
        assert_non_null(strstr(help, config_options[i].name));
        assert_non_null(strstr(help, variable));
    }
    assert_non_null(strstr(reference, "| `consumer.prefetch` | whole number, 1 to 65535 | `100` | "
                                      "`WARREN_CONSUMER_PREFETCH` | "));
    free(reference);
    free(help);
}

/* Middlewares are those that the caller names, with their tables. */
static void middlewares_are_there(void **state)
{
    char *reference = page(write_reference);

    (void)state;
    assert_non_null(strstr(reference, "### slow\n\nTakes its time.\n"));
    assert_non_null(strstr(reference, "| `limit` | duration, 1ms to 1m | required | How long. |"));
    assert_non_null(strstr(reference, "### plain\n\nDoes it plainly.\n\nIt takes no options.\n"));
    free(reference);
}

/* Every option belongs to a section with a text of its own, or to none. */
static void every_section_is_described(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *name = config_options[i].name;
        size_t len = strcspn(name, ".");
        bool found = !name[len];

        for (size_t j = 0; config_sections[j].name; j++)
            found = found || (strlen(config_sections[j].name) == len &&
                              strncmp(config_sections[j].name, name, len) == 0);
        if (!found)
            fail_msg("%s: its section is not described", name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_there),
        cmocka_unit_test(every_section_is_described),
        cmocka_unit_test(middlewares_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
