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

/* docs/configuration.md was generated from the tables as they are now. */
static void the_page_in_the_tree_is_current(void **state)
{
    static const char here[] = "tests/unit/config/test_config_reference.c";
    char path[1024] = __FILE__;
    char *root = strstr(path, here);
    char *expected = page(config_write_reference);
    char *found = calloc(1, TEXT_SIZE);
    FILE *file;

    (void)state;
    assert_non_null(root);
    assert_non_null(found);
    strcpy(root, "docs/configuration.md");
    file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(found, 1, TEXT_SIZE - 1, file) > 0);
    fclose(file);
    if (strcmp(found, expected) != 0)
        fail_msg("run: warren config reference > docs/configuration.md");
    free(found);
    free(expected);
}

/* Every option with its variable stands in both texts. */
static void every_option_is_there(void **state)
{
    char *reference = page(config_write_reference);
    char *help = page(config_write_help);

    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        char variable[CONFIG_VARIABLE_SIZE];

        config_option_variable(&config_options[i], variable);
        assert_non_null(strstr(reference, config_options[i].option.name));
        assert_non_null(strstr(reference, variable));
        assert_non_null(strstr(reference, config_options[i].option.help));
        assert_non_null(strstr(help, config_options[i].option.name));
        assert_non_null(strstr(help, variable));
    }
    assert_non_null(strstr(reference, "| `consumer.prefetch` | whole number, 1 to 65535 | `100` | "
                                      "`WARREN_CONSUMER_PREFETCH` | "));
    free(reference);
    free(help);
}

/* Every option belongs to a section with a text of its own, or to none. */
static void every_section_is_described(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *name = config_options[i].option.name;
        size_t len = strcspn(name, ".");
        bool found = !name[len];

        for (size_t j = 0; j < CONFIG_SECTION_COUNT; j++)
            found = found || (strlen(config_sections[j].name) == len &&
                              strncmp(config_sections[j].name, name, len) == 0);
        if (!found)
            fail_msg("%s: its section is not described", name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_in_the_tree_is_current),
        cmocka_unit_test(every_option_is_there),
        cmocka_unit_test(every_section_is_described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
