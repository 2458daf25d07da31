/* config_helper.h - a configuration from a text, in a folder of its own. */
#ifndef TEST_CONFIG_HELPER_H
#define TEST_CONFIG_HELPER_H

#include <unistd.h>

#include "config/config.h"
#include "support/test.h"

/* The folder is made before and removed after each test; it is the working directory meanwhile. */
static char helper_folder[64];

static inline int helper_setup(void **state)
{
    (void)state;
    strcpy(helper_folder, "/tmp/warren-config-XXXXXX");
    return mkdtemp(helper_folder) && chdir(helper_folder) == 0 ? 0 : -1;
}

static inline int helper_teardown(void **state)
{
    (void)state;
    unlink("worker.yaml");
    return chdir("/") == 0 && rmdir(helper_folder) == 0 ? 0 : -1;
}

static inline void helper_write(const char *path, const char *text, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* Load @yaml as worker.yaml; @env and @set may be NULL. */
static inline enum warren_status helper_load(const char *yaml, const char *env, const char *set,
                                             struct config **config, struct warren_error *error)
{
    char *environment[] = {(char *)env, NULL};
    const char *const sets[] = {set};

    memset(error, 0, sizeof *error);
    *config = NULL;
    if (yaml)
        helper_write("worker.yaml", yaml, strlen(yaml));
    return config_load(yaml ? "worker.yaml" : NULL, environment, sets, set ? 1 : 0, config, error);
}

/* The same where all must be well. */
static inline struct config *helper_config(const char *yaml, const char *env, const char *set)
{
    struct warren_error error;
    struct config *config;

    if (helper_load(yaml, env, set, &config, &error) != WARREN_OK)
        fail_msg("%s", error.text);
    return config;
}

/* The load must fail as a configuration error whose text holds @expected. */
static inline void helper_refused(const char *yaml, const char *env, const char *set,
                                  const char *expected)
{
    struct warren_error error;
    struct config *config;
    enum warren_status status = helper_load(yaml, env, set, &config, &error);

    if (status == WARREN_OK) {
        config_free(config);
        fail_msg("accepted, expected: %s", expected);
    }
    assert_int_equal(status, WARREN_ECONFIG);
    assert_int_equal(error.status, WARREN_ECONFIG);
    if (!strstr(error.text, expected))
        fail_msg("the error is: %s\nexpected: %s", error.text, expected);
}

struct helper_bad {
    const char *yaml;
    const char *expected;
};

static inline void helper_all_refused(const struct helper_bad *bad, size_t count)
{
    for (size_t i = 0; i < count; i++)
        helper_refused(bad[i].yaml, NULL, NULL, bad[i].expected);
}

/* What @write prints, in @text. */
static inline void helper_effective(const struct config *config, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");

    assert_non_null(out);
    config_write_effective(config, out);
    assert_int_equal(fclose(out), 0);
}

#define HELPER_TEST(name)        cmocka_unit_test_setup_teardown(name, helper_setup, helper_teardown)
#define HELPER_COUNT(array)      (sizeof(array) / sizeof *(array))
#define HELPER_ALL_REFUSED(bads) helper_all_refused(bads, HELPER_COUNT(bads))

#endif
