/* `semaphores:` at the top of the file, and `uses:` of subscriptions. */
#include "config_helper.h"

#define SUBSCRIPTION                                                                               \
    "subscriptions:\n"                                                                             \
    "  - queue: a\n"                                                                               \
    "    handler: p.h\n"

static void sizes_and_weights(void **state)
{
    struct config *config = helper_config("semaphores: {db: 10, mail.out: 2}\n" SUBSCRIPTION
                                          "    uses: {mail.out: 2, db: 1}\n"
                                          "  - {queue: b, handler: p.h}\n",
                                          NULL, NULL);
    const struct config_subscription *first = &config->subscriptions[0];

    (void)state;
    assert_int_equal(config->semaphore_count, 2);
    assert_string_equal(config->semaphores[0].name, "db");
    assert_int_equal(config->semaphores[0].size, 10);
    assert_string_equal(config->semaphores[1].name, "mail.out");
    assert_int_equal(config->semaphores[1].size, 2);
    assert_int_equal(first->use_count, 2);
    assert_string_equal(first->uses[0].name, "mail.out");
    assert_int_equal(first->uses[0].weight, 2);
    assert_string_equal(first->uses[1].name, "db");
    assert_int_equal(first->uses[1].weight, 1);
    assert_int_equal(config->subscriptions[1].use_count, 0);
    config_free(config);
}

static void none_is_fine(void **state)
{
    static const char *const files[] = {SUBSCRIPTION, "semaphores:\n" SUBSCRIPTION "    uses:\n",
                                        "semaphores: {}\n" SUBSCRIPTION "    uses: {}\n"};

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(files); i++) {
        struct config *config = helper_config(files[i], NULL, NULL);

        assert_int_equal(config->semaphore_count, 0);
        assert_int_equal(config->subscriptions[0].use_count, 0);
        config_free(config);
    }
}

#define DB "semaphores: {db: 10, files: 3}\n"

static void mistakes_are_named(void **state)
{
    static const struct helper_bad bads[] = {
        {"semaphores: 5\n", "worker.yaml:1:13: semaphores must be a mapping, such as"},
        {"semaphores: [db]\n", "semaphores must be a mapping"},
        {"semaphores: {db: 0}\n", "worker.yaml:1:18: semaphores.db is '0'"},
        {"semaphores: {db: -3}\n", "semaphores.db is '-3'"},
        {"semaphores: {db: 1000001}\n", "semaphores.db is '1000001'"},
        {"semaphores: {db: many}\n", "semaphores.db is 'many'"},
        {"semaphores: {db: 1.5}\n", "semaphores.db is '1.5'"},
        {"semaphores: {db: {size: 3}}\n", "semaphores.db"},
        {"semaphores: {db: 1, db: 2}\n", "this key stands twice"},
        {"semaphores: {'a b': 1}\n", "the name of a semaphore is 'a b', expected 1 to 64 letters"},
        {"semaphores: {'': 1}\n", "the name of a semaphore is ''"},
        {DB SUBSCRIPTION "    uses: db\n", "worker.yaml:5:11: uses must be a mapping, such as"},
        {DB SUBSCRIPTION "    uses: [db]\n", "uses must be a mapping"},
        {DB SUBSCRIPTION "    uses: {dbb: 1}\n",
         "worker.yaml:5:12: uses the semaphore 'dbb', which there is not; did you mean 'db'?"},
        {DB SUBSCRIPTION "    uses: {network: 1}\n",
         "uses the semaphore 'network', which there is not, expected db, files"},
        {SUBSCRIPTION "    uses: {db: 1}\n", "uses the semaphore 'db', and the file has none"},
        {DB SUBSCRIPTION "    uses: {db: 11}\n",
         "worker.yaml:5:16: uses.db is 11, more than there is: the semaphore's size is 10"},
        {DB SUBSCRIPTION "    uses: {db: 0}\n", "uses.db is '0'"},
        {DB SUBSCRIPTION "    uses: {db: -1}\n", "uses.db is '-1'"},
        {DB SUBSCRIPTION "    uses: {db: x}\n", "uses.db is 'x'"},
    };

    (void)state;
    HELPER_ALL_REFUSED(bads);
    helper_refused(NULL, "WARREN_SEMAPHORES_DB=3", NULL, "only in the file");
}

/* More than the bound, and none of them but the first is wrong. */
static void there_are_not_too_many(void **state)
{
    static char yaml[CONFIG_SEMAPHORES_MAX * 16 + 64];
    size_t len = (size_t)snprintf(yaml, sizeof yaml, "semaphores: {");

    (void)state;
    for (int i = 0; i <= CONFIG_SEMAPHORES_MAX; i++)
        len += (size_t)snprintf(yaml + len, sizeof yaml - len, "%ss%d: 1", i ? ", " : "", i);
    snprintf(yaml + len, sizeof yaml - len, "}\n");
    helper_refused(yaml, NULL, NULL, "257 semaphores, but at most 256 are allowed");
}

static void what_is_in_force_is_written(void **state)
{
    struct config *config = helper_config(DB SUBSCRIPTION "    uses: {db: 4}\n", NULL, NULL);
    static char text[65536];

    (void)state;
    helper_effective(config, text, sizeof text);
    assert_non_null(strstr(text, "semaphores:\n  \"db\": 10\n  \"files\": 3\n"));
    assert_non_null(strstr(text, "    uses: {\"db\": 4}\n"));
    config_free(config);
}

static void which_differ(void **state)
{
    static const struct {
        const char *yaml;
        bool differs;
    } files[] = {
        {"semaphores: {files: 3, db: 10}\n", false},
        {"semaphores: {db: 10}\n", true},
        {"semaphores: {db: 10, files: 4}\n", true},
        {"semaphores: {db: 10, file: 3}\n", true},
        {"log: {level: info}\n", true},
    };
    struct config *a = helper_config(DB, NULL, NULL);

    (void)state;
    for (size_t i = 0; i < HELPER_COUNT(files); i++) {
        struct config *b = helper_config(files[i].yaml, NULL, NULL);

        assert_int_equal(config_semaphores_differ(a, b), files[i].differs);
        config_free(b);
    }
    config_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELPER_TEST(sizes_and_weights),           HELPER_TEST(none_is_fine),
        HELPER_TEST(mistakes_are_named),          HELPER_TEST(there_are_not_too_many),
        HELPER_TEST(what_is_in_force_is_written), HELPER_TEST(which_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
