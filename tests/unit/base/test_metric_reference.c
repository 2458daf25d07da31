/* test_metric_reference.c - the page of metrics has every row once, in its order, and every name
 * that its prose mentions is one of a row.
 */
#include "base/metric_reference.h"
#include "base/metrics.h"
#include "support/test.h"

#include <ctype.h>

static char *page;

static int write_page(void **state)
{
    size_t len;
    FILE *out = open_memstream(&page, &len);

    (void)state;
    metric_write_reference(out);
    return fclose(out);
}

static int free_page(void **state)
{
    (void)state;
    free(page);
    return 0;
}

static void every_row_is_there_once(void **state)
{
    const char *at = page;

    (void)state;
    for (size_t i = 0; i < METRICS; i++) {
        struct metric_family_info info;
        const char *labels;
        char begin[256];

        metric_family_row(i, &info, &labels);
        snprintf(begin, sizeof begin, "\n| `%s` | ", info.name);
        at = strstr(at, begin);
        if (!at)
            fail_msg("%s is not where it should be", info.name);
        at++;
        assert_null(strstr(at, begin));
        assert_null(strchr(info.help, '|'));
    }
    assert_null(strstr(page, "\n@"));
}

/* Of a histogram also with its suffixes. */
static bool is_of_row(const char *name, size_t len)
{
    static const char *const suffixes[] = {"", "_sum", "_count", "_bucket"};

    for (size_t i = 0; i < METRICS; i++) {
        struct metric_family_info info;
        const char *labels;

        metric_family_row(i, &info, &labels);
        for (size_t k = 0; k < (info.type == WARREN_HISTOGRAM ? 4 : 1); k++)
            if (len == strlen(info.name) + strlen(suffixes[k]) &&
                strncmp(name, info.name, strlen(info.name)) == 0 &&
                strncmp(name + strlen(info.name), suffixes[k], strlen(suffixes[k])) == 0)
                return true;
    }
    return false;
}

static void every_name_is_one_of_a_row(void **state)
{
    static const char *const prefixes[] = {"warren_", "process_"};

    (void)state;
    for (size_t p = 0; p < 2; p++)
        for (const char *at = page; (at = strstr(at, prefixes[p])); at++) {
            size_t len = 0;

            while (isalnum((unsigned char)at[len]) || at[len] == '_')
                len++;
            if (at > page && (isalnum((unsigned char)at[-1]) || at[-1] == '_'))
                continue;
            if (len > strlen(prefixes[p]) && !is_of_row(at, len))
                fail_msg("%.*s is no metric", (int)len, at);
        }
}

/* docs/metrics.md is that page. */
static void the_file_is_current(void **state)
{
    FILE *file = fopen(WARREN_SOURCE_DIR "/docs/metrics.md", "re");
    char line[8192];
    const char *at = page;

    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(at, line, strlen(line)) != 0)
            fail_msg("docs/metrics.md is not what `warren metrics reference` prints: %s", line);
        at += strlen(line);
    }
    fclose(file);
    assert_string_equal(at, "");
}

static void bounds_are_named(void **state)
{
    (void)state;
    assert_non_null(strstr(page, "\n0.0001, 0.00025, 0.0005, "));
    assert_non_null(strstr(page, "\n1, 2, 4, 8, "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_there_once),
        cmocka_unit_test(every_name_is_one_of_a_row),
        cmocka_unit_test(bounds_are_named),
        cmocka_unit_test(the_file_is_current),
    };

    return cmocka_run_group_tests(tests, write_page, free_page);
}
